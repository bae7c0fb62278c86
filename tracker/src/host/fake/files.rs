//! Files in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::live::LiveState;
use crate::model::path::{AbsPath, Inode, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::WallTime;

/// A filesystem with the unlink and rmdir rules that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeFiles {
    entries: BTreeMap<AbsPath, PathSnapshot>,
    /// Files with further names, with how many they have.
    pub names: BTreeMap<AbsPath, u64>,
    last_inode: u64,
}

impl FakeFiles {
    /// What was read.
    pub(super) fn of(live: &LiveState) -> Self {
        let entry = |(path, found): (&AbsPath, &Option<PathSnapshot>)| Some((path.clone(), found.clone()?));
        Self { entries: live.paths.iter().filter_map(entry).collect(), names: live.names.clone(), last_inode: 0 }
    }

    /// Makes a path; parents are not asked for. A new inode each time, as after unlink and create.
    pub fn create(&mut self, path: &AbsPath, kind: PathKind, size: u64) -> (Subject, Snapshot) {
        self.last_inode += 1;
        let born = WallTime(i64::try_from(self.last_inode).unwrap_or(i64::MAX));
        let inode = Inode { dev: 1, ino: self.last_inode, born: Some(born) };
        let modified = (kind != PathKind::Dir).then_some(born);
        let snapshot = PathSnapshot { kind, inode, mode: 0o755, uid: 0, gid: 0, size, modified };
        self.entries.insert(path.clone(), snapshot.clone());
        (Subject::Path(path.clone()), Snapshot::Path(snapshot))
    }

    /// Puts back what was at a path, under a new inode.
    pub(super) fn restore(&mut self, path: &AbsPath, content: &PathSnapshot) -> Result<(), i32> {
        if self.entries.contains_key(path) {
            return Err(libc::EEXIST);
        }
        let parent = path.as_path().parent().and_then(AbsPath::new);
        // the top is there without being listed
        let has_parent =
            parent.is_none_or(|parent| parent.as_path().parent().is_none() || self.entries.contains_key(&parent));
        if !has_parent {
            return Err(libc::ENOENT);
        }
        let (_, made) = self.create(path, content.kind, content.size);
        if let Snapshot::Path(made) = made {
            self.entries.insert(path.clone(), PathSnapshot { inode: made.inode, ..content.clone() });
        }
        Ok(())
    }

    /// What is at a path.
    pub fn get(&self, path: &AbsPath) -> Option<&PathSnapshot> {
        self.entries.get(path)
    }

    /// Every path with what is there.
    pub fn entries(&self) -> &BTreeMap<AbsPath, PathSnapshot> {
        &self.entries
    }

    /// The paths directly in a directory.
    pub fn children(&self, directory: &AbsPath) -> BTreeSet<AbsPath> {
        let parent = Some(directory.as_path());
        self.entries.keys().filter(|path| path.as_path().parent() == parent).cloned().collect()
    }

    /// What is below a directory at any depth.
    pub(super) fn below(&self, top: &AbsPath) -> BTreeMap<AbsPath, PathSnapshot> {
        let is_below = |(path, _): &(&AbsPath, &PathSnapshot)| *path != top && path.is_within(top);
        self.entries.iter().filter(is_below).map(|(path, now)| (path.clone(), now.clone())).collect()
    }

    /// Forgets what is below a directory: its filesystem ended.
    pub(super) fn lose(&mut self, top: &AbsPath) {
        self.entries.retain(|path, _| path == top || !path.is_within(top));
    }

    /// Unlinks a file or removes an empty directory.
    pub(super) fn remove(&mut self, path: &AbsPath) -> Result<(), i32> {
        if !self.children(path).is_empty() {
            return Err(libc::ENOTEMPTY);
        }
        self.entries.remove(path).map(|_| ()).ok_or(libc::ENOENT)
    }
}
