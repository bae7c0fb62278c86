//! Reading, for any thread: rows from the backend, names from the index.

use std::ops::ControlFlow;

use crate::journal::backend::Direction;
use crate::journal::codec::{self, RowKind};
use crate::journal::entry::{Entry, RecordedEntry};
use crate::journal::error::JournalError;
use crate::journal::{ObjectFilter, Read, Stats};
use crate::model::change::RecordedChange;
use crate::model::gap::Gap;
use crate::model::ids::{ActorId, EntrySeq, ObjectId};
use crate::model::object::{Object, Scope};
use crate::model::operation::Operation;
use crate::model::process::Actor;
use crate::model::subject::Subject;
use crate::model::time::WallTime;

use super::block::{Block, Items};
use super::index::{LiveKey, is_path};
use super::load::visit;
use super::pages::{self, Page};
use super::rows::{self, StoredObject};
use super::{Shared, Store};

/// A block as stored.
struct BlockRow {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl BlockRow {
    /// Whether an entry is in it, given that it is in no later one.
    fn begins_by(&self, seq: EntrySeq) -> bool {
        rows::number_of(&self.key).is_some_and(|first| first <= seq.0)
    }
}

impl Shared {
    fn stored(&self, id: ObjectId) -> Result<Option<StoredObject>, JournalError> {
        let key = rows::page(pages::number_of(id));
        self.backend.get(&key)?.map_or(Ok(None), |row| Page::open(&key, &row)?.find(id))
    }

    /// The block an entry is in; `None` when it was dropped or is yet to come.
    fn block_of(&self, seq: EntrySeq) -> Result<Option<BlockRow>, JournalError> {
        let mut found = None;
        let up_to = rows::blocks_before(EntrySeq(seq.0.saturating_add(1)));
        self.backend.scan(up_to, Direction::Backward, &mut |key, value| {
            found = Some(BlockRow { key: key.to_vec(), value: value.to_vec() });
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}

impl Read for Shared {
    fn scope(&self) -> Result<Option<Scope>, JournalError> {
        Ok(self.state().scope)
    }

    fn last_alive(&self) -> Result<Option<WallTime>, JournalError> {
        Ok(self.state().last_alive)
    }

    fn object(&self, id: ObjectId) -> Result<Option<Object>, JournalError> {
        Ok(self.stored(id)?.map(|stored| self.state().settle(stored.object)))
    }

    fn live(&self, scope: &Scope, subject: &Subject) -> Result<Option<Object>, JournalError> {
        let key = LiveKey::of(*scope, subject, &mut Vec::new())?;
        let Some(id) = self.state().live(&key) else { return Ok(None) };
        // the writer may be between row and index
        Ok(self.object(id)?.filter(|object| object.is_live() && object.subject == *subject))
    }

    /// Without a scope in the filter, kernel objects of another scope than the present one do not count as living.
    fn visit(
        &self,
        filter: &ObjectFilter,
        visitor: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let (scope, mut result) = (self.state().scope, Ok(ControlFlow::Continue(())));
        let mut offer = |key: &[u8], value: &[u8]| {
            let mut page = Page::open(key, value)?;
            while let Some(stored) = page.next_object()? {
                let object = self.state().settle(stored.object);
                let elsewhere = filter.scope.is_none() && Some(object.scope) != scope && !is_path(&object.subject);
                let passes = filter.accepts(&object) && (filter.include_removed || !elsewhere);
                if passes && visitor(object).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        self.backend.scan(rows::all_pages(), Direction::Forward, &mut |key, value| {
            result = offer(key, value);
            if matches!(result, Ok(ControlFlow::Continue(()))) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        result.map(|_| ())
    }

    fn history(&self, object: ObjectId) -> Result<Vec<RecordedChange>, JournalError> {
        let Some(stored) = self.stored(object)? else { return Ok(Vec::new()) };
        let mut changes = Vec::new();
        let mut seq = stored.last_entry;
        let mut block: Option<BlockRow> = None;
        while seq >= self.state().first_entry && seq.0 > 0 {
            if !block.as_ref().is_some_and(|block| block.begins_by(seq)) {
                block = self.block_of(seq)?;
            }
            let Some(BlockRow { key, value }) = &block else { break };
            let mut items = Items::open(key, value)?;
            let mut item = None;
            for _ in items.first.0..=seq.0 {
                item = items.next()?;
            }
            // dropped by the writer just now
            let Some(item) = item else { break };
            match codec::read_value(key, item.value)? {
                Entry::Change(change) if change.object == object && item.link < seq => {
                    changes.push(RecordedChange { seq, change });
                }
                _ => return Err(codec::damaged(key, format!("entry {seq} is no change of object {object}"))),
            }
            seq = item.link;
        }
        changes.reverse();
        Ok(changes)
    }

    fn entries(&self, from: EntrySeq, limit: usize) -> Result<Vec<RecordedEntry>, JournalError> {
        let first = match self.block_of(from)? {
            Some(BlockRow { key, .. }) => rows::number_of(&key).map_or(from, EntrySeq),
            None => from,
        };
        let (mut entries, mut result) = (Vec::new(), Ok(()));
        if limit == 0 {
            return Ok(entries);
        }
        self.backend.scan(rows::blocks_from(first), Direction::Forward, &mut |key, value| {
            match Block::decode(key, value) {
                Ok(block) => entries.extend(recorded(block).filter(|entry| entry.seq >= from)),
                Err(error) => result = Err(error),
            }
            if result.is_ok() && entries.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        entries.truncate(limit);
        result.map(|()| entries)
    }

    fn last_entries(&self, limit: usize) -> Result<Vec<RecordedEntry>, JournalError> {
        let (mut entries, mut result) = (Vec::new(), Ok(()));
        if limit == 0 {
            return Ok(entries);
        }
        self.backend.scan(rows::all_blocks(), Direction::Backward, &mut |key, value| {
            match Block::decode(key, value) {
                Ok(block) => {
                    let block: Vec<_> = recorded(block).collect();
                    entries.extend(block.into_iter().rev());
                }
                Err(error) => result = Err(error),
            }
            if result.is_ok() && entries.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        entries.truncate(limit);
        entries.reverse();
        result.map(|()| entries)
    }

    fn actor(&self, id: ActorId) -> Result<Option<Actor>, JournalError> {
        let key = rows::actor(id);
        self.backend.get(&key)?.map(|row| codec::decode(RowKind::Actor, &key, &row)).transpose()
    }

    fn gaps(&self) -> Result<Vec<Gap>, JournalError> {
        let mut gaps = Vec::new();
        visit(&*self.backend, rows::all_gaps(), |key, value| {
            gaps.push(codec::decode(RowKind::Gap, key, value)?);
            Ok(())
        })?;
        Ok(gaps)
    }

    fn operations(&self) -> Result<Vec<Operation>, JournalError> {
        let mut operations = Vec::new();
        visit(&*self.backend, rows::all_operations(), |key, value| {
            operations.push(codec::decode(RowKind::Operation, key, value)?);
            Ok(())
        })?;
        Ok(operations)
    }

    fn stats(&self) -> Result<Stats, JournalError> {
        let bytes_on_disk = self.backend.size_on_disk()?;
        let state = self.state();
        let live_objects = state.live_objects();
        Ok(Stats {
            entries: state.next_entry.0.saturating_sub(1),
            live_objects,
            removed_objects: state.objects.saturating_sub(live_objects),
            bytes_on_disk,
        })
    }
}

fn recorded(block: Block) -> impl Iterator<Item = RecordedEntry> {
    let Block { first, entries, .. } = block;
    entries.into_iter().zip(first.0..).map(|(entry, seq)| RecordedEntry { seq: EntrySeq(seq), entry })
}

impl Read for Store {
    fn scope(&self) -> Result<Option<Scope>, JournalError> {
        self.shared.scope()
    }

    fn last_alive(&self) -> Result<Option<WallTime>, JournalError> {
        self.shared.last_alive()
    }

    fn object(&self, id: ObjectId) -> Result<Option<Object>, JournalError> {
        self.shared.object(id)
    }

    fn live(&self, scope: &Scope, subject: &Subject) -> Result<Option<Object>, JournalError> {
        self.shared.live(scope, subject)
    }

    fn visit(
        &self,
        filter: &ObjectFilter,
        visitor: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        self.shared.visit(filter, visitor)
    }

    fn history(&self, object: ObjectId) -> Result<Vec<RecordedChange>, JournalError> {
        self.shared.history(object)
    }

    fn entries(&self, from: EntrySeq, limit: usize) -> Result<Vec<RecordedEntry>, JournalError> {
        self.shared.entries(from, limit)
    }

    fn last_entries(&self, limit: usize) -> Result<Vec<RecordedEntry>, JournalError> {
        self.shared.last_entries(limit)
    }

    fn actor(&self, id: ActorId) -> Result<Option<Actor>, JournalError> {
        self.shared.actor(id)
    }

    fn gaps(&self) -> Result<Vec<Gap>, JournalError> {
        self.shared.gaps()
    }

    fn operations(&self) -> Result<Vec<Operation>, JournalError> {
        self.shared.operations()
    }

    fn stats(&self) -> Result<Stats, JournalError> {
        self.shared.stats()
    }
}
