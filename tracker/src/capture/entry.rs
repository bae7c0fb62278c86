//! One directory entry, looked at without following a link or entering a mount.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::model::path::{AbsPath, Inode, PathKind, PathSnapshot};
use crate::model::time::WallTime;

/// A directory entry that is there.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The object itself (`O_PATH`), the one below when something is mounted on it.
    pub(crate) fd: OwnedFd,
    /// Its content.
    pub(crate) snapshot: PathSnapshot,
    /// How many names it has.
    pub(crate) links: u32,
    /// Whether a filesystem is mounted on it.
    pub(crate) is_mount_point: bool,
}

const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a directory as a place to look entries up in. A symbolic link anywhere in the path is `ELOOP`.
pub(crate) fn open_dir(path: &AbsPath) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(CWD, path.as_path(), flags, Mode::empty(), NO_LINKS)?)
}

/// Opens a directory for listing. A symbolic link anywhere in the path is `ELOOP`.
pub(crate) fn open_listing(path: &AbsPath) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat2(CWD, path.as_path(), flags, Mode::empty(), NO_LINKS)?)
}

/// Looks at `name` in `dir`; `None` when there is no such entry.
///
/// Below a mount point this sees the object that is covered: it is what was created there, and what can be removed.
pub(crate) fn inspect(dir: impl AsFd, name: &Path) -> io::Result<Option<Entry>> {
    let dir = dir.as_fd();
    let (fd, is_mount_point) = match open_entry(dir, name) {
        Ok(fd) => (fd, false),
        Err(Errno::XDEV) => {
            // A private copy of the directory's mount, without the mounts on top of it (Linux 5.2, CAP_SYS_ADMIN).
            let flags =
                OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
            let bare = rustix::mount::open_tree(dir, "", flags)?;
            match open_entry(bare.as_fd(), name) {
                Ok(fd) => (fd, true),
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (snapshot, links) = snapshot_of(&fd)?;
    Ok(Some(Entry { fd, snapshot, links, is_mount_point }))
}

/// Looks at a path; `None` when it, or a directory on the way, is not there or the way leads over a symbolic link.
pub(crate) fn inspect_path(path: &AbsPath) -> io::Result<Option<Entry>> {
    let Some((parent, name)) = split(path) else {
        let fd = open_dir(path)?;
        let (snapshot, links) = snapshot_of(&fd)?;
        return Ok(Some(Entry { fd, snapshot, links, is_mount_point: true }));
    };
    match open_dir(&parent) {
        Ok(dir) => inspect(dir, name),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory that is open, perhaps as a place only: of the directory itself when something covers it.
pub(crate) fn names_of(dir: impl AsFd) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let listing = rustix::fs::openat(dir, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&listing)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The directory a path is in, and its name there; `None` for `/`.
pub(crate) fn split(path: &AbsPath) -> Option<(AbsPath, &Path)> {
    let name = path.as_path().file_name()?;
    Some((AbsPath::new(path.as_path().parent()?)?, Path::new(name)))
}

/// Whether an error says that nothing is at a path without symbolic links.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Content and link count of an open object.
pub(crate) fn snapshot_of(fd: impl AsFd) -> io::Result<(PathSnapshot, u32)> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(fd, "", flags, wanted)?;
    Ok((snapshot(&stat), stat.stx_nlink))
}

fn snapshot(stat: &Statx) -> PathSnapshot {
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::Directory => PathKind::Dir,
        FileType::RegularFile => PathKind::File,
        FileType::Symlink => PathKind::Symlink,
        _ => PathKind::Special,
    };
    let is_dir = kind == PathKind::Dir;
    let time = |stamp: rustix::fs::StatxTimestamp| {
        WallTime(stamp.tv_sec.saturating_mul(1_000_000_000).saturating_add(stamp.tv_nsec.into()))
    };
    let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    PathSnapshot {
        kind,
        inode: Inode {
            dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            born: has_birth.then(|| time(stat.stx_btime)),
        },
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: if is_dir { 0 } else { stat.stx_size },
        modified: (!is_dir).then(|| time(stat.stx_mtime)),
    }
}

/// Opens without reading, following or triggering anything. `EXDEV`: something is mounted there.
fn open_entry(dir: impl AsFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abs(path: &Path) -> AbsPath {
        AbsPath::new(path).expect("absolute")
    }

    #[test]
    fn kinds_are_told_apart_and_links_not_followed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path();
        std::fs::write(path.join("file"), "four").expect("write");
        std::fs::create_dir(path.join("dir")).expect("mkdir");
        std::os::unix::fs::symlink("file", path.join("link")).expect("symlink");
        let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).expect("bind");
        let see = |name: &str| inspect_path(&abs(&path.join(name))).expect("readable").map(|entry| entry.snapshot);

        let file = see("file").expect("there");
        assert_eq!((file.kind, file.size), (PathKind::File, 4));
        assert!(file.modified.is_some());
        let sub = see("dir").expect("there");
        assert_eq!((sub.kind, sub.size, sub.modified), (PathKind::Dir, 0, None));
        let link = see("link").expect("there");
        assert_eq!(link.kind, PathKind::Symlink);
        assert_ne!(link.inode, file.inode);
        assert_eq!(see("socket").expect("there").kind, PathKind::Special);
        assert_eq!(see("missing"), None);
        assert_eq!(see("file/below"), None);
    }

    #[test]
    fn a_symbolic_link_on_the_way_is_not_taken() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("real")).expect("mkdir");
        std::fs::write(dir.path().join("real/file"), "").expect("write");
        std::os::unix::fs::symlink("real", dir.path().join("alias")).expect("symlink");
        assert!(inspect_path(&abs(&dir.path().join("real/file"))).expect("readable").is_some());
        assert!(inspect_path(&abs(&dir.path().join("alias/file"))).expect("readable").is_none());
    }
}
