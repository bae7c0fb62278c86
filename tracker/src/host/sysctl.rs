//! Setting a sysctl back, in the calling thread's network namespace.
//!
//! Between comparing and writing lies a moment in which others may write.

use std::io;
use std::path::Path;

use crate::capture::sysctl::{ROOT, read};
use crate::host::{HostError, Removal};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};

/// Gives a sysctl the value it had before, if it has the value that was planned for.
///
/// # Errors
/// [`HostError::Drifted`] when it has another value now; [`HostError::Io`] when the kernel refuses, takes another value,
/// or the earlier value is not known.
pub fn restore(name: &SysctlName, expected: &SysctlSnapshot) -> Result<Removal, HostError> {
    let object = format!("`sysctl {name}`");
    let failed = |source| HostError::Io { operation: "restore", object: object.clone(), source };
    let SysctlSnapshot { value, before } = expected;
    let Some(before) = before else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "its earlier value is not known")));
    };
    let Some(found) = read(name).filter(|found| found != before) else { return Ok(Removal::AlreadyGone) };
    if found != *value {
        return Err(HostError::Drifted { object, expected: value.clone(), found });
    }
    std::fs::write(Path::new(ROOT).join(name.path()), before).map_err(failed)?;
    match read(name) {
        Some(now) if now != *before => Err(HostError::Drifted { object, expected: before.clone(), found: now }),
        _ => Ok(Removal::Removed),
    }
}
