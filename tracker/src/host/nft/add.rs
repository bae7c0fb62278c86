//! What a batch can add: what an earlier one deleted, and the policy of a base chain.

use std::fmt;

use crate::decode::nft::expr::{Data, Kind, decode};
use crate::model::ids::{ChainName, Handle, ObjectName, SetName};
use crate::model::nft::{
    ChainSnapshot, ElementSnapshot, OtherSnapshot, RuleSnapshot, SetSnapshot, TableRef, TableSnapshot,
};

/// Where in its chain a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind all others.
    Last,
    /// Right before a rule.
    Before(Handle),
    /// Right behind a rule.
    After(Handle),
}

/// One addition. Handles in the contents are not used: the kernel gives out new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the table, the object's name in it, and its content")]
pub enum NftAdd {
    Table {
        table: TableRef,
        content: TableSnapshot,
    },
    Chain {
        table: TableRef,
        chain: ChainName,
        content: ChainSnapshot,
    },
    /// Sets the policy of a base chain that is there.
    Policy {
        table: TableRef,
        chain: ChainName,
        policy: u32,
    },
    Set {
        table: TableRef,
        set: SetName,
        content: SetSnapshot,
    },
    Object {
        table: TableRef,
        kind: u32,
        name: ObjectName,
        content: OtherSnapshot,
    },
    Flowtable {
        table: TableRef,
        name: ObjectName,
        content: OtherSnapshot,
    },
    /// `key` as in [`NftItem::Element`](crate::model::nft::NftItem); the kernel reads it from the content.
    Element {
        table: TableRef,
        set: SetName,
        key: Vec<u8>,
        content: ElementSnapshot,
    },
    Rule {
        table: TableRef,
        chain: ChainName,
        content: RuleSnapshot,
        place: Place,
    },
}

impl fmt::Display for NftAdd {
    /// The object in nft(8)'s words: `chain ip nat KUBE-SERVICES`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { table, .. } => write!(f, "table {table}"),
            Self::Chain { table, chain, .. } => write!(f, "chain {table} {chain}"),
            Self::Policy { table, chain, .. } => write!(f, "policy of chain {table} {chain}"),
            Self::Set { table, set, .. } => write!(f, "set {table} {set}"),
            Self::Object { table, kind, name, .. } => write!(f, "object {table} {name} kind {kind}"),
            Self::Flowtable { table, name, .. } => write!(f, "flowtable {table} {name}"),
            Self::Element { table, set, .. } => write!(f, "element of set {table} {set}"),
            Self::Rule { table, chain, .. } => write!(f, "rule in chain {table} {chain}"),
        }
    }
}

/// `NFT_META_L4PROTO`; `NFT_PAYLOAD_NETWORK_HEADER` and where the protocol is in IPv4's and IPv6's.
const META_L4PROTO: u32 = 16;
const NETWORK_HEADER: u32 = 1;
const PROTOCOL_AT: [u32; 2] = [9, 6];

/// The transport protocol an xtables match or target has to be told of (`NFTA_RULE_COMPAT`), and whether inverted.
///
/// The kernel asks for it when a rule is made and does not give it back; like iptables-nft it is taken from what the
/// rule itself compares. `None` for a rule without xtables parts or that compares no protocol.
pub(super) fn compat_of(expressions: &[u8]) -> Option<(u32, bool)> {
    let (mut loads_protocol, mut found, mut has_xt) = (false, None, false);
    for expression in decode(expressions) {
        loads_protocol = match expression.kind {
            Kind::Meta(meta) => meta.key == META_L4PROTO && meta.source.is_none(),
            Kind::Payload(load) => {
                load.base == NETWORK_HEADER && load.length == 1 && PROTOCOL_AT.contains(&load.offset)
            }
            Kind::Compare(compare) if loads_protocol && compare.operation <= 1 => {
                if let (Data::Value([protocol, ..]), None) = (compare.data, found) {
                    found = Some((u32::from(*protocol), compare.operation == 1));
                }
                false
            }
            Kind::Match(_) | Kind::Target(_) => {
                has_xt = true;
                false
            }
            _ => false,
        };
    }
    found.filter(|_| has_xt)
}
