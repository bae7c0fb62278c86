//! The start-up self-test: do known acts, and see them recorded as they were.
//!
//! Offsets that are wrong do not make reads fail; they make them return something else. Zeros are the dangerous ones,
//! since they look like "unknown". So the records of acts whose truth is known from elsewhere are compared field by
//! field before `status` calls the programs healthy.

mod acts;
mod checks;

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::source::BpfSource;
use crate::capture::{Raw, RawSource};
use crate::decode::task::decode;
use crate::model::observation::Observation;

/// How long the records may take. They are in the ring before the acts return; this is for a starved machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an unread self-test protects nobody"]
pub struct SelfTest {
    /// Every check, in the order they were made.
    pub checks: Vec<SelfTestCheck>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTestCheck {
    /// What was checked: `fork`, `exec`, `exit`, `sendto`, `sendmsg`, `setsockopt`, `ioctl`, and where it runs
    /// `fentry:nlmsg_notify`.
    pub name: &'static str,
    /// Why it failed, or nothing.
    pub result: Result<(), String>,
}

impl SelfTest {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.result.is_ok())
    }

    /// Whether fork, exec and exit are recorded truthfully.
    pub fn processes_passed(&self) -> bool {
        self.all_passed(&["fork", "exec", "exit"])
    }

    /// Whether netlink requests are recorded truthfully.
    pub fn requests_passed(&self) -> bool {
        self.all_passed(&["sendto", "sendmsg"])
    }

    /// Whether replacements of legacy tables are recorded truthfully.
    pub fn tables_passed(&self) -> bool {
        self.all_passed(&["setsockopt"])
    }

    /// Whether ioctls about links are recorded truthfully.
    pub fn ioctls_passed(&self) -> bool {
        self.all_passed(&["ioctl"])
    }

    /// Why notifications are not recorded truthfully; nothing when they are, or when the program on them does not run.
    pub fn notifications_failure(&self) -> Option<&str> {
        let check = self.checks.iter().find(|check| check.name == checks::NOTIFICATIONS)?;
        check.result.as_ref().err().map(String::as_str)
    }

    fn all_passed(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.checks.iter().any(|check| check.name == *name && check.result.is_ok()))
    }
}

/// Runs the self-test: starts `/bin/true`, asks the kernel for its first link twice, renames the loopback link to its own
/// name, and makes one `setsockopt` that the kernel refuses. Takes milliseconds when all is well, five seconds when records do not come.
///
/// Every record read meanwhile, also of the acts themselves, stays in `source` in its order: drain it once before
/// waiting on its descriptor.
pub fn self_test(source: &mut BpfSource) -> SelfTest {
    let report = source.report().clone();
    let truth = acts::perform(report.sees_notifications());
    let mut raw = Vec::new();
    let mut seen: Vec<Observation> = Vec::new();
    let mut decoded = 0;
    let deadline = Instant::now() + PATIENCE;
    let checks = loop {
        let read = source.drain(&mut raw, 4096);
        seen.extend(raw[decoded..].iter().filter_map(|record| match record {
            Raw::Bpf(bytes) => decode(bytes).ok(),
            _ => None,
        }));
        decoded = raw.len();
        let checks = checks::all(&truth, &seen, &report);
        let is_done = checks.iter().all(|check| check.result.is_ok() || !check.may_improve);
        if is_done || read.is_err() || Instant::now() > deadline {
            break checks;
        }
        if matches!(read, Ok(false)) {
            wait(source);
        }
    };
    source.give_back(raw);
    SelfTest {
        checks: checks.into_iter().map(|check| SelfTestCheck { name: check.name, result: check.result }).collect(),
    }
}

/// Waits a little for more records.
fn wait(source: &BpfSource) {
    let fd = source.fd();
    let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // An interrupted or failed wait only means that the ring is looked at sooner.
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout));
}
