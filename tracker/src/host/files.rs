//! Stub, replaced on merge.

use super::{HostError, Removal};
use crate::model::path::{AbsPath, PathSnapshot};

/// Stub.
///
/// # Errors
/// Never.
pub fn remove(_path: &AbsPath, _expected: &PathSnapshot) -> Result<Removal, HostError> {
    Ok(Removal::AlreadyGone)
}
