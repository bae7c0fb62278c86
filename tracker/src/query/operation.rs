//! Operations as documents.

use crate::control::api::{KeptView, OperationView, OutcomeView, RefusalView};
use crate::model::operation::{Operation, OperationKind, OperationState};

/// An operation, with what its plan refused and kept and what was compared afterwards.
pub fn operation_view(
    operation: &Operation,
    refusals: Vec<RefusalView>,
    kept: Vec<KeptView>,
    proof: Vec<String>,
) -> OperationView {
    let Operation { id, kind, requested_by, begun, ended, state, planned, outcomes } = operation;
    let OperationKind::Reset { owner } = kind;
    let (state, error) = state_word(state);
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count() as u64;
    let outcome = |outcome: &crate::model::operation::StepOutcome| OutcomeView {
        object: outcome.object,
        step: outcome.step.clone(),
        error: outcome.error.clone(),
    };
    OperationView {
        id: Some(*id),
        owner: owner.clone(),
        dry_run: false,
        state: state.to_owned(),
        error,
        requested_by: *requested_by,
        begun: (*begun).into(),
        ended: ended.map(Into::into),
        planned: *planned,
        done: outcomes.len() as u64 - failed,
        failed,
        outcomes: outcomes.iter().map(outcome).collect(),
        refusals,
        kept,
        proof,
    }
}

/// The word for a state, and what failed.
pub(super) fn state_word(state: &OperationState) -> (&'static str, Option<String>) {
    match state {
        OperationState::Begun => ("begun", None),
        OperationState::Done => ("done", None),
        OperationState::Failed { error } => ("failed", Some(error.clone())),
    }
}
