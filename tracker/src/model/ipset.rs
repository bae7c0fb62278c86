//! IP sets of the ip_set subsystem, which xt rules match against. Not the sets of nf_tables.
//!
//! What has a set's name and index is one set for as long as rules can refer to it. A *swap* exchanges what two sets
//! hold, members and settings, and leaves names and indexes where they are: rules go on meaning the same name. So the
//! set stays its creator's, and its members stay their creators' under another name. A *rename* keeps both.

mod key;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::IpSetName;

/// Which IP set, or which member of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IpSetSubject {
    /// The set it is or is in.
    pub set: IpSetName,
    /// What of it.
    pub item: IpSetItem,
}

impl IpSetSubject {
    /// The set itself.
    pub fn set(name: IpSetName) -> Self {
        Self { set: name, item: IpSetItem::Set }
    }

    /// A member.
    pub fn member(set: IpSetName, key: String) -> Self {
        Self { set, item: IpSetItem::Member { key } }
    }

    /// The member's key; `None` for a set.
    pub fn key(&self) -> Option<&str> {
        match &self.item {
            IpSetItem::Set => None,
            IpSetItem::Member { key } => Some(key),
        }
    }
}

/// A set, or what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpSetItem {
    /// The set itself.
    Set,
    /// One member.
    Member {
        /// What `ipset list` prints before its options: `10.0.0.0/24,tcp:80`.
        key: String,
    },
}

/// Content of a set or of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpSetSnapshot {
    /// Of a set.
    Set(IpSetHeader),
    /// Of a member.
    Member(IpSetMember),
}

/// A set without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSetHeader {
    /// Type: `hash:ip`, `bitmap:port`, `list:set`.
    pub kind: String,
    /// `NFPROTO_*`: 2 IPv4, 10 IPv6, 0 neither.
    pub family: u8,
    /// Revision of the type.
    pub revision: u8,
    /// The number rules have it by; kernels before 4.20 do not tell.
    pub index: Option<u16>,
    /// The seed of its hash, chosen when it was created and moved with its content by a swap: tells a set made anew from
    /// the one before. Only hash types of Linux 5.12 and later tell.
    pub seed: Option<u32>,
    /// What it was created with, as `ipset save` prints it, without what the kernel adjusts by itself.
    pub options: String,
    /// How many rules and `list:set` sets refer to it.
    pub references: u32,
    /// Members go away by themselves unless they say otherwise.
    pub has_timeout: bool,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSetMember {
    /// The attributes that make it this member, as the kernel sent them: what a deletion names it by.
    pub attributes: Vec<u8>,
    /// Comment, marks and flags, as `ipset save` prints them; no counters, no time that is left.
    pub options: String,
    /// Goes away by itself.
    pub has_timeout: bool,
    /// The set it is, in a `list:set`.
    pub refers_to: Option<IpSetName>,
}

impl IpSetSnapshot {
    /// Digest of what a creator chose.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Set(IpSetHeader { kind, family, revision: _, index: _, seed: _, options, .. }) => {
                let mut digest = DigestBuilder::new("ipset");
                digest.field(kind.as_bytes()).field(&[*family]).field(options.as_bytes()).finish()
            }
            Self::Member(IpSetMember { attributes, options, .. }) => {
                DigestBuilder::new("ipset-member").field(attributes).field(options.as_bytes()).finish()
            }
        }
    }
}

impl fmt::Display for IpSetSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, item } = self;
        match item {
            IpSetItem::Set => write!(f, "ipset {set}"),
            IpSetItem::Member { key } => write!(f, "member {set} {key}"),
        }
    }
}

/// What a request asks of the ip_set subsystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "ipset(8)'s own words")]
pub enum IpSetVerb {
    Create,
    Destroy,
    Flush,
    Rename,
    Swap,
    Add,
    Del,
    /// A message that was not captured.
    Anything,
}

impl fmt::Display for IpSetVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Flush => "flush",
            Self::Rename => "rename",
            Self::Swap => "swap",
            Self::Add => "add",
            Self::Del => "del",
            Self::Anything => "something",
        })
    }
}

/// One message of a request to the ip_set subsystem, as far as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSetOrder {
    /// What.
    pub verb: IpSetVerb,
    /// Which set; `None` is every set.
    pub set: Option<IpSetName>,
    /// The other set of a swap, the new name of a rename.
    pub other: Option<IpSetName>,
    /// The members it names.
    pub members: Vec<MemberMention>,
    /// It may name more members than were captured.
    pub is_cut: bool,
}

/// A member as a request names it: a range may be many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberMention {
    /// What it names, in the words of a member's key; `None` when it may be more than one member.
    pub parts: Option<MemberParts>,
}

/// The parts of a member's key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberParts {
    /// First address.
    pub ip: Option<std::net::IpAddr>,
    /// Its prefix length, when it was given.
    pub cidr: Option<u8>,
    /// Port, or ICMP type and code.
    pub port: Option<u16>,
    /// Protocol.
    pub protocol: Option<u8>,
    /// Second address.
    pub ip2: Option<std::net::IpAddr>,
    /// Its prefix length, when it was given.
    pub cidr2: Option<u8>,
    /// Link name.
    pub interface: Option<String>,
    /// The link is a bridge port's (`physdev`).
    pub is_physical: bool,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Firewall mark.
    pub mark: Option<u32>,
    /// Set, in a `list:set`.
    pub name: Option<IpSetName>,
}
