//! The running tracker as the control socket sees it.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use crate::capture::{self, CaptureError};
use crate::causes::causes;
use crate::control::api::{
    JournalView, OperationView, PlanRequest, PlanView, ResetRequest, SourceState, SourceView, StatusView, TrackerState,
};
use crate::control::{Node, NodeError};
use crate::host::Host;
use crate::host::real::RealHost;
use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::ids::{ChainName, Handle, OperationId};
use crate::model::live::Ruleset;
use crate::model::nft::{NftItem, TableRef};
use crate::model::object::{Object, Scope};
use crate::model::operation::{Operation, OperationKind, OperationState};
use crate::model::owner::Owner;
use crate::model::subject::Subject;
use crate::model::time::WallTime;
use crate::query;
use crate::rollback::run::{self, Ledger, LedgerError, Rollback, RollbackError};
use crate::rollback::{Plan, Selection, candidate_paths, plan};

use super::capture_loop::CommandQueue;
use super::command::Command;
use super::status::{Board, Shown};

/// Longest time the recorder may take to catch up with the kernel's queues.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running tracker.
pub struct TrackerNode {
    scope: Scope,
    journal_dir: PathBuf,
    reader: Arc<dyn Read>,
    commands: CommandQueue,
    board: Arc<Board>,
}

/// The recorder did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the recorder did not answer within {PATIENCE:?}")]
struct NoAnswer;

impl TrackerNode {
    pub(super) fn new(
        scope: Scope,
        journal_dir: &Path,
        reader: Arc<dyn Read>,
        commands: CommandQueue,
        board: Arc<Board>,
    ) -> Self {
        Self { scope, journal_dir: journal_dir.to_owned(), reader, commands, board }
    }

    /// Sends an order and waits for its answer.
    fn order<T>(&self, operation: &str, command: impl FnOnce(SyncSender<T>) -> Command) -> Result<T, NodeError> {
        let (done, answer): (SyncSender<T>, Receiver<T>) = sync_channel(1);
        self.commands.send(command(done));
        answer.recv_timeout(PATIENCE).map_err(|_| failed(operation, NoAnswer))
    }

    /// Waits until everything the kernel has queued so far is in the journal.
    fn catch_up(&self) -> Result<(), NodeError> {
        self.order("catch up with the kernel", |done| Command::Barrier { done })?.map_err(NodeError::Journal)
    }

    fn live_objects(&self) -> Result<Vec<Object>, JournalError> {
        let filter = ObjectFilter { scope: Some(self.scope), ..ObjectFilter::default() };
        let mut objects = Vec::new();
        self.reader.visit(&filter, &mut |object| {
            objects.push(object);
            ControlFlow::Continue(())
        })?;
        Ok(objects)
    }

    fn make_plan(&self, request: &PlanRequest) -> Result<Plan, NodeError> {
        self.catch_up()?;
        let selection = selection(&request.owner, request.include_inferred);
        let objects = self.live_objects()?;
        let live = RealHost
            .live(&candidate_paths(&objects, &selection))
            .map_err(|error| failed("read the live state", error))?;
        Ok(plan(&objects, &live, &selection))
    }

    /// Records how a begun rollback ended.
    fn end(&self, begun: Begun, result: Result<Rollback, RollbackError>) -> Result<OperationView, NodeError> {
        let Begun { mut operation, plan } = begun;
        let mut proof = None;
        let execution = match result {
            Ok(rollback) => {
                proof = Some(rollback.proof);
                Some(rollback.execution)
            }
            Err(RollbackError::Unverified { execution, source }) => {
                warn!(error = &source as &dyn Error, "the state after the rollback could not be read");
                Some(execution)
            }
            Err(error) => {
                operation.state = OperationState::Failed { error: causes(&error) };
                None
            }
        };
        if let Some(execution) = execution {
            operation.state = execution.operation_state();
            operation.outcomes = execution.outcomes;
        }
        // the notifications of what was done come first, and belong to the operation
        self.catch_up()?;
        operation.ended = Some(WallTime::now());
        let ended = operation.clone();
        self.order("record the end of the operation", |done| Command::EndOperation { operation: ended, done })?
            .map_err(NodeError::Journal)?;
        Ok(query::operation_view(&operation, &plan, proof.as_ref()))
    }
}

fn failed(operation: &str, source: impl Error + Send + Sync + 'static) -> NodeError {
    NodeError::Failed { operation: operation.to_owned(), source: Box::new(source) }
}

fn selection(owner: &Owner, include_inferred: bool) -> Selection {
    Selection { include_inferred, ..Selection::of(owner.clone()) }
}

impl Node for TrackerNode {
    fn status(&self) -> StatusView {
        let Shown { is_ready, mut sources, self_test, bpf, set_aside, losses, uptime } = self.board.show();
        let stopped = query::stopped_status(&*self.reader, &self.journal_dir);
        let mut view = match stopped {
            Ok(view) => view,
            Err(error) => {
                sources.push(SourceView {
                    name: "journal".to_owned(),
                    state: SourceState::Off,
                    detail: causes(&error),
                    remedy: Some("stop netdeedd and look at the journal directory".to_owned()),
                });
                empty_status(&self.journal_dir)
            }
        };
        let is_weak =
            sources.iter().any(|source| source.state != SourceState::Ok) || self_test.iter().any(|test| !test.passed);
        view.state = match (is_ready, is_weak) {
            (false, _) => TrackerState::Starting,
            (true, true) => TrackerState::Degraded,
            (true, false) => TrackerState::Ready,
        };
        view.boot = Some(self.scope.boot.to_string());
        view.netns = Some(self.scope.netns);
        view.uptime_seconds = Some(uptime.as_secs());
        view.journal.set_aside = set_aside;
        view.sources = sources;
        view.self_test = self_test;
        view.bpf = bpf;
        view.losses = losses;
        view
    }

    fn journal(&self) -> Arc<dyn Read> {
        // Readers see what happened before they asked; one that cannot be waited for is no reason not to answer.
        let _ = self.catch_up();
        Arc::clone(&self.reader)
    }

    fn chain_rules(&self, table: &TableRef, chain: &ChainName) -> Result<Vec<Handle>, NodeError> {
        let rules = capture::nfnetlink::dump_chain(table, chain).map_err(|error| match error {
            CaptureError::Refused { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                NodeError::NoSuchChain { table: table.clone(), chain: chain.clone() }
            }
            error => failed("read the chain", error),
        })?;
        Ok(rules
            .into_iter()
            .filter_map(|(subject, _)| match subject {
                Subject::Nft(nft) => match nft.item {
                    NftItem::Rule { handle, .. } => Some(handle),
                    _ => None,
                },
                _ => None,
            })
            .collect())
    }

    fn ruleset(&self) -> Result<Ruleset, NodeError> {
        capture::ruleset().map_err(|error| failed("read the ruleset", error))
    }

    fn appended(&self) -> watch::Receiver<()> {
        self.board.appended()
    }

    fn plan(&self, request: &PlanRequest) -> Result<PlanView, NodeError> {
        Ok(query::plan_view(&*self.reader, &request.owner, &self.make_plan(request)?))
    }

    fn reset(
        &self,
        request: &ResetRequest,
        uid: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<OperationView, NodeError> {
        let owner = &request.owner;
        if request.dry_run {
            let plan = self.make_plan(&request.plan_request())?;
            return Ok(dry_run_view(owner, uid, &plan));
        }
        let mut ledger = NodeLedger { node: self, owner, uid, begun: None, progress };
        let selection = selection(owner, request.include_inferred);
        let result = run::run(&mut ledger, &selection, &mut RealHost);
        match (ledger.begun, result) {
            (Some(begun), result) => self.end(begun, result),
            (None, Err(error @ RollbackError::Unstable { .. })) => Err(NodeError::Conflict { what: error.to_string() }),
            (None, Err(error)) => Err(failed("roll back", error)),
            (None, Ok(_)) => Err(failed("roll back", NoAnswer)),
        }
    }
}

/// An operation under way.
struct Begun {
    operation: Operation,
    /// The plan that is carried out, the last one if others went stale.
    plan: Plan,
}

/// The journal's side of a rollback: its reader, and orders to its one writer.
struct NodeLedger<'a> {
    node: &'a TrackerNode,
    owner: &'a Owner,
    uid: u32,
    begun: Option<Begun>,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Ledger for NodeLedger<'_> {
    fn objects(&mut self) -> Result<Vec<Object>, LedgerError> {
        self.node.catch_up()?;
        Ok(self.node.live_objects()?)
    }

    fn begin(&mut self, plan: &Plan) -> Result<(), LedgerError> {
        let planned = plan.steps().len() as u64;
        if let Some(begun) = &mut self.begun {
            // planned anew after a conflict: the same operation goes on
            begun.operation.planned = planned;
            begun.plan = plan.clone();
            return Ok(());
        }
        let kind = OperationKind::Reset { owner: self.owner.clone() };
        let requested_by = self.uid;
        let operation = self.node.order("record the begin of the operation", |done| Command::BeginOperation {
            kind,
            requested_by,
            planned,
            done,
        })??;
        self.begun = Some(Begun { operation, plan: plan.clone() });
        Ok(())
    }

    fn progress(&mut self, done: usize, total: usize) {
        (self.progress)(done as u64, total as u64);
    }
}

fn dry_run_view(owner: &Owner, uid: u32, plan: &Plan) -> OperationView {
    let now = WallTime::now();
    let operation = Operation {
        id: OperationId(0),
        kind: OperationKind::Reset { owner: owner.clone() },
        requested_by: uid,
        begun: now,
        ended: Some(now),
        state: OperationState::Done,
        planned: plan.steps().len() as u64,
        outcomes: Vec::new(),
    };
    let mut view = query::operation_view(&operation, plan, None);
    view.id = None;
    view.dry_run = true;
    view.proven = true;
    view.proof = vec!["dry run: nothing was changed".to_owned()];
    view
}

fn empty_status(journal_dir: &Path) -> StatusView {
    StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: TrackerState::Starting,
        boot: None,
        netns: None,
        uptime_seconds: None,
        last_alive: None,
        journal: JournalView {
            directory: journal_dir.display().to_string(),
            entries: 0,
            live_objects: 0,
            removed_objects: 0,
            bytes_on_disk: 0,
            set_aside: None,
        },
        sources: Vec::new(),
        self_test: Vec::new(),
        bpf: Vec::new(),
        losses: Vec::new(),
        gaps: 0,
        last_gap: None,
        owners: Vec::new(),
    }
}
