//! What can go wrong with an archive.

use std::io;
use std::path::Path;

use crate::model::ids::OperationId;

/// An archive that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A file or directory refused.
    #[error("cannot {operation} `{path}`")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// More than may be archived.
    #[error("what would be archived exceeds {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// There is none.
    #[error("operation {0} has no archive")]
    Missing(OperationId),
    /// It is not what was written.
    #[error("the archive of operation {operation} is damaged: {what}")]
    Damaged {
        /// Whose.
        operation: OperationId,
        /// What is wrong.
        what: &'static str,
    },
    /// A file changed since the plan was made.
    #[error("`{path}` changed while it was archived")]
    Changed {
        /// Which.
        path: String,
    },
}

impl ArchiveError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.display().to_string(), source }
    }
}
