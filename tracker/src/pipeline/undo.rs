//! Undoing an operation: from its archive to a new operation.

use crate::causes::causes;
use crate::control::NodeError;
use crate::control::api::{OperationView, UndoRequest};
use crate::host::real::RealHost;
use crate::host::{ArchiveError, ArchivedFiles, Host};
use crate::model::ids::OperationId;
use crate::model::operation::{Operation, OperationKind, OperationState};
use crate::model::time::WallTime;
use crate::query;
use crate::rollback::Archive;
use crate::rollback::run::LedgerError;
use crate::rollback::undo::{self, UndoLedger, UndoPlan, plan_undo, undo_paths};

use super::command::Command;
use super::node::{TrackerNode, failed};
use super::restored::Restores;

/// Puts back what an operation took away, as far as that still fits.
pub(super) fn undo(
    node: &TrackerNode,
    request: &UndoRequest,
    uid: u32,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<OperationView, NodeError> {
    node.catch_up()?;
    let of = operation_to_undo(node, request.operation)?;
    let archive = archive(node, of)?;
    let kind = OperationKind::Undo { of, owner: archive.owner.clone() };
    if request.dry_run {
        let live = RealHost.live(&undo_paths(&archive)).map_err(|error| failed("read the live state", error))?;
        let plan = plan_undo(&archive, &live, node.scope());
        return Ok(query::undo_dry_run_view(kind, uid, &plan));
    }
    let mut ledger = Ledger { node, archive: &archive, kind, uid, begun: None, progress };
    let files = ArchivedFiles { store: node.archives(), operation: of };
    let result = undo::run(&mut ledger, &archive, node.scope(), &mut RealHost, Some(files));
    let Some(mut operation) = ledger.begun.take() else {
        return Err(match result {
            Err(error) => failed("undo the operation", error),
            Ok(_) => NodeError::Conflict { what: "the undo was not begun".to_owned() },
        });
    };
    let (plan, proof) = match result {
        Ok(undone) => {
            operation.state = undone.execution.operation_state();
            operation.outcomes = undone.execution.outcomes;
            operation.planned = undone.plan.steps.len() as u64;
            (undone.plan, undone.proof)
        }
        Err(error) => {
            operation.state = OperationState::Failed { error: causes(&error) };
            (UndoPlan::default(), None)
        }
    };
    node.catch_up()?;
    operation.ended = Some(WallTime::now());
    let ended = operation.clone();
    node.order("record the end of the operation", |done| Command::EndOperation { operation: ended, done })?
        .map_err(NodeError::Journal)?;
    Ok(query::undo_view(&operation, &plan, proof.as_ref()))
}

/// The operation asked for; the newest reset that has an archive and is not undone when none is.
fn operation_to_undo(node: &TrackerNode, asked: Option<OperationId>) -> Result<OperationId, NodeError> {
    let operations = node.reader().operations()?;
    let missing = |what: String| NodeError::NoSuchOperation { what };
    if let Some(id) = asked {
        return match operations.iter().find(|operation| operation.id == id).map(|operation| &operation.kind) {
            Some(OperationKind::Reset { .. }) => Ok(id),
            Some(OperationKind::Undo { .. }) => Err(missing(format!("operation {id} is an undo; reset again instead"))),
            None => Err(missing(format!("there is no operation {id}"))),
        };
    }
    let archived = node.archives().list().map_err(|error| failed("list the archives", error))?;
    let is_undone =
        |id: OperationId| operations.iter().any(|it| it.kind.of() == Some(id) && it.state == OperationState::Done);
    let newest = operations
        .iter()
        .rev()
        .find(|it| matches!(it.kind, OperationKind::Reset { .. }) && archived.contains(&it.id) && !is_undone(it.id));
    newest.map(|operation| operation.id).ok_or_else(|| missing("there is no reset that can be undone".to_owned()))
}

fn archive(node: &TrackerNode, of: OperationId) -> Result<Archive, NodeError> {
    let bytes = node.archives().record(of).map_err(|error| match error {
        error @ ArchiveError::Missing(_) => NodeError::NoSuchOperation { what: error.to_string() },
        error => failed("read the archive", error),
    })?;
    Archive::from_bytes(&bytes).map_err(|error| failed("read the archive", error))
}

/// The journal's side of an undo.
struct Ledger<'a> {
    node: &'a TrackerNode,
    archive: &'a Archive,
    kind: OperationKind,
    uid: u32,
    begun: Option<Operation>,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl UndoLedger for Ledger<'_> {
    fn begin(&mut self, plan: &UndoPlan) -> Result<(), LedgerError> {
        let planned = plan.steps.len() as u64;
        if let Some(begun) = &mut self.begun {
            begun.planned = planned;
            return Ok(());
        }
        let (kind, requested_by) = (self.kind.clone(), self.uid);
        let restores = Restores::of(self.archive);
        let operation = self.node.order("record the begin of the operation", |done| Command::BeginOperation {
            kind,
            requested_by,
            planned,
            restores,
            done,
        })??;
        self.begun = Some(operation);
        Ok(())
    }

    fn progress(&mut self, done: usize, total: usize) {
        (self.progress)(done as u64, total as u64);
    }
}
