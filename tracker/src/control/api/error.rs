//! Errors as the API writes them.

use serde::{Deserialize, Serialize};

use super::SCHEMA;

/// What kind of error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request makes no sense (400).
    BadRequest,
    /// Only user 0 may do that (403).
    Forbidden,
    /// No such endpoint or thing (404).
    NotFound,
    /// The endpoint does not know this method (405).
    MethodNotAllowed,
    /// The state of things changed since the caller looked (409).
    Conflict,
    /// Another operation is under way (409).
    Busy,
    /// The owner of what was to go still runs and would add it again (409).
    OwnerRuns,
    /// The tracker cannot do it now (503).
    Unavailable,
    /// Something failed in the tracker (500).
    Internal,
}

/// An error with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// What kind.
    pub code: ErrorCode,
    /// What was tried on what, and why it failed.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What an error travels in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// [`SCHEMA`].
    pub schema: String,
    /// `error`.
    pub kind: String,
    /// The error.
    pub error: ErrorView,
}

impl ErrorEnvelope {
    /// Wraps an error.
    pub fn of(error: ErrorView) -> Self {
        Self { schema: SCHEMA.to_owned(), kind: "error".to_owned(), error }
    }
}
