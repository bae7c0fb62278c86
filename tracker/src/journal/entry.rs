//! Entries: what one link of the journal's chain can say.

use serde::{Deserialize, Serialize};

use crate::model::change::Change;
use crate::model::gap::Gap;
use crate::model::ids::EntrySeq;
use crate::model::object::Scope;
use crate::model::operation::Operation;
use crate::model::time::WallTime;

/// One entry's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is a change")]
pub enum Entry {
    /// The tracker started.
    Started {
        /// Where.
        scope: Scope,
        /// When.
        time: WallTime,
    },
    /// An object changed.
    Change(Change),
    /// Records are missing.
    Gap(Gap),
    /// An operation of ours began, went on or ended.
    Operation(Operation),
}

/// An entry with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEntry {
    /// Position.
    pub seq: EntrySeq,
    /// Content.
    pub entry: Entry,
}
