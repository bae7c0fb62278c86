//! Writing an archive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

use crate::capture::entry;
use crate::model::ids::OperationId;
use crate::model::path::{AbsPath, PathKind, PathSnapshot};

use super::record::sealed;
use super::{ArchiveError, ArchiveStore, FILES, RECORD, UNFINISHED};

/// Level of compression: files of a CNI are programs of some 10 MB, and a reset waits for them.
const LEVEL: i32 = 3;
/// PAX keys: extended attributes as GNU and BSD tar write them, times with nanoseconds.
pub(super) const PAX_XATTR: &str = "SCHILY.xattr.";
pub(super) const PAX_MTIME: &str = "mtime";
pub(super) const PAX_ATIME: &str = "atime";

impl ArchiveStore {
    /// Writes an operation's archive and makes it durable; an earlier one of the same operation is replaced.
    ///
    /// # Errors
    /// [`ArchiveError`]; then there is none, and nothing but older archives was removed.
    pub fn write(
        &self,
        operation: OperationId,
        record: &[u8],
        files: &[(AbsPath, PathSnapshot)],
    ) -> Result<(), ArchiveError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|source| ArchiveError::io("make", &self.dir, source))?;
        let record = sealed(record);
        let content = files.iter().map(|(_, file)| file.size).fold(0, u64::saturating_add);
        let expected = content.saturating_add(record.len() as u64);
        if expected > self.max_bytes {
            return Err(ArchiveError::TooLarge { max_bytes: self.max_bytes });
        }
        self.make_room(expected)?;
        let unfinished = self.dir.join(format!("{UNFINISHED}{operation}"));
        let written = self.write_at(&unfinished, &record, files).and_then(|()| self.publish(&unfinished, operation));
        if written.is_err() {
            // what is left of it would only fill a full disk further; the next attempt removes it otherwise
            let _ = super::remove(&unfinished);
        }
        written
    }

    fn write_at(&self, dir: &Path, record: &[u8], files: &[(AbsPath, PathSnapshot)]) -> Result<(), ArchiveError> {
        DirBuilder::new().mode(0o700).create(dir).map_err(|source| ArchiveError::io("make", dir, source))?;
        let path = dir.join(RECORD);
        let failed = |source| ArchiveError::io("write", &path, source);
        let mut file = new_file(&path).map_err(failed)?;
        file.write_all(record).and_then(|()| file.sync_all()).map_err(failed)?;

        let path = dir.join(FILES);
        let failed = |source| ArchiveError::io("write", &path, source);
        let compressed = zstd::Encoder::new(new_file(&path).map_err(failed)?, LEVEL).map_err(failed)?;
        let mut archive = tar::Builder::new(compressed);
        for (path, expected) in files {
            append(&mut archive, path, expected)?;
        }
        let file = archive.into_inner().and_then(zstd::Encoder::finish).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_dir(dir)
    }

    fn publish(&self, unfinished: &Path, operation: OperationId) -> Result<(), ArchiveError> {
        let path = self.path(operation);
        if path.exists() {
            super::remove(&path)?;
        }
        fs::rename(unfinished, &path).map_err(|source| ArchiveError::io("name the archive", &path, source))?;
        sync_dir(&self.dir)
    }
}

fn new_file(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync_dir(dir: &Path) -> Result<(), ArchiveError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| ArchiveError::io("make durable", dir, source))
}

/// Appends one file or directory: the very object that was planned for, without following a link or entering a mount.
fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &AbsPath,
    expected: &PathSnapshot,
) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::io("archive", path.as_path(), source);
    let changed = || ArchiveError::Changed { path: path.to_string() };
    let found = entry::inspect_path(path).map_err(failed)?.ok_or_else(changed)?;
    // where something is mounted this is what it covers
    if found.snapshot != *expected {
        return Err(changed());
    }
    let stat = rustix::fs::statx(&found.fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .map_err(|error| failed(error.into()))?;
    let name = Path::new(std::ffi::OsStr::from_bytes(&path.as_path().as_os_str().as_bytes()[1..]));
    let mut header = tar::Header::new_gnu();
    header.set_mode(expected.mode);
    header.set_uid(expected.uid.into());
    header.set_gid(expected.gid.into());
    header.set_mtime(stat.stx_mtime.tv_sec.try_into().unwrap_or_default());
    header.set_size(0);
    let opened = open_for_reading(&found.fd, expected.kind).map_err(failed)?;
    let mut extensions = times(&stat);
    if let Some(file) = &opened {
        extensions.extend(xattrs(file).map_err(failed)?);
    }
    let extensions = extensions.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    archive.append_pax_extensions(extensions).map_err(failed)?;
    match (expected.kind, opened) {
        (PathKind::Dir, _) => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, name, io::empty()).map_err(failed)
        }
        (PathKind::Symlink, _) => {
            header.set_entry_type(tar::EntryType::Symlink);
            let target = rustix::fs::readlinkat(&found.fd, "", Vec::new()).map_err(|error| failed(error.into()))?;
            archive.append_link(&mut header, name, std::ffi::OsString::from_vec(target.into_bytes())).map_err(failed)
        }
        (PathKind::File, Some(file)) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(expected.size);
            archive.append_data(&mut header, name, File::from(file).take(expected.size)).map_err(failed)?;
            let (after, _) = entry::snapshot_of(&found.fd).map_err(failed)?;
            if after == *expected { Ok(()) } else { Err(changed()) }
        }
        (PathKind::Special, _) => {
            let kind = match rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) {
                rustix::fs::FileType::Fifo => tar::EntryType::Fifo,
                rustix::fs::FileType::CharacterDevice => tar::EntryType::Char,
                rustix::fs::FileType::BlockDevice => tar::EntryType::Block,
                // a socket is its program's: only the program can make it anew
                _ => return Ok(()),
            };
            header.set_entry_type(kind);
            header.set_device_major(stat.stx_rdev_major).map_err(failed)?;
            header.set_device_minor(stat.stx_rdev_minor).map_err(failed)?;
            archive.append_data(&mut header, name, io::empty()).map_err(failed)
        }
        (PathKind::File, None) => Err(changed()),
    }
}

/// Opens the object behind a descriptor for reading; only files and directories, which no open blocks on.
fn open_for_reading(fd: &OwnedFd, kind: PathKind) -> io::Result<Option<OwnedFd>> {
    if !matches!(kind, PathKind::File | PathKind::Dir) {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(Some(rustix::fs::open(path, flags, Mode::empty())?))
}

fn times(stat: &rustix::fs::Statx) -> Vec<(String, Vec<u8>)> {
    let time = |stamp: rustix::fs::StatxTimestamp| format!("{}.{:09}", stamp.tv_sec, stamp.tv_nsec).into_bytes();
    vec![(PAX_MTIME.to_owned(), time(stat.stx_mtime)), (PAX_ATIME.to_owned(), time(stat.stx_atime))]
}

/// Extended attributes; none where the filesystem has none.
fn xattrs(file: impl AsFd) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0_u8; 64 * 1024];
    let length = match rustix::fs::flistxattr(&file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // a PAX key is UTF-8
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let mut value = vec![0_u8; 64 * 1024];
        let length = rustix::fs::fgetxattr(&file, name, value.as_mut_slice())?;
        value.truncate(length);
        found.push((format!("{PAX_XATTR}{name}"), value));
    }
    Ok(found)
}
