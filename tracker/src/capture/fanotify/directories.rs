//! From directory handles to paths.
//!
//! A mark covers a whole filesystem, so most events are of no interest: builds and image pulls make thousands a second.
//! Those are told by one look into a table of handles known to be elsewhere. Watched directories are remembered too,
//! since the handle of a directory that was removed before its events were read no longer opens. What is remembered
//! cannot become wrong by reuse of an inode number (a handle holds the generation), only by moving a directory.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;

use crate::capture::entry;
use crate::model::path::{AbsPath, PathSnapshot};

use super::event::Fid;
use super::marks::Marks;
use super::sys;

/// Where a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Its entries are watched, or a root lies below it.
    Relevant(AbsPath),
    /// Anywhere else, or nowhere any more.
    Outside,
}

/// Directories seen before.
#[derive(Debug)]
pub(super) struct Directories {
    relevant: Aging<AbsPath>,
    outside: Aging<()>,
}

impl Directories {
    /// Remembers about `limit` directories of each kind.
    pub(super) fn new(limit: usize) -> Self {
        Self { relevant: Aging::new(limit), outside: Aging::new(limit) }
    }

    /// Finds a directory, asking the filesystem only when it was not seen before.
    ///
    /// Fails when the filesystem cannot be asked: then the event may have been of interest.
    pub(super) fn find(&mut self, dir: Fid<'_>, marks: &Marks) -> io::Result<Place> {
        if self.outside.get(dir.bytes()).is_some() {
            return Ok(Place::Outside);
        }
        if let Some(path) = self.relevant.get(dir.bytes()) {
            return Ok(Place::Relevant(path.clone()));
        }
        let place = locate(dir, marks)?;
        match &place {
            Place::Relevant(path) => self.relevant.put(dir.bytes().into(), path.clone()),
            Place::Outside => self.outside.put(dir.bytes().into(), ()),
        }
        Ok(place)
    }

    /// Remembers a directory whose path is known.
    pub(super) fn learn(&mut self, dir: Box<[u8]>, path: AbsPath) {
        self.relevant.put(dir, path);
    }

    /// Forgets what was at or below a path, because it moved away.
    pub(super) fn moved_away(&mut self, path: &AbsPath) {
        self.relevant.retain(|known| !known.is_within(path));
    }

    /// Forgets what is elsewhere, because some of it moved here.
    pub(super) fn moved_in(&mut self) {
        self.outside.clear();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.relevant.clear();
        self.outside.clear();
    }
}

/// Asks the filesystem, through each mount it is seen by.
fn locate(dir: Fid<'_>, marks: &Marks) -> io::Result<Place> {
    for mount_point in marks.mount_points(dir.fsid()) {
        let Some(opened) = open(dir, mount_point)? else { continue };
        let Some(path) = path_of(&opened)? else { continue };
        if marks.is_relevant(&path) && is_at(&opened, &path) {
            return Ok(Place::Relevant(path));
        }
    }
    Ok(Place::Outside)
}

/// The object itself, wherever it is; `None` when it has no name left.
pub(super) fn object(target: Fid<'_>, marks: &Marks) -> io::Result<Option<PathSnapshot>> {
    for mount_point in marks.mount_points(target.fsid()) {
        let Some(opened) = open(target, mount_point)? else { continue };
        let (snapshot, links) = entry::snapshot_of(opened)?;
        return Ok((links > 0).then_some(snapshot));
    }
    Ok(None)
}

/// Opens an object through one mount; `None` when it, or the mount, is gone.
fn open(fid: Fid<'_>, mount_point: &AbsPath) -> io::Result<Option<OwnedFd>> {
    // Opened for this moment only: a descriptor kept here would make the filesystem impossible to unmount.
    let mount = match entry::open_listing(mount_point) {
        Ok(mount) => mount,
        Err(error) if entry::is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    match sys::open_by_handle(mount.as_fd(), fid.handle()) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::STALE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn path_of(dir: &OwnedFd) -> io::Result<Option<AbsPath>> {
    Ok(AbsPath::new(&std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))?))
}

/// Whether a path really leads to a directory. It does not when the directory is outside the part of the filesystem
/// that is mounted (the kernel's path is `/` then), below another mount, or removed.
fn is_at(dir: &OwnedFd, path: &AbsPath) -> bool {
    let there = entry::open_dir(path).and_then(entry::snapshot_of);
    matches!((there, entry::snapshot_of(dir)), (Ok((there, _)), Ok((here, _))) if there.inode == here.inode)
}

/// A bounded map that forgets what was not asked for lately: two generations, the older dropped when the younger is full.
#[derive(Debug)]
struct Aging<V> {
    limit: usize,
    young: HashMap<Box<[u8]>, V>,
    old: HashMap<Box<[u8]>, V>,
}

impl<V> Aging<V> {
    fn new(limit: usize) -> Self {
        Self { limit: (limit / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, key: &[u8]) -> Option<&V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get(key)
    }

    fn put(&mut self, key: Box<[u8]>, value: V) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_bounded_and_keeps_what_is_used() {
        let mut map = Aging::new(8);
        for key in 0..100_u8 {
            map.put([key].into(), key);
            assert_eq!(map.get(&[0]), Some(&0), "asked for after each step, so kept at step {key}");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert_eq!(map.get(&[50]), None);
        map.retain(|value| *value != 0);
        assert_eq!(map.get(&[0]), None);
        assert_eq!(map.get(&[99]), Some(&99));
    }
}
