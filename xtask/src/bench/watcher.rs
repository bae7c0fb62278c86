//! Who watches the node while it is measured: started before each figure and stopped after it, so that a figure taken
//! without a watcher is taken without any of its BPF programs.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::{Failure, wait};
use netdeed_tracker::control::api::StatusView;
use netdeed_tracker::control::client::{Client, ClientError};
use tokio::runtime::Runtime;

use crate::error::XtaskError;

/// Longest time a watcher may take to be ready.
const DEADLINE: Duration = Duration::from_secs(60);
/// `NETLINK_NETFILTER`, as /proc/net/netlink writes it.
const NETFILTER: &str = "12";

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watcher {
    /// Nobody.
    Nobody,
    /// Nobody once more: what differs from [`Watcher::Nobody`] is the machine's doing.
    NobodyAgain,
    /// The tracker.
    Netdeed,
    /// `nft monitor`, which sees the same nf_tables notifications and attributes nothing.
    NftMonitor,
}

impl fmt::Display for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody | Self::NobodyAgain => "nobody",
            Self::Netdeed => "netdeedd",
            Self::NftMonitor => "nft monitor",
        })
    }
}

/// A running watcher. Dropping it ends it.
pub(super) enum Running<'a> {
    Nobody,
    Netdeed(Box<Netdeed<'a>>),
    NftMonitor(Monitor),
}

impl<'a> Running<'a> {
    /// Starts a watcher in a node and waits until it watches.
    pub(super) fn start(watcher: Watcher, node: &'a Node, programs: &Path) -> Result<Self, XtaskError> {
        Ok(match watcher {
            Watcher::Nobody | Watcher::NobodyAgain => Self::Nobody,
            Watcher::Netdeed => Self::Netdeed(Box::new(Netdeed::start(node, programs)?)),
            Watcher::NftMonitor => Self::NftMonitor(Monitor::start(node)?),
        })
    }

    /// Waits until it has dealt with everything that has happened.
    pub(super) fn catch_up(&self) -> Result<(), XtaskError> {
        match self {
            Self::Nobody => Ok(()),
            Self::Netdeed(tracker) => tracker.catch_up(),
            Self::NftMonitor(monitor) => monitor.catch_up(),
        }
    }

    /// Ends it and waits for its end.
    pub(super) fn stop(self) -> Result<(), XtaskError> {
        match self {
            Self::Nobody => Ok(()),
            Self::Netdeed(tracker) => tracker.stop(),
            Self::NftMonitor(monitor) => {
                drop(monitor);
                Ok(())
            }
        }
    }
}

/// A tracker of the release build, with a journal of its own.
pub(super) struct Netdeed<'a> {
    tracker: Tracker<'a>,
    files: Files,
    client: Client,
    runtime: Runtime,
}

impl<'a> Netdeed<'a> {
    /// Starts it and waits until it has taken stock.
    pub(super) fn start(node: &'a Node, programs: &Path) -> Result<Self, XtaskError> {
        let files = Files::named(node, "bench");
        let program = programs.join("netdeedd");
        let tracker = Tracker::spawn(node, &files, "", node.command(&program))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new("cannot start a runtime", error))?;
        wait::until("the tracker's socket", DEADLINE, || UnixStream::connect(&files.socket).ok())
            .map_err(|failure| Failure(format!("{failure}\n{}", tracker.log())))?;
        let started = Self { tracker, client: Client::new(&files.socket), files, runtime };
        let status = started.status()?;
        if status.is_ready() { Ok(started) } else { Err(started.failed("is not ready")) }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.tracker.pid()
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> &Path {
        &self.files.socket
    }

    /// What it says of itself.
    pub(super) fn status(&self) -> Result<StatusView, XtaskError> {
        self.runtime.block_on(self.client.status()).map_err(|error| self.broken(&error))
    }

    /// Waits until everything that has happened is in the journal: that comes before any answer from it.
    pub(super) fn catch_up(&self) -> Result<(), XtaskError> {
        self.runtime.block_on(self.client.gaps()).map(|_| ()).map_err(|error| self.broken(&error))
    }

    /// Ends it and removes its journal.
    pub(super) fn stop(self) -> Result<(), XtaskError> {
        let Self { tracker, files: Files { journal, socket, log, config: _ }, .. } = self;
        tracker.stop()?;
        for path in [socket, log] {
            // the tracker may have removed its socket, and should have
            let _ = std::fs::remove_file(path);
        }
        std::fs::remove_dir_all(&journal).map_err(|source| XtaskError::File {
            operation: "remove",
            path: journal,
            source,
        })
    }

    fn broken(&self, error: &ClientError) -> XtaskError {
        self.failed(&format!("did not answer: {error}"))
    }

    fn failed(&self, how: &str) -> XtaskError {
        XtaskError::Wrong(format!("the tracker {how}\n{}", self.tracker.log()))
    }
}

/// `nft monitor`, its output thrown away.
pub(super) struct Monitor {
    child: Child,
}

impl Monitor {
    fn start(node: &Node) -> Result<Self, XtaskError> {
        let child = node
            .command("nft")
            .arg("monitor")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| XtaskError::Spawn { program: "nft monitor".to_owned(), source })?;
        let monitor = Self { child };
        wait::until("nft monitor's subscription", DEADLINE, || {
            monitor.queues().is_some_and(|queues| !queues.is_empty()).then_some(())
        })?;
        Ok(monitor)
    }

    /// Bytes waiting in the subscribed sockets of its network namespace; it has the only ones.
    fn queues(&self) -> Option<Vec<u64>> {
        let path = PathBuf::from(format!("/proc/{}/net/netlink", self.child.id()));
        let table = std::fs::read_to_string(path).ok()?;
        let subscribed = table.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_sock, protocol, _portid, groups, waiting, ..] = fields[..] else { return None };
            (protocol == NETFILTER && groups != "00000000").then(|| waiting.parse().ok())?
        });
        Some(subscribed.collect())
    }

    fn catch_up(&self) -> Result<(), XtaskError> {
        wait::until("nft monitor's reading", DEADLINE, || {
            self.queues().is_some_and(|queues| queues.iter().all(|waiting| *waiting == 0)).then_some(())
        })?;
        Ok(())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // gone already is as good
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
