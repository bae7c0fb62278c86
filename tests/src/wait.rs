//! Waiting for a condition, with a deadline.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Failure, Result};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// Environment variable with a whole number by which every deadline is multiplied, for machines that are slow by nature:
/// emulated ones.
pub const FACTOR: &str = "NETDEED_PATIENCE";

/// A deadline as long as this machine needs it.
///
/// # Panics
/// When [`FACTOR`] is set and is not a whole number from 1.
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
pub fn scaled(deadline: Duration) -> Duration {
    static BY: OnceLock<u32> = OnceLock::new();
    let factor = || match std::env::var(FACTOR) {
        Ok(text) => text.parse().ok().filter(|factor| *factor > 0).unwrap_or_else(|| panic!("{FACTOR}={text}")),
        Err(_) => 1,
    };
    deadline * *BY.get_or_init(factor)
}

/// Waits until `condition` gives a value. The deadline is [`scaled`].
///
/// # Errors
/// When it has not by the deadline; `what` names it.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = scaled(deadline);
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
