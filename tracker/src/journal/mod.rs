//! The journal: what was recorded, append-only, and the current state of each object derived from it.
//!
//! One writer (the pipeline) appends through [`Journal`]; everybody else reads through [`Read`]. Only `sled.rs` knows
//! sled, only `codec.rs` knows how an entry looks on disk. The layout, what survives which failure and what the hash
//! chain proves are written down in `docs/journal.md`.

pub mod backend;
pub mod codec;
pub mod entry;
pub mod error;
pub mod memory;
pub mod open;
pub mod sled;
pub mod store;

#[cfg(test)]
pub(crate) mod testing;

use std::ops::ControlFlow;

use crate::model::change::{Change, RecordedChange};
use crate::model::gap::Gap;
use crate::model::ids::{ActorId, EntrySeq, ObjectId, OperationId};
use crate::model::object::{Object, Scope};
use crate::model::operation::Operation;
use crate::model::owner::{Certainty, Owner};
use crate::model::process::Actor;
use crate::model::subject::{Class, Subject};
use crate::model::time::WallTime;

pub use entry::{Entry, RecordedEntry};
pub use error::JournalError;
pub use open::{OpenOptions, Opened, SetAside, open, open_read_only};
pub use store::{ChainReport, JournalLimits, Store, verify};

/// Which objects to visit; an empty filter visits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectFilter {
    /// Only objects of this owner or below it.
    pub owner: Option<Owner>,
    /// Only these classes; empty means all.
    pub classes: Vec<Class>,
    /// Only objects of this certainty.
    pub certainty: Option<Certainty>,
    /// Also objects that are gone.
    pub include_removed: bool,
    /// Only objects of this scope (paths always pass).
    pub scope: Option<Scope>,
}

impl ObjectFilter {
    /// Whether the filter lets an object pass.
    pub fn accepts(&self, object: &Object) -> bool {
        let Self { owner, classes, certainty, include_removed, scope } = self;
        owner.as_ref().is_none_or(|owner| object.owner().is_within(owner))
            && (classes.is_empty() || classes.contains(&object.class()))
            && certainty.is_none_or(|certainty| object.certainty() == certainty)
            && (*include_removed || object.is_live())
            && scope.is_none_or(|scope| object.scope == scope || matches!(object.subject, Subject::Path(_)))
    }
}

/// Figures about the journal itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries written since the journal was made (dropped ones included).
    pub entries: u64,
    /// Objects that live.
    pub live_objects: u64,
    /// Objects that are gone and still kept.
    pub removed_objects: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
}

/// Reading. Cheap to share between threads; never blocks the writer.
pub trait Read: Send + Sync {
    /// The scope the tracker last started in; `None` for an empty journal.
    fn scope(&self) -> Result<Option<Scope>, JournalError>;

    /// The last moment the tracker is known to have run.
    fn last_alive(&self) -> Result<Option<WallTime>, JournalError>;

    /// One object.
    fn object(&self, id: ObjectId) -> Result<Option<Object>, JournalError>;

    /// The living object a subject names in a scope (paths: in any).
    fn live(&self, scope: &Scope, subject: &Subject) -> Result<Option<Object>, JournalError>;

    /// Visits objects in the order of their ids until told to stop.
    fn visit(
        &self,
        filter: &ObjectFilter,
        visitor: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), JournalError>;

    /// What happened to one object, oldest first.
    fn history(&self, object: ObjectId) -> Result<Vec<RecordedChange>, JournalError>;

    /// Entries from `from` on, oldest first, at most `limit`.
    fn entries(&self, from: EntrySeq, limit: usize) -> Result<Vec<RecordedEntry>, JournalError>;

    /// The last `limit` entries, oldest first.
    fn last_entries(&self, limit: usize) -> Result<Vec<RecordedEntry>, JournalError>;

    /// One actor.
    fn actor(&self, id: ActorId) -> Result<Option<Actor>, JournalError>;

    /// All gaps kept, oldest first.
    fn gaps(&self) -> Result<Vec<Gap>, JournalError>;

    /// All operations kept, oldest first.
    fn operations(&self) -> Result<Vec<Operation>, JournalError>;

    /// Figures about the journal.
    fn stats(&self) -> Result<Stats, JournalError>;
}

/// Writing: held by the one writer.
pub trait Journal: Read {
    /// Records that the tracker started in `scope`, and makes it the scope of later reads.
    fn begin(&mut self, scope: Scope, now: WallTime) -> Result<(), JournalError>;

    /// Gives out the next object number.
    fn next_object(&mut self) -> ObjectId;

    /// Gives out the next operation number.
    fn next_operation(&mut self) -> OperationId;

    /// The number of an actor; equal actors get one number.
    fn intern(&mut self, actor: &Actor) -> Result<ActorId, JournalError>;

    /// Appends changes in order and brings the objects up to date, all or nothing.
    fn append(&mut self, changes: Vec<Change>) -> Result<Vec<EntrySeq>, JournalError>;

    /// Appends a gap.
    fn append_gap(&mut self, gap: Gap) -> Result<(), JournalError>;

    /// Appends an operation's new state and makes it durable before returning.
    fn put_operation(&mut self, operation: &Operation) -> Result<(), JournalError>;

    /// Records that the tracker is alive and everything up to `now` is recorded.
    fn heartbeat(&mut self, now: WallTime) -> Result<(), JournalError>;

    /// Drops the oldest entries and removed objects until the journal is within its limits. Cheap when it is.
    fn retain(&mut self) -> Result<(), JournalError>;

    /// Makes everything appended durable.
    fn flush(&mut self) -> Result<(), JournalError>;
}
