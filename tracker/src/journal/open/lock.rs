//! The lock that keeps a second tracker, or a CLI, out of a journal, and what the lock file says: how far the journal
//! was known to be durable. A sled file that lost its end opens as if nothing was ever behind it; this tells.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::journal::codec::{self, ChainHash, RowKind};
use crate::journal::error::JournalError;
use crate::model::ids::EntrySeq;

/// Bytes of a [`Mark`]'s frame at most.
const MARK_SPACE: usize = 128;

/// A lock held until it is dropped or the process ends.
#[derive(Debug)]
pub(in crate::journal) struct LockFile {
    file: File,
    store: u64,
}

/// Up to where a store is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::journal) struct Mark {
    /// The store's number.
    pub store: u64,
    /// The entry after the last.
    pub next_entry: EntrySeq,
    /// Hash of the newest block.
    pub tip: ChainHash,
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
            Missing::Create => {
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
            }
            Missing::Fail => File::open(path),
        };
        let file = opened.map_err(|error| match (error.kind(), missing) {
            (io::ErrorKind::NotFound, Missing::Fail) => JournalError::Absent { path: dir.to_owned() },
            _ => super::refused(dir, error),
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file, store: 0 }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse { path: dir.to_owned() }),
            Err(error) => Err(super::refused(dir, error.into())),
        }
    }

    /// The lock, from now on about the store with a number.
    pub(super) fn of_store(self, store: u64) -> Self {
        Self { store, ..self }
    }

    /// Up to where a store was durable, if the file says so.
    pub(super) fn mark(&self, store: u64) -> Option<Mark> {
        let mut bytes = [0; MARK_SPACE];
        let length = self.file.read_at(&mut bytes, 0).ok()?;
        let (size, rest) = bytes[..length].split_first()?;
        let mark: Mark = codec::decode(RowKind::Mark, b"lock", rest.get(..usize::from(*size))?).ok()?;
        (mark.store == store).then_some(mark)
    }

    /// Notes up to where the store is durable. Not made durable itself: an older mark claims less, which is no harm. A
    /// file that cannot be written (a reader's, a full disk's) keeps what it says.
    pub(in crate::journal) fn note(&self, next_entry: EntrySeq, tip: ChainHash) {
        let mut bytes = vec![0];
        let mark = Mark { store: self.store, next_entry, tip };
        if codec::encode(RowKind::Mark, &mark, &mut bytes).is_ok() {
            bytes[0] = u8::try_from(bytes.len() - 1).unwrap_or(0);
            drop(self.file.write_all_at(&bytes, 0));
        }
    }
}
