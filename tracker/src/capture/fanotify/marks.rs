//! Which filesystems are marked for which roots, and which cannot be.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::capture::CaptureError;
use crate::capture::entry;
use crate::capture::mounts::{Mount, MountTable};
use crate::capture::roots::{Root, RootSet};
use crate::capture::scan;
use crate::model::path::AbsPath;

use super::sys;

/// What became of one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootReport {
    /// As configured.
    pub root: Root,
    /// Its real path, which events tell of; differs when the root is reached over a symbolic link.
    pub path: AbsPath,
    /// Whether events of it arrive.
    pub watch: Watch,
    /// Mounts below it, within its depth, whose events do not arrive, each with the reason.
    pub holes: Vec<(AbsPath, String)>,
}

/// Whether events of a root arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// They do.
    Watched {
        /// Type of the filesystem the root is on, or will be made on.
        filesystem: String,
    },
    /// They do not; only scans see it.
    NotWatched {
        /// Why.
        reason: String,
    },
}

/// The filesystems marked now.
#[derive(Debug)]
pub(super) struct Marks {
    /// The mount table they were chosen by.
    pub(super) table: MountTable,
    /// Roots, by configured and by real path.
    pub(super) set: RootSet,
    /// What became of each configured root.
    pub(super) reports: Vec<RootReport>,
    by_fsid: BTreeMap<u64, Vec<AbsPath>>,
    by_dev: BTreeMap<u64, u64>,
}

impl Marks {
    /// Mounts a filesystem is seen by.
    pub(super) fn mount_points(&self, fsid: u64) -> &[AbsPath] {
        self.by_fsid.get(&fsid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Filesystem id of a device.
    pub(super) fn fsid(&self, dev: u64) -> Option<u64> {
        self.by_dev.get(&dev).copied()
    }

    /// Whether events in a directory are of interest: its entries are watched, or a root lies below it.
    pub(super) fn is_relevant(&self, dir: &AbsPath) -> bool {
        self.set.covers_entries(dir) || self.set.below(dir).next().is_some()
    }

    /// Whether the same filesystems are marked, at the same places.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.by_fsid == other.by_fsid && self.set == other.set
    }
}

/// Marks the filesystem of every root (of the directory it will be made in, when it is not there yet), and of mounts
/// below it within its depth. Marking again does no harm.
pub(super) fn mark(group: BorrowedFd<'_>, roots: &[Root], mask: u64) -> Result<Marks, CaptureError> {
    let table = MountTable::read()?;
    let set = RootSet::new(scan::resolve(roots, &table));
    let mut marker = Marker { group, mask, results: BTreeMap::new(), by_dev: BTreeMap::new(), is_forbidden: false };
    let mut by_fsid: BTreeMap<u64, Vec<AbsPath>> = BTreeMap::new();
    let mut reports = Vec::new();
    for root in roots {
        let path = scan::real_path(&root.path, &table).unwrap_or_else(|| root.path.clone());
        let watch = match (table.hang_risk(&path).and_then(Mount::obstacle), table.of(&path)) {
            (Some(reason), _) => Err(reason),
            (None, Some(mount)) => marker.mark(mount).map(|fsid| (fsid, mount)),
            (None, None) => Err("it is in no mount".to_owned()),
        };
        let watch = match watch {
            Ok((fsid, mount)) => {
                note(&mut by_fsid, fsid, mount);
                Watch::Watched { filesystem: mount.fs_type.clone() }
            }
            Err(reason) => Watch::NotWatched { reason },
        };
        let mut holes = Vec::new();
        for mount in table.within(&path, |point| *point != path && set.covers_entries(point)) {
            let obstacle = table.hang_risk(&mount.mount_point).unwrap_or(mount).obstacle();
            match obstacle.map_or_else(|| marker.mark(mount), Err) {
                Ok(fsid) => note(&mut by_fsid, fsid, mount),
                Err(reason) => holes.push((mount.mount_point.clone(), reason)),
            }
        }
        reports.push(RootReport { root: root.clone(), path, watch, holes });
    }
    let Marker { by_dev, is_forbidden, .. } = marker;
    if is_forbidden && by_fsid.is_empty() {
        return Err(super::not_privileged());
    }
    Ok(Marks { table, set, reports, by_fsid, by_dev })
}

fn note(by_fsid: &mut BTreeMap<u64, Vec<AbsPath>>, fsid: u64, mount: &Mount) {
    let points = by_fsid.entry(fsid).or_default();
    if !points.contains(&mount.mount_point) {
        points.push(mount.mount_point.clone());
    }
}

/// Marks mounts, each once, and remembers what became of them.
struct Marker<'a> {
    group: BorrowedFd<'a>,
    mask: u64,
    results: BTreeMap<u32, Result<u64, String>>,
    by_dev: BTreeMap<u64, u64>,
    is_forbidden: bool,
}

impl Marker<'_> {
    /// The filesystem id, or why there are no events.
    fn mark(&mut self, mount: &Mount) -> Result<u64, String> {
        if let Some(known) = self.results.get(&mount.id) {
            return known.clone();
        }
        let result = self.try_mark(mount);
        if let Ok((dev, fsid)) = result {
            self.by_dev.insert(dev, fsid);
        }
        let result = result.map(|(_, fsid)| fsid).map_err(|error| explain(mount, &error));
        self.results.insert(mount.id, result.clone());
        result
    }

    fn try_mark(&mut self, mount: &Mount) -> io::Result<(u64, u64)> {
        let dir = entry::open_listing(&mount.mount_point)?;
        let fsid = rustix::fs::fstatvfs(&dir)?.f_fsid;
        let dev = entry::snapshot_of(&dir)?.0.inode.dev;
        if self.by_dev.iter().any(|(&other, &id)| id == fsid && other != dev) {
            return Err(Errno::NOTUNIQ.into());
        }
        // Events carry handles; where those cannot be opened a mark is of no use.
        let opened = sys::open_by_handle(dir.as_fd(), &sys::handle_of(dir.as_fd())?);
        let marked = opened.and_then(|_| sys::mark_filesystem(self.group, self.mask, dir.as_fd()));
        if matches!(&marked, Err(error) if Errno::from_io_error(error) == Some(Errno::PERM)) {
            self.is_forbidden = true;
        }
        marked.map(|()| (dev, fsid))
    }
}

fn explain(mount: &Mount, error: &io::Error) -> String {
    let why = match Errno::from_io_error(error) {
        Some(Errno::NODEV) => "has no filesystem id",
        Some(Errno::XDEV) => "is a subvolume with a filesystem id of its own",
        Some(Errno::OPNOTSUPP) => "has no file handles",
        Some(Errno::NOTUNIQ) => "has the same filesystem id as another one, so that events could not be told apart",
        _ => return format!("`{}` ({}) cannot be watched: {error}", mount.mount_point, mount.fs_type),
    };
    format!("`{}` ({}) {why}", mount.mount_point, mount.fs_type)
}
