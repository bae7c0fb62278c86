//! What a rollback is about to take away, on disk before the first removal.
//!
//! One directory per operation below the journal's `archive`: `record` (what the rollback stage writes down of rules,
//! links and so on; uninterpreted here, with a checksum) and `files.tar.zst` (files with mode, owner, times and extended
//! attributes). It is written under another name, made durable, and then renamed: an archive that is there is whole.
//!
//! Bounded: an archive that would exceed the limit is not written, and older ones go to make room for a new one.

mod error;
mod read;
mod record;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::ids::OperationId;

pub use error::ArchiveError;
pub use read::{ArchivedFile, FileContent};

/// `record`'s name in an archive's directory.
const RECORD: &str = "record";
/// The files' name there.
const FILES: &str = "files.tar.zst";
/// What directories begin with that are not whole.
const UNFINISHED: &str = "unfinished-";

/// The archives of one journal.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    dir: PathBuf,
    max_bytes: u64,
}

/// The files of one operation's archive.
#[derive(Debug, Clone, Copy)]
pub struct ArchivedFiles<'a> {
    /// Where archives are.
    pub store: &'a ArchiveStore,
    /// Whose.
    pub operation: OperationId,
}

impl ArchiveStore {
    /// The archives below a journal's directory, together at most `max_bytes` long.
    pub fn new(journal_dir: &Path, max_bytes: u64) -> Self {
        Self { dir: journal_dir.join("archive"), max_bytes }
    }

    fn path(&self, operation: OperationId) -> PathBuf {
        self.dir.join(operation.to_string())
    }

    /// The operations that have an archive, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<OperationId>, ArchiveError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ArchiveError::io("list", &self.dir, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| ArchiveError::io("list", &self.dir, source))?.file_name();
            found.extend(name.to_str().and_then(|name| name.parse().ok()).map(OperationId));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Removes what was not finished, and the oldest archives until there is room for `bytes` more.
    fn make_room(&self, bytes: u64) -> Result<(), ArchiveError> {
        let entries = fs::read_dir(&self.dir).map_err(|source| ArchiveError::io("list", &self.dir, source))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                remove(&entry.path())?;
            }
        }
        let mut sizes: Vec<(OperationId, u64)> = Vec::new();
        for operation in self.list()? {
            sizes.push((operation, size(&self.path(operation))?));
        }
        let mut total: u64 = sizes.iter().map(|(_, size)| size).sum();
        for (operation, size) in sizes {
            if total.saturating_add(bytes) <= self.max_bytes {
                break;
            }
            remove(&self.path(operation))?;
            total -= size;
        }
        Ok(())
    }
}

/// Bytes of the files in an archive's directory.
fn size(dir: &Path) -> Result<u64, ArchiveError> {
    let failed = |source| ArchiveError::io("measure", dir, source);
    let mut total = 0;
    for entry in fs::read_dir(dir).map_err(failed)? {
        total += entry.and_then(|entry| entry.metadata()).map_err(failed)?.len();
    }
    Ok(total)
}

/// Removes an archive's directory: its own two files, and nothing else that may be in it.
fn remove(dir: &Path) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::io("remove the old archive", dir, source);
    for name in [RECORD, FILES] {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    fs::remove_dir(dir).map_err(failed)
}

#[cfg(test)]
mod tests;
