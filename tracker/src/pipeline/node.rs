//! The running tracker as the control socket sees it.

use std::collections::BTreeSet;
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
    JournalView, OperationView, PlanRequest, PlanView, ResetRequest, RuleCounts, RunningView, SourceState, SourceView,
    StatusView, SwapRequest, SwapView, TrackerState, UndoRequest,
};
use crate::control::{Node, NodeError};
use crate::host::real::RealHost;
use crate::host::{ArchiveStore, Host};
use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::ids::{ActorId, ChainName, Handle, OperationId};
use crate::model::legacy::{LegacyItem, LegacyTable};
use crate::model::live::Ruleset;
use crate::model::nft::{NftItem, TableRef};
use crate::model::object::{Object, Scope};
use crate::model::operation::{Operation, OperationKind, OperationState};
use crate::model::owner::Owner;
use crate::model::subject::Subject;
use crate::model::time::WallTime;
use crate::query;
use crate::rollback;
use crate::rollback::run::{self, Rollback, RollbackError};
use crate::rollback::{
    ActorFilter, Earlier, LiveState, Plan, Selection, candidate_paths, earlier, plan_with, wants_earlier,
};

use super::capture_loop::CommandQueue;
use super::command::Command;
use super::ledger::{Begun, NodeLedger, not_begun};
use super::running::{RunningOwners, warning};
use super::status::{Board, Shown};
use super::{swap, undo};

/// Longest time the recorder may take to catch up with the kernel's queues.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running tracker.
pub struct TrackerNode {
    scope: Scope,
    journal_dir: PathBuf,
    reader: Arc<dyn Read>,
    commands: CommandQueue,
    board: Arc<Board>,
    running: RunningOwners,
    archives: ArchiveStore,
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
        (running, archives): (RunningOwners, ArchiveStore),
    ) -> Self {
        Self { scope, journal_dir: journal_dir.to_owned(), reader, commands, board, running, archives }
    }

    /// Where and when this tracker records.
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// What resets took away.
    pub(super) fn archives(&self) -> &ArchiveStore {
        &self.archives
    }

    /// The journal.
    pub(super) fn reader(&self) -> &dyn Read {
        &*self.reader
    }

    /// Sends an order and waits for its answer.
    pub(super) fn order<T>(
        &self,
        operation: &str,
        command: impl FnOnce(SyncSender<T>) -> Command,
    ) -> Result<T, NodeError> {
        let (done, answer): (SyncSender<T>, Receiver<T>) = sync_channel(1);
        self.commands.send(command(done));
        answer.recv_timeout(PATIENCE).map_err(|_| failed(operation, NoAnswer))
    }

    /// Waits until everything the kernel has queued so far is in the journal.
    pub(super) fn catch_up(&self) -> Result<(), NodeError> {
        self.order("catch up with the kernel", |done| Command::Barrier { done, turns: 0 })?.map_err(NodeError::Journal)
    }

    pub(super) fn live_objects(&self) -> Result<Vec<Object>, JournalError> {
        let filter = ObjectFilter { scope: Some(self.scope), ..ObjectFilter::default() };
        let mut objects = Vec::new();
        self.reader.visit(&filter, &mut |object| {
            objects.push(object);
            ControlFlow::Continue(())
        })?;
        Ok(objects)
    }

    /// What a request selects; reads the journal where it asks for pods, containers or units.
    pub(super) fn selection(&self, request: &PlanRequest) -> Result<Selection, JournalError> {
        let PlanRequest { owner, include_inferred, pods, containers, units, since, until, classes, export: _ } =
            request.clone();
        let wanted = ActorFilter { pods, containers, units };
        let actors = if wanted.is_empty() { None } else { Some(self.actors(&wanted)?) };
        let (since, until) = (since.map(|time| time.0), until.map(|time| time.0));
        Ok(Selection { owner, include_inferred, classes, actors, since, until })
    }

    /// The actors of living objects that a filter accepts.
    fn actors(&self, wanted: &ActorFilter) -> Result<BTreeSet<ActorId>, JournalError> {
        let mut seen = BTreeSet::new();
        for object in self.live_objects()? {
            let deeds = std::iter::once(&object.created).chain(&object.changed).chain(&object.rewritten);
            seen.extend(deeds.filter_map(|deed| deed.attribution.actor()));
        }
        let mut accepted = BTreeSet::new();
        for id in seen {
            if self.reader.actor(id)?.is_some_and(|actor| wanted.accepts(&actor)) {
                accepted.insert(id);
            }
        }
        Ok(accepted)
    }

    /// The content of objects before the selected owner changed them.
    pub(super) fn earlier(&self, objects: &[Object], selection: &Selection) -> Result<Earlier, JournalError> {
        let mut known = Earlier::new();
        for object in objects.iter().filter(|object| wants_earlier(object, selection)) {
            if let Some(content) = earlier(&self.reader.history(object.id)?, selection) {
                known.insert(object.id, content);
            }
        }
        Ok(known)
    }

    fn make_plan(&self, request: &PlanRequest) -> Result<(Plan, LiveState), NodeError> {
        self.catch_up()?;
        let selection = self.selection(request)?;
        let objects = self.live_objects()?;
        let live = RealHost
            .live(&candidate_paths(&objects, &selection))
            .map_err(|error| failed("read the live state", error))?;
        Ok((plan_with(&objects, &self.earlier(&objects, &selection)?, &live, &selection), live))
    }

    /// The programs of the owner that still run, as seen from a plan.
    pub(super) fn still_running(&self, owner: &Owner, plan: &Plan) -> Vec<RunningView> {
        let planned = plan.steps().iter().map(|step| step.why().owner.clone()).collect();
        self.running.of(owner, &planned)
    }

    fn view(&self, request: &PlanRequest, plan: &Plan, live: &LiveState) -> PlanView {
        let owner = &request.owner;
        let mut view = query::plan_view(&*self.reader, owner, plan);
        view.request = Some(PlanRequest { export: None, ..request.clone() });
        view.export = request.export.map(|format| query::export_view(plan, live, format));
        if !plan.is_empty() {
            view.running = self.still_running(owner, plan);
            view.warnings.extend(view.running.iter().map(warning));
            view.warnings.extend(for_good(plan));
        }
        view
    }

    /// Makes a plan and the document of it.
    pub(super) fn plan_view(&self, request: &PlanRequest) -> Result<PlanView, NodeError> {
        let (plan, live) = self.make_plan(request)?;
        Ok(self.view(request, &plan, &live))
    }

    /// The programs of an owner that run now.
    pub(super) fn running_of(&self, owner: &Owner) -> Vec<RunningView> {
        self.running.of(owner, &BTreeSet::new())
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

pub(super) fn failed(operation: &str, source: impl Error + Send + Sync + 'static) -> NodeError {
    NodeError::Failed { operation: operation.to_owned(), source: Box::new(source) }
}

impl Node for TrackerNode {
    fn undo(
        &self,
        request: &UndoRequest,
        uid: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<OperationView, NodeError> {
        undo::undo(self, request, uid, progress)
    }

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

    fn legacy_rules(&self, table: &LegacyTable, chain: &ChainName) -> Result<Vec<LegacyItem>, NodeError> {
        let rules = capture::legacy::rules_of(table, chain).map_err(|error| failed("read the legacy table", error))?;
        rules.ok_or_else(|| NodeError::NoSuchLegacyChain { table: table.clone(), chain: chain.clone() })
    }

    fn ruleset(&self) -> Result<Ruleset, NodeError> {
        capture::ruleset().map_err(|error| failed("read the ruleset", error))
    }

    fn appended(&self) -> watch::Receiver<()> {
        self.board.appended()
    }

    fn plan(&self, request: &PlanRequest) -> Result<PlanView, NodeError> {
        self.plan_view(request)
    }

    fn swap(&self, request: &SwapRequest) -> Result<SwapView, NodeError> {
        swap::swap(self, request)
    }

    fn reset(
        &self,
        request: &ResetRequest,
        uid: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<OperationView, NodeError> {
        let owner = &request.owner;
        if request.dry_run {
            let (plan, _) = self.make_plan(&request.plan_request())?;
            return Ok(dry_run_view(owner, uid, &plan));
        }
        let selection = self.selection(&request.plan_request())?;
        let mut ledger = NodeLedger::new(self, request, uid, progress);
        let result = run::run(&mut ledger, &selection, &mut RealHost);
        match (ledger.into_begun(), result) {
            (Some(begun), result) => self.end(begun, result),
            (None, Err(error @ RollbackError::Unstable { .. })) => Err(NodeError::Conflict { what: error.to_string() }),
            (None, Err(RollbackError::NotBegun(why))) => Err(not_begun(why)),
            (None, Err(error)) => Err(failed("roll back", error)),
            (None, Ok(_)) => Err(failed("roll back", NoAnswer)),
        }
    }
}

/// A warning about what an undo would not bring back.
fn for_good(plan: &Plan) -> Option<String> {
    let classes: Vec<String> =
        rollback::undo::lost(plan).into_iter().map(|(class, count)| format!("{count} {class}")).collect();
    (!classes.is_empty())
        .then(|| format!("an undo would not bring all of it back; lost for good: {}", classes.join(", ")))
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
        rules: RuleCounts::default(),
    }
}
