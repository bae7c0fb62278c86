//! Capture: raw records out of the kernel, in causal order, with losses as records in their place.
//!
//! May read and subscribe; may not change anything, and may not ask who did it.

pub mod bpf;
pub mod btf;
pub(crate) mod entry;
pub mod error;
pub mod fanotify;
pub mod ipset;
pub mod ipvs;
pub mod kept;
pub mod legacy;
pub mod looks;
pub mod mountinfo;
pub mod mounts;
pub mod nfnetlink;
pub mod roots;
pub mod rtnetlink;
mod ruleset;
pub mod scan;
pub mod sockets;
pub mod sysctl;
pub mod wake;

use std::os::fd::BorrowedFd;

use crate::model::gap::Source;
use crate::model::observation::{PathObservation, SysctlWrite};

pub use error::CaptureError;
pub use ruleset::ruleset;

/// One record as the kernel gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One record of the BPF rings (`tracker_ebpf::abi`).
    Bpf(Vec<u8>),
    /// One datagram of the NFTABLES multicast group: one or more netlink messages.
    Nfnetlink(Vec<u8>),
    /// One datagram of the rtnetlink multicast groups.
    Rtnetlink(Vec<u8>),
    /// One directory or file event; resolving it needs the live filesystem, so it arrives decoded.
    Path(PathObservation),
    /// Writes to a sysctl; its value is read at once, so they arrive decoded.
    Sysctl(SysctlWrite),
    /// The mount table after it changed.
    Mounts(mountinfo::MountLook),
    /// IP sets as they were when somebody asked for them.
    IpSets(ipset::IpSetLook),
    /// IPVS services as they were when somebody asked for them.
    Ipvs(ipvs::IpvsLook),
    /// Records of this stream are missing from here on.
    Lost {
        /// Which stream.
        source: Source,
        /// How many, where known.
        lost: Option<u64>,
    },
}

/// One kernel queue that can be polled.
pub trait RawSource: Send {
    /// Readable when records wait.
    fn fd(&self) -> BorrowedFd<'_>;

    /// What to wait for on the descriptor, where that is not that it is readable.
    fn interest(&self) -> rustix::event::PollFlags {
        rustix::event::PollFlags::IN
    }

    /// Moves waiting records to `out` without blocking, about `budget` of them; losses go in their place.
    /// Returns whether more may be waiting.
    ///
    /// # Errors
    /// [`CaptureError`] when the queue itself is broken; an overrun is no error but a [`Raw::Lost`].
    fn drain(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError>;
}
