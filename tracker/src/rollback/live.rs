//! The live state: everything a planner may look at besides the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::selection::Selection;
use crate::model::ids::Generation;
use crate::model::object::Object;
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};

/// What is there now, read through [`crate::host::Host::live`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveState {
    /// Number of the nftables ruleset that `nft` shows.
    pub generation: Generation,
    /// The whole ruleset of the network namespace; the rules of a chain in their order.
    pub nft: Vec<(Subject, Snapshot)>,
    /// All links, addresses, routes and ip rules of the network namespace.
    pub rt: Vec<(Subject, Snapshot)>,
    /// The paths that were asked for; `None` for one that is gone.
    pub paths: BTreeMap<AbsPath, Option<PathSnapshot>>,
    /// The paths of what is in each directory of `paths`.
    pub children: BTreeMap<AbsPath, BTreeSet<AbsPath>>,
    /// Mount points.
    pub mounts: BTreeSet<AbsPath>,
}

/// The paths whose live state a plan for `selection` needs: those the journal gives to its owner.
pub fn candidate_paths(objects: &[Object], selection: &Selection) -> Vec<AbsPath> {
    let paths: BTreeSet<AbsPath> = objects
        .iter()
        .filter(|object| object.is_live() && selection.names_owner_of(object))
        .filter_map(|object| match &object.subject {
            Subject::Path(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    paths.into_iter().collect()
}
