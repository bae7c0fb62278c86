//! What is in the watched directories now: the baseline, and the answer to a loss of events.
//!
//! Looks at names and attributes only: opens no file, follows no symbolic link, and stays out of filesystems that
//! answer from another host or from a user process, because those may never answer. What is mounted below a root is looked
//! into when it holds files of its own and is within the root's depth.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};

use super::CaptureError;
use super::entry::{self, Entry};
use super::mounts::{Mount, MountTable, child};
use super::roots::{Root, RootSet};

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Directories and files, sorted by path.
    pub objects: Vec<(Subject, Snapshot)>,
    /// Whether there are more than the limit allowed to list.
    pub truncated: bool,
    /// What was not looked into, and why.
    pub skipped: Vec<(AbsPath, String)>,
}

/// Lists everything the roots cover, at most `limit` objects.
///
/// Of a mount point the covered object is listed, not the mounted one. A root reached over a symbolic link is listed
/// under its real path, as events tell of it. Roots that are not there are no news.
///
/// # Errors
/// [`CaptureError`] when the mount table cannot be read. What cannot be looked into is in [`Scan::skipped`].
pub fn scan(roots: &[Root], limit: usize) -> Result<Scan, CaptureError> {
    let table = MountTable::read()?;
    let set = RootSet::new(resolve(roots, &table));
    let mut objects = BTreeMap::new();
    let mut walk = Walk::new(&table, &set, limit);
    for root in set.roots() {
        walk.run(&root.path, &mut |path, entry| {
            objects.insert(Subject::Path(path.clone()), Snapshot::Path(entry.snapshot.clone()));
        });
    }
    let Walk { truncated, skipped, .. } = walk;
    Ok(Scan { objects: objects.into_iter().collect(), truncated, skipped })
}

/// Content of one path now, without following it; `None` when nothing is there.
///
/// Of a mount point this is the covered object, as in [`scan`]. A symbolic link on the way to it counts as absence.
///
/// # Errors
/// [`CaptureError::Unavailable`] when the path leads into a filesystem that may hang, [`CaptureError::Io`] when it
/// cannot be looked at.
pub fn snapshot(path: &AbsPath) -> Result<Option<PathSnapshot>, CaptureError> {
    snapshot_in(&MountTable::read()?, path)
}

/// As [`snapshot`], with a mount table read before, for many paths in a row.
///
/// # Errors
/// As [`snapshot`].
pub fn snapshot_in(table: &MountTable, path: &AbsPath) -> Result<Option<PathSnapshot>, CaptureError> {
    if let Some(mount) = entry::split(path).and_then(|(parent, _)| table.hang_risk(&parent)) {
        return Err(CaptureError::Unavailable {
            what: format!("`{path}` is on `{}` ({}), which may hang", mount.mount_point, mount.fs_type),
            remedy: "look at it by hand".to_owned(),
        });
    }
    let found = entry::inspect_path(path);
    let found = found.map_err(|source| CaptureError::Io { operation: "look", object: path.to_string(), source })?;
    Ok(found.map(|entry| entry.snapshot))
}

/// Adds the real path of every root that is reached over a symbolic link (a data directory moved to another disk).
pub(crate) fn resolve(roots: &[Root], table: &MountTable) -> Vec<Root> {
    let mut all = roots.to_vec();
    for root in roots {
        if let Some(path) = real_path(&root.path, table).filter(|path| *path != root.path) {
            all.push(Root { path, depth: root.depth });
        }
    }
    all
}

/// The path with the links on its way resolved, as far as it exists.
pub(crate) fn real_path(path: &AbsPath, table: &MountTable) -> Option<AbsPath> {
    let mut existing = path.as_path();
    loop {
        if table.hang_risk(&AbsPath::new(existing)?).is_some() {
            return None;
        }
        match std::fs::canonicalize(existing) {
            Ok(real) => {
                let rest = path.as_path().strip_prefix(existing).ok()?;
                return AbsPath::new(&real.join(rest));
            }
            Err(_) => existing = existing.parent()?,
        }
    }
}

/// One walk over covered paths; counts what it visits.
pub(crate) struct Walk<'a> {
    table: &'a MountTable,
    set: &'a RootSet,
    left: usize,
    seen: BTreeSet<AbsPath>,
    /// Whether the limit ended it.
    pub(crate) truncated: bool,
    /// What was not looked into.
    pub(crate) skipped: Vec<(AbsPath, String)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(table: &'a MountTable, set: &'a RootSet, limit: usize) -> Self {
        Self { table, set, left: limit, seen: BTreeSet::new(), truncated: false, skipped: Vec::new() }
    }

    /// Visits `start` and what is below it, parents first, in the order of names.
    pub(crate) fn run(&mut self, start: &AbsPath, visit: &mut dyn FnMut(&AbsPath, &Entry)) {
        if self.skip_hanging(start) {
            return;
        }
        match entry::inspect_path(start) {
            Ok(Some(entry)) => {
                let mut dirs = Vec::new();
                self.meet(start.clone(), &entry, visit, &mut dirs);
                while let Some(dir) = dirs.pop().filter(|_| !self.truncated) {
                    let first = dirs.len();
                    if let Err(error) = self.list(&dir, visit, &mut dirs) {
                        self.skip(dir, &error);
                    }
                    if let Some(found) = dirs.get_mut(first..) {
                        found.reverse();
                    }
                }
            }
            Ok(None) => {}
            Err(error) => self.skip(start.clone(), &error),
        }
    }

    fn list(
        &mut self,
        dir: &AbsPath,
        visit: &mut dyn FnMut(&AbsPath, &Entry),
        dirs: &mut Vec<AbsPath>,
    ) -> io::Result<()> {
        let fd = match entry::open_listing(dir) {
            Ok(fd) => fd,
            Err(error) if entry::is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut names = BTreeSet::new();
        for found in rustix::fs::Dir::read_from(&fd)? {
            names.insert(found?.file_name().to_bytes().to_vec());
        }
        for name in names {
            self.look(dir, &fd, OsStr::from_bytes(&name), visit, dirs);
        }
        Ok(())
    }

    fn look(
        &mut self,
        dir: &AbsPath,
        fd: &OwnedFd,
        name: &OsStr,
        visit: &mut dyn FnMut(&AbsPath, &Entry),
        dirs: &mut Vec<AbsPath>,
    ) {
        let Some(path) = child(dir, name) else { return };
        match entry::inspect(fd, Path::new(name)) {
            Ok(Some(entry)) => self.meet(path, &entry, visit, dirs),
            Ok(None) => {}
            Err(error) => self.skip(path, &error),
        }
    }

    fn meet(&mut self, path: AbsPath, entry: &Entry, visit: &mut dyn FnMut(&AbsPath, &Entry), dirs: &mut Vec<AbsPath>) {
        if self.seen.contains(&path) || !self.set.covers(&path) {
            return;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.truncated = true;
            return;
        };
        self.left = left;
        visit(&path, entry);
        self.seen.insert(path.clone());
        let is_dir = entry.snapshot.kind == PathKind::Dir;
        if is_dir && self.set.covers_entries(&path) && !(entry.is_mount_point && self.skip_mount(&path)) {
            dirs.push(path);
        }
    }

    fn skip_hanging(&mut self, path: &AbsPath) -> bool {
        let Some(reason) = self.table.hang_risk(path).and_then(Mount::obstacle) else { return false };
        self.skipped.push((path.clone(), reason));
        true
    }

    /// Whether to stay out of what is mounted at a path. A root may be such a mount, of any kind that answers.
    fn skip_mount(&mut self, path: &AbsPath) -> bool {
        if self.skip_hanging(path) {
            return true;
        }
        let is_root = self.set.roots().iter().any(|root| root.path == *path);
        let Some(reason) = self.table.of(path).filter(|_| !is_root).and_then(Mount::obstacle) else { return false };
        self.skipped.push((path.clone(), reason));
        true
    }

    fn skip(&mut self, path: AbsPath, error: &io::Error) {
        self.skipped.push((path, error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::roots::Depth;
    use super::*;

    fn abs(path: &Path) -> AbsPath {
        AbsPath::new(path).expect("absolute")
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(dir.path().join("net.d/a/b")).expect("mkdir");
        std::fs::write(dir.path().join("net.d/a/conf"), "x").expect("write");
        std::os::unix::fs::symlink("a", dir.path().join("net.d/link")).expect("symlink");
        dir
    }

    fn names(scan: &Scan, base: &Path) -> Vec<String> {
        let path = |subject: &Subject| match subject {
            Subject::Path(path) => path.as_path().strip_prefix(base).expect("below").display().to_string(),
            other => panic!("not a path: {other:?}"),
        };
        scan.objects.iter().map(|(subject, _)| path(subject)).collect()
    }

    #[test]
    fn everything_within_depth_is_listed_and_links_are_not_entered() {
        let dir = tree();
        let root = |depth| [Root { path: abs(&dir.path().join("net.d")), depth }];
        let all = scan(&root(Depth::All), 100).expect("scan");
        assert_eq!(names(&all, dir.path()), ["net.d", "net.d/a", "net.d/a/b", "net.d/a/conf", "net.d/link"]);
        assert!(!all.truncated && all.skipped.is_empty());
        let flat = scan(&root(Depth::Levels(1)), 100).expect("scan");
        assert_eq!(names(&flat, dir.path()), ["net.d", "net.d/a", "net.d/link"]);
    }

    #[test]
    fn the_limit_is_told() {
        let dir = tree();
        let cut = scan(&[Root { path: abs(dir.path()), depth: Depth::All }], 3).expect("scan");
        assert_eq!((cut.objects.len(), cut.truncated), (3, true));
        let whole = scan(&[Root { path: abs(dir.path()), depth: Depth::All }], 6).expect("scan");
        assert_eq!((whole.objects.len(), whole.truncated), (6, false));
    }

    #[test]
    fn a_root_behind_a_link_is_listed_by_its_real_path() {
        let dir = tree();
        let root = Root { path: abs(&dir.path().join("net.d/link")), depth: Depth::Levels(1) };
        let found = scan(&[root], 100).expect("scan");
        assert_eq!(names(&found, dir.path()), ["net.d/a", "net.d/a/b", "net.d/a/conf", "net.d/link"]);
    }

    #[test]
    fn a_missing_root_is_no_news() {
        let dir = tree();
        let missing = abs(&dir.path().join("missing/deeper"));
        let found = scan(&[Root { path: missing.clone(), depth: Depth::All }], 100).expect("scan");
        assert_eq!(found, Scan { objects: Vec::new(), truncated: false, skipped: Vec::new() });
        assert_eq!(snapshot(&missing).expect("readable"), None);
    }
}
