//! Changes of the mount table. The kernel says that there was one, not which: the table is read and handed over whole.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::mounts::{MOUNTINFO, Mount, mounts};
use super::{CaptureError, Raw, RawSource};
use crate::model::gap::Source;
use crate::model::time::BootTime;

/// The mount table as it was after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLook {
    /// Not older than this.
    pub read: BootTime,
    /// Every mount.
    pub mounts: Vec<Mount>,
}

/// Watches the mount table of the thread that opened it. Each descriptor tells of a change once, so one is for waiting and
/// one for asking.
#[derive(Debug)]
pub struct MountSource {
    waited_for: File,
    asked: File,
    /// Whether to read the table in any case.
    is_due: bool,
}

impl MountSource {
    /// Opens the table.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when it cannot be opened.
    pub fn open() -> Result<Self, CaptureError> {
        let open = || {
            let io = |source| CaptureError::Io { operation: "open", object: MOUNTINFO.to_owned(), source };
            File::open(MOUNTINFO).map_err(io)
        };
        Ok(Self { waited_for: open()?, asked: open()?, is_due: true })
    }

    /// Whether the table changed since this was asked last; also when that cannot be found out.
    fn has_changed(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.asked.as_fd(), PollFlags::PRI)];
        poll(&mut polled, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }
}

/// Number of the calling thread's mount namespace.
///
/// # Errors
/// [`CaptureError::Io`] when /proc does not tell.
pub fn own_namespace() -> Result<u32, CaptureError> {
    use std::os::unix::fs::MetadataExt;
    const PATH: &str = "/proc/thread-self/ns/mnt";
    let io = |source| CaptureError::Io { operation: "look at", object: PATH.to_owned(), source };
    let number = std::fs::metadata(PATH).map_err(io)?.ino();
    // numbers of namespaces have 32 bits
    Ok(u32::try_from(number).unwrap_or(0))
}

impl RawSource for MountSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.waited_for.as_fd()
    }

    fn interest(&self) -> PollFlags {
        // always readable
        PollFlags::PRI
    }

    fn drain(&mut self, out: &mut Vec<Raw>, _budget: usize) -> Result<bool, CaptureError> {
        let read = BootTime::now();
        if !self.has_changed() && !self.is_due {
            return Ok(false);
        }
        match mounts() {
            Ok(mounts) => {
                self.is_due = false;
                out.push(Raw::Mounts(MountLook { read, mounts }));
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the mount table cannot be read");
                // once: the next change, or the comparison after this loss, brings the next look
                self.is_due = false;
                out.push(Raw::Lost { source: Source::Mounts, lost: None });
            }
        }
        Ok(false)
    }
}
