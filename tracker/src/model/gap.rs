//! Gaps: intervals in which records may be missing. A gap is recorded, never papered over.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{BootTime, WallTime};

/// A stream of records that can lose some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Process records from BPF.
    Processes,
    /// Netlink request and setsockopt records from BPF.
    Requests,
    /// nf_tables notifications.
    Nftables,
    /// Link, address, route and ip rule notifications.
    Rtnetlink,
    /// Directory and file events.
    Fanotify,
    /// IP sets, which are looked at after each request that may have changed one.
    IpSets,
    /// Writes to sysctls.
    Sysctls,
    /// Legacy xtables tables.
    Legacy,
    /// The mount table.
    Mounts,
    /// IPVS services, which are looked at after each request that may have changed one.
    Ipvs,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 10] = [
        Self::Processes,
        Self::Requests,
        Self::Nftables,
        Self::Rtnetlink,
        Self::Fanotify,
        Self::IpSets,
        Self::Sysctls,
        Self::Legacy,
        Self::Mounts,
        Self::Ipvs,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Requests => "requests",
            Self::Nftables => "nftables",
            Self::Rtnetlink => "rtnetlink",
            Self::Fanotify => "fanotify",
            Self::Legacy => "legacy",
            Self::Mounts => "mounts",
            Self::Ipvs => "ipvs",
            Self::IpSets => "ip-sets",
            Self::Sysctls => "sysctls",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why records may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The tracker was not running.
    TrackerDown,
    /// A socket's receive buffer or an event queue overran.
    Overrun {
        /// Which stream.
        source: Source,
    },
    /// A BPF ring was full.
    RingFull {
        /// Which stream.
        source: Source,
        /// How many records.
        lost: u64,
    },
    /// A generation number was skipped.
    GenerationSkipped {
        /// The last one seen.
        from: u32,
        /// The one that followed.
        to: u32,
    },
    /// The journal could not be read and was set aside.
    JournalLost,
    /// A message was not understood, and may have told of a change.
    Undecoded {
        /// Which stream.
        source: Source,
    },
    /// A message told of a change without its whole content.
    Partial {
        /// Which stream.
        source: Source,
    },
    /// The journal could not be written, and what waited for it was given up.
    JournalFailed {
        /// How many changes.
        lost: u64,
    },
    /// Things had come or changed that no notification told of.
    Unannounced {
        /// Which stream should have.
        source: Source,
    },
    /// Something had changed although nobody was seen changing it.
    Unseen {
        /// Which stream.
        source: Source,
    },
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrackerDown => f.write_str("tracker was not running"),
            Self::Overrun { source } => write!(f, "{source} queue overran"),
            Self::RingFull { source, lost } => write!(f, "ring full, {lost} {source} records lost"),
            Self::GenerationSkipped { from, to } => write!(f, "nftables generation jumped from {from} to {to}"),
            Self::Undecoded { source } => write!(f, "a {source} message was not understood"),
            Self::Partial { source } => write!(f, "a {source} message left out what changed"),
            Self::Unseen { source } => write!(f, "a {source} change was not seen when it happened"),
            Self::Unannounced { source } => write!(f, "changes that no {source} message told of"),
            Self::JournalLost => f.write_str("journal was unreadable and set aside"),
            Self::JournalFailed { lost } => write!(f, "journal could not be written, {lost} changes given up"),
        }
    }
}

/// One interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Last moment at which everything was known to be recorded.
    pub from: WallTime,
    /// Moment from which everything is recorded again.
    pub to: WallTime,
    /// Length by a clock that does not jump; `None` across a boot.
    pub from_boot: Option<BootTime>,
    /// Why.
    pub reason: GapReason,
    /// Objects found new by the resync.
    pub appeared: u64,
    /// Objects found gone by the resync.
    pub vanished: u64,
    /// Objects found changed by the resync.
    pub changed: u64,
}
