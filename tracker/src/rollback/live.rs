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
    paths(objects.iter().filter(|object| selection.names_owner_of(object)))
}

/// The paths that a proof covers: all that the journal knows to be there, anybody's.
pub fn recorded_paths(objects: &[Object]) -> Vec<AbsPath> {
    paths(objects.iter())
}

fn paths<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<AbsPath> {
    let paths: BTreeSet<AbsPath> = objects
        .filter(|object| object.is_live())
        .filter_map(|object| match &object.subject {
            Subject::Path(path) => Some(path.clone()),
            Subject::Mount(mount) => Some(mount.path.clone()),
            _ => None,
        })
        .collect();
    paths.into_iter().collect()
}
