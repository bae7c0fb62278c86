//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use crate::{Failure, Result};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value.
///
/// # Errors
/// When it has not by the deadline; `what` names it.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= end {
            return Err(Failure(format!("{what} did not come about within {deadline:?}")));
        }
        std::thread::park_timeout(EVERY);
    }
}
