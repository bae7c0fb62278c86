//! Directory and file events of the watched roots, with the process that caused each.
//!
//! Marks are on whole filesystems: every level of a `mkdir -p` is reported, however fast its parents were made, and so is
//! what a container does through a bind mount. Events elsewhere are rejected by the handle of their directory
//! (`directories`), the rest is resolved to a path and joined with what is there now (`interpret`). From Linux 5.17 on an
//! event names the object itself, and a snapshot is given only when the object at the path is that one. Before, a
//! snapshot is withheld when a later event for the same path was waiting.
//!
//! Not seen: filesystems without file handles or filesystem id (bpffs, sysfs, overlay mounts), network and FUSE
//! filesystems (see [`RootReport`]), changes of mode or owner, an object that a rename replaces (its successor's
//! `MovedIn` is the only trace), and writes through a mapping or to a file that stays open. A `MovedOut` or `Deleted`
//! directory takes along everything below it without further events; what is below a `MovedIn` one is told.

mod directories;
mod event;
mod interpret;
mod marks;
mod moves;
mod source;
mod sys;
mod sysctls;

use std::io;
use std::os::fd::OwnedFd;

use libc::{FAN_CLASS_NOTIF, FAN_CLOEXEC, FAN_NONBLOCK, FAN_REPORT_DFID_NAME, FAN_REPORT_DFID_NAME_TARGET};
use rustix::io::Errno;

use crate::capture::CaptureError;

pub use event::count_events;
pub use marks::{RootReport, Watch};
pub use source::FanotifySource;
pub use sysctls::SysctlSource;

/// Bounds and switches of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Watched directories remembered, and as many others; about 100 bytes each.
    pub directories: usize,
    /// Objects listed when the roots are walked at start, and when a directory is moved in.
    pub objects: usize,
    /// Whether the kernel queues any number of events instead of `fs.fanotify.max_queued_events` (16,384 by default).
    /// Kernel memory is then the bound.
    pub unlimited_queue: bool,
    /// Whether events name the object itself (Linux 5.17); without effect on older kernels.
    pub targets: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { directories: 65_536, objects: 65_536, unlimited_queue: false, targets: true }
    }
}

/// Makes the queue; the second value says whether its events name the object itself.
fn init(limits: Limits) -> Result<(OwnedFd, bool), CaptureError> {
    let queue = if limits.unlimited_queue { libc::FAN_UNLIMITED_QUEUE } else { 0 };
    let flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | queue;
    let mut result = Err(Errno::INVAL.into());
    if limits.targets {
        result = sys::init(flags | FAN_REPORT_DFID_NAME_TARGET).map(|group| (group, true));
    }
    if matches!(&result, Err(error) if Errno::from_io_error(error) == Some(Errno::INVAL)) {
        result = sys::init(flags | FAN_REPORT_DFID_NAME).map(|group| (group, false));
    }
    result.map_err(|error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::PERM) => not_privileged(),
        Some(Errno::NOSYS | Errno::INVAL) => CaptureError::Unavailable {
            what: "this kernel has no fanotify with directory names".to_owned(),
            remedy: "use Linux 5.9 or later, built with CONFIG_FANOTIFY".to_owned(),
        },
        _ => CaptureError::Io { operation: "make", object: "a fanotify queue".to_owned(), source: error },
    })
}

fn not_privileged() -> CaptureError {
    CaptureError::Unavailable {
        what: "watching directories needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH in the initial user namespace"
            .to_owned(),
        remedy: "run the tracker as root".to_owned(),
    }
}
