//! Operations: our own acts, recorded from their begin so that a half-done one is visible.

use serde::{Deserialize, Serialize};

use super::ids::{ObjectId, OperationId};
use super::owner::Owner;
use super::time::WallTime;

/// What an operation is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Takes back what one owner made.
    Reset {
        /// The owner and everything below it.
        owner: Owner,
    },
    /// Puts back what an earlier operation took away.
    Undo {
        /// The earlier operation.
        of: OperationId,
        /// Whose things it puts back.
        owner: Owner,
    },
}

impl OperationKind {
    /// Whose things it is about.
    pub fn owner(&self) -> &Owner {
        match self {
            Self::Reset { owner } | Self::Undo { owner, .. } => owner,
        }
    }

    /// The operation it undoes.
    pub fn of(&self) -> Option<OperationId> {
        match self {
            Self::Reset { .. } => None,
            Self::Undo { of, .. } => Some(*of),
        }
    }

    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reset { .. } => "reset",
            Self::Undo { .. } => "undo",
        }
    }
}

/// How far an operation came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// Begun. The next start of the tracker makes it [`OperationState::Interrupted`] if it never ended.
    Begun,
    /// Every step was done.
    Done,
    /// Some steps were done, then one failed.
    Failed {
        /// What failed, and why.
        error: String,
    },
    /// The tracker ended while it was at it; the next one noticed. Some steps may have been done.
    Interrupted,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The object the step removes.
    pub object: ObjectId,
    /// The step, for people.
    pub step: String,
    /// `None` when done, otherwise why not.
    pub error: Option<String>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Number in the journal.
    pub id: OperationId,
    /// What for.
    pub kind: OperationKind,
    /// User id of who asked for it.
    pub requested_by: u32,
    /// When it began.
    pub begun: WallTime,
    /// When it ended.
    pub ended: Option<WallTime>,
    /// How far it came.
    pub state: OperationState,
    /// Steps planned.
    pub planned: u64,
    /// What became of them, as far as it came.
    pub outcomes: Vec<StepOutcome>,
}
