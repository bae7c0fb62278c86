//! Stub, replaced on merge.

use crate::model::subject::{Snapshot, Subject};

use super::CaptureError;

/// Stub.
///
/// # Errors
/// Always.
pub fn dump() -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    Err(CaptureError::Unavailable { what: "stub".to_owned(), remedy: "merge".to_owned() })
}
