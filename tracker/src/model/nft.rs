//! nf_tables objects in the kernel's and nft(8)'s words. iptables-nft writes the same objects.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::{ChainName, Handle, ObjectName, SetName, TableName};

/// Address family of a table (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6 together.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// Ingress and egress of one link.
    Netdev,
    /// Bridged frames.
    Bridge,
    /// IPv6.
    Ip6,
}

impl Family {
    /// Every family, in the kernel's numeric order.
    pub const ALL: [Self; 6] = [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6];

    /// From `nfgen_family`; `None` for a number that is no table family.
    pub fn from_nfproto(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.nfproto() == number)
    }

    /// The kernel's `NFPROTO_*` number.
    pub fn nfproto(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The word nft(8) uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|family| family.as_str() == text).ok_or_else(|| UnknownFamily(text.to_owned()))
    }
}

/// A word that names no table family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a family (inet, ip, arp, netdev, bridge, ip6) but found `{0}`")]
pub struct UnknownFamily(pub String);

/// A table: the unit whose handles never repeat while it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// Address family.
    pub family: Family,
    /// Name, unique in the family.
    pub name: TableName,
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// Which nf_tables object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NftSubject {
    /// The table it is or is in.
    pub table: TableRef,
    /// The object in the table.
    pub item: NftItem,
}

/// What in a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NftItem {
    /// The table itself.
    Table,
    /// A chain, base or regular.
    Chain(ChainName),
    /// A rule of a chain.
    Rule {
        /// The chain it stands in.
        chain: ChainName,
        /// Its handle, unique in the table.
        handle: Handle,
    },
    /// A set, map or verdict map. Anonymous ones included: they live and die with their rule.
    Set(SetName),
    /// One element of a set.
    Element {
        /// The set it is in.
        set: SetName,
        /// Its key: `NFTA_SET_ELEM_KEY` data, then (intervals) `NFTA_SET_ELEM_KEY_END` data and the interval-end flag.
        key: Vec<u8>,
    },
    /// A stateful object.
    Object {
        /// `NFT_OBJECT_*`: 1 counter, 2 quota, 3 ct helper, 4 limit and so on. Names are unique per kind.
        kind: u32,
        /// Its name.
        name: ObjectName,
    },
    /// A flowtable.
    Flowtable(ObjectName),
}

/// The content of one nf_tables object, with the kernel's own bytes kept where they matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NftSnapshot {
    /// A table.
    Table(TableSnapshot),
    /// A chain.
    Chain(ChainSnapshot),
    /// A rule.
    Rule(RuleSnapshot),
    /// A set or map.
    Set(SetSnapshot),
    /// An element.
    Element(ElementSnapshot),
    /// A stateful object or flowtable.
    Other(OtherSnapshot),
}

/// A table's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSnapshot {
    /// Unique in the network namespace; tells a re-created table of the same name apart.
    pub handle: Handle,
    /// `NFT_TABLE_F_*`: 1 dormant, 2 owner, 4 persist.
    pub flags: u32,
    /// `NFTA_TABLE_USERDATA`, uninterpreted.
    pub userdata: Vec<u8>,
}

impl TableSnapshot {
    /// Whether the kernel lets only the creating socket change the table.
    pub fn is_locked_by_its_owner(&self) -> bool {
        self.flags & 2 != 0
    }
}

/// A chain's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSnapshot {
    /// Unique in the table.
    pub handle: Handle,
    /// Hook, priority and policy of a base chain; `None` for a regular chain.
    pub base: Option<BaseChain>,
    /// `NFT_CHAIN_*` flags.
    pub flags: u32,
    /// `NFTA_CHAIN_USERDATA`, uninterpreted.
    pub userdata: Vec<u8>,
}

/// Where a base chain is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChain {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// `NF_INET_*` hook number (netdev and bridge have numbers of their own).
    pub hook: u32,
    /// Order among the chains of one hook.
    pub priority: i32,
    /// Default verdict: 0 drop, 1 accept.
    pub policy: u32,
    /// The link a netdev chain is attached to.
    pub device: Option<String>,
}

/// A rule's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSnapshot {
    /// `NFTA_RULE_EXPRESSIONS` payload, exactly as the kernel sent it (counter values included).
    pub expressions: Vec<u8>,
    /// `NFTA_RULE_COMPAT` payload, if any: iptables-nft's own mark.
    pub compat: Vec<u8>,
    /// `NFTA_RULE_USERDATA` payload; nft(8) keeps comments in it.
    pub userdata: Vec<u8>,
    /// Digest of the content without counter values; see `decode::nft`.
    pub content: Digest,
    /// Chains the rule jumps or goes to.
    pub chains: Vec<ChainName>,
    /// Sets and maps the rule looks up or adds to.
    pub sets: Vec<SetName>,
    /// Stateful objects and flowtables the rule uses.
    pub objects: Vec<ObjectName>,
    /// The comment, from the comment match or from the userdata.
    pub comment: Option<String>,
}

/// A set's or map's content, without its elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSnapshot {
    /// Unique in the table.
    pub handle: Handle,
    /// `NFT_SET_*`: 1 anonymous, 2 constant, 4 interval, 8 map, 16 timeout, 32 eval, 64 object, 128 concatenation.
    pub flags: u32,
    /// All `NFTA_SET_*` attributes as sent, but table, name and handle.
    pub attributes: Vec<u8>,
}

impl SetSnapshot {
    /// Whether the set is part of a rule and comes and goes with it.
    pub fn is_anonymous(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// A set element's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementSnapshot {
    /// The payload of its `NFTA_LIST_ELEM`, as sent.
    pub attributes: Vec<u8>,
    /// Chains its verdict jumps or goes to.
    pub chains: Vec<ChainName>,
    /// Digest without counters, timeouts and expirations.
    pub content: Digest,
    /// Whether the element goes away by itself.
    pub has_timeout: bool,
}

/// A stateful object's or a flowtable's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherSnapshot {
    /// Unique in the table.
    pub handle: Handle,
    /// Its attributes as sent, but table, name and handle.
    pub attributes: Vec<u8>,
}

impl NftSnapshot {
    /// Digest of what makes the object what it is: no handle, no counter, no use count.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Table(TableSnapshot { handle: _, flags, userdata }) => {
                DigestBuilder::new("nft-table").field(&flags.to_le_bytes()).field(userdata).finish()
            }
            Self::Chain(ChainSnapshot { handle: _, base, flags, userdata }) => {
                let mut digest = DigestBuilder::new("nft-chain");
                digest.field(&flags.to_le_bytes()).field(userdata);
                if let Some(BaseChain { kind, hook, priority, policy, device }) = base {
                    digest.field(kind.as_bytes()).field(&hook.to_le_bytes()).field(&priority.to_le_bytes());
                    digest.field(&policy.to_le_bytes()).field(device.as_deref().unwrap_or_default().as_bytes());
                }
                digest.finish()
            }
            Self::Rule(rule) => rule.content,
            Self::Set(SetSnapshot { handle: _, flags, attributes }) => {
                DigestBuilder::new("nft-set").field(&flags.to_le_bytes()).field(attributes).finish()
            }
            Self::Element(element) => element.content,
            Self::Other(OtherSnapshot { handle: _, attributes }) => {
                DigestBuilder::new("nft-other").field(attributes).finish()
            }
        }
    }

    /// The kernel's number of the object; elements have none, a rule's is in its subject.
    pub fn handle(&self) -> Option<Handle> {
        match self {
            Self::Table(TableSnapshot { handle, .. })
            | Self::Chain(ChainSnapshot { handle, .. })
            | Self::Set(SetSnapshot { handle, .. })
            | Self::Other(OtherSnapshot { handle, .. }) => Some(*handle),
            Self::Rule(_) | Self::Element(_) => None,
        }
    }
}

impl fmt::Display for NftSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, item } = self;
        match item {
            NftItem::Table => write!(f, "table {table}"),
            NftItem::Chain(chain) => write!(f, "chain {table} {chain}"),
            NftItem::Rule { chain, handle } => write!(f, "rule {table} {chain} handle {handle}"),
            NftItem::Set(set) => write!(f, "set {table} {set}"),
            NftItem::Element { set, key } => {
                write!(f, "element {table} {set} 0x")?;
                key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            NftItem::Object { kind, name } => write!(f, "object {table} {name} kind {kind}"),
            NftItem::Flowtable(name) => write!(f, "flowtable {table} {name}"),
        }
    }
}
