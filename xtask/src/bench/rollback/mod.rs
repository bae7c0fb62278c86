//! Taking a ruleset back, beside Docker's rules: a reset (plan, check, archive, transaction, proof) against a dump that is
//! filtered and restored, and against kube-proxy's own cleanup.
//!
//! The tracker runs only while the reset is measured: the other two have the machine for themselves. Each finds the same
//! ruleset, in one node, in turns.

mod plot;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netdeed_tests::node::Node;
use netdeed_tests::scenario::docker::Docker;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::scenario::kubernetes::KUBE_PROXY;

use crate::error::XtaskError;

use super::footprint::peak_mib;
use super::machine;
use super::statistics::Summary;
use super::watcher::Netdeed;

pub(super) use plot::plot;
pub(super) use report::{PLOT, Rollbacks};

/// A reset should be this many times faster than each of the others.
pub(super) const LEAST_TIMES_FASTER: f64 = 3.0;
/// Most memory the tracker should take, MiB.
pub(super) const MOST_MIB: f64 = 256.0;
/// Services the two aims are about.
pub(super) const AIMED_AT: usize = 5000;
/// What people do instead.
const FILTERED_RESTORE: &str = "iptables-nft-save | grep -v KUBE- | iptables-nft-restore";
/// How often a process's memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `netdeed reset`.
    Reset,
    /// `iptables-save | grep -v | iptables-restore`.
    FilteredRestore,
    /// `kube-proxy --cleanup`.
    Cleanup,
}

pub(super) const WAYS: [Way; 3] = [Way::Reset, Way::FilteredRestore, Way::Cleanup];

impl Way {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reset => "netdeed reset",
            Self::FilteredRestore => "iptables-save | grep -v | iptables-restore",
            Self::Cleanup => "kube-proxy --cleanup",
        }
    }
}

/// A number of services, and how often they are taken back in each way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    services: usize,
    rounds: usize,
}

impl Scale {
    /// What people call it.
    pub(super) fn name(self) -> String {
        format!("rollback of {} services", self.services)
    }
}

/// Everything that is measured.
pub(super) fn scales(is_quick: bool) -> Vec<Scale> {
    let scales: &[(usize, usize)] = match is_quick {
        true => &[(100, 1), (300, 1)],
        false => &[(1000, 3), (2000, 3), (AIMED_AT, 8), (10_000, 2), (20_000, 1)],
    };
    scales.iter().map(|&(services, rounds)| Scale { services, rounds }).collect()
}

/// One way, once.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seconds: f64,
    /// Lines of Kubernetes that are still there, and lines of Docker that are not any more.
    left: usize,
    lost: usize,
    /// Largest resident set, MiB: the tracker's and its companion's.
    peaks: Option<(f64, f64)>,
}

/// What came of one scale.
#[derive(Debug)]
pub(super) struct Rollback {
    pub(super) services: usize,
    /// Lines of Kubernetes in `iptables-save`.
    pub(super) lines: usize,
    /// A figure a round, in the order of [`WAYS`], seconds.
    pub(super) seconds: [Vec<f64>; 3],
    /// Most lines of Kubernetes left and of Docker lost in a round, in the order of [`WAYS`].
    pub(super) left: [usize; 3],
    pub(super) lost: [usize; 3],
    /// Largest resident sets of all rounds, MiB: the tracker's and its companion's.
    pub(super) peaks: (f64, f64),
}

impl Rollback {
    /// How many times faster a reset is than another way, round by round.
    pub(super) fn times_faster(&self, than: usize) -> Option<Summary> {
        let ratios: Vec<f64> = self.seconds[than].iter().zip(&self.seconds[0]).map(|(it, ours)| it / ours).collect();
        Summary::of(&ratios)
    }
}

/// A node with Docker's rules, as all ways find them.
pub(super) struct Bench<'a> {
    node: &'a Node,
    programs: &'a Path,
    kube_proxy: PathBuf,
    _docker: Docker<'a>,
    /// `iptables-save` without anything of Kubernetes.
    rules: String,
}

impl<'a> Bench<'a> {
    /// Starts Docker and publishes a port.
    pub(super) fn start(node: &'a Node, programs: &'a Path) -> Result<Self, XtaskError> {
        let docker = Docker::start(node)?;
        docker.publish()?;
        let rules = node.sh("iptables-nft-save")?;
        Ok(Self { node, programs, kube_proxy: KUBE_PROXY.built()?, _docker: docker, rules })
    }

    /// Measures one scale.
    pub(super) fn run(&self, scale: Scale) -> Result<Rollback, XtaskError> {
        let lines = kube_proxy::ruleset(scale.services).lines().filter(|line| line.contains("KUBE-")).count();
        let mut found = Rollback {
            services: scale.services,
            lines,
            seconds: Default::default(),
            left: [0; 3],
            lost: [0; 3],
            peaks: (0.0, 0.0),
        };
        let mut order = [0, 1, 2];
        for round in 0..scale.rounds {
            // who begins changes from round to round
            order.rotate_left(1);
            for way in order {
                eprintln!("{}: round {} of {}, {}", scale.name(), round + 1, scale.rounds, WAYS[way].name());
                let taken = self.take(WAYS[way], scale.services)?;
                found.seconds[way].push(taken.seconds);
                found.left[way] = found.left[way].max(taken.left);
                found.lost[way] = found.lost[way].max(taken.lost);
                let (tracker, companion) = taken.peaks.unwrap_or_default();
                found.peaks = (found.peaks.0.max(tracker), found.peaks.1.max(companion));
            }
        }
        Ok(found)
    }

    fn take(&self, way: Way, services: usize) -> Result<Taken, XtaskError> {
        machine::wait_for_others()?;
        let tracker = (way == Way::Reset).then(|| Netdeed::start(self.node, self.programs)).transpose()?;
        kube_proxy::sync_in_parts(self.node, services)?;
        tracker.iter().try_for_each(Netdeed::catch_up)?;
        let (seconds, companion) = timed(self.command(way, tracker.as_ref()))?;
        let peaks = tracker.as_ref().map(peak_mib).transpose()?.map(|peak| (peak, companion));
        let now = self.node.sh("iptables-nft-save")?;
        let left = now.lines().filter(|line| line.contains("KUBE-")).count();
        let is_dockers = |line: &&str| line.starts_with("-A");
        let lost = self.rules.lines().filter(is_dockers).filter(|line| !now.lines().any(|it| it == *line)).count();
        tracker.map_or(Ok(()), Netdeed::stop)?;
        // whatever one leaves, the next finds the same
        let path = self.node.scratch().join("rules");
        std::fs::write(&path, &self.rules).map_err(|source| XtaskError::File {
            operation: "write",
            path: path.clone(),
            source,
        })?;
        self.node.sh(&format!("iptables-nft-restore < {}", path.display()))?;
        Ok(Taken { seconds, left, lost, peaks })
    }

    fn command(&self, way: Way, tracker: Option<&Netdeed<'_>>) -> Command {
        match (way, tracker) {
            (Way::Reset, Some(tracker)) => {
                let mut command = self.node.command(self.programs.join("netdeed"));
                command.arg("--socket").arg(tracker.socket()).args(["reset", "--owner", "kubernetes", "--yes"]);
                command
            }
            (Way::Cleanup, _) => {
                let mut command = self.node.command(&self.kube_proxy);
                command.arg("--cleanup").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
                command
            }
            (Way::FilteredRestore | Way::Reset, _) => {
                let mut command = self.node.command("sh");
                command.args(["-ec", FILTERED_RESTORE]);
                command
            }
        }
    }
}

/// Runs a program to its end: how long it took, seconds, and its largest resident set, MiB.
fn timed(mut command: Command) -> Result<(f64, f64), XtaskError> {
    let text = format!("{command:?}");
    let began = Instant::now();
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|source| XtaskError::Spawn { program: text.clone(), source })?;
    let (pid, is_over) = (child.id(), AtomicBool::new(false));
    let (status, seconds, peak) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut peak = 0.0_f64;
            while !is_over.load(Ordering::SeqCst) {
                peak = peak.max(machine::peak_mib(pid).unwrap_or_default());
                std::thread::park_timeout(LOOK);
            }
            peak
        });
        let status = child.wait();
        let seconds = began.elapsed().as_secs_f64();
        is_over.store(true, Ordering::SeqCst);
        (status, seconds, watching.join().unwrap_or_default())
    });
    match status {
        Ok(status) if status.success() => Ok((seconds, peak)),
        Ok(status) => Err(XtaskError::Failed { command: text, status }),
        Err(source) => Err(XtaskError::Spawn { program: text, source }),
    }
}
