//! The journal's side of a rollback: its reader, and orders to its one writer.

use crate::control::NodeError;
use crate::control::api::{ResetRequest, RunningView};
use crate::model::object::Object;
use crate::model::operation::{Operation, OperationKind};
use crate::query;
use crate::rollback::run::{Ledger, LedgerError};
use crate::rollback::{Archive, Earlier, LiveState, Plan, Selection};

use super::command::Command;
use super::node::TrackerNode;
use super::restored::Restores;

/// An operation under way.
pub(super) struct Begun {
    pub(super) operation: Operation,
    /// The plan that is carried out, the last one if others went stale.
    pub(super) plan: Plan,
}

/// What a rollback asks of the journal while it runs.
pub(super) struct NodeLedger<'a> {
    node: &'a TrackerNode,
    request: &'a ResetRequest,
    uid: u32,
    begun: Option<Begun>,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> NodeLedger<'a> {
    pub(super) fn new(
        node: &'a TrackerNode,
        request: &'a ResetRequest,
        uid: u32,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        Self { node, request, uid, begun: None, progress }
    }

    /// The operation, once it was begun.
    pub(super) fn into_begun(self) -> Option<Begun> {
        self.begun
    }

    fn record_begin(&mut self, plan: &Plan) -> Result<(), LedgerError> {
        let planned = plan.steps().len() as u64;
        let kind = OperationKind::Reset { owner: self.request.owner.clone() };
        let requested_by = self.uid;
        let operation = self.node.order("record the begin of the operation", |done| Command::BeginOperation {
            kind,
            requested_by,
            planned,
            restores: Restores::default(),
            done,
        })??;
        self.begun = Some(Begun { operation, plan: plan.clone() });
        Ok(())
    }

    /// Nothing is removed that is not archived, durably.
    fn archive(&self, plan: &Plan, before: &LiveState, known: &[Object]) -> Result<(), LedgerError> {
        let Some(begun) = self.begun.as_ref().filter(|_| !plan.is_empty()) else { return Ok(()) };
        let request = serde_json::to_string(&self.request.plan_request())?;
        let (operation, scope, owner) = (begun.operation.id, self.node.scope(), self.request.owner.clone());
        let archive = Archive::of(operation, scope, owner, request, (plan, before, known));
        Ok(self.node.archives().write(operation, &archive.to_bytes(), &archive.paths())?)
    }

    /// The server compared the plan that was agreed to before; this is the one that is carried out.
    fn refuse_another_plan(&self, plan: &Plan) -> Result<(), AnotherPlan> {
        let Some(agreed) = &self.request.plan else { return Ok(()) };
        let view = query::plan_view(self.node.reader(), &self.request.owner, plan);
        if view.fingerprint == *agreed { Ok(()) } else { Err(AnotherPlan) }
    }

    fn refuse_while_owner_runs(&self, plan: &Plan) -> Result<(), OwnerRuns> {
        if self.request.force || self.begun.is_some() {
            return Ok(());
        }
        let mut running = self.node.still_running(&self.request.owner, plan);
        running.retain(|running| running.blocks);
        if running.is_empty() { Ok(()) } else { Err(OwnerRuns(running)) }
    }
}

impl Ledger for NodeLedger<'_> {
    fn objects(&mut self) -> Result<Vec<Object>, LedgerError> {
        self.node.catch_up()?;
        Ok(self.node.live_objects()?)
    }

    fn earlier(&mut self, objects: &[Object], selection: &Selection) -> Result<Earlier, LedgerError> {
        Ok(self.node.earlier(objects, selection)?)
    }

    fn begin(&mut self, plan: &Plan, before: &LiveState, known: &[Object]) -> Result<(), LedgerError> {
        self.refuse_another_plan(plan)?;
        self.refuse_while_owner_runs(plan)?;
        if let Some(begun) = &mut self.begun {
            // planned anew after a conflict: the same operation goes on
            begun.operation.planned = plan.steps().len() as u64;
            begun.plan = plan.clone();
        } else {
            self.record_begin(plan)?;
        }
        self.archive(plan, before, known)
    }

    fn progress(&mut self, done: usize, total: usize) {
        (self.progress)(done as u64, total as u64);
    }
}

/// What would be removed is not what somebody agreed to.
#[derive(Debug, thiserror::Error)]
#[error("what would be removed changed since the plan was shown")]
struct AnotherPlan;

/// Programs of the owner run that would add again what is to go.
#[derive(Debug, thiserror::Error)]
#[error("{} still runs", names(.0))]
struct OwnerRuns(Vec<RunningView>);

fn names(running: &[RunningView]) -> String {
    let each: Vec<String> = running.iter().map(|it| format!("{} (process {})", it.program, it.tgid)).collect();
    each.join(", ")
}

/// The answer to a rollback that was not begun.
pub(super) fn not_begun(why: LedgerError) -> NodeError {
    if why.is::<AnotherPlan>() {
        return NodeError::Conflict { what: why.to_string() };
    }
    match why.downcast::<OwnerRuns>() {
        Ok(runs) => {
            let stops: Vec<&str> = runs.0.iter().map(|it| it.remedy.as_str()).collect();
            NodeError::OwnerRuns {
                what: format!("{} still runs and would add again what is removed", names(&runs.0)),
                remedy: format!("stop it first: {}", stops.join("; ")),
            }
        }
        Err(why) => NodeError::Failed { operation: "begin the rollback".to_owned(), source: why },
    }
}
