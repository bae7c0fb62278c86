//! What happened, in order.

use serde::{Deserialize, Serialize};

use crate::model::change::ChangeKind;
use crate::model::gap::Source;
use crate::model::ids::{EntrySeq, Generation, NetnsId, ObjectId, OperationId};
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::Class;

use super::actor::ActorBrief;
use super::time::TimeView;

/// Entries of the journal, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// The entries.
    pub events: Vec<EventView>,
    /// Where a follower goes on without missing or repeating an entry.
    pub next: EntrySeq,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Position in the journal.
    pub seq: EntrySeq,
    /// When.
    pub time: TimeView,
    /// What.
    #[serde(flatten)]
    pub detail: EventDetail,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventDetail {
    /// An object changed.
    Change(ChangeEvent),
    /// Records are missing.
    Gap(GapView),
    /// The tracker started.
    Started {
        /// Boot it started in.
        boot: String,
        /// Network namespace it watches.
        netns: NetnsId,
    },
    /// An operation of netdeed's own began or ended.
    Operation(OperationEvent),
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// What happened.
    pub change: ChangeKind,
    /// The object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub name: String,
    /// Whom the change is attributed to; the object's own owner may be another.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, at least one.
    pub evidence: Vec<String>,
    /// The nf_tables commit it was part of.
    pub generation: Option<Generation>,
    /// Who acted, when somebody was seen.
    pub actor: Option<ActorBrief>,
    /// The operation of netdeed's own that did it.
    pub operation: Option<OperationId>,
    /// The content after the change in one line; empty for a removal.
    pub text: String,
}

/// An interval in which records may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapView {
    /// Last moment at which everything was known to be recorded.
    pub from: TimeView,
    /// Moment from which everything is recorded again.
    pub to: TimeView,
    /// Why, as a word: `tracker-down`, `overrun`, `ring-full`, `generation-skipped`, `journal-lost`.
    pub reason: String,
    /// The stream that lost records, where one did.
    pub source: Option<Source>,
    /// Why, as a sentence.
    pub text: String,
    /// Objects found new afterwards.
    pub appeared: u64,
    /// Objects found gone afterwards.
    pub vanished: u64,
    /// Objects found changed afterwards.
    pub changed: u64,
}

/// Every gap kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapList {
    /// Oldest first.
    pub gaps: Vec<GapView>,
}

/// A step in the life of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationEvent {
    /// Number in the journal.
    pub id: OperationId,
    /// `reset` or `undo`.
    #[serde(default)]
    pub kind: String,
    /// The operation that an undo undoes.
    #[serde(default)]
    pub of: Option<OperationId>,
    /// `begun`, `done`, `failed` or `interrupted`.
    pub state: String,
    /// Whose changes it takes back, or puts back.
    pub owner: Owner,
    /// User id of who asked for it.
    pub requested_by: u32,
    /// Steps planned.
    pub planned: u64,
    /// Steps done.
    pub done: u64,
    /// Steps that failed.
    pub failed: u64,
    /// What failed.
    pub error: Option<String>,
}
