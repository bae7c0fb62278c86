//! The lock of iptables-legacy.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

/// What iptables-legacy locks unless `XTABLES_LOCKFILE` says otherwise.
const PATH: &str = "/run/xtables.lock";
/// How long somebody else may hold it.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Takes the lock; dropping the descriptor gives it back.
///
/// # Errors
/// `ETIMEDOUT` when somebody else holds it for too long.
pub(super) fn take() -> io::Result<OwnedFd> {
    let file = open(PATH, OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                // an interrupted wait only means to try again sooner
                let _ = poll(&mut [], Some(&AGAIN));
            }
            Err(Errno::WOULDBLOCK) => return Err(Errno::TIMEDOUT.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
