//! What is kept in memory for reading: what lives under which name, and the figures of the head.

use std::collections::HashMap;

use crate::journal::codec;
use crate::journal::error::JournalError;
use crate::model::ids::{BootId, EntrySeq, ObjectId};
use crate::model::object::{Deed, Object, Scope};
use crate::model::owner::{Attribution, Certainty, Evidence, Owner};
use crate::model::subject::Subject;
use crate::model::time::{BootTime, WallTime};

use super::rows::{BootEnd, Head};

/// A subject where it means something; paths mean the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LiveKey {
    scope: Option<Scope>,
    subject: [u8; 16],
}

impl LiveKey {
    /// The key of a subject; `scratch` is overwritten.
    pub(super) fn of(scope: Scope, subject: &Subject, scratch: &mut Vec<u8>) -> Result<Self, JournalError> {
        scratch.clear();
        codec::write_value(subject, scratch)?;
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(scratch).as_bytes()[..16]);
        Ok(Self { scope: (!is_path(subject)).then_some(scope), subject: hash })
    }
}

pub(super) fn is_path(subject: &Subject) -> bool {
    matches!(subject, Subject::Path(_))
}

/// What readers need besides the rows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub scope: Option<Scope>,
    pub last_alive: Option<WallTime>,
    pub first_entry: EntrySeq,
    pub next_entry: EntrySeq,
    pub objects: u64,
    // by scope, paths under `None`
    live: HashMap<Option<Scope>, HashMap<[u8; 16], ObjectId>>,
    ended: HashMap<BootId, BootEnd>,
}

impl State {
    /// Takes over the head's figures.
    pub(super) fn follow(&mut self, head: &Head) {
        self.scope = head.scope;
        self.last_alive = head.last_alive;
        self.first_entry = head.first_entry;
        self.next_entry = head.next_entry;
        self.objects = head.objects;
    }

    pub(super) fn live(&self, key: &LiveKey) -> Option<ObjectId> {
        self.live.get(&key.scope)?.get(&key.subject).copied()
    }

    pub(super) fn set_live(&mut self, key: LiveKey, object: Option<ObjectId>) {
        let names = self.live.entry(key.scope).or_default();
        match object {
            Some(object) => drop(names.insert(key.subject, object)),
            None => drop(names.remove(&key.subject)),
        }
    }

    /// Objects that live now: paths, and what is in the present scope.
    pub(super) fn live_objects(&self) -> u64 {
        let count = |scope: Option<Scope>| self.live.get(&scope).map_or(0, |names| names.len() as u64);
        count(None) + self.scope.map_or(0, |scope| count(Some(scope)))
    }

    pub(super) fn add_end(&mut self, boot: BootId, end: BootEnd) {
        self.ended.insert(boot, end);
    }

    pub(super) fn has_ended(&self, boot: BootId) -> bool {
        self.ended.contains_key(&boot)
    }

    /// The end of an object's boot, if the object ended with it.
    pub(super) fn end_of(&self, object: &Object) -> Option<BootEnd> {
        if !object.is_live() || is_path(&object.subject) { None } else { self.ended.get(&object.scope.boot).copied() }
    }

    /// Forgets the names of a boot that is over, telling which objects they named.
    pub(super) fn end_boot(&mut self, boot: BootId, end: BootEnd, mut gone: impl FnMut(ObjectId)) {
        self.add_end(boot, end);
        let scopes: Vec<_> = self.live.keys().copied().filter(|scope| scope.is_some_and(|s| s.boot == boot)).collect();
        let mut objects: Vec<_> =
            scopes.into_iter().filter_map(|scope| self.live.remove(&scope)).flat_map(HashMap::into_values).collect();
        objects.sort_unstable();
        objects.into_iter().for_each(&mut gone);
    }

    /// An object as it is to be read: kernel objects of a boot that is over are gone.
    pub(super) fn settle(&self, mut object: Object) -> Object {
        if let Some(end) = self.end_of(&object) {
            object.removed = Some(removed_by_the_end_of_its_boot(end));
        }
        object
    }
}

fn removed_by_the_end_of_its_boot(end: BootEnd) -> Deed {
    let sign = Evidence::KernelMade { sign: "ended with its boot".to_owned() };
    Deed {
        time: end.time,
        // no moment of the boot it lived in: nobody saw that one's end
        boot_time: BootTime(u64::MAX),
        generation: None,
        attribution: Attribution::new(Owner::kernel(), Certainty::Exact, None, sign),
        operation: None,
    }
}
