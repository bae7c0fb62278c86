//! Retention: the oldest entries and the objects longest gone are dropped, a bounded number a call. Living objects,
//! whatever their age, and what they refer to stay.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::journal::backend::{Direction, KeyRange};
use crate::journal::codec::{self, RowKind};
use crate::journal::error::JournalError;
use crate::model::ids::{ActorId, EntrySeq, ObjectId};
use crate::model::process::Actor;
use crate::model::time::WallTime;

use super::Store;
use super::actors::digest_of;
use super::block::Items;
use super::pages::{self, Fate, Page};
use super::rows::{self, Head};

/// Rows of one kind dropped in one call at most.
const BUDGET: usize = 2048;

/// Gaps kept, and operations kept: both are few, and both explain things long after their entries went.
const KEPT_GAPS: u64 = 10_000;
const KEPT_OPERATIONS: u64 = 10_000;

/// How much the journal keeps. Living objects are kept whatever the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLimits {
    /// Entries kept.
    pub max_entries: u64,
    /// Bytes of entries kept. Objects come on top, and sled takes about three times as much on disk.
    pub max_bytes: u64,
    /// Removed objects kept.
    pub max_removed: u64,
    /// How long a removed object is kept, by the clock of the heartbeats.
    pub keep_removed: Duration,
}

impl Default for JournalLimits {
    /// A million entries in 256 MiB, 100,000 removed objects for at most 90 days.
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_bytes: 256 << 20,
            max_removed: 100_000,
            keep_removed: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

/// Objects that are gone, longest first.
#[derive(Debug, Default)]
pub(super) struct Gone {
    // with the entry that removed each
    objects: VecDeque<(EntrySeq, ObjectId)>,
    sweep: Option<ActorId>,
}

impl Gone {
    pub(super) fn push(&mut self, entry: EntrySeq, object: ObjectId) {
        self.objects.push_back((entry, object));
    }

    pub(super) fn sort(&mut self) {
        self.objects.make_contiguous().sort_unstable();
    }
}

impl Store {
    pub(super) fn drop_what_exceeds_limits(&mut self) -> Result<(), JournalError> {
        let mut head = self.head.clone();
        self.drop_blocks(&mut head)?;
        let excess = head.gaps.saturating_sub(KEPT_GAPS);
        head.gaps = head.gaps.saturating_sub(self.drop_first(rows::all_gaps(), excess)?);
        let excess = head.operations.saturating_sub(KEPT_OPERATIONS);
        head.operations = head.operations.saturating_sub(self.drop_first(rows::all_operations(), excess)?);
        let gone = self.drop_objects(&mut head)?;
        if head != self.head {
            self.gone.sweep.get_or_insert(ActorId(0));
        }
        let sweep = self.drop_actors(&head, &gone)?;
        if head == self.head && self.batch.is_empty() {
            self.gone.sweep = sweep.next;
            return Ok(());
        }
        self.commit(head)?;
        self.gone.sweep = sweep.next;
        self.gone.objects.drain(..gone.objects);
        gone.actors.into_iter().for_each(|actor| self.actors.refer(actor, -1));
        sweep.dropped.into_iter().for_each(|(actor, digest)| self.actors.forget(actor, digest));
        Ok(())
    }

    fn drop_blocks(&mut self, head: &mut Head) -> Result<(), JournalError> {
        let JournalLimits { max_entries, max_bytes, .. } = self.limits;
        if head.entries() <= max_entries && head.block_bytes <= max_bytes {
            return Ok(());
        }
        let (mut dropped, mut result, batch) = (0, Ok(()), &mut self.batch);
        self.shared.backend.scan(rows::all_blocks(), Direction::Forward, &mut |key, value| {
            if dropped == BUDGET || (head.entries() <= max_entries && head.block_bytes <= max_bytes) {
                return ControlFlow::Break(());
            }
            dropped += 1;
            result = drop_block(head, key, value);
            batch.delete(key);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        result
    }

    /// Drops up to `excess` rows from the beginning of a range.
    fn drop_first(&mut self, range: KeyRange, excess: u64) -> Result<u64, JournalError> {
        let (mut dropped, batch) = (0, &mut self.batch);
        if excess > 0 {
            self.shared.backend.scan(range, Direction::Forward, &mut |key, _| {
                batch.delete(key);
                dropped += 1;
                if dropped < excess.min(BUDGET as u64) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(dropped)
    }

    fn drop_objects(&mut self, head: &mut Head) -> Result<DroppedObjects, JournalError> {
        let JournalLimits { max_removed, keep_removed, .. } = self.limits;
        let mut dropped = DroppedObjects::default();
        let excess = usize::try_from((self.gone.objects.len() as u64).saturating_sub(max_removed)).unwrap_or(BUDGET);
        let mut affected: BTreeMap<u64, (Vec<u8>, BTreeSet<ObjectId>)> = BTreeMap::new();
        for (_, id) in self.gone.objects.iter().take(BUDGET) {
            let number = pages::number_of(*id);
            let key = rows::page(number);
            let (row, ids) = match affected.entry(number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let row = self.shared.backend.get(&key)?;
                    entry.insert((row.ok_or_else(|| codec::damaged(&key, "page is missing"))?, BTreeSet::new()))
                }
            };
            let stored = Page::open(&key, row)?.find(*id)?;
            let stored = stored.ok_or_else(|| codec::damaged(&key, format!("object {id} is missing")))?;
            let actors: Vec<_> = stored.actors().collect();
            let removed = self.shared.state().settle(stored.object).removed.map(|deed| deed.time);
            if dropped.objects >= excess && !is_over(removed, head.last_alive, keep_removed) {
                break;
            }
            ids.insert(*id);
            dropped.objects += 1;
            dropped.actors.extend(actors);
        }
        for (number, (row, ids)) in affected.into_iter().filter(|(_, (_, ids))| !ids.is_empty()) {
            let fates: Vec<_> = ids.into_iter().map(|id| (id, Fate::Drop)).collect();
            pages::rewrite(head, &mut self.batch, number, Some(&row), &fates)?;
        }
        Ok(dropped)
    }

    /// Goes on with the sweep over the actors, if one is under way. Those of objects dropped in the same call are left
    /// to the next sweep.
    fn drop_actors(&mut self, head: &Head, gone: &DroppedObjects) -> Result<Sweep, JournalError> {
        let mut sweep = Sweep::default();
        let Some(start) = self.gone.sweep else { return Ok(sweep) };
        let mut seen = 0;
        let mut unused = Vec::new();
        let actors = &self.actors;
        self.shared.backend.scan(rows::actors_from(start), Direction::Forward, &mut |key, value| {
            let id = rows::number_of(key).map(ActorId).unwrap_or_default();
            if seen == BUDGET {
                sweep.next = Some(id);
                return ControlFlow::Break(());
            }
            seen += 1;
            if actors.is_unused(id, head.first_entry) {
                unused.push((id, key.to_vec(), value.to_vec()));
            }
            ControlFlow::Continue(())
        })?;
        for (id, key, value) in unused {
            let actor: Actor = codec::decode(RowKind::Actor, &key, &value)?;
            let digest = digest_of(&actor)?;
            self.batch.delete(&key);
            self.batch.delete(&rows::actor_number(digest));
            sweep.dropped.push((id, digest));
        }
        if gone.objects > 0 {
            sweep.next = sweep.next.or(Some(ActorId(0)));
        }
        Ok(sweep)
    }
}

#[derive(Debug, Default)]
struct DroppedObjects {
    objects: usize,
    actors: Vec<ActorId>,
}

#[derive(Debug, Default)]
struct Sweep {
    next: Option<ActorId>,
    dropped: Vec<(ActorId, crate::model::digest::Digest)>,
}

fn drop_block(head: &mut Head, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
    let mut items = Items::open(key, value)?;
    if items.first != head.first_entry {
        return Err(codec::damaged(key, format!("oldest block should begin with entry {}", head.first_entry)));
    }
    while items.next()?.is_some() {
        head.first_entry.0 += 1;
    }
    head.anchor = items.hash;
    head.blocks = head.blocks.saturating_sub(1);
    head.block_bytes = head.block_bytes.saturating_sub(value.len() as u64);
    Ok(())
}

fn is_over(removed: Option<WallTime>, now: Option<WallTime>, keep: Duration) -> bool {
    let (Some(removed), Some(now)) = (removed, now) else { return false };
    u128::try_from(i128::from(now.0) - i128::from(removed.0)).is_ok_and(|age| age > keep.as_nanos())
}
