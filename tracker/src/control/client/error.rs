//! What can go wrong with asking.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::api::ErrorView;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody could be reached.
    #[error("cannot connect to the tracker at `{path}`")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tracker said no.
    #[error("{}", .0.message)]
    Refused(ErrorView),
    /// The tracker took too long.
    #[error("the tracker at `{path}` did not answer within {deadline:?}")]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// The deadline.
        deadline: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the tracker at `{path}` hung up before it had answered")]
    Interrupted {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("cannot talk to the tracker at `{path}`")]
    Http {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: hyper::Error,
    },
    /// The request could not be written.
    #[error("cannot write request `{target}`")]
    Request {
        /// What was to be asked.
        target: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not what was expected.
    #[error("expected a `{expected}` document from the tracker but found {found}")]
    Answer {
        /// Kind of document.
        expected: &'static str,
        /// What came instead.
        found: String,
    },
}

impl ClientError {
    /// Whether no tracker runs: there is no socket, or nobody listens on it. A socket that may not be used is another
    /// thing.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::Connect { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused))
    }
}
