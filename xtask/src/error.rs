//! What can go wrong with a chore.

use std::path::PathBuf;

/// A chore that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XtaskError {
    /// A program cannot be run.
    #[error("cannot run `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{command}` ended with {status}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} `{path}`")]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The BPF object.
    #[error("the BPF object is not to be had")]
    Ebpf(#[from] crate::ebpf::EbpfError),
    /// Arranging the node failed.
    #[error("the node could not be arranged")]
    Node(#[from] netdeed_tests::Failure),
    /// Something is not as it must be.
    #[error("{0}")]
    Wrong(String),
}
