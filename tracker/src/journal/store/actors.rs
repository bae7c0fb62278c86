//! Actors: equal ones get one number; those nothing refers to any more are dropped.

use std::collections::HashMap;

use crate::journal::codec::{self, RowKind};
use crate::journal::error::JournalError;
use crate::model::digest::Digest;
use crate::model::ids::{ActorId, EntrySeq};
use crate::model::process::Actor;

use super::Store;
use super::rows;

/// Numbers kept at hand: twice this many at most.
const CACHE: usize = 4096;

/// Who refers to which actor, as far as it is known without reading entries.
#[derive(Debug, Default)]
pub(super) struct ActorTable {
    /// How many deeds of kept objects name it.
    references: HashMap<ActorId, u64>,
    /// The newest entry that may name it, for those used since the start.
    last_use: HashMap<ActorId, EntrySeq>,
    /// The same for all others.
    used_before: EntrySeq,
    // two generations: when the young one is full it becomes the old one
    young: HashMap<Digest, ActorId>,
    old: HashMap<Digest, ActorId>,
}

impl ActorTable {
    /// A table for a journal whose next entry is `next`: entries before it may name anybody.
    pub(super) fn new(next: EntrySeq) -> Self {
        Self { used_before: next, ..Self::default() }
    }

    /// Counts `by` more (or fewer) deeds that name an actor.
    pub(super) fn refer(&mut self, actor: ActorId, by: i64) {
        let count = self.references.entry(actor).or_insert(0);
        *count = count.saturating_add_signed(by);
        if *count == 0 {
            self.references.remove(&actor);
        }
    }

    /// Takes over what an append changed; all its actors were used before entry `next`.
    pub(super) fn adjust(&mut self, changes: HashMap<ActorId, i64>, next: EntrySeq) {
        for (actor, by) in changes {
            self.last_use.insert(actor, next);
            self.refer(actor, by);
        }
    }

    /// Whether neither an object nor an entry from `first` on can name it.
    pub(super) fn is_unused(&self, actor: ActorId, first: EntrySeq) -> bool {
        !self.references.contains_key(&actor) && self.last_use.get(&actor).copied().unwrap_or(self.used_before) < first
    }

    pub(super) fn forget(&mut self, actor: ActorId, digest: Digest) {
        self.last_use.remove(&actor);
        self.young.remove(&digest);
        self.old.remove(&digest);
    }

    fn cached(&self, digest: Digest) -> Option<ActorId> {
        self.young.get(&digest).or_else(|| self.old.get(&digest)).copied()
    }

    fn remember(&mut self, digest: Digest, actor: ActorId, next: EntrySeq) {
        self.last_use.insert(actor, next);
        if self.young.len() >= CACHE {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, actor);
    }
}

/// The digest equal actors share.
pub(super) fn digest_of(actor: &Actor) -> Result<Digest, JournalError> {
    let mut bytes = Vec::with_capacity(1024);
    codec::write_value(actor, &mut bytes)?;
    Ok(Digest::of(&bytes))
}

impl Store {
    pub(super) fn intern_actor(&mut self, actor: &Actor) -> Result<ActorId, JournalError> {
        let digest = digest_of(actor)?;
        let next = self.head.next_entry;
        if let Some(id) = self.actors.cached(digest) {
            self.actors.remember(digest, id, next);
            return Ok(id);
        }
        let key = rows::actor_number(digest);
        let id = match self.shared.backend.get(&key)? {
            Some(row) => codec::decode(RowKind::ActorNumber, &key, &row)?,
            None => {
                let mut head = self.head.clone();
                let id = head.next_actor;
                head.next_actor = ActorId(id.0 + 1);
                self.batch.put(&rows::actor(id), |out| codec::encode(RowKind::Actor, actor, out))?;
                self.batch.put(&key, |out| codec::encode(RowKind::ActorNumber, &id, out))?;
                self.commit(head)?;
                id
            }
        };
        self.actors.remember(digest, id, next);
        Ok(id)
    }
}
