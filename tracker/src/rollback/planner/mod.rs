//! The planner: what the journal says, held against what is there.
//!
//! Pure: no clock, no I/O; equal inputs make equal plans. A thing goes only when the journal proves it the selected
//! owner's, it still is what was recorded, and nothing of anybody else needs it; each "no" becomes a refusal. What is
//! live but not in the journal counts as somebody else's.

mod drift;
mod ipsets;
mod ipvs;
mod legacy;
mod links;
mod mounts;
mod nft;
mod paths;
mod register;
mod routes;
mod sysctls;
mod traffic;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::check::Preconditions;
use super::earlier::Earlier;
use super::live::LiveState;
use super::plan::Plan;
use super::refusal::{Kept, KeptReason, Reason, Refusal};
use super::relations::Relations;
use super::selection::Selection;
use super::step::Step;
use crate::model::object::Object;
use crate::model::subject::{Snapshot, Subject};

use register::{Judged, Register};

pub(super) use nft::deletion_order;
pub(super) use register::InScope;

/// Plans the removal of everything `selection` asks for.
///
/// `objects` are the journal's objects of the scope, of all owners: those of others tell what is in the way, and whose.
/// `live` must hold the whole ruleset and all rtnetlink objects, and the paths of [`super::live::candidate_paths`].
pub fn plan(objects: &[Object], live: &LiveState, selection: &Selection) -> Plan {
    plan_with(objects, &Earlier::new(), live, selection)
}

/// As [`plan`], also setting back what the owner changed and `earlier` has the content of.
pub fn plan_with(objects: &[Object], earlier: &Earlier, live: &LiveState, selection: &Selection) -> Plan {
    let register = Register::new(objects, earlier, selection);
    let mut draft = Draft::default();
    nft::plan(&register, &live.nft, &mut draft);
    legacy::plan(&register, &live.legacy, &mut draft);
    let relations = Relations::new(&live.rt);
    let going = links::plan(&register, live, &relations, &mut draft);
    routes::plan(&register, live, &relations, &going, &mut draft);
    ipsets::plan(&register, live, &mut draft);
    ipvs::plan(&register, live, &mut draft);
    sysctls::plan(&register, live, &mut draft);
    traffic::plan(&register, live, &mut draft);
    paths::plan(&register, live, &mut draft);
    legacy_tables(&register, &mut draft);
    gone_already(&register, live, &mut draft);

    let Draft { mut steps, refusals, kept, implied } = draft;
    steps.sort_by_cached_key(|step| (step.action().phase(), nft::deletion_order(step.subject(), step.snapshot())));
    let preconditions = Preconditions::of(&steps, live);
    let (steps, kept, implied) = (Arc::new(steps), Arc::new(kept), Arc::new(implied));
    Plan { steps, refusals, kept, implied, generation: live.generation, preconditions }
}

/// A plan in the making.
#[derive(Debug, Default)]
struct Draft {
    steps: Vec<Step>,
    refusals: Vec<Refusal>,
    kept: Vec<Kept>,
    implied: BTreeSet<Subject>,
}

impl Draft {
    fn refuse(&mut self, object: &Object, reason: Reason) {
        let owner = object.owner().clone();
        self.refusals.push(Refusal {
            object: object.id,
            class: object.class(),
            what: object.describe(),
            owner,
            reason,
        });
    }

    fn keep(&mut self, object: &Object, reason: KeptReason) {
        let owner = object.owner().clone();
        self.kept.push(Kept { object: object.id, class: object.class(), what: object.describe(), owner, reason });
    }

    /// Notes that a live object goes together with `parent`.
    fn imply(&mut self, register: &Register<'_>, subject: &Subject, parent: impl FnOnce() -> String) {
        self.implied.insert(subject.clone());
        if let Some(object) = register.object(subject)
            && register.asks_for(object)
        {
            self.keep(object, KeptReason::GoesWith(parent()));
        }
    }
}

/// Bridge tables of legacy xtables have no recorded content, so nothing in them can be taken back.
fn legacy_tables(register: &Register<'_>, draft: &mut Draft) {
    for object in register.objects().filter(|object| matches!(object.subject, Subject::Xtables { .. })) {
        if register.asks_for(object) || register.altered(object).is_some() {
            draft.refuse(object, Reason::LegacyTable);
        }
    }
}

/// Objects in scope that are not there any more: somebody else removed them, or the kernel did.
fn gone_already(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let there =
        live.nft.iter().chain(&live.legacy).chain(&live.rt).chain(&live.ip_sets).chain(&live.ipvs).chain(&live.mounts);
    let there: HashSet<&Subject> = there.map(|(subject, _)| subject).collect();
    for object in register.objects().filter(|object| register.asks_for(object)) {
        let is_gone = match &object.subject {
            Subject::Path(path) => matches!(live.paths.get(path), Some(None)),
            Subject::Xtables { .. } | Subject::Sysctl(_) => false,
            subject => !there.contains(subject),
        };
        if is_gone {
            draft.keep(object, KeptReason::AlreadyGone);
        }
    }
}

/// Turns the judgement on a live object that stays into the draft's refusals, if it was asked for.
fn refuse_judged(register: &Register<'_>, draft: &mut Draft, judged: &Judged<'_>, subject: &Subject) {
    match (judged, register.object(subject)) {
        (Judged::Refused(reason), Some(object)) => draft.refuse(object, reason.clone()),
        (Judged::Foreign, Some(object)) => {
            if let Some(by) = register.altered(object) {
                draft.refuse(object, Reason::Altered { by });
            }
        }
        _ => {}
    }
}

/// Judges one live object.
fn judge<'a>(register: &Register<'a>, subject: &Subject, snapshot: &Snapshot) -> Judged<'a> {
    register.judge(subject, snapshot)
}
