//! Orders to the recorder, in line with the kernel's records.

use std::sync::mpsc::SyncSender;

use crate::journal::JournalError;
use crate::model::ids::OperationId;
use crate::model::operation::{Operation, OperationKind};

use super::restored::Restores;

/// One order.
#[derive(Debug)]
pub enum Command {
    /// Tell me when everything caused before this order is in the journal, durable.
    Barrier {
        /// Answered when it is so.
        done: SyncSender<Result<(), JournalError>>,
        /// How often it went round again because something had to be looked at first.
        turns: u32,
    },
    /// Records that an operation of ours begins; changes by the tracker itself belong to it from now on.
    BeginOperation {
        /// What for.
        kind: OperationKind,
        /// User id of who asked.
        requested_by: u32,
        /// Steps planned.
        planned: u64,
        /// Things it puts back, with whose they are.
        restores: Restores,
        /// Answered with the operation, once it is durable.
        done: SyncSender<Result<Operation, JournalError>>,
    },
    /// Records how the operation ended.
    EndOperation {
        /// Its last state.
        operation: Operation,
        /// Answered with its number, once it is durable.
        done: SyncSender<Result<OperationId, JournalError>>,
    },
    /// Take in what is queued.
    Nudge,
    /// From the recorder to itself: what differed at its last look, and still does, went or came without a notification.
    Settle,
    /// Record what is queued, make it durable and end.
    Stop {
        /// Answered when done.
        done: SyncSender<()>,
    },
}
