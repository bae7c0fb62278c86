//! Reading an archive.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::model::ids::OperationId;
use crate::model::path::AbsPath;
use crate::model::time::WallTime;

use super::record::opened;
use super::write::{PAX_ATIME, PAX_MTIME, PAX_XATTR};
use super::{ArchiveError, ArchiveStore, FILES, RECORD};

/// One archived file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    /// Where it was.
    pub path: AbsPath,
    /// Permission bits.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Last access.
    pub accessed: WallTime,
    /// Last modification.
    pub modified: WallTime,
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// What it is.
    pub content: FileContent,
}

/// What an archived path is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its word says")]
pub enum FileContent {
    Dir,
    /// A file; its bytes come with it.
    File,
    Symlink(Vec<u8>),
    Fifo,
    Device {
        is_block: bool,
        major: u32,
        minor: u32,
    },
}

impl ArchiveStore {
    /// An operation's record.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`], [`ArchiveError::Damaged`], or the system's refusal.
    pub fn record(&self, operation: OperationId) -> Result<Vec<u8>, ArchiveError> {
        let path = self.path(operation).join(RECORD);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ArchiveError::Missing(operation)),
            Err(source) => return Err(ArchiveError::io("read", &path, source)),
        };
        opened(operation, &bytes).map(<[u8]>::to_vec)
    }

    /// Calls `each` for every archived file and directory in the order they were archived, with the bytes of files.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be read to its end.
    pub fn files(
        &self,
        operation: OperationId,
        mut each: impl FnMut(&ArchivedFile, &mut dyn Read),
    ) -> Result<(), ArchiveError> {
        let path = self.path(operation).join(FILES);
        let failed = |source| ArchiveError::io("read", &path, source);
        let damaged = || ArchiveError::Damaged { operation, what: "an entry of its files is not understood" };
        let file = File::open(&path).map_err(failed)?;
        let mut archive = tar::Archive::new(zstd::Decoder::new(file).map_err(failed)?);
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let file = describe(&mut entry).map_err(failed)?.ok_or_else(damaged)?;
            each(&file, &mut entry);
        }
        Ok(())
    }
}

fn describe<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<ArchivedFile>> {
    let (mut accessed, mut modified, mut xattrs) = (WallTime(0), WallTime(0), Vec::new());
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let (Ok(key), value) = (extension.key(), extension.value_bytes()) else { continue };
            match key {
                PAX_ATIME => accessed = time(value).unwrap_or_default(),
                PAX_MTIME => modified = time(value).unwrap_or_default(),
                key => xattrs.extend(key.strip_prefix(PAX_XATTR).map(|name| (name.to_owned(), value.to_vec()))),
            }
        }
    }
    let name = entry.path_bytes().into_owned();
    let Some(path) = AbsPath::new(&Path::new("/").join(std::ffi::OsStr::from_bytes(&name))) else { return Ok(None) };
    let header = entry.header();
    let device = |is_block| -> io::Result<FileContent> {
        let (major, minor) = (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
        Ok(FileContent::Device { is_block, major, minor })
    };
    let content = match header.entry_type() {
        tar::EntryType::Directory => FileContent::Dir,
        tar::EntryType::Regular => FileContent::File,
        tar::EntryType::Symlink => {
            FileContent::Symlink(entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default())
        }
        tar::EntryType::Fifo => FileContent::Fifo,
        tar::EntryType::Char => device(false)?,
        tar::EntryType::Block => device(true)?,
        _ => return Ok(None),
    };
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let (mode, uid, gid) = (header.mode()?, number(header.uid()?), number(header.gid()?));
    Ok(Some(ArchivedFile { path, mode, uid, gid, accessed, modified, xattrs, content }))
}

/// Seconds with nine decimals.
fn time(text: &[u8]) -> Option<WallTime> {
    let (seconds, nanos) = std::str::from_utf8(text).ok()?.split_once('.')?;
    let nanos: i64 = nanos.get(..9)?.parse().ok()?;
    Some(WallTime(seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}
