//! What can go wrong with the journal.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::ids::ObjectId;

/// A journal operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The directory cannot be made or written.
    #[error("cannot use journal directory `{path}`")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The directory may not be written by this process.
    #[error("journal directory `{path}` cannot be written: give this user write access or mount it read-write")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The filesystem or its quota is full.
    #[error("no space left for the journal in `{path}`: free space there or lower the journal's limits")]
    NoSpace {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is none where one was to be read.
    #[error("no journal in `{path}`")]
    Absent {
        /// The directory.
        path: PathBuf,
    },
    /// Another process holds it.
    #[error("journal `{path}` is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It did not open in time.
    #[error("journal `{path}` did not open within {deadline:?} of processor time, or six times that by the clock")]
    OpenTimedOut {
        /// The directory.
        path: PathBuf,
        /// The deadline, processor time.
        deadline: Duration,
    },
    /// The store failed.
    #[error("journal store failed to {operation}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its files as a whole are damaged.
    #[error("journal `{path}` is damaged: {reason}")]
    Unreadable {
        /// The store's directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry is damaged.
    #[error("journal entry under key `{key}` is damaged: {reason}")]
    Damaged {
        /// Which.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was to be written contradicts what the journal holds. Nothing was written.
    #[error("journal refuses a change of object {object}: {reason}")]
    Inconsistent {
        /// The object the change is about.
        object: ObjectId,
        /// What does not fit.
        reason: String,
    },
    /// A failed write was recovered from by going back to what was durable. Nothing of the call was written; the caller
    /// records a gap and lists the system again.
    #[error("journal lost its last {entries} entries, which were not yet durable when a write failed")]
    RolledBack {
        /// How many appended entries are gone.
        entries: u64,
    },
    /// Changes were observed that are not in it: they could not be written so far.
    #[error("journal is behind by {changes} changes that could not be written")]
    Behind {
        /// How many.
        changes: u64,
    },
    /// An entry is of a version this program does not know.
    #[error("journal entry is of version {found}, this program reads up to {known}")]
    Version {
        /// Found.
        found: u16,
        /// Newest known.
        known: u16,
    },
}
