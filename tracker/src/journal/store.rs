//! The journal over a [`Backend`]: entries in a hash chain, the objects they result in, and an index in memory.
//!
//! What names what at present (`subject -> object`) is kept in memory only and read from the object rows at start: it
//! costs some 50 bytes an object, saves the row sled is slowest at (random keys) and cannot contradict the objects.

mod actors;
mod append;
mod block;
mod chain;
mod index;
mod load;
mod pages;
mod read;
mod retain;
mod rows;

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use crate::model::change::Change;
use crate::model::gap::Gap;
use crate::model::ids::{ActorId, EntrySeq, ObjectId, OperationId};
use crate::model::object::Scope;
use crate::model::operation::Operation;
use crate::model::process::Actor;
use crate::model::time::WallTime;

use super::backend::{Backend, Batch};
use super::codec::{self, RowKind};
use super::entry::Entry;
use super::error::JournalError;
use super::open::{LockFile, Mark};
use super::{Journal, Read};

use actors::ActorTable;
use block::BlockWriter;
use index::State;
use load::Loaded;
use retain::Gone;
use rows::{BootEnd, Head};

pub use chain::{ChainReport, verify};
pub use retain::JournalLimits;

/// What the writer and all readers share.
pub(super) struct Shared {
    // dropped before the lock
    backend: Arc<dyn Backend>,
    state: RwLock<State>,
    lock: OnceLock<LockFile>,
}

impl Shared {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, update: impl FnOnce(&mut State)) {
        update(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The journal: the one writer. Readers are had from [`Store::reader`] and outlive it.
pub struct Store {
    shared: Arc<Shared>,
    limits: JournalLimits,
    head: Head,
    /// Numbers given out, maybe not yet used.
    next_object: ObjectId,
    next_operation: OperationId,
    gone: Gone,
    actors: ActorTable,
    batch: Batch,
    blocks: BlockWriter,
    needs_recovery: bool,
    /// Entries a recovery had to give up, not yet told to the caller.
    rolled_back: Option<u64>,
}

impl Store {
    /// Reads what a backend holds, checking every object row and the end of the chain, and makes it ready for writing.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when it is not a whole journal, [`JournalError::Version`] when a newer program wrote
    /// it, [`JournalError::Store`] when it cannot be read.
    pub fn new(backend: Arc<dyn Backend>, limits: JournalLimits) -> Result<Self, JournalError> {
        let Loaded { head, state, gone, actors } = load::load(&*backend)?;
        Ok(Self {
            shared: Arc::new(Shared { backend, state: RwLock::new(state), lock: OnceLock::new() }),
            limits,
            next_object: head.next_object,
            next_operation: head.next_operation,
            head,
            gone,
            actors,
            batch: Batch::default(),
            blocks: BlockWriter::default(),
            needs_recovery: false,
            rolled_back: None,
        })
    }

    /// A reader of this journal for any thread.
    pub fn reader(&self) -> Arc<dyn Read> {
        Arc::clone(&self.shared) as Arc<dyn Read>
    }

    /// Checks every entry kept, see [`verify`].
    ///
    /// # Errors
    /// [`JournalError::Damaged`] naming the first row that does not fit.
    pub fn verify(&self) -> Result<ChainReport, JournalError> {
        chain::verify(&*self.shared.backend)
    }

    /// Keeps a lock file until the last reader is gone too.
    pub(super) fn hold(&self, lock: LockFile) {
        // the first one given stays
        drop(self.shared.lock.set(lock));
    }

    /// How many entries are missing of those that were durable once.
    pub(super) fn lost_since(&self, mark: Option<Mark>) -> u64 {
        let durable = mark.map_or(0, |mark| mark.next_entry.0);
        durable.saturating_sub(self.head.next_entry.0)
    }

    /// Clears what an earlier call may have left half done; after a failed write, sees that it is recovered from.
    fn begin_write(&mut self) -> Result<(), JournalError> {
        self.batch.clear();
        self.blocks.clear();
        if self.needs_recovery {
            self.recover()?;
        }
        self.rolled_back.take().map_or(Ok(()), |entries| Err(JournalError::RolledBack { entries }))
    }

    /// Goes back to what is durable.
    fn recover(&mut self) -> Result<(), JournalError> {
        if self.shared.backend.recover()? {
            let Loaded { head, state, gone, actors } = load::load(&*self.shared.backend)?;
            // the failed batch may turn out to be there: then, too, the caller knows less than the journal
            if head != self.head {
                let lost = self.head.next_entry.0.saturating_sub(head.next_entry.0);
                self.rolled_back = Some(lost + self.rolled_back.unwrap_or(0));
            }
            self.head = head;
            self.shared.update(|shared| *shared = state);
            (self.gone, self.actors) = (gone, actors);
        }
        self.needs_recovery = false;
        Ok(())
    }

    /// After a failed write: for the readers' sake recovers at once, if that can be.
    fn fail(&mut self, error: JournalError) -> JournalError {
        self.needs_recovery = true;
        // the next write tries again
        drop(self.recover());
        error
    }

    /// Writes the batch with a new head.
    fn commit(&mut self, head: Head) -> Result<(), JournalError> {
        self.batch.put(rows::HEAD, |out| codec::encode(RowKind::Head, &head, out))?;
        if let Err(error) = self.shared.backend.apply(&self.batch) {
            return Err(self.fail(error));
        }
        self.shared.update(|state| state.follow(&head));
        self.head = head;
        Ok(())
    }

    /// Draws up one entry that is about no object.
    fn draft_entry(&mut self, head: &mut Head, entry: &Entry) -> Result<EntrySeq, JournalError> {
        let seq = self.blocks.push(head, &mut self.batch, EntrySeq(0), entry)?;
        self.blocks.close(head, &mut self.batch)?;
        Ok(seq)
    }
}

impl Journal for Store {
    /// Kernel objects of an earlier boot are not rewritten: from here on they read as removed by the end of that boot.
    /// The last moment alive stays what it was until the first heartbeat.
    fn begin(&mut self, scope: Scope, now: WallTime) -> Result<(), JournalError> {
        self.begin_write()?;
        let mut head = self.head.clone();
        let entry = self.draft_entry(&mut head, &Entry::Started { scope, time: now })?;
        let ended = head.scope.map(|scope| scope.boot).filter(|boot| *boot != scope.boot);
        let end = BootEnd { time: now, entry };
        if let Some(boot) = ended {
            self.batch.put(&rows::boot_end(boot), |out| codec::encode(RowKind::BootEnd, &end, out))?;
        }
        let came_back = self.shared.state().has_ended(scope.boot);
        if came_back {
            self.batch.delete(&rows::boot_end(scope.boot));
        }
        head.scope = Some(scope);
        self.commit(head)?;
        if let Some(boot) = ended {
            let gone = &mut self.gone;
            self.shared.update(|state| state.end_boot(boot, end, |object| gone.push(entry, object)));
        }
        if came_back {
            let Loaded { state, gone, .. } = load::load(&*self.shared.backend)?;
            self.shared.update(|shared| *shared = state);
            self.gone = gone;
        }
        Ok(())
    }

    fn next_object(&mut self) -> ObjectId {
        let id = self.next_object.max(self.head.next_object);
        self.next_object = ObjectId(id.0 + 1);
        id
    }

    fn next_operation(&mut self) -> OperationId {
        let id = self.next_operation.max(self.head.next_operation);
        self.next_operation = OperationId(id.0 + 1);
        id
    }

    /// The number stays good as long as objects or kept entries use it or it was interned lately: intern once per
    /// transaction rather than keep numbers for ever.
    fn intern(&mut self, actor: &Actor) -> Result<ActorId, JournalError> {
        self.begin_write()?;
        self.intern_actor(actor)
    }

    /// # Errors
    /// [`JournalError::Inconsistent`] when a change does not fit what is there: making an object that exists or under a
    /// name that lives, changing one that is unknown, gone or of another scope, no content where there must be some.
    fn append(&mut self, changes: Vec<Change>) -> Result<Vec<EntrySeq>, JournalError> {
        self.begin_write()?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.head.next_entry.0;
        let outcome = append::draft(&self.shared, &self.head, changes, &mut self.batch, &mut self.blocks)?;
        let append::Outcome { head, live, removed, actors } = outcome;
        let next = head.next_entry.0;
        self.commit(head)?;
        self.shared.update(|state| live.into_iter().for_each(|(key, object)| state.set_live(key, object)));
        removed.into_iter().for_each(|(seq, object)| self.gone.push(seq, object));
        self.actors.adjust(actors, self.head.next_entry);
        Ok((first..next).map(EntrySeq).collect())
    }

    fn append_gap(&mut self, gap: Gap) -> Result<(), JournalError> {
        self.begin_write()?;
        let mut head = self.head.clone();
        let entry = Entry::Gap(gap);
        let seq = self.draft_entry(&mut head, &entry)?;
        if let Entry::Gap(gap) = &entry {
            self.batch.put(&rows::gap(seq), |out| codec::encode(RowKind::Gap, gap, out))?;
        }
        head.gaps += 1;
        self.commit(head)
    }

    fn put_operation(&mut self, operation: &Operation) -> Result<(), JournalError> {
        self.begin_write()?;
        let mut head = self.head.clone();
        self.draft_entry(&mut head, &Entry::Operation(operation.clone()))?;
        let key = rows::operation(operation.id);
        let is_new = operation.id >= head.next_operation || self.shared.backend.get(&key)?.is_none();
        self.batch.put(&key, |out| codec::encode(RowKind::Operation, operation, out))?;
        head.operations += u64::from(is_new);
        head.next_operation = head.next_operation.max(OperationId(operation.id.0 + 1));
        self.commit(head)?;
        self.flush()
    }

    fn heartbeat(&mut self, now: WallTime) -> Result<(), JournalError> {
        self.begin_write()?;
        let head = Head { last_alive: Some(now), ..self.head.clone() };
        self.commit(head)
    }

    fn retain(&mut self) -> Result<(), JournalError> {
        self.begin_write()?;
        self.drop_what_exceeds_limits()
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.begin_write()?;
        if let Err(error) = self.shared.backend.flush() {
            return Err(self.fail(error));
        }
        if let Some(lock) = self.shared.lock.get() {
            lock.note(self.head.next_entry, self.head.tip);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
