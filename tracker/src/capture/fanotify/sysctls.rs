//! Writes to sysctls, with the process that wrote each.
//!
//! A mark on the procfs filesystem reports every write to a file of it, with a descriptor of the file. The files of
//! `/proc/sys/net` are others in each network namespace: a write is one to ours when the file it names is the very file
//! our own path leads to. The value is read right after the write; what several processes wrote before it was read is
//! told as one write of them all.
//!
//! Not seen: writes through another procfs, as a container with a process id namespace of its own has; and sysctls that
//! only can be written.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::{FAN_CLASS_NOTIF, FAN_CLOEXEC, FAN_MODIFY, FAN_NONBLOCK, FAN_Q_OVERFLOW};
use rustix::io::Errno;

use super::sys;
use crate::capture::sysctl::{self, ROOT};
use crate::capture::{CaptureError, Raw, RawSource};
use crate::model::gap::Source;
use crate::model::ids::Tgid;
use crate::model::observation::SysctlWrite;
use crate::model::sysctl::SysctlName;
use crate::model::time::BootTime;

/// `struct fanotify_event_metadata`.
const METADATA: usize = 24;
/// Bytes read at once.
const BUFFER: usize = 16 << 10;
/// Reads of the queue in one turn; a write that comes while values are read is waited for so often.
const ROUNDS: usize = 4;

/// Writes to the sysctls of the network namespace and procfs it was opened in.
#[derive(Debug)]
pub struct SysctlSource {
    group: OwnedFd,
    buffer: Vec<u8>,
    /// Device of `/proc`.
    dev: u64,
    /// When the queue was seen empty.
    emptied: BootTime,
}

/// Writers of each sysctl since the queue was empty, `None` for one that is in another pid namespace.
type Writers = BTreeMap<SysctlName, Vec<Option<Tgid>>>;

impl SysctlSource {
    /// Watches the procfs at `/proc`.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] without the privilege, [`CaptureError::Io`] where procfs cannot be watched.
    pub fn open() -> Result<Self, CaptureError> {
        let failed = |operation| {
            move |error: io::Error| match Errno::from_io_error(&error) {
                Some(Errno::PERM) => super::not_privileged(),
                _ => CaptureError::Io { operation, object: "the procfs at /proc".to_owned(), source: error },
            }
        };
        let proc = std::fs::File::open("/proc").map_err(failed("open"))?;
        let dev = proc.metadata().map_err(failed("look at"))?.dev();
        let group = sys::init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK).map_err(failed("watch"))?;
        sys::mark_filesystem(group.as_fd(), FAN_MODIFY, proc.as_fd()).map_err(failed("watch"))?;
        Ok(Self { group, buffer: vec![0; BUFFER], dev, emptied: BootTime::now() })
    }

    /// Reads what is queued; tells whether anything was.
    fn read(&mut self, writers: &mut Writers, out: &mut Vec<Raw>) -> Result<bool, CaptureError> {
        let length = match rustix::io::read(&self.group, &mut self.buffer[..]) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(false),
            Ok(length) => length,
            Err(Errno::INTR) => return Ok(true),
            // a file that cannot be opened for reading: the kernel drops its event, the others are behind it
            Err(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::STALE | Errno::NXIO) => return Ok(true),
            Err(error) => {
                let object = "the queue of writes to sysctls".to_owned();
                return Err(CaptureError::Io { operation: "read", object, source: error.into() });
            }
        };
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        while let Some(head) = rest.first_chunk::<METADATA>() {
            let [l0, l1, l2, l3, _, _, _, _, mask @ .., f0, f1, f2, f3, p0, p1, p2, p3] = *head;
            let mask = u64::from_ne_bytes(mask);
            let (fd, pid) = (i32::from_ne_bytes([f0, f1, f2, f3]), i32::from_ne_bytes([p0, p1, p2, p3]));
            let file = sys::adopt(fd);
            if mask & FAN_Q_OVERFLOW != 0 {
                out.push(Raw::Lost { source: Source::Sysctls, lost: None });
            }
            if let Some(name) = file.and_then(|file| name_of(&file, self.dev)) {
                let writer = u32::try_from(pid).ok().filter(|pid| *pid != 0).map(Tgid);
                let its = writers.entry(name).or_default();
                if !its.contains(&writer) {
                    its.push(writer);
                }
            }
            let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX).max(METADATA);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(true)
    }
}

/// The sysctl a file is, when it is one of our network namespace.
fn name_of(file: &OwnedFd, dev: u64) -> Option<SysctlName> {
    let found = rustix::fs::fstat(file).ok()?;
    let link = rustix::fs::readlink(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)), Vec::new());
    let path = link.ok()?.into_string().ok()?;
    // from another mount namespace the path begins at the root of procfs
    let path = path.strip_prefix("/proc/sys/").or_else(|| path.strip_prefix("/sys/"))?;
    let own = std::fs::metadata(Path::new(ROOT).join(path)).ok()?;
    if (found.st_dev, dev) != (own.dev(), own.dev()) || found.st_ino != own.ino() {
        return None;
    }
    SysctlName::of_path(path)
}

impl RawSource for SysctlSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, _budget: usize) -> Result<bool, CaptureError> {
        let started = BootTime::now();
        let mut writers = Writers::new();
        let mut values = BTreeMap::new();
        let mut is_empty = false;
        for _ in 0..ROUNDS {
            while self.read(&mut writers, out)? {}
            // whoever writes after a value was read is in the queue by the next round
            let fresh: BTreeMap<SysctlName, Option<String>> =
                writers.keys().map(|name| (name.clone(), sysctl::read(name))).collect();
            is_empty = fresh == values;
            values = fresh;
            if is_empty {
                break;
            }
        }
        let (after, before) = (self.emptied, BootTime::now());
        for (name, writers) in writers {
            let value = values.remove(&name).flatten();
            out.push(Raw::Sysctl(SysctlWrite { name, value, writers, after, before }));
        }
        if is_empty {
            self.emptied = started;
        }
        Ok(!is_empty)
    }
}
