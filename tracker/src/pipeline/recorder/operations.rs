//! Orders: barriers and the tracker's own operations.

use tracing::{info, warn};

use crate::journal::JournalError;
use crate::model::ids::{ActorId, OperationId};
use crate::model::operation::{Operation, OperationKind, OperationState};
use crate::model::time::WallTime;

use super::super::command::Command;
use super::super::restored::Restores;
use super::Recorder;

/// Turns of the loop a barrier waits for looks at IP sets. What came before it takes two; more is others' doing.
const MAX_TURNS: u32 = 5;

impl Recorder {
    /// Carries out an order; tells whether it was to stop. Nobody waiting for the answer any more is no error.
    pub(super) fn obey(&mut self, command: Command) -> bool {
        match command {
            // what was asked of IP sets, and what a loss may have hidden, is answered by a later turn of the loop, and so is this
            Command::Barrier { done, turns }
                if turns < MAX_TURNS && (self.is_look_due() || self.reconciliation.is_pending()) =>
            {
                self.surroundings.commands.send(Command::Barrier { done, turns: turns + 1 });
                false
            }
            Command::Barrier { done, turns: _ } => {
                self.held.push(done);
                self.release();
                false
            }
            Command::Nudge => false,
            Command::BeginOperation { kind, requested_by, planned, restores, done } => {
                self.restores = restores;
                let _ = done.send(self.begin(kind, requested_by, planned));
                false
            }
            Command::EndOperation { operation, done } => {
                let _ = done.send(self.end(&operation));
                false
            }
            Command::Settle => {
                self.settle();
                self.commit();
                false
            }
            Command::Stop { done } => {
                while self.reconciliation.is_pending() {
                    self.settle();
                }
                let stopped = self.write().and_then(|()| {
                    self.recorded_until = WallTime::now();
                    self.journal.heartbeat(self.recorded_until)?;
                    self.journal.flush()
                });
                if let Err(error) = stopped {
                    self.journal_failed("stop", &error);
                }
                info!("recorded everything up to the stop");
                let _ = done.send(());
                true
            }
        }
    }

    /// Whether looks were ordered and not answered; each source is told to hurry then.
    fn is_look_due(&self) -> bool {
        let (sets, services) = (self.looks.is_due(), self.ipvs.looks.is_due());
        sets || services
    }

    /// Answers those who wait for everything so far to be durable, once it is known what everything is.
    pub(super) fn release(&mut self) {
        if self.held.is_empty() || self.legacy.ledger.is_waiting() {
            return;
        }
        for done in std::mem::take(&mut self.held) {
            let kept = self.write().and_then(|()| self.journal.flush());
            let _ = done.send(kept.inspect_err(|error| self.journal_failed("catch up", error)));
        }
    }

    /// Ends what an earlier tracker began and did not live to end.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn end_interrupted(&mut self) -> Result<(), JournalError> {
        for mut operation in self.journal.operations()? {
            if operation.state == OperationState::Begun {
                warn!(operation = operation.id.0, "an operation was interrupted by the tracker's end");
                operation.state = OperationState::Interrupted;
                operation.ended = Some(WallTime::now());
                self.journal.put_operation(&operation)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, kind: OperationKind, requested_by: u32, planned: u64) -> Result<Operation, JournalError> {
        let operation = Operation {
            id: self.journal.next_operation(),
            kind,
            requested_by,
            begun: WallTime::now(),
            ended: None,
            state: OperationState::Begun,
            planned,
            outcomes: Vec::new(),
        };
        let put = self.journal.put_operation(&operation);
        put.inspect_err(|error| self.journal_failed("record the begin of an operation", error))?;
        self.operation = Some(operation.clone());
        self.board.publish();
        Ok(operation)
    }

    fn end(&mut self, operation: &Operation) -> Result<OperationId, JournalError> {
        self.operation = None;
        self.restores = Restores::default();
        self.own_actors.clear();
        let put = self.journal.put_operation(operation);
        put.inspect_err(|error| self.journal_failed("record the end of an operation", error))?;
        self.board.publish();
        Ok(operation.id)
    }

    /// The operation under way, for changes that the tracker itself made.
    pub(super) fn own_operation(&mut self, actor: Option<ActorId>) -> Option<OperationId> {
        let operation = self.operation.as_ref()?.id;
        let actor = actor?;
        let is_own = match self.own_actors.get(&actor) {
            Some(is_own) => *is_own,
            None => {
                let known = self.journal.actor(actor).ok()??;
                let is_own = known.image.id.process.tgid == self.surroundings.own_tgid;
                self.own_actors.insert(actor, is_own);
                is_own
            }
        };
        is_own.then_some(operation)
    }
}
