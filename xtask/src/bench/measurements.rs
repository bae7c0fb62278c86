//! The latencies that are compared.

use std::path::PathBuf;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;

use crate::error::XtaskError;

use super::probe::{self, Probe};
use super::watcher::Watcher;

/// Services of the ruleset that is restored.
const SERVICES: usize = 1000;
/// A directory that is not watched, in a filesystem that is, because others of its directories are.
const BESIDE_WATCHED: &str = "/etc/bench";
/// A directory in a filesystem without any watched directory.
const APART: &str = "/dev/shm";

/// One latency.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) name: &'static str,
    pub(super) probe: Probe,
    /// What the probe works on.
    pub(super) path: PathBuf,
    /// Times the probe runs for one figure, and the samples it takes each time.
    pub(super) runs: usize,
    pub(super) samples: usize,
    pub(super) rounds: usize,
    /// Watchers it is measured with, beside nobody.
    pub(super) watchers: &'static [Watcher],
}

/// All of them, arranged in a node.
pub(super) fn all(node: &Node, is_quick: bool) -> Result<Vec<Measurement>, XtaskError> {
    probe::make_chain(node)?;
    node.sh(&format!("mkdir {BESIDE_WATCHED}"))?;
    let ruleset = node.scratch().join("ruleset");
    std::fs::write(&ruleset, kube_proxy::ruleset(SERVICES)).map_err(|source| XtaskError::File {
        operation: "write",
        path: ruleset.clone(),
        source,
    })?;

    let both: &[Watcher] = &[Watcher::Netdeed, Watcher::NftMonitor];
    let one: &[Watcher] = &[Watcher::Netdeed];
    let measurement = |name, probe, path: PathBuf, samples, watchers| Measurement {
        name,
        probe,
        path,
        runs: 1,
        samples: if is_quick { samples / 5 } else { samples },
        rounds: if is_quick { 2 } else { 20 },
        watchers,
    };
    let nothing = PathBuf::from("/");
    Ok(vec![
        measurement("one rule: iptables-nft -A", Probe::AddRule, nothing.clone(), 100, both),
        Measurement {
            runs: if is_quick { 1 } else { 3 },
            samples: 1,
            rounds: if is_quick { 2 } else { 12 },
            ..measurement("1,000 services: iptables-nft-restore --noflush", Probe::Restore, ruleset, 1, both)
        },
        measurement("fork, exec and end of /bin/true", Probe::Spawn, nothing.clone(), 5, one),
        measurement("getpid", Probe::Getpid, nothing.clone(), 20, one),
        measurement("sendto of a UDP datagram", Probe::Sendto, nothing.clone(), 20, one),
        measurement("send of a UDP datagram, connected", Probe::Send, nothing, 20, one),
        measurement("mkdir and rmdir, filesystem not watched", Probe::Mkdir, APART.into(), 20, one),
        measurement("mkdir and rmdir, beside watched directories", Probe::Mkdir, BESIDE_WATCHED.into(), 20, one),
    ])
}
