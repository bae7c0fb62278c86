//! Identifiers, one type each, so that a portid can never be passed where a process id is meant.
//!
//! ```compile_fail
//! use netdeed_tracker::model::ids::{Portid, Tgid};
//! let tgid: Tgid = Portid(7); // a netlink portid is not a process id
//! ```
//! ```compile_fail
//! use netdeed_tracker::model::ids::{Handle, Ifindex};
//! let handle: Handle = Ifindex(3);
//! ```

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name as the kernel gave it; the kernel's own bound on its length is not checked again.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

number_id!(
    /// What users call the process id: the thread group id, in the host's pid namespace.
    Tgid(u32)
);
number_id!(
    /// A thread id in the host's pid namespace; the kernel's `task->pid`.
    Tid(u32)
);
number_id!(
    /// Network namespace: the inode number of its nsfs file. Reused after the namespace is gone.
    NetnsId(u32)
);
number_id!(
    /// A link's number, unique in its network namespace while the link exists, reused later.
    Ifindex(u32)
);
number_id!(
    /// The kernel's number of an nftables object, unique in its table; tables have handles of their own.
    Handle(u64)
);
number_id!(
    /// `NFTA_GEN_ID`: the number of the committed nftables ruleset of one network namespace.
    Generation(u32)
);
number_id!(
    /// A netlink socket's address. Not a process id.
    Portid(u32)
);
number_id!(
    /// A netlink request's sequence number, chosen by the requester.
    NetlinkSeq(u32)
);
number_id!(
    /// A journal object: one thing from its creation to its removal.
    ObjectId(u64)
);
number_id!(
    /// A journal actor: one program image with its ancestry.
    ActorId(u64)
);
number_id!(
    /// A journal entry's position in the chain.
    EntrySeq(u64)
);
number_id!(
    /// One act of ours: a rollback.
    OperationId(u64)
);

name_id!(
    /// Name of an nftables table.
    TableName
);
name_id!(
    /// Name of an nftables chain.
    ChainName
);
name_id!(
    /// Name of an nftables set or map.
    SetName
);
name_id!(
    /// Name of a stateful object or a flowtable.
    ObjectName
);
name_id!(
    /// Name of a link, at most 15 bytes.
    Ifname
);
name_id!(
    /// Name of an IP set, at most 31 bytes.
    IpSetName
);

/// One boot of the kernel, from `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// Parses the kernel's text form (`8-4-4-4-12` hexadecimal digits); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 {
            return None;
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_id_round_trips_through_the_kernels_text_form() {
        let text = "4a1e3a52-9c0d-4b6e-8f11-0123456789ab";
        assert_eq!(BootId::parse(&format!("{text}\n")).expect("valid").to_string(), text);
        assert_eq!(BootId::parse("4a1e"), None);
        assert_eq!(BootId::parse("zz1e3a52-9c0d-4b6e-8f11-0123456789ab"), None);
    }
}
