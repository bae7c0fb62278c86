//! Stub, replaced on merge.

use crate::model::path::{AbsPath, PathSnapshot};

use super::CaptureError;

/// Stub.
///
/// # Errors
/// Always.
pub fn snapshot(path: &AbsPath) -> Result<Option<PathSnapshot>, CaptureError> {
    Err(CaptureError::Unavailable { what: format!("stub {path}"), remedy: "merge".to_owned() })
}
