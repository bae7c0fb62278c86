//! Putting back files and directories that a rollback removed, each only where nothing is now.
//!
//! The parent directory is opened without following any symbolic link. A file is written without a name and gets it when
//! it is whole (`O_TMPFILE`, where the filesystem has it), so a tracker that is killed leaves no half of one.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::HostError;
use super::archive::{ArchiveError, ArchiveStore, ArchivedFile, FileContent};
use crate::capture::entry;
use crate::model::ids::OperationId;
use crate::model::path::AbsPath;
use crate::model::time::WallTime;

/// What became of each path that was to be put back.
pub type Restored = Vec<(AbsPath, Result<(), HostError>)>;

/// Puts back `wanted` from an operation's archive, parents first; directories get their times when all is in them.
///
/// # Errors
/// [`ArchiveError`] when the archive cannot be read; what was put back before stays.
pub fn restore(
    store: &ArchiveStore,
    operation: OperationId,
    wanted: &BTreeSet<AbsPath>,
) -> Result<Restored, ArchiveError> {
    let mut done: Restored = Vec::new();
    let mut directories: Vec<ArchivedFile> = Vec::new();
    store.files(operation, |file, content| {
        if wanted.contains(&file.path) {
            let result = one(file, content).map_err(|source| failed(&file.path, source));
            if result.is_ok() && file.content == FileContent::Dir {
                directories.push(file.clone());
            }
            done.push((file.path.clone(), result));
        }
    })?;
    for directory in directories.iter().rev() {
        let dated = open_made(&directory.path).and_then(|fd| set_times(&fd, directory));
        if let (Err(source), Some((_, result))) = (dated, done.iter_mut().find(|(path, _)| *path == directory.path)) {
            *result = Err(failed(&directory.path, source));
        }
    }
    for path in wanted {
        if !done.iter().any(|(known, _)| known == path) {
            let source = io::Error::new(io::ErrorKind::NotFound, "it is not in the archive");
            done.push((path.clone(), Err(failed(path, source))));
        }
    }
    Ok(done)
}

fn failed(path: &AbsPath, source: io::Error) -> HostError {
    HostError::Io { operation: "put back", object: format!("`{path}`"), source }
}

fn one(file: &ArchivedFile, content: &mut dyn Read) -> io::Result<()> {
    let (parent, name) = entry::split(&file.path).ok_or(Errno::EXIST)?;
    let dir = entry::open_dir(&parent)?;
    let private = Mode::from_raw_mode(0o600);
    match &file.content {
        FileContent::Dir => {
            // with its mode from the start: nobody is told of a later change
            rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(file.mode))?;
            let made = open_in(&dir, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
            set_owner_and_xattrs(&made, file)
        }
        FileContent::File => {
            let (made, is_named) = new_file(&dir, name)?;
            let mut made = std::fs::File::from(made);
            io::copy(content, &mut made)?;
            set_owner_and_xattrs(&made, file)?;
            set_times(&made, file)?;
            made.sync_all()?;
            if is_named { Ok(()) } else { give_name(&made, &dir, name) }
        }
        FileContent::Symlink(target) => {
            rustix::fs::symlinkat(Path::new(std::ffi::OsStr::from_bytes(target)), &dir, name)?;
            let (uid, gid) = owner(file);
            Ok(rustix::fs::chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
        }
        FileContent::Fifo => {
            rustix::fs::mknodat(&dir, name, FileType::Fifo, private, 0)?;
            set_node(&dir, name, file)
        }
        FileContent::Device { is_block, major, minor } => {
            let kind = if *is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
            rustix::fs::mknodat(&dir, name, kind, private, rustix::fs::makedev(*major, *minor))?;
            set_node(&dir, name, file)
        }
    }
}

/// A new file for `name`: without a name where the filesystem can, and whether it has one already.
fn new_file(dir: &OwnedFd, name: &Path) -> io::Result<(OwnedFd, bool)> {
    let mode = Mode::from_raw_mode(0o600);
    let listing = open_in(dir, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
    match rustix::fs::openat(&listing, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
        Ok(made) => Ok((made, false)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
            Ok((rustix::fs::openat(dir, name, flags, mode)?, true))
        }
        Err(error) => Err(error.into()),
    }
}

fn give_name(made: impl AsFd, dir: &OwnedFd, name: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", made.as_fd().as_raw_fd());
    Ok(rustix::fs::linkat(CWD, own, dir, name, AtFlags::SYMLINK_FOLLOW)?)
}

fn open_in(dir: impl AsFd, name: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    Ok(rustix::fs::openat2(dir, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

fn open_made(path: &AbsPath) -> io::Result<OwnedFd> {
    let (parent, name) = entry::split(path).ok_or(Errno::NOENT)?;
    open_in(entry::open_dir(&parent)?, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

fn owner(file: &ArchivedFile) -> (Uid, Gid) {
    (Uid::from_raw(file.uid), Gid::from_raw(file.gid))
}

/// The owner before the mode: giving a file away takes its set-user-id bit.
fn set_owner_and_xattrs(made: impl AsFd, file: &ArchivedFile) -> io::Result<()> {
    let (uid, gid) = owner(file);
    rustix::fs::fchown(&made, Some(uid), Some(gid))?;
    for (name, value) in &file.xattrs {
        rustix::fs::fsetxattr(&made, name.as_str(), value, XattrFlags::empty())?;
    }
    Ok(rustix::fs::fchmod(&made, Mode::from_raw_mode(file.mode))?)
}

fn set_times(made: impl AsFd, file: &ArchivedFile) -> io::Result<()> {
    Ok(rustix::fs::futimens(made, &times(file))?)
}

fn set_node(dir: &OwnedFd, name: &Path, file: &ArchivedFile) -> io::Result<()> {
    let (uid, gid) = owner(file);
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::chmodat(dir, name, Mode::from_raw_mode(file.mode), AtFlags::empty())?;
    Ok(rustix::fs::utimensat(dir, name, &times(file), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(file: &ArchivedFile) -> Timestamps {
    let time = |time: WallTime| Timespec {
        tv_sec: time.0.div_euclid(1_000_000_000),
        tv_nsec: time.0.rem_euclid(1_000_000_000),
    };
    Timestamps { last_access: time(file.accessed), last_modification: time(file.modified) }
}
