//! Stub, replaced on merge.

use crate::model::ids::Generation;
use crate::model::subject::{Snapshot, Subject};

use super::CaptureError;

/// Stub.
#[derive(Debug, Clone)]
pub struct NftDump {
    /// Stub.
    pub generation: Generation,
    /// Stub.
    pub objects: Vec<(Subject, Snapshot)>,
}

/// Stub.
///
/// # Errors
/// Always.
pub fn dump() -> Result<NftDump, CaptureError> {
    Err(CaptureError::Unavailable { what: "stub".to_owned(), remedy: "merge".to_owned() })
}
