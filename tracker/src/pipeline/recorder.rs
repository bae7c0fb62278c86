//! The recorder: the one writer. Takes batches of records and turns them into journal entries.

mod ip_sets;
mod ipvs;
mod judge;
mod keep;
mod legacy;
mod mounts;
mod nft;
mod operations;
mod paths;
mod reconcile;
mod rename;
mod resync;
mod routes;
mod rtnl;
mod sysctls;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::attribution::ipsets::IpSetRequests;
use crate::attribution::mounts::MountRequests;
use crate::attribution::notifications::{NotificationTable, Notifier};
use crate::attribution::requests::{RequestTable, Window};
use crate::attribution::verdict::Judge;
use crate::capture::Raw;
use crate::capture::ipset::IpSetLooks;
use crate::capture::ipvs::IpvsLooks;
use crate::capture::roots::Root;
use crate::decode;
use crate::journal::{Journal, JournalError};
use crate::lineage::ProcessTable;
use crate::model::change::{Change, ChangeKind};
use crate::model::gap::{Gap, GapReason, Source};
use crate::model::ids::{ActorId, Generation, IpSetName, ObjectId, OperationId, Tgid};
use crate::model::object::{Deed, Scope};
use crate::model::observation::Observation;
use crate::model::operation::Operation;
use crate::model::owner::{Attribution, Evidence};
use crate::model::path::Inode;
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::{BootTime, WallTime};

pub use resync::BaselineError;

use super::capture_loop::{Batch, CommandQueue};
use super::effects::Effect;
use super::restored::Restores;
use super::status::Board;
use super::world::{Tracked, World};
use ip_sets::LookState;
use ipvs::IpvsState;
use legacy::{LegacyTables, Replaced, table_of};
use mounts::MountState;
use nft::{HandleMarks, OpenCommit};
use reconcile::Reconciliation;
use routes::RouteCauses;
use sysctls::Originals;

/// Longest time an entry stays without being made durable.
const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// How often the journal notes that the tracker is alive.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

/// What the recorder is told about its surroundings.
pub struct Surroundings {
    /// The boot and the network namespace that are recorded.
    pub scope: Scope,
    /// Directories that are watched.
    pub roots: Vec<Root>,
    /// Largest number of paths a scan may find.
    pub scan_limit: usize,
    /// Our own process: its changes belong to the operation under way.
    pub own_tgid: Tgid,
    /// Number of the mount namespace whose mounts are recorded.
    pub mount_namespace: u32,
    /// Patterns of further sysctls whose values are read at the start.
    pub sysctls: Vec<String>,
    /// Where looks at IP sets are ordered.
    pub ip_set_looks: IpSetLooks,
    /// Where looks at IPVS services are ordered.
    pub ipvs_looks: IpvsLooks,
    /// By which an order comes back behind everything the kernel has queued by then.
    pub commands: CommandQueue,
}

/// The one writer.
pub struct Recorder {
    journal: Box<dyn Journal>,
    lineage: ProcessTable,
    requests: RequestTable,
    notifications: NotificationTable,
    /// Who caused the rtnetlink datagram at hand, where the kernel let that be seen.
    notifier: Option<Notifier>,
    judge: Judge,
    world: World,
    surroundings: Surroundings,
    board: Arc<Board>,
    /// The nf_tables commit that is not closed yet.
    open_commit: OpenCommit,
    /// Highest handle given out in each table: what is new has a higher one.
    handles: HandleMarks,
    generation: Generation,
    /// Changes not yet handed to the journal.
    changes: Vec<Change>,
    /// Gaps not yet handed to the journal.
    gaps: Vec<Gap>,
    /// Changes that the journal will never have, when there are any: what lives must be compared.
    given_up: Option<u64>,
    /// When the journal last failed, while it does.
    failed_at: Option<Instant>,
    /// Paths moved away in this batch, by inode: the second half of a move finds its object here.
    moved: HashMap<Inode, (Subject, ObjectId)>,
    /// Streams whose content must be read anew.
    lost: Vec<(Source, GapReason)>,
    /// What may have taken routes along without a notification.
    check_routes: RouteCauses,
    legacy: LegacyTables,
    /// Answers that wait until it is known what calls changed in legacy tables.
    held: Vec<SyncSender<Result<(), JournalError>>>,
    /// When to hold the record against what lives.
    reconciliation: Reconciliation,
    /// Requests to the ip_set subsystem since it was looked at.
    ip_set_requests: IpSetRequests,
    looks: LookState<IpSetName>,
    ipvs: IpvsState,
    originals: Originals,
    mounts: MountState,
    operation: Option<Operation>,
    /// What the operation under way puts back, with whose it is.
    restores: Restores,
    /// Whether an actor is the tracker itself, for the operation under way.
    own_actors: HashMap<ActorId, bool>,
    /// Everything before this moment is recorded.
    recorded_until: WallTime,
    last_flush: Instant,
    last_heartbeat: Instant,
}

impl Recorder {
    /// A recorder that knows nothing yet: [`Recorder::baseline`] comes first.
    pub fn new(
        journal: Box<dyn Journal>,
        lineage: ProcessTable,
        judge: Judge,
        surroundings: Surroundings,
        board: Arc<Board>,
    ) -> Self {
        Self {
            journal,
            lineage,
            requests: RequestTable::default(),
            ip_set_requests: IpSetRequests::default(),
            looks: LookState::new(surroundings.ip_set_looks.clone()),
            ipvs: IpvsState::new(surroundings.ipvs_looks.clone()),
            originals: Originals::new(surroundings.sysctls.clone()),
            mounts: MountState::new(MountRequests::new(surroundings.mount_namespace)),
            notifications: NotificationTable::default(),
            notifier: None,
            judge,
            world: World::default(),
            surroundings,
            board,
            open_commit: OpenCommit::default(),
            handles: HandleMarks::default(),
            generation: Generation(0),
            changes: Vec::new(),
            gaps: Vec::new(),
            given_up: None,
            failed_at: None,
            moved: HashMap::new(),
            lost: Vec::new(),
            check_routes: RouteCauses::default(),
            legacy: LegacyTables::default(),
            held: Vec::new(),
            reconciliation: Reconciliation::default(),
            operation: None,
            restores: Restores::default(),
            own_actors: HashMap::new(),
            recorded_until: WallTime::now(),
            last_flush: Instant::now(),
            last_heartbeat: Instant::now(),
        }
    }

    /// Records batches until told to stop or until the capture loop is gone.
    pub fn run(mut self, batches: &Receiver<Batch>) {
        loop {
            match batches.recv_timeout(FLUSH_EVERY) {
                Ok(batch) => {
                    if self.take(batch) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.tick(true);
                    return;
                }
            }
        }
    }

    /// Records one batch; tells whether it ordered to stop.
    fn take(&mut self, batch: Batch) -> bool {
        let Batch { records, window, commands } = batch;
        let is_idle = records.is_empty();
        self.requests.forget_before(window);
        self.notifications.forget_before(window);
        self.mounts.requests.forget_before(window.after);
        for record in records {
            self.record(record, window);
        }
        self.end_moves();
        self.verify_routes();
        self.resync_lost();
        self.settle_tables(window.before);
        self.look_at_tables();
        self.reconcile();
        self.look_again();
        self.compare_sysctls_again();
        self.commit();
        self.release();
        self.tick(is_idle);
        let mut is_stopped = false;
        for command in commands {
            is_stopped |= self.obey(command);
        }
        is_stopped
    }

    /// Nothing came: what could not be done before may be done now.
    fn idle(&mut self) {
        self.verify_routes();
        self.resync_lost();
        self.doubt_tables();
        self.look_at_tables();
        self.reconcile();
        self.look_again();
        self.compare_sysctls_again();
        self.commit();
        self.tick(true);
    }

    fn record(&mut self, record: Raw, window: Window) {
        let mut observations = Vec::new();
        match record {
            Raw::Bpf(bytes) => match decode::task::decode(&bytes) {
                Ok(observation) => observations.push(observation),
                Err(error) => self.board.undecoded("BPF record", &error.to_string()),
            },
            Raw::Nfnetlink(datagram) => {
                let report = decode::nft::decode(&datagram, &mut observations);
                self.begin_datagram(&report);
            }
            Raw::Rtnetlink(datagram) => {
                self.notifier = self.notifications.take(&datagram, self.surroundings.scope.netns, window);
                if decode::rtnl::decode(&datagram, &mut observations) > 0 {
                    self.board.undecoded("rtnetlink message", "not understood");
                    self.lose(Source::Rtnetlink, GapReason::Undecoded { source: Source::Rtnetlink });
                }
            }
            Raw::Path(path) => observations.push(Observation::Path(path)),
            Raw::IpSets(look) => self.ip_sets(look),
            Raw::Ipvs(look) => self.services(look),
            Raw::Sysctl(write) => self.sysctl(&write),
            Raw::Mounts(look) => self.mounts(&look, window),
            Raw::Lost { source, lost } => observations.push(Observation::Loss { source, lost }),
        }
        for observation in observations {
            self.observe(observation, window);
        }
        self.notifier = None;
    }

    fn observe(&mut self, observation: Observation, window: Window) {
        self.lineage.observe(&observation);
        match observation {
            Observation::Fork { .. } | Observation::Exec { .. } | Observation::CgroupNamed { .. } => {}
            Observation::Exit { time, process } => {
                self.requests.exited(process, time);
                let touched = self.ip_set_requests.exited(process, time);
                self.look_at(touched);
                let touched = self.ipvs.requests.exited(process, time);
                self.look_at_services(touched);
            }
            Observation::RequestOpened(request) => {
                if RequestTable::is_change(&request) {
                    let actor = Arc::new(self.lineage.actor_of(&request.task));
                    self.ip_set_request(&request, &actor);
                    self.ipvs_request(&request, &actor);
                    self.requests.open(request, actor);
                }
            }
            Observation::MountOpened(request) => {
                let actor = Arc::new(self.lineage.actor_of(&request.task));
                self.mounts.requests.open(request, actor);
            }
            Observation::RequestClosed { time, tid, portid, result } => {
                self.mounts.requests.close(tid, time, result);
                self.requests.close(tid, time, portid);
                let touched = self.ip_set_requests.close(tid, time);
                self.look_at(touched);
                let touched = self.ipvs.requests.close(tid, time);
                self.look_at_services(touched);
            }
            Observation::Notified(notified) => {
                let task = notified.task.clone();
                self.notifications.note(notified, || self.lineage.actor_of(&task));
            }
            Observation::TableOpened { opened, tid, netns, family, table } => {
                if let Some(table) = table_of(family, &table).filter(|_| netns == self.surroundings.scope.netns) {
                    self.legacy.ledger.opened(table, (tid, opened));
                }
            }
            Observation::TableChunk { opened, tid, offset, bytes } => {
                self.legacy.ledger.pieces.add((tid, opened), offset, &bytes);
            }
            Observation::TableReplaced { .. } => self.replaced(observation),
            Observation::Nft { subject, after } => self.open_commit.notifications.push((subject, after)),
            Observation::NftCommitted { generation, tid, comm } => self.committed(generation, tid, comm, window),
            Observation::Rtnetlink { .. } => self.rtnetlink(observation, window),
            Observation::Path(path) => self.path(&path),
            Observation::Loss { source, lost } => {
                self.board.lost(source, lost);
                if source == Source::Processes {
                    self.lineage.lost(window.before);
                }
                if source == Source::Requests {
                    self.requests.lost(window.before);
                    self.mounts.requests.lost(window.before);
                    self.legacy.ledger.forget_calls();
                    self.lose(Source::Legacy, gap_reason(source, lost));
                    self.ip_set_requests.lost(window.before);
                    self.look_at(Some(None));
                    self.ipvs.requests.lost(window.before);
                    self.look_at_services(Some(None));
                    self.notifications.lost(window.before);
                }
                self.lose(source, gap_reason(source, lost));
            }
        }
    }

    fn replaced(&mut self, observation: Observation) {
        let Observation::TableReplaced { time, opened, total, copied, task, netns, family, table, result } =
            observation
        else {
            return;
        };
        if netns != self.surroundings.scope.netns {
            self.legacy.ledger.pieces.take((task.tid, opened), 0);
            return;
        }
        let attribution = (result == 0).then(|| {
            let actor = self.lineage.actor_of(&task);
            let evidence = Evidence::TableReplace { table: format!("{family} {table}") };
            self.judge_actor(&actor, true, evidence)
        });
        match (table_of(family, &table), attribution) {
            (Some(table), attribution) => self.table_replaced(Replaced {
                table,
                tid: task.tid,
                opened,
                closed: time,
                total: (copied == total).then_some(total),
                attribution,
            }),
            (None, Some(attribution)) => self.replaced_table(family, table, &attribution),
            (None, None) => {}
        }
    }

    /// The content of such a table is not read: that it was replaced, and by whom, is recorded.
    fn replaced_table(&mut self, family: &str, table: String, attribution: &Attribution) {
        let subject = Subject::Xtables { family: family.to_owned(), table };
        let effect = match self.world.get(&subject) {
            Some(known) => Effect::changed(known.id, subject, Snapshot::Xtables),
            None => Effect::created(subject, Snapshot::Xtables),
        };
        self.apply(effect, attribution, None);
    }

    /// Turns an effect into a change for the journal and brings the world up to date.
    fn apply(&mut self, effect: Effect, attribution: &Attribution, generation: Option<Generation>) {
        if self.given_up.is_some() {
            return; // it will be found when what lives is compared
        }
        let Effect { kind, object, old_subject, subject, after } = effect;
        let object = object.unwrap_or_else(|| self.journal.next_object());
        if kind == ChangeKind::Removed {
            self.world.remove(&subject, object);
        }
        if let Some(old) = old_subject {
            self.world.remove(&old, object);
        }
        if let Some(after) = &after {
            self.world.insert(subject.clone(), Tracked::of(object, after));
        }
        let operation = self.own_operation(attribution.actor());
        let restored = self.restored(operation, kind, (&subject, after.as_ref()));
        let attribution = match (restored, &after) {
            (Some(first), _) => first,
            (None, Some(after)) if kind == ChangeKind::Created => Judge::dispute(attribution, &subject, after),
            _ => attribution.clone(),
        };
        let deed = Deed { time: WallTime::now(), boot_time: BootTime::now(), generation, operation, attribution };
        self.changes.push(Change { object, kind, subject, after, deed });
    }

    /// Whose a thing is that an undo puts back: who made it first.
    fn restored(
        &mut self,
        operation: Option<OperationId>,
        kind: ChangeKind,
        (subject, after): (&Subject, Option<&Snapshot>),
    ) -> Option<Attribution> {
        let operation = operation.filter(|_| matches!(kind, ChangeKind::Created | ChangeKind::Changed))?;
        let first = self.restores.take(subject, after?)?;
        Some(first.with(Evidence::Restored { operation: operation.0 }))
    }

    fn tick(&mut self, is_idle: bool) {
        if self.lost.is_empty() && self.is_kept() && !self.reconciliation.is_pending() {
            self.recorded_until = WallTime::now();
        }
        if self.last_heartbeat.elapsed() >= HEARTBEAT_EVERY {
            self.last_heartbeat = Instant::now();
            let beat = self.journal.heartbeat(self.recorded_until).and_then(|()| self.journal.retain());
            if let Err(error) = beat {
                self.journal_failed("note that the tracker is alive", &error);
            }
        }
        if is_idle || self.last_flush.elapsed() >= FLUSH_EVERY {
            self.last_flush = Instant::now();
            match self.journal.flush() {
                Ok(()) if self.is_kept() => {
                    self.failed_at = None;
                    self.board.journal_works();
                }
                Ok(()) => {}
                Err(error) => self.journal_failed("make entries durable", &error),
            }
        }
    }
}

/// Why a lost record makes a gap.
fn gap_reason(source: Source, lost: Option<u64>) -> GapReason {
    match source {
        Source::Processes | Source::Requests => GapReason::RingFull { source, lost: lost.unwrap_or_default() },
        _ => GapReason::Overrun { source },
    }
}
