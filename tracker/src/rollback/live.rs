//! Which part of the live state a planner asks for.

use std::collections::BTreeSet;

use super::selection::Selection;
use crate::model::object::Object;
use crate::model::path::AbsPath;
use crate::model::subject::Subject;

pub use crate::model::live::LiveState;

/// The paths whose live state a plan for `selection` needs: those the journal gives to its owner, and those on which
/// something of the owner's is mounted.
pub fn candidate_paths(objects: &[Object], selection: &Selection) -> Vec<AbsPath> {
    let paths: BTreeSet<AbsPath> = objects
        .iter()
        .filter(|object| object.is_live() && selection.names_owner_of(object))
        .filter_map(|object| match &object.subject {
            Subject::Path(path) => Some(path.clone()),
            Subject::Mount(mount) => Some(mount.path.clone()),
            _ => None,
        })
        .collect();
    paths.into_iter().collect()
}
