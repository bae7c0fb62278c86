//! Changes: one difference of one object, with its attribution.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{EntrySeq, ObjectId};
use super::object::Deed;
use super::subject::{Snapshot, Subject};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was there when the tracker started; nobody was seen making it.
    Found,
    /// It was made.
    Created,
    /// Its content changed.
    Changed,
    /// It was removed and re-added with equal content in one transaction: same object, new handle.
    Rewritten,
    /// It is gone.
    Removed,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Found => "found",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Rewritten => "rewritten",
            Self::Removed => "removed",
        })
    }
}

/// One change, ready for the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// What happened.
    pub kind: ChangeKind,
    /// The subject after the change (before it, for a removal).
    pub subject: Subject,
    /// The content after the change; `None` for a removal.
    pub after: Option<Snapshot>,
    /// Who and when.
    pub deed: Deed,
}

/// A change as the journal holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedChange {
    /// Its position in the journal.
    pub seq: EntrySeq,
    /// The change.
    pub change: Change,
}
