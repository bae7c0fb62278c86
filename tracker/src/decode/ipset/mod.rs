//! The ip_set subsystem of nfnetlink: what its listings say, and what requests to it ask for.
//!
//! It notifies nobody, so requests say who, and listings say what came of it.

mod listing;
mod member;
mod order;
#[cfg(test)]
mod tests;
mod users;

pub use listing::{ListedSet, Listing};
pub use order::orders;
pub use users::{used_by, used_by_legacy};

/// `NFNL_SUBSYS_IPSET`.
pub const SUBSYSTEM: u8 = 6;
/// `IPSET_CMD_LIST`.
pub const LIST: u8 = 7;

/// `enum` values of `include/uapi/linux/netfilter/ipset/ip_set.h`.
pub mod attribute {
    #![expect(missing_docs, reason = "the kernel's own names")]
    pub const PROTOCOL: u16 = 1;
    pub const SETNAME: u16 = 2;
    pub const TYPENAME: u16 = 3;
    /// The second set of a swap, the new name of a rename; the same number as `TYPENAME`.
    pub const SETNAME2: u16 = 3;
    pub const REVISION: u16 = 4;
    pub const FAMILY: u16 = 5;
    pub const FLAGS: u16 = 6;
    pub const DATA: u16 = 7;
    pub const ADT: u16 = 8;
    pub const INDEX: u16 = 11;

    pub(in crate::decode) const IP: u16 = 1;
    pub(in crate::decode) const IP_TO: u16 = 2;
    pub(in crate::decode) const CIDR: u16 = 3;
    pub(in crate::decode) const PORT: u16 = 4;
    pub(in crate::decode) const PORT_TO: u16 = 5;
    pub(in crate::decode) const TIMEOUT: u16 = 6;
    pub(in crate::decode) const PROTO: u16 = 7;
    pub(in crate::decode) const CADT_FLAGS: u16 = 8;
    pub(in crate::decode) const LINENO: u16 = 9;
    pub(in crate::decode) const MARK: u16 = 10;
    pub(in crate::decode) const MARKMASK: u16 = 11;
    pub(in crate::decode) const BITMASK: u16 = 12;

    // of sets
    pub(in crate::decode) const INITVAL: u16 = 17;
    pub(in crate::decode) const MAXELEM: u16 = 19;
    pub(in crate::decode) const NETMASK: u16 = 20;
    pub(in crate::decode) const BUCKETSIZE: u16 = 21;
    pub(in crate::decode) const SIZE: u16 = 23;
    pub(in crate::decode) const REFERENCES: u16 = 25;

    // of members
    pub(in crate::decode) const ETHER: u16 = 17;
    pub(in crate::decode) const NAME: u16 = 18;
    pub(in crate::decode) const IP2: u16 = 20;
    pub(in crate::decode) const CIDR2: u16 = 21;
    pub(in crate::decode) const IP2_TO: u16 = 22;
    pub(in crate::decode) const IFACE: u16 = 23;
    pub(in crate::decode) const BYTES: u16 = 24;
    pub(in crate::decode) const PACKETS: u16 = 25;
    pub(in crate::decode) const COMMENT: u16 = 26;
    pub(in crate::decode) const SKBMARK: u16 = 27;
    pub(in crate::decode) const SKBPRIO: u16 = 28;
    pub(in crate::decode) const SKBQUEUE: u16 = 29;
}

/// `IPSET_FLAG_*` of `IPSET_ATTR_CADT_FLAGS`.
mod flag {
    pub(super) const PHYSDEV: u32 = 1 << 1;
    pub(super) const NOMATCH: u32 = 1 << 2;
    pub(super) const COUNTERS: u32 = 1 << 3;
    pub(super) const COMMENT: u32 = 1 << 4;
    pub(super) const FORCEADD: u32 = 1 << 5;
    pub(super) const SKBINFO: u32 = 1 << 6;
    pub(super) const WILDCARD: u32 = 1 << 7;
}

/// Numbers are in network byte order.
fn be16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
