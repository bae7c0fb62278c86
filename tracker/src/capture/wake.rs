//! A descriptor by which one thread wakes another one that polls.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use super::CaptureError;

/// An event descriptor, readable from [`Wake::ring`] until [`Wake::clear`]; clones are the same one.
#[derive(Debug, Clone)]
pub struct Wake(Arc<OwnedFd>);

impl Wake {
    /// A descriptor that nobody has rung yet.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn new() -> Result<Self, CaptureError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| CaptureError::Io {
            operation: "open",
            object: "event descriptor".to_owned(),
            source: error.into(),
        })?;
        Ok(Self(Arc::new(wake)))
    }

    /// Makes it readable.
    pub fn ring(&self) {
        // a full counter already means "wake up"
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until it is rung again.
    pub fn clear(&self) {
        // nothing to read means that nobody rang
        let _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
