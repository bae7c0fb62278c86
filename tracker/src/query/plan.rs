//! Plans as documents.

use crate::control::api::{ExportFormat, ExportView, KeptView, LeftOutView, PlanView, RefusalView, StepView};
use crate::journal::Read;
use crate::model::legacy::{LegacyItem, LegacySubject};
use crate::model::nft::{NftItem, NftSubject};
use crate::model::owner::Owner;
use crate::model::subject::{Class, Subject};
use crate::rollback::export::{Export, Format, LeftOut, export};
use crate::rollback::{Action, Kept, LiveState, Plan, Refusal, Step};

use super::content::content_text;
use super::texts::Texts;

/// The plan that takes back what `owner` made.
pub fn plan_view(journal: &dyn Read, owner: &Owner, plan: &Plan) -> PlanView {
    let texts = Texts::new(journal);
    let steps = plan.steps().iter().map(|step| step_view(&texts, step)).collect();
    let view = PlanView::new(owner.clone(), steps, refusal_views(plan.refusals()), kept_views(plan.kept()));
    PlanView { text: plan.to_string(), ..view }
}

/// A plan in a form for other programs; `live` is what it was made of.
pub fn export_view(plan: &Plan, live: &LiveState, format: ExportFormat) -> ExportView {
    let Export { text, left_out } = match format {
        ExportFormat::Nftables => export(plan, live, Format::Nftables),
        ExportFormat::IptablesRestore => export(plan, live, Format::IptablesRestore),
    };
    let view = |LeftOut { what, reason }| LeftOutView { name: what, reason: String::from(reason) };
    ExportView { format, text, left_out: left_out.into_iter().map(view).collect() }
}

fn step_view(texts: &Texts<'_>, step: &Step) -> StepView {
    let why = step.why();
    StepView {
        object: step.object(),
        class: Class::of(step.subject(), step.snapshot()),
        name: step.describe(),
        within: within(step.subject()),
        text: match step.action() {
            Action::RestorePolicy { policy } => {
                format!("{}, set back to {policy}", content_text(texts, step.subject(), step.snapshot(), None))
            }
            _ => content_text(texts, step.subject(), step.snapshot(), None),
        },
        digest: Some(step.snapshot().digest().to_string()),
        owner: why.owner.clone(),
        certainty: why.certainty,
        why: why.evidence.as_ref().map_or_else(|| "no evidence was kept".to_owned(), ToString::to_string),
    }
}

fn within(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Nft(NftSubject { item: NftItem::Table, .. }) => None,
        Subject::Nft(NftSubject { table, .. }) => Some(format!("table {table}")),
        Subject::Legacy(LegacySubject { item: LegacyItem::Table, .. }) => None,
        Subject::Legacy(LegacySubject { table, .. }) => Some(format!("table legacy {table}")),
        _ => None,
    }
}

pub(super) fn refusal_views(refusals: &[Refusal]) -> Vec<RefusalView> {
    let view = |refusal: &Refusal| {
        let Refusal { object, class, what, owner, reason } = refusal;
        RefusalView {
            object: *object,
            class: *class,
            name: what.clone(),
            owner: owner.clone(),
            reason: reason.to_string(),
            remedy: Some(reason.remedy().to_owned()),
        }
    };
    refusals.iter().map(view).collect()
}

pub(super) fn kept_views(kept: &[Kept]) -> Vec<KeptView> {
    let view = |kept: &Kept| {
        let Kept { object, class, what, owner: _, reason } = kept;
        KeptView { object: *object, class: *class, name: what.clone(), reason: reason.to_string() }
    };
    kept.iter().map(view).collect()
}
