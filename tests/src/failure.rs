//! What can go wrong while arranging a test.

use std::process::Output;

/// Something that had to work did not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// A result of arranging something.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure to do something, with its cause.
    pub fn new(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {cause}"))
    }

    /// The failure of a program, with what it printed.
    pub fn of_program(command: &str, output: &Output) -> Self {
        Self(format!(
            "`{command}` ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
