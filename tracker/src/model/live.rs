//! The live state of a node: what the host reads and the planner may look at besides the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Generation, Ifindex};
use super::mount::MountPlace;
use super::path::{AbsPath, PathSnapshot};
use super::subject::{Snapshot, Subject};
use super::time::BootTime;

/// What is there now, read through [`crate::host::Host::live`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveState {
    /// Number of the nftables ruleset that `nft` shows.
    pub generation: Generation,
    /// The whole ruleset of the network namespace; the rules of a chain in their order.
    pub nft: Vec<(Subject, Snapshot)>,
    /// All legacy tables of the network namespace, each chain before its rules, rules in their order.
    pub legacy: Vec<(Subject, Snapshot)>,
    /// All links, addresses, routes and ip rules of the network namespace.
    pub rt: Vec<(Subject, Snapshot)>,
    /// All IP sets of the network namespace with their members.
    pub ip_sets: Vec<(Subject, Snapshot)>,
    /// All IPVS services of the network namespace, each before its destinations.
    pub ipvs: Vec<(Subject, Snapshot)>,
    /// The paths that were asked for; `None` for one that is gone.
    pub paths: BTreeMap<AbsPath, Option<PathSnapshot>>,
    /// The paths of what is in each directory of `paths`.
    pub children: BTreeMap<AbsPath, BTreeSet<AbsPath>>,
    /// The files of `paths` that have further names (hard links), with how many names they have.
    pub names: BTreeMap<AbsPath, u64>,
    /// All mounts of the mount namespace.
    pub mounts: Vec<(Subject, Snapshot)>,
    /// Where each of them stands, by its number.
    pub places: BTreeMap<u32, MountPlace>,
    /// What is in filesystems in memory that are mounted on one of `paths` and nowhere else, by the mount's number. One
    /// with too much in it, or covered by another mount, is left out.
    pub contents: BTreeMap<u32, BTreeMap<AbsPath, PathSnapshot>>,
    /// The processes in the network namespaces that are mounted on one of `paths`, by the mount's number.
    pub users: BTreeMap<u32, Vec<String>>,
}

/// The ruleset of a network namespace, with the names that its text needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// Before it was read.
    pub read: BootTime,
    /// All its objects; the rules of a chain together and in their order.
    pub objects: Vec<(Subject, Snapshot)>,
    /// Messages about objects that were not understood.
    pub undecoded: usize,
    /// Names of links.
    pub links: BTreeMap<Ifindex, String>,
    /// Tables of the legacy backend, which are beside it: as in [`LiveState::legacy`].
    pub legacy: Vec<(Subject, Snapshot)>,
    /// Why the legacy backend's tables could not be read.
    pub legacy_failure: Option<String>,
}
