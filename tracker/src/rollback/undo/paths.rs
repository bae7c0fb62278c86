//! Files and directories that come back: each where nothing is now, in a directory that is there or comes back.

use std::collections::BTreeSet;

use super::mounts::Coming;
use super::{How, Obstacle, UndoPlan};
use crate::model::live::LiveState;
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::archive::Item;

pub(super) fn plan(items: &[&Item], live: &LiveState, mounts: &Coming, plan: &mut UndoPlan) {
    let mut sorted: Vec<(&AbsPath, &Item)> = items
        .iter()
        .filter_map(|item| match &item.subject {
            Subject::Path(path) => Some((path, *item)),
            _ => None,
        })
        .collect();
    // parents sort before what is in them
    sorted.sort_by_key(|(path, _)| *path);
    let mut coming: BTreeSet<AbsPath> = BTreeSet::new();
    for (path, item) in sorted {
        let Snapshot::Path(was) = &item.snapshot else { continue };
        if let Some(mount) = mounts.hidden(path, was.inode.dev) {
            plan.refuse(item, Obstacle::Needs(format!("mount {mount}")));
            continue;
        }
        match live.paths.get(path) {
            Some(Some(now)) if now.inode == was.inode => plan.there.push(item.clone()),
            Some(Some(_)) => plan.refuse(item, Obstacle::Taken),
            Some(None) => match parent(path) {
                Some(parent) if !coming.contains(&parent) && !is_dir(live, &parent) => {
                    plan.refuse(item, Obstacle::Needs(parent.to_string()));
                }
                _ => {
                    coming.insert(path.clone());
                    plan.restore(item, How::Add);
                }
            },
            None => plan.refuse(item, Obstacle::Needs(path.to_string())),
        }
    }
}

fn parent(path: &AbsPath) -> Option<AbsPath> {
    path.as_path().parent().and_then(AbsPath::new)
}

fn is_dir(live: &LiveState, path: &AbsPath) -> bool {
    matches!(live.paths.get(path), Some(Some(PathSnapshot { kind: PathKind::Dir, .. })))
}
