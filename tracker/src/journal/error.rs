//! What can go wrong with the journal.

use std::path::PathBuf;
use std::time::Duration;

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
    /// Another process holds it.
    #[error("journal `{path}` is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It did not open in time.
    #[error("journal `{path}` did not open within {deadline:?}")]
    OpenTimedOut {
        /// The directory.
        path: PathBuf,
        /// The deadline.
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
    /// An entry is damaged.
    #[error("journal entry under key `{key}` is damaged: {reason}")]
    Damaged {
        /// Which.
        key: String,
        /// What is wrong with it.
        reason: String,
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
