//! Starting: sources first, then the journal, then stock-taking, then the threads.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tracing::{error, info, warn};

use crate::attribution::verdict::Judge;
use crate::attribution::{OwnerRules, PasswdUsers, RulesError};
use crate::capture::CaptureError;
use crate::capture::ipset::IpSetLooks;
use crate::capture::ipvs::IpvsLooks;
use crate::capture::kept::Kept;
use crate::capture::mountinfo;
use crate::causes::causes;
use crate::config::Config;
use crate::control::api::SetAsideView;
use crate::host::ArchiveStore;
use crate::journal::open::{OpenOptions, Opened, open};
use crate::journal::sled::SledOptions;
use crate::journal::{Journal, JournalError, JournalLimits};
use crate::lineage::{Limits, ProcFs, ProcessTable};
use crate::model::ids::{BootId, NetnsId, Tgid};
use crate::model::object::Scope;
use crate::model::time::BootTime;

use super::attach;
use super::capture_loop::{self, Batch, CommandQueue, Sources};
use super::command::Command;
use super::node::TrackerNode;
use super::recorder::{BaselineError, Recorder, Surroundings};
use super::running::RunningOwners;
use super::status::Board;

/// Batches between the threads; what does not fit waits in the kernel's queues.
const BATCHES: usize = 16;

/// A tracker that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A source that nothing can go without.
    #[error("cannot watch {what}")]
    Capture {
        /// What.
        what: &'static str,
        /// Why.
        source: CaptureError,
    },
    /// The journal.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// Stock-taking.
    #[error("cannot take stock")]
    Baseline(#[from] BaselineError),
    /// The owner rules.
    #[error("cannot use owner rules `{path}`")]
    Rules {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RulesError,
    },
    /// A file that tells where we are.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A running tracker.
pub struct Running {
    node: Arc<TrackerNode>,
    commands: CommandQueue,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// What the control socket asks.
    pub fn node(&self) -> Arc<TrackerNode> {
        Arc::clone(&self.node)
    }

    /// Records what is queued, closes the journal and ends the threads.
    pub fn stop(self) {
        let (done, stopped) = sync_channel(1);
        self.commands.send(Command::Stop { done });
        // a recorder that is gone answers by hanging up
        let _ = stopped.recv();
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a thread of the tracker had panicked");
            }
        }
    }
}

/// Starts a tracker in the calling thread's network and mount namespace, with what a former one left to it. Returns when
/// it records.
///
/// # Errors
/// [`StartError`]. BPF and fanotify that are not to be had are no errors: the tracker goes on without, and says so.
pub fn start(config: &Config, journal_dir: &Path, kept: Kept) -> Result<Running, StartError> {
    let board = Arc::new(Board::default());
    let rules = owner_rules(config)?;
    let scope = here()?;
    let journal = open_journal(config, journal_dir, &board)?;
    let journal_was_lost = journal.set_aside.is_some() || journal.lost_entries > 0;
    let reader = journal.store.reader();

    let commands = CommandQueue::new().map_err(|source| StartError::Capture { what: "the control socket", source })?;
    let ip_set_looks = IpSetLooks::new().map_err(|source| StartError::Capture { what: "IP sets", source })?;
    let ipvs_looks = IpvsLooks::new().map_err(|source| StartError::Capture { what: "IPVS", source })?;
    let looks = (ip_set_looks.clone(), ipvs_looks.clone());
    let (mut sources, is_resumed) = attach::attach(config, &board, kept, scope.netns, looks)?;
    let mut lineage = ProcessTable::new(ProcFs::host(), Limits::default());
    lineage.backfill(BootTime::now());
    let surroundings = Surroundings {
        scope,
        roots: config.root.clone(),
        scan_limit: config.max_paths,
        own_tgid: Tgid(std::process::id()),
        ip_set_looks,
        ipvs_looks,
        mount_namespace: mountinfo::own_namespace().map_err(|source| StartError::Capture { what: "mounts", source })?,
        sysctls: config.capture.sysctls.clone(),
        commands: commands.clone(),
    };
    // users made later, or kept by a directory service, go by their number
    let users = PasswdUsers::parse(&std::fs::read_to_string("/etc/passwd").unwrap_or_default());
    let running = RunningOwners::new(rules.clone(), Box::new(users.clone()), scope.netns);
    let judge = Judge::new(rules, Box::new(users));
    let mut recorder =
        Recorder::new(Box::new(journal.store) as Box<dyn Journal>, lineage, judge, surroundings, Arc::clone(&board))
            .reconciling(config.reconcile_every());
    let meanwhile = if is_resumed {
        Some(capture_loop::take_all(&mut sources).map_err(|source| StartError::Capture { what: "the node", source })?)
    } else {
        None
    };
    recorder.baseline(journal_was_lost, meanwhile)?;
    // last, so that it is what the log ends with
    recorder.end_interrupted()?;

    let (sender, receiver) = sync_channel(BATCHES);
    let threads = vec![
        spawn_recorder(recorder, receiver)?,
        spawn_capture(sources, commands.clone(), sender, Arc::clone(&board))?,
    ];
    let archives = ArchiveStore::new(journal_dir, config.archive.max_bytes);
    let parts = (running, archives);
    let node = TrackerNode::new(scope, journal_dir, reader, commands.clone(), Arc::clone(&board), parts);
    let node = Arc::new(node);
    board.ready();
    info!(boot = %scope.boot, netns = %scope.netns, "recording");
    Ok(Running { node, commands, threads })
}

fn owner_rules(config: &Config) -> Result<OwnerRules, StartError> {
    let rules = OwnerRules::default();
    let Some(path) = &config.owner_rules else { return Ok(rules) };
    let text = std::fs::read_to_string(path).map_err(|source| StartError::Read { path: path.clone(), source })?;
    let extra = OwnerRules::from_toml(&text).map_err(|source| StartError::Rules { path: path.clone(), source })?;
    Ok(rules.extended(extra))
}

/// The boot and the network namespace we are in.
fn here() -> Result<Scope, StartError> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|source| StartError::Read { path: PathBuf::from(path), source })
    };
    let boot_path = "/proc/sys/kernel/random/boot_id";
    let boot = BootId::parse(&read(boot_path)?).ok_or_else(|| StartError::Read {
        path: PathBuf::from(boot_path),
        source: std::io::Error::other("it holds no boot id"),
    })?;
    let netns_path = "/proc/self/ns/net";
    let netns = std::fs::metadata(netns_path)
        .map_err(|source| StartError::Read { path: PathBuf::from(netns_path), source })?
        .ino();
    // nsfs numbers are 32 bits wide
    let netns = NetnsId(u32::try_from(netns).unwrap_or(u32::MAX));
    Ok(Scope { boot, netns })
}

fn open_journal(config: &Config, dir: &Path, board: &Board) -> Result<Opened, StartError> {
    let options = OpenOptions {
        limits: JournalLimits {
            max_entries: config.journal.max_entries,
            max_bytes: config.journal.max_bytes,
            keep_removed: config.journal.keep_removed(),
            ..JournalLimits::default()
        },
        deadline: config.journal.open_deadline(),
        sled: SledOptions { cache_capacity: config.journal.cache_bytes, ..SledOptions::default() },
        ..OpenOptions::new(dir)
    };
    let opened = open(&options)?;
    if let Some(aside) = &opened.set_aside {
        warn!(path = %aside.path.display(), reason = %aside.reason, "the journal was unreadable and is set aside");
        board.set_aside(SetAsideView { path: aside.path.display().to_string(), reason: aside.reason.to_string() });
    }
    if opened.lost_entries > 0 {
        warn!(entries = opened.lost_entries, "the journal's last entries are missing");
    }
    Ok(opened)
}

fn spawn_recorder(recorder: Recorder, batches: Receiver<Batch>) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || recorder.run(&batches))
        .map_err(StartError::Thread)
}

fn spawn_capture(
    sources: Sources,
    commands: CommandQueue,
    batches: SyncSender<Batch>,
    board: Arc<Board>,
) -> Result<JoinHandle<()>, StartError> {
    let run = move || {
        if let Err(error) = capture_loop::run(sources, &commands, &batches) {
            error!(error = &error as &dyn std::error::Error, "capturing ended");
            board.capture_failed(causes(&error));
        }
    };
    std::thread::Builder::new().name("capture".to_owned()).spawn(run).map_err(StartError::Thread)
}
