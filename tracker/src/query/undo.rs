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

use super::operation::{NotDone, ProofWords, carried_out};

const RESTORATION: ProofWords = ProofWords {
    holds: "everything planned is back with the content it had, and nothing else changed",
    remaining: "planned to come back and not there, or different",
    missing: "there before and gone",
};

/// An undo with the plan it carried out, and the proof when the state afterwards could be read.
pub fn undo_view(operation: &Operation, plan: &UndoPlan, proof: Option<&Proof>) -> OperationView {
    let refusals = plan.refusals.iter().map(refusal_view).collect();
    let kept = plan.there.iter().map(there_view).collect();
    carried_out(operation, NotDone { refusals, kept }, proof, &RESTORATION)
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
