//! What carrying out a plan leaves behind: an outcome for each step, and a state. A reset and an undo share it.

use crate::causes::causes;
use crate::host::{Host, HostError, LegacyEdit, NftBatch};
use crate::model::operation::{OperationState, StepOutcome};

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionState {
    /// Every step was done.
    Done,
    /// A step failed; the outcomes say which were done.
    Failed {
        /// The first failure.
        error: String,
    },
    /// Somebody committed a ruleset or replaced a legacy table in between; nothing was changed. Plan again.
    GenerationConflict,
}

/// What became of a checked plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an execution may have failed half-way; its outcomes belong in the journal"]
pub struct Execution {
    /// What became of each step, in order; empty after a conflict.
    pub outcomes: Vec<StepOutcome>,
    /// How it ended.
    pub state: ExecutionState,
}

impl Execution {
    /// The state an operation is recorded with.
    pub fn operation_state(&self) -> OperationState {
        match &self.state {
            ExecutionState::Done => OperationState::Done,
            ExecutionState::Failed { error } => OperationState::Failed { error: error.clone() },
            ExecutionState::GenerationConflict => {
                OperationState::Failed { error: "the ruleset kept changing; nothing was removed".to_owned() }
            }
        }
    }
}

/// The outcomes of the steps `S` so far.
pub(super) struct Run<'a, S> {
    outcome: fn(&S, Option<String>) -> StepOutcome,
    outcomes: Vec<StepOutcome>,
    total: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a, S> Run<'a, S> {
    /// Nothing done yet of `total` steps. `outcome` says what became of one, with the error if it failed; `progress` is
    /// told the number of steps done and their total.
    pub(super) fn new(
        outcome: fn(&S, Option<String>) -> StepOutcome,
        total: usize,
        progress: &'a mut dyn FnMut(usize, usize),
    ) -> Self {
        Self { outcome, outcomes: Vec::with_capacity(total), total, progress }
    }

    /// Commits the nf_tables steps; an empty batch is not sent.
    ///
    /// # Errors
    /// The execution ends here: on a conflict nothing was changed; on any other error `others` are not tried.
    pub(super) fn commit(
        &mut self,
        host: &mut dyn Host,
        batch: &NftBatch,
        nft: &[&S],
        others: &[&S],
    ) -> Result<(), Execution> {
        if batch.is_empty() {
            return Ok(());
        }
        let all = |steps: &[&S], error: Option<&str>| -> Vec<StepOutcome> {
            steps.iter().map(|step| (self.outcome)(step, error.map(str::to_owned))).collect()
        };
        match host.commit_nft(batch) {
            Ok(()) => {
                let done = all(nft, None);
                self.push(done);
                Ok(())
            }
            Err(HostError::GenerationConflict { .. }) => {
                Err(Execution { outcomes: Vec::new(), state: ExecutionState::GenerationConflict })
            }
            Err(error) => {
                let error = causes(&error);
                let untried = all(others, Some("not tried: the nftables commit failed"));
                let outcomes = [all(nft, Some(&error)), untried].concat();
                Err(Execution { outcomes, state: ExecutionState::Failed { error } })
            }
        }
    }

    /// Replaces a legacy table.
    ///
    /// # Errors
    /// The execution ends here: it is not the table that was planned for, and nothing was changed before either.
    pub(super) fn replace(&mut self, host: &mut dyn Host, edit: &LegacyEdit, steps: &[&S]) -> Result<(), Execution> {
        let result = host.replace_legacy(edit);
        if matches!(result, Err(HostError::TableConflict { .. })) && self.outcomes.is_empty() {
            return Err(Execution { outcomes: Vec::new(), state: ExecutionState::GenerationConflict });
        }
        let error = result.err().map(|error| causes(&error));
        let outcomes: Vec<StepOutcome> = steps.iter().map(|step| (self.outcome)(step, error.clone())).collect();
        self.push(outcomes);
        Ok(())
    }

    /// Adds what became of the next steps.
    pub(super) fn push(&mut self, outcomes: impl IntoIterator<Item = StepOutcome>) {
        self.outcomes.extend(outcomes);
        (self.progress)(self.outcomes.len(), self.total);
    }

    /// Ends with the first failure, if there is one.
    pub(super) fn end(self) -> Execution {
        let state = match self.outcomes.iter().find_map(|outcome| outcome.error.clone()) {
            Some(error) => ExecutionState::Failed { error },
            None => ExecutionState::Done,
        };
        Execution { outcomes: self.outcomes, state }
    }
}
