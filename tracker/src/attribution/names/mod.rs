//! What names, comments and numbers tell of things that nobody was seen making.
//!
//! A name is no proof: anybody may call a chain `KUBE-SERVICES`. Nothing better than
//! [`Certainty::Inferred`](crate::model::owner::Certainty::Inferred) may be made of what [`infer`] says, and where the
//! signs of one thing disagree it says nothing.
//!
//! Names that several programs use (`veth*`, `tunl0`, `br-int`, `/var/lib/cni`, mark 0x2000, route protocol bird) have no
//! row: they say nothing. `CNI-*` chains have rows although podman and nerdctl can be configured to run the same plugins:
//! that is one reason why inference is not proof.

mod contradiction;
mod ipsets;
mod links;
mod netfilter;
mod paths;
mod routes;

pub use contradiction::contradiction;

use super::pattern::fits;
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject};
use crate::model::nft::{Family, NftItem, NftSnapshot, NftSubject, RuleSnapshot};
use crate::model::owner::{Evidence, Owner};
use crate::model::subject::{Snapshot, Subject};

/// One row of a table: a sign and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRow {
    /// What to look for.
    pub sign: Sign,
    /// The owner path.
    pub owner: &'static str,
}

/// A sign of an owner. Patterns know `*`, `<n>` (digits), `<hex:N>` and `<base32:N>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A table all of which is one owner's, in these families.
    Table(&'static [Family], &'static str),
    /// A chain: the chain itself, what is in it, and rules that jump to it.
    Chain(&'static str),
    /// A chain that its owner makes for others to write rules into.
    SharedChain(&'static str),
    /// A rule's comment.
    Comment(&'static str),
    /// A set or map, and rules that use it.
    Set(&'static str),
    /// A link with one of these kinds (all, when empty), its addresses and the routes through it.
    Link(&'static str, &'static [&'static str]),
    /// A route's protocol number.
    RouteProtocol(u8),
    /// A route's table.
    RouteTable(u32),
    /// An ip rule's table.
    RuleTable(u32),
    /// An ip rule's mark and mask.
    RuleMark(u32, u32),
    /// A path and all below it.
    Path(&'static str),
    /// An IP set and its members.
    IpSet(&'static str),
}

impl std::fmt::Display for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(_, pattern) => write!(f, "table {pattern}"),
            Self::Chain(pattern) | Self::SharedChain(pattern) => write!(f, "chain {pattern}"),
            Self::Comment(pattern) => write!(f, "comment \"{pattern}\""),
            Self::Set(pattern) => write!(f, "set {pattern}"),
            Self::Link(pattern, []) => write!(f, "link {pattern}"),
            Self::Link(pattern, kinds) => write!(f, "link {pattern} ({})", kinds.join(", ")),
            Self::RouteProtocol(number) => write!(f, "route protocol {number}"),
            Self::RouteTable(table) => write!(f, "route table {table}"),
            Self::RuleTable(table) => write!(f, "ip rule to table {table}"),
            Self::RuleMark(mark, mask) => write!(f, "ip rule mark {mark:#x}/{mask:#x}"),
            Self::Path(pattern) => write!(f, "path {pattern}"),
            Self::IpSet(pattern) => write!(f, "ipset {pattern}"),
        }
    }
}

/// Every row; within one kind of sign the first that fits counts.
pub fn rows() -> impl Iterator<Item = &'static NameRow> {
    netfilter::ROWS.iter().chain(links::ROWS).chain(routes::ROWS).chain(paths::ROWS).chain(ipsets::ROWS)
}

/// Says whose a thing looks like, and by which row; `None` when its names say nothing or contradict each other.
pub fn infer(subject: &Subject, snapshot: &Snapshot) -> Option<(Owner, Evidence)> {
    let row = match (subject, snapshot) {
        (Subject::Nft(nft), Snapshot::Nft(content)) => of_nft(nft, content),
        (Subject::Legacy(legacy), Snapshot::Legacy(content)) => of_legacy(legacy, content),
        (Subject::Link(_), Snapshot::Link(link)) => links::of_link(link.name.as_str(), Some(link.kind.as_deref())),
        (Subject::Address(_), Snapshot::Address(address)) => links::of_link(address.ifname.as_ref()?.as_str(), None),
        (Subject::Route(route), Snapshot::Route(content)) => routes::of_route(route, content),
        (Subject::IpRule(_), Snapshot::IpRule(rule)) => routes::of_ip_rule(&rule.message),
        (Subject::Path(path), _) => paths::of_path(path),
        (Subject::IpSet(set), _) => {
            first(|sign| matches!(sign, Sign::IpSet(pattern) if fits(pattern, set.set.as_str())))
        }
        _ => None,
    }?;
    let owner = Owner::new(row.owner).ok()?;
    Some((owner, Evidence::Name { pattern: row.sign.to_string() }))
}

/// The first row one of whose signs the test accepts.
fn first(test: impl Fn(&Sign) -> bool) -> Option<&'static NameRow> {
    rows().find(|row| test(&row.sign))
}

fn of_nft(subject: &NftSubject, content: &NftSnapshot) -> Option<&'static NameRow> {
    let table = &subject.table;
    let of_table = |sign: &Sign| match sign {
        Sign::Table(families, pattern) => families.contains(&table.family) && fits(pattern, table.name.as_str()),
        _ => false,
    };
    if let Some(row) = first(of_table) {
        return Some(row);
    }
    match (&subject.item, content) {
        (NftItem::Chain(chain), _) => chain_row(chain.as_str(), true),
        (NftItem::Rule { chain, .. }, NftSnapshot::Rule(rule)) => of_rule(chain.as_str(), rule),
        (NftItem::Set(set) | NftItem::Element { set, .. }, _) => set_row(set.as_str()),
        _ => None,
    }
}

fn of_legacy(subject: &LegacySubject, content: &LegacySnapshot) -> Option<&'static NameRow> {
    match (&subject.item, content) {
        (LegacyItem::Chain(chain), _) => chain_row(chain.as_str(), true),
        (LegacyItem::Rule { chain, .. }, LegacySnapshot::Rule(rule)) => {
            let comment = comment_row(rule.comment.as_deref());
            let jumps = rule.chain.iter().filter_map(|target| chain_row(target.as_str(), true));
            let signs = comment.into_iter().chain(jumps).chain(chain_row(chain.as_str(), false));
            signs.map(Some).reduce(|one, other| agreed(one?, other?))?
        }
        _ => None,
    }
}

fn comment_row(comment: Option<&str>) -> Option<&'static NameRow> {
    comment.and_then(|comment| first(|sign| matches!(sign, Sign::Comment(pattern) if fits(pattern, comment))))
}

fn of_rule(chain: &str, rule: &RuleSnapshot) -> Option<&'static NameRow> {
    let comment = comment_row(rule.comment.as_deref());
    let jumps = rule.chains.iter().filter_map(|target| chain_row(target.as_str(), true));
    let sets = rule.sets.iter().filter_map(|set| set_row(set.as_str()));
    let signs = comment.into_iter().chain(jumps).chain(sets).chain(chain_row(chain, false));
    signs.map(Some).reduce(|one, other| agreed(one?, other?))?
}

/// The more special of two rows; `None` when they name different owners.
fn agreed(one: &'static NameRow, other: &'static NameRow) -> Option<&'static NameRow> {
    let below = |path: &str, prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if one.owner == other.owner || below(one.owner, other.owner) {
        Some(one)
    } else {
        below(other.owner, one.owner).then_some(other)
    }
}

/// `named`: whether the thing is the chain or points at it; a rule that only stands in a shared chain is not its owner's.
fn chain_row(chain: &str, named: bool) -> Option<&'static NameRow> {
    let row = first(|sign| matches!(sign, Sign::Chain(pattern) | Sign::SharedChain(pattern) if fits(pattern, chain)))?;
    (named || !matches!(row.sign, Sign::SharedChain(_))).then_some(row)
}

fn set_row(set: &str) -> Option<&'static NameRow> {
    first(|sign| matches!(sign, Sign::Set(pattern) if fits(pattern, set)))
}

#[cfg(test)]
mod tests;
