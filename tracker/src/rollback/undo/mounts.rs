//! Mounts that come back: filesystems in memory, with what was recorded in them, and parts of what other mounts show.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Obstacle, UndoPlan};
use crate::model::live::LiveState;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::archive::Item;

/// What becomes of the mounts of an archive.
#[derive(Debug, Default)]
pub(super) struct Coming {
    /// Those that come back if their mount points do.
    wanted: BTreeMap<AbsPath, Vec<Item>>,
    /// Where one stays away, and the devices that were mounted there.
    away: Vec<(AbsPath, u64)>,
}

impl Coming {
    /// Judges the mounts among an archive's objects.
    pub(super) fn new(items: &[&Item], live: &LiveState, plan: &mut UndoPlan) -> Self {
        let mut coming = Self::default();
        for item in items {
            let Some((mount, content)) = mount_of(&item.subject, &item.snapshot) else { continue };
            let there = live.mounts.iter().filter_map(|(subject, now)| mount_of(subject, now));
            let there: Vec<_> = there.filter(|(other, _)| other.path == mount.path).collect();
            if there.iter().any(|(other, now)| other.id == mount.id && now.identity() == content.identity()) {
                plan.there.push((*item).clone());
            } else if let Some(reason) = obstacle(content, live).or((!there.is_empty()).then_some(Obstacle::Taken)) {
                plan.refuse(item, reason);
                coming.away.push((mount.path.clone(), content.dev));
            } else {
                coming.wanted.entry(mount.path.clone()).or_default().push((*item).clone());
            }
        }
        coming
    }

    /// The mount point of a mount that stays away and in which a file was; it would come back below it.
    pub(super) fn hidden(&self, path: &AbsPath, dev: u64) -> Option<&AbsPath> {
        let is_in = |(at, its): &&(AbsPath, u64)| *its == dev && path != at && path.is_within(at);
        self.away.iter().find(is_in).map(|(at, _)| at)
    }

    /// Makes the steps, for mounts whose mount point is there or comes back.
    pub(super) fn plan(self, live: &LiveState, plan: &mut UndoPlan) {
        let paths: BTreeSet<AbsPath> = plan.steps.iter().filter_map(|step| path_of(&step.subject)).collect();
        let mut mounts: BTreeMap<AbsPath, bool> = BTreeMap::new();
        for (path, items) in self.wanted {
            // of one in another mount that is shown elsewhere the mount point is seen only when that is there; one that
            // is made anew is empty
            let is_there = match mounts.iter().rfind(|(other, _)| path.is_within(other) && **other != path) {
                Some((_, is_new)) => !is_new || paths.contains(&path),
                None => paths.contains(&path) || matches!(live.paths.get(&path), Some(Some(_))),
            };
            for item in items {
                if is_there {
                    mounts.insert(path.clone(), is_new(&item.snapshot, live));
                    plan.restore(&item, How::Add);
                } else {
                    plan.refuse(&item, Obstacle::Needs(path.to_string()));
                }
            }
        }
    }
}

fn path_of(subject: &Subject) -> Option<AbsPath> {
    match subject {
        Subject::Path(path) => Some(path.clone()),
        _ => None,
    }
}

fn mount_of<'a>(subject: &'a Subject, snapshot: &'a Snapshot) -> Option<(&'a MountSubject, &'a MountSnapshot)> {
    match (subject, snapshot) {
        (Subject::Mount(mount), Snapshot::Mount(content)) => Some((mount, content)),
        _ => None,
    }
}

/// Whether a mount is of a filesystem in memory that is gone.
fn is_new(snapshot: &Snapshot, live: &LiveState) -> bool {
    let Snapshot::Mount(content) = snapshot else { return false };
    let is_same = |(_, now): &(Subject, Snapshot)| matches!(now, Snapshot::Mount(now) if now.dev == content.dev);
    content.is_in_memory() && !live.mounts.iter().any(is_same)
}

/// Why a mount cannot be made of what is recorded.
fn obstacle(content: &MountSnapshot, live: &LiveState) -> Option<Obstacle> {
    if content.is_namespace() {
        return Some(Obstacle::Namespace);
    }
    let is_shown = live.mounts.iter().filter_map(|(subject, now)| mount_of(subject, now)).any(|(at, now)| {
        let place = live.places.get(&at.id).copied().unwrap_or_default();
        let is_above = std::path::Path::new(&content.root).starts_with(&now.root);
        now.dev == content.dev && is_above && !place.may_hang
    });
    let is_new = content.is_in_memory() && content.root == "/";
    (!is_shown && !is_new).then(|| Obstacle::Filesystem(content.fs_type.clone()))
}
