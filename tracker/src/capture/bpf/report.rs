//! What became of each program, for `status`.

use crate::capture::btf::MissingOffset;

/// What became of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramState {
    /// It runs.
    Attached {
        /// Instructions the verifier looked at; `None` before 5.16.
        verified_instructions: Option<u32>,
    },
    /// It does not run.
    Unavailable {
        /// Why.
        reason: String,
        /// What to do about it, where something can be done.
        remedy: Option<String>,
    },
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramReport {
    /// Its name, as `bpftool prog` shows it (the first 15 bytes).
    pub name: &'static str,
    /// Where it attaches, `category:event`.
    pub hook: &'static str,
    /// What became of it.
    pub state: ProgramState,
}

impl ProgramReport {
    /// Whether it runs.
    pub fn is_attached(&self) -> bool {
        matches!(self.state, ProgramState::Attached { .. })
    }
}

/// What became of all programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfReport {
    /// Every program, in the order they were attached.
    pub programs: Vec<ProgramReport>,
    /// Kernel structure members that could not be located; empty on a kernel the programs fully understand.
    pub missing_offsets: Vec<MissingOffset>,
    /// Size of the ring, bytes.
    pub ring_bytes: u32,
}

impl BpfReport {
    /// Whether fork, exec and exit are all seen.
    pub fn sees_processes(&self) -> bool {
        self.attached(&["netdeed_fork", "netdeed_exec", "netdeed_exit"])
    }

    /// Whether netlink requests are seen from their begin to their end, by whichever of the usual calls they are sent.
    pub fn sees_requests(&self) -> bool {
        self.attached(&["netdeed_sendto_done", "netdeed_sendto", "netdeed_sendmsg_done", "netdeed_sendmsg"])
    }

    /// Whether replacements of legacy tables are seen.
    pub fn sees_tables(&self) -> bool {
        self.attached(&["netdeed_setsockopt_done", "netdeed_setsockopt"])
    }

    /// Whether links made by ioctl have an actor.
    pub fn sees_ioctls(&self) -> bool {
        self.attached(&["netdeed_ioctl_done", "netdeed_ioctl"])
    }

    /// Whether mounts and unmounts have an actor.
    pub fn sees_mounts(&self) -> bool {
        self.attached(&["netdeed_mount_done", "netdeed_mount", "netdeed_umount_done", "netdeed_umount"])
    }

    /// Whether notifications are seen where they are caused.
    pub fn sees_notifications(&self) -> bool {
        self.attached(&[super::programs::NOTIFY])
    }

    /// Programs that do not run.
    pub fn unavailable(&self) -> impl Iterator<Item = &ProgramReport> {
        self.programs.iter().filter(|program| !program.is_attached())
    }

    pub(super) fn attached(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.programs.iter().any(|program| program.name == *name && program.is_attached()))
    }
}
