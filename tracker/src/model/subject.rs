//! What a change is about, and its content.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::Ifindex;
use super::ipset::{IpSetItem, IpSetSnapshot, IpSetSubject};
use super::ipvs::{IpvsItem, IpvsSnapshot, IpvsSubject};
use super::legacy::{LegacyItem, LegacySnapshot, LegacySubject};
use super::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use super::mount::{MountSnapshot, MountSubject};
use super::neighbour::{NeighbourSnapshot, NeighbourSubject};
use super::nft::{NftItem, NftSnapshot, NftSubject};
use super::path::{AbsPath, PathKind, PathSnapshot};
use super::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use super::sysctl::{SysctlName, SysctlSnapshot};
use super::traffic::{FilterSubject, QdiscSubject, TrafficClassSubject, TrafficSnapshot};

/// Which object, by what the kernel tells objects apart by. Scoped to one boot and one network namespace, paths
/// excepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An nf_tables object.
    Nft(NftSubject),
    /// A legacy xtables table whose content is not read (`eb`).
    Xtables {
        /// `ip`, `ip6`, `arp` or `eb`.
        family: String,
        /// Table name.
        table: String,
    },
    /// A link.
    Link(Ifindex),
    /// An address.
    Address(AddressSubject),
    /// A route.
    Route(RouteSubject),
    /// An ip rule.
    IpRule(IpRuleSubject),
    /// A directory or file.
    Path(AbsPath),
    /// An IP set or a member of one.
    IpSet(IpSetSubject),
    /// A sysctl that was set.
    Sysctl(SysctlName),
    /// A queueing discipline.
    Qdisc(QdiscSubject),
    /// A class of one.
    TrafficClass(TrafficClassSubject),
    /// A traffic control filter.
    Filter(FilterSubject),
    /// A neighbour or a forwarding entry.
    Neighbour(NeighbourSubject),
    /// A legacy xtables table, or something in one.
    Legacy(LegacySubject),
    /// A mount.
    Mount(MountSubject),
    /// An IPVS service or a destination of one.
    Ipvs(IpvsSubject),
}

/// An object's content at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Snapshot {
    /// Of an nf_tables object.
    Nft(NftSnapshot),
    /// Of a legacy table whose content is not read: nothing but that it was written.
    Xtables,
    /// Of a link.
    Link(LinkSnapshot),
    /// Of an address.
    Address(AddressSnapshot),
    /// Of a route.
    Route(RouteSnapshot),
    /// Of an ip rule.
    IpRule(IpRuleSnapshot),
    /// Of a directory or file.
    Path(PathSnapshot),
    /// Of an IP set or a member.
    IpSet(IpSetSnapshot),
    /// Of a sysctl.
    Sysctl(SysctlSnapshot),
    /// Of a qdisc, a class or a filter.
    Traffic(TrafficSnapshot),
    /// Of a neighbour or a forwarding entry.
    Neighbour(NeighbourSnapshot),
    /// Of a legacy xtables table, or of something in one.
    Legacy(LegacySnapshot),
    /// Of a mount.
    Mount(MountSnapshot),
    /// Of an IPVS service or a destination.
    Ipvs(IpvsSnapshot),
}

impl Subject {
    /// The link it is part of and goes with; `None` for what is not part of a link, and for links.
    pub fn link(&self) -> Option<Ifindex> {
        match self {
            Self::Address(AddressSubject { ifindex, .. })
            | Self::Qdisc(QdiscSubject { ifindex, .. })
            | Self::TrafficClass(TrafficClassSubject { ifindex, .. })
            | Self::Filter(FilterSubject { ifindex, .. })
            | Self::Neighbour(NeighbourSubject { ifindex, .. }) => Some(*ifindex),
            Self::Nft(_) | Self::Xtables { .. } | Self::Link(_) | Self::Route(_) | Self::IpRule(_) => None,
            Self::Path(_) | Self::IpSet(_) | Self::Sysctl(_) | Self::Legacy(_) | Self::Mount(_) | Self::Ipvs(_) => None,
        }
    }
}

impl Snapshot {
    /// Digest of what makes the object what it is.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Nft(nft) => nft.digest(),
            Self::Xtables => DigestBuilder::new("xtables").finish(),
            Self::Link(link) => link.digest(),
            Self::Address(address) => address.content,
            Self::Route(route) => route.content,
            Self::IpRule(rule) => DigestBuilder::new("ip-rule").field(rule.text.as_bytes()).finish(),
            Self::Path(path) => path.digest(),
            Self::IpSet(set) => set.digest(),
            Self::Sysctl(sysctl) => sysctl.digest(),
            Self::Traffic(traffic) => traffic.content,
            Self::Neighbour(neighbour) => neighbour.digest(),
            Self::Legacy(legacy) => legacy.digest(),
            Self::Mount(mount) => mount.digest(),
            Self::Ipvs(ipvs) => ipvs.digest(),
        }
    }
}

/// The classes people select and list by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the glossary's word for it")]
pub enum Class {
    Table,
    Chain,
    Rule,
    Set,
    Element,
    Object,
    Flowtable,
    Xtables,
    Link,
    Address,
    Route,
    IpRule,
    Dir,
    File,
    IpSet,
    Member,
    Sysctl,
    Qdisc,
    Tclass,
    Filter,
    Neighbour,
    Mount,
    Ipvs,
    Destination,
}

impl Class {
    /// Every class, in the order lists show them.
    pub const ALL: [Self; 24] = [
        Self::Table,
        Self::Chain,
        Self::Rule,
        Self::Set,
        Self::Element,
        Self::Object,
        Self::Flowtable,
        Self::Xtables,
        Self::Link,
        Self::Address,
        Self::Route,
        Self::IpRule,
        Self::Dir,
        Self::File,
        Self::IpSet,
        Self::Member,
        Self::Ipvs,
        Self::Destination,
        Self::Sysctl,
        Self::Qdisc,
        Self::Tclass,
        Self::Filter,
        Self::Neighbour,
        Self::Mount,
    ];

    /// Class of an object.
    pub fn of(subject: &Subject, snapshot: &Snapshot) -> Self {
        match subject {
            Subject::Nft(nft) => match nft.item {
                NftItem::Table => Self::Table,
                NftItem::Chain(_) => Self::Chain,
                NftItem::Rule { .. } => Self::Rule,
                NftItem::Set(_) => Self::Set,
                NftItem::Element { .. } => Self::Element,
                NftItem::Object { .. } => Self::Object,
                NftItem::Flowtable(_) => Self::Flowtable,
            },
            Subject::Xtables { .. } => Self::Xtables,
            Subject::Legacy(legacy) => match legacy.item {
                LegacyItem::Table => Self::Table,
                LegacyItem::Chain(_) => Self::Chain,
                LegacyItem::Rule { .. } => Self::Rule,
            },
            Subject::Link(_) => Self::Link,
            Subject::Address(_) => Self::Address,
            Subject::Route(_) => Self::Route,
            Subject::IpRule(_) => Self::IpRule,
            Subject::Sysctl(_) => Self::Sysctl,
            Subject::IpSet(IpSetSubject { item: IpSetItem::Set, .. }) => Self::IpSet,
            Subject::IpSet(IpSetSubject { item: IpSetItem::Member { .. }, .. }) => Self::Member,
            Subject::Path(_) => match snapshot {
                Snapshot::Path(PathSnapshot { kind: PathKind::Dir, .. }) => Self::Dir,
                _ => Self::File,
            },
            Subject::Qdisc(_) => Self::Qdisc,
            Subject::TrafficClass(_) => Self::Tclass,
            Subject::Filter(_) => Self::Filter,
            Subject::Neighbour(_) => Self::Neighbour,
            Subject::Mount(_) => Self::Mount,
            Subject::Ipvs(IpvsSubject { item: IpvsItem::Service, .. }) => Self::Ipvs,
            Subject::Ipvs(IpvsSubject { item: IpvsItem::Destination { .. }, .. }) => Self::Destination,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Chain => "chain",
            Self::Rule => "rule",
            Self::Set => "set",
            Self::Element => "element",
            Self::Object => "object",
            Self::Flowtable => "flowtable",
            Self::Xtables => "xtables",
            Self::Link => "link",
            Self::Address => "address",
            Self::Route => "route",
            Self::IpRule => "iprule",
            Self::Dir => "dir",
            Self::File => "file",
            Self::IpSet => "ipset",
            Self::Member => "member",
            Self::Sysctl => "sysctl",
            Self::Qdisc => "qdisc",
            Self::Tclass => "tclass",
            Self::Filter => "filter",
            Self::Neighbour => "neighbour",
            Self::Mount => "mount",
            Self::Ipvs => "ipvs",
            Self::Destination => "destination",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

/// A word that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an object class such as rule, chain, link or dir but found `{0}`")]
pub struct UnknownClass(pub String);

/// What people call an object: `rule ip filter FORWARD handle 16`, `link cni0`, `dir /etc/cni/net.d`.
pub fn describe(subject: &Subject, snapshot: &Snapshot) -> String {
    match (subject, snapshot) {
        (Subject::Link(_), Snapshot::Link(link)) => format!("link {}", link.name),
        (Subject::Address(address), Snapshot::Address(AddressSnapshot { ifname: Some(ifname), .. })) => {
            format!("address {}/{} dev {ifname}", address.address, address.prefix)
        }
        (Subject::Route(route), Snapshot::Route(RouteSnapshot { ifname: Some(ifname), .. })) => {
            format!("route {route} dev {ifname}")
        }
        (Subject::IpRule(rule), Snapshot::IpRule(snapshot)) => format!("iprule {}: {}", rule.priority, snapshot.text),
        (Subject::Path(path), snapshot) => format!("{} {path}", Class::of(subject, snapshot)),
        (Subject::Qdisc(qdisc), Snapshot::Traffic(content)) => format!("qdisc {}", qdisc.describe(Some(content))),
        (Subject::TrafficClass(class), Snapshot::Traffic(content)) => {
            format!("tclass {}", class.describe(Some(content)))
        }
        (Subject::Filter(filter), Snapshot::Traffic(content)) => format!("filter {}", filter.describe(Some(content))),
        (Subject::Neighbour(neighbour), Snapshot::Neighbour(content)) => {
            format!("neighbour {}", neighbour.describe(Some(content)))
        }
        (subject, _) => describe_bare(subject),
    }
}

/// What people call an object of which only the subject is known.
pub fn describe_bare(subject: &Subject) -> String {
    match subject {
        Subject::Nft(nft) => nft.to_string(),
        Subject::Xtables { family, table } => format!("xtables {family} {table}"),
        Subject::Link(ifindex) => format!("link #{ifindex}"),
        Subject::Address(address) => format!("address {}/{} dev #{}", address.address, address.prefix, address.ifindex),
        Subject::Route(route) => format!("route {route}"),
        Subject::IpRule(rule) => format!("iprule {}", rule.priority),
        Subject::Path(path) => format!("path {path}"),
        Subject::IpSet(set) => set.to_string(),
        Subject::Sysctl(name) => format!("sysctl {name}"),
        Subject::Qdisc(qdisc) => format!("qdisc {}", qdisc.describe(None)),
        Subject::TrafficClass(class) => format!("tclass {}", class.describe(None)),
        Subject::Filter(filter) => format!("filter {}", filter.describe(None)),
        Subject::Neighbour(neighbour) => format!("neighbour {}", neighbour.describe(None)),
        Subject::Legacy(legacy) => legacy.to_string(),
        Subject::Mount(mount) => mount.to_string(),
        Subject::Ipvs(ipvs) => ipvs.to_string(),
    }
}
