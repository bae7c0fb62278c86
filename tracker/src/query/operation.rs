//! Operations as documents.

use crate::control::api::{KeptView, OperationView, OthersView, OutcomeView, RefusalView};
use crate::model::operation::{Operation, OperationState, StepOutcome};
use crate::rollback::verify::Others;
use crate::rollback::{Plan, Proof};

use super::plan::{kept_views, refusal_views};

const REMOVAL: ProofWords = ProofWords {
    holds: "everything planned is gone and nothing else changed",
    remaining: "planned to go and still there",
    missing: "not planned to go and gone",
};

/// An operation with the plan it carried out, and the proof when the state afterwards could be read.
pub fn operation_view(operation: &Operation, plan: &Plan, proof: Option<&Proof>) -> OperationView {
    let not_done = NotDone { refusals: refusal_views(plan.refusals()), kept: kept_views(plan.kept()) };
    carried_out(operation, not_done, proof, &REMOVAL)
}

/// What of a plan was left alone.
pub(super) struct NotDone {
    pub(super) refusals: Vec<RefusalView>,
    pub(super) kept: Vec<KeptView>,
}

/// The words in which a kind of operation proves itself.
pub(super) struct ProofWords {
    pub(super) holds: &'static str,
    pub(super) remaining: &'static str,
    pub(super) missing: &'static str,
}

/// An operation of any kind as a document.
pub(super) fn carried_out(
    operation: &Operation,
    not_done: NotDone,
    proof: Option<&Proof>,
    words: &ProofWords,
) -> OperationView {
    let Operation { id, kind, requested_by, begun, ended, state, planned, outcomes } = operation;
    let (state, error) = state_word(state);
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count() as u64;
    let unread = || vec!["the state afterwards could not be read".to_owned()];
    OperationView {
        id: Some(*id),
        kind: kind.as_str().to_owned(),
        of: kind.of(),
        owner: kind.owner().clone(),
        dry_run: false,
        state: state.to_owned(),
        error,
        requested_by: *requested_by,
        begun: (*begun).into(),
        ended: ended.map(Into::into),
        planned: *planned,
        done: outcomes.len() as u64 - failed,
        failed,
        outcomes: outcomes.iter().map(outcome_view).collect(),
        refusals: not_done.refusals,
        kept: not_done.kept,
        proven: proof.is_some_and(Proof::holds),
        proof: proof.map_or_else(unread, |proof| proof_lines(proof, words)),
        others: proof.map_or_else(Vec::new, |proof| proof.others.iter().map(others_view).collect()),
    }
}

fn outcome_view(outcome: &StepOutcome) -> OutcomeView {
    let StepOutcome { object, step, error } = outcome;
    OutcomeView { object: *object, step: step.clone(), error: error.clone() }
}

fn others_view(others: &Others) -> OthersView {
    let Others { owner, objects, before, after } = others;
    OthersView { owner: owner.clone(), objects: *objects, before: before.to_string(), after: after.to_string() }
}

fn proof_lines(proof: &Proof, words: &ProofWords) -> Vec<String> {
    let Proof { remaining, missing, changed, others: _ } = proof;
    if proof.holds() {
        return vec![words.holds.to_owned()];
    }
    let lines = |word: &'static str, things: &[String]| -> Vec<String> {
        things.iter().map(|thing| format!("{word}: {thing}")).collect()
    };
    [
        lines(words.remaining, remaining),
        lines(words.missing, missing),
        lines("not planned to be touched and different now", changed),
    ]
    .concat()
}

/// The word for a state, and what failed.
pub(super) fn state_word(state: &OperationState) -> (&'static str, Option<String>) {
    match state {
        OperationState::Begun => ("begun", None),
        OperationState::Done => ("done", None),
        OperationState::Interrupted => ("interrupted", Some("the tracker ended while it was at it".to_owned())),
        OperationState::Failed { error } => ("failed", Some(error.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_gets_its_line() {
        let proof = Proof {
            remaining: vec!["link cni0".to_owned()],
            missing: Vec::new(),
            changed: vec!["chain ip filter FORWARD".to_owned(), "link eth0".to_owned()],
            others: Vec::new(),
        };
        assert_eq!(
            proof_lines(&proof, &REMOVAL),
            [
                "planned to go and still there: link cni0",
                "not planned to be touched and different now: chain ip filter FORWARD",
                "not planned to be touched and different now: link eth0"
            ]
        );
        assert_eq!(proof_lines(&Proof::default(), &REMOVAL), ["everything planned is gone and nothing else changed"]);
    }
}
