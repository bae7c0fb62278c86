//! The lock that keeps a second tracker, or a CLI, out of a journal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::journal::error::JournalError;

/// A lock held until it is dropped or the process ends.
#[derive(Debug)]
pub(in crate::journal) struct LockFile {
    _file: File,
}

/// What to do where there is no lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make one.
    Create,
    /// There is no journal then.
    Fail,
}

impl LockFile {
    /// Takes the lock of a directory; does not wait.
    pub(super) fn take(dir: &Path, missing: Missing) -> Result<Self, JournalError> {
        let path = dir.join("lock");
        let opened = match missing {
            Missing::Create => OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path),
            Missing::Fail => File::open(path),
        };
        let file = opened.map_err(|error| match (error.kind(), missing) {
            (io::ErrorKind::NotFound, Missing::Fail) => JournalError::Absent { path: dir.to_owned() },
            _ => super::refused(dir, error),
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse { path: dir.to_owned() }),
            Err(error) => Err(super::refused(dir, error.into())),
        }
    }
}
