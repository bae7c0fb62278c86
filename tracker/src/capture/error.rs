//! What can go wrong with capturing.

use std::path::PathBuf;

/// A capture operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// A system call on a kernel queue failed.
    #[error("cannot {operation} on {object}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel answered a request with an error.
    #[error("kernel refused to {operation}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// The ruleset changed during every attempt to dump it.
    #[error("{object} kept changing during {attempts} attempts to dump it")]
    Unstable {
        /// What was dumped.
        object: &'static str,
        /// How often.
        attempts: u32,
    },
    /// Kernel type information is missing or not understood.
    #[error("cannot read kernel type information from `{path}`: {reason}")]
    Btf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The BPF programs could not be loaded or attached.
    #[error("cannot {operation} BPF program `{program}`")]
    Bpf {
        /// What was tried.
        operation: &'static str,
        /// Which program.
        program: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A precondition of a source is not met.
    #[error("{what}; {remedy}")]
    Unavailable {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
}
