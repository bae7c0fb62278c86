//! Undos as documents.

use crate::control::api::{KeptView, OperationView, RefusalView};
use crate::model::ids::OperationId;
use crate::model::operation::{Operation, OperationKind, OperationState, StepOutcome};
use crate::model::owner::Owner;
use crate::model::subject::{Class, describe};
use crate::model::time::WallTime;
use crate::rollback::Proof;
use crate::rollback::archive::Item;
use crate::rollback::undo::{NotRestored, Restore, UndoPlan};

use super::operation::{outcome_view, state_word};

/// An undo with the plan it carried out, and the proof when the state afterwards could be read.
pub fn undo_view(operation: &Operation, plan: &UndoPlan, proof: Option<&Proof>) -> OperationView {
    let Operation { id, kind, requested_by, begun, ended, state, planned, outcomes } = operation;
    let (state, error) = state_word(state);
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count() as u64;
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
        refusals: plan.refusals.iter().map(refusal_view).collect(),
        kept: plan.there.iter().map(there_view).collect(),
        proven: proof.is_some_and(Proof::holds),
        proof: proof.map_or_else(|| vec!["the state afterwards could not be read".to_owned()], proof_lines),
    }
}

/// What an undo would do; nothing was changed. The outcomes are what would come back.
pub fn undo_dry_run_view(kind: OperationKind, uid: u32, plan: &UndoPlan) -> OperationView {
    let now = WallTime::now();
    let outcome =
        |step: &Restore| StepOutcome { object: step.object, step: format!("restore {}", step.describe()), error: None };
    let operation = Operation {
        id: OperationId(0),
        kind,
        requested_by: uid,
        begun: now,
        ended: Some(now),
        state: OperationState::Done,
        planned: plan.steps.len() as u64,
        outcomes: plan.steps.iter().map(outcome).collect(),
    };
    let view = undo_view(&operation, plan, None);
    let proof = vec!["dry run: nothing was changed".to_owned()];
    OperationView { id: None, dry_run: true, done: 0, proven: true, proof, ..view }
}

fn refusal_view(refusal: &NotRestored) -> RefusalView {
    let owner = refusal.item.attribution.as_ref().map_or_else(Owner::unknown, |it| it.owner().clone());
    RefusalView {
        object: refusal.item.object.unwrap_or_default(),
        class: refusal.class(),
        name: refusal.describe(),
        owner,
        reason: refusal.reason.to_string(),
        remedy: Some(refusal.reason.remedy().to_owned()),
    }
}

fn there_view(item: &Item) -> KeptView {
    KeptView {
        object: item.object.unwrap_or_default(),
        class: Class::of(&item.subject, &item.snapshot),
        name: describe(&item.subject, &item.snapshot),
        reason: "it is there".to_owned(),
    }
}

fn proof_lines(proof: &Proof) -> Vec<String> {
    let Proof { remaining, missing, changed } = proof;
    if proof.holds() {
        return vec!["everything planned is back with the content it had, and nothing else changed".to_owned()];
    }
    let lines = |word: &'static str, things: &[String]| -> Vec<String> {
        things.iter().map(|thing| format!("{word}: {thing}")).collect()
    };
    [
        lines("planned to come back and not there, or different", remaining),
        lines("there before and gone", missing),
        lines("not planned to be touched and different now", changed),
    ]
    .concat()
}
