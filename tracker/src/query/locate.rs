//! From what people call a thing to the objects of the journal it names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::ids::{ChainName, Handle, Ifname, IpSetName, SetName, TableName};
use crate::model::ipset::IpSetSubject;
use crate::model::ipvs::{IpvsService, IpvsSubject};
use crate::model::legacy::{LegacyItem, LegacySubject, LegacyTable};
use crate::model::neighbour::{Mac, NeighbourKey};
use crate::model::nft::{Family, NftItem, NftSubject, TableRef};
use crate::model::object::Object;
use crate::model::path::AbsPath;
use crate::model::subject::{Class, Snapshot, Subject};
use crate::model::sysctl::SysctlName;
use crate::model::traffic::HandleWord;

/// How many removed objects an answer holds when nothing living has the name.
const REMOVED_SHOWN: usize = 5;
/// How many removed objects an answer holds that is about all of them.
const REMOVED_LISTED: usize = 1000;

/// Which objects of a name are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those that live; when there are none, those that went away last.
    Now,
    /// Those that live and, behind them, those that went away.
    All,
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulePlace {
    /// Counted from 1, as `iptables -L --line-numbers` does. Only the live ruleset knows: see [`Locator::at`].
    Position(u64),
    /// Its handle.
    Handle(Handle),
}

/// A thing, as people name it. What is left open (`None`) matches anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the names of the things")]
pub enum Locator {
    /// A rule.
    Rule { table: TableRef, chain: ChainName, place: RulePlace },
    /// A rule of a legacy table, by its place counted from 1.
    LegacyRule { table: LegacyTable, chain: ChainName, position: u64 },
    /// A rule of a legacy table, as it is recorded.
    LegacyItem { table: LegacyTable, item: LegacyItem },
    /// Chains of one name; `legacy`: only those of legacy tables.
    Chain { name: ChainName, table: Option<TableName>, family: Option<Family>, legacy: bool },
    /// Tables of one name; `legacy`: only legacy ones.
    Table { name: TableName, family: Option<Family>, legacy: bool },
    /// Sets and maps of one name.
    Set { name: SetName, table: Option<TableName>, family: Option<Family> },
    /// A link, by its name or one of its other names.
    Link { name: Ifname },
    /// Routes to one destination, in any routing table.
    Route { destination: Destination },
    /// An address, on any link.
    Address { address: IpAddr, prefix: Option<u8> },
    /// A directory or file.
    Path { path: AbsPath },
    /// An IP set, or a member of it by what `ipset list` prints.
    IpSet { name: IpSetName, member: Option<String> },
    /// An IPVS service, or a destination of it.
    Ipvs { service: IpvsService, destination: Option<SocketAddr> },
    /// A sysctl that was set.
    Sysctl { name: SysctlName },
    /// Qdiscs, classes or filters of a link; `place` is a handle or where they hang, `pref` a filter's priority.
    Traffic { class: Class, dev: Ifname, place: Option<String>, pref: Option<u16> },
    /// A neighbour by its IP address, or forwarding entries by their hardware address.
    Neighbour { address: String, dev: Option<Ifname> },
    /// Mounts at a path, one above the other.
    Mount { path: AbsPath },
}

impl Locator {
    /// The same rule by its handle, for a rule named by its place; anything else is left as it is.
    #[must_use]
    pub fn at(self, handle: Handle) -> Self {
        match self {
            Self::Rule { table, chain, place: _ } => Self::Rule { table, chain, place: RulePlace::Handle(handle) },
            other => other,
        }
    }

    /// Whether an object is one it names. Rules by place are never.
    fn names(&self, object: &Object) -> bool {
        match (self, &object.subject) {
            (Self::Chain { name, table, family, legacy: _ }, Subject::Legacy(it)) => {
                matches!(&it.item, LegacyItem::Chain(chain) if chain == name)
                    && is_in_legacy(&it.table, table.as_ref(), *family)
            }
            (Self::Table { name, family, legacy: _ }, Subject::Legacy(it)) => {
                it.item == LegacyItem::Table && is_in_legacy(&it.table, Some(name), *family)
            }
            (Self::Chain { legacy: true, .. } | Self::Table { legacy: true, .. }, _) => false,
            (Self::Chain { name, table, family, legacy: _ }, Subject::Nft(nft)) => {
                matches!(&nft.item, NftItem::Chain(chain) if chain == name) && is_in(nft, table.as_ref(), *family)
            }
            (Self::Set { name, table, family }, Subject::Nft(nft)) => {
                matches!(&nft.item, NftItem::Set(set) if set == name) && is_in(nft, table.as_ref(), *family)
            }
            (Self::Table { name, family, legacy: _ }, Subject::Nft(nft)) => {
                nft.item == NftItem::Table && is_in(nft, Some(name), *family)
            }
            (Self::Rule { table, chain, place: RulePlace::Handle(handle) }, Subject::Nft(nft)) => {
                let wanted = NftItem::Rule { chain: chain.clone(), handle: *handle };
                nft.table == *table && nft.item == wanted
            }
            (Self::LegacyItem { table, item }, Subject::Legacy(it)) => it.table == *table && it.item == *item,
            (Self::Link { name }, Subject::Link(_)) => match &object.snapshot {
                Snapshot::Link(link) => link.name == *name || link.altnames.iter().any(|other| other == name.as_str()),
                _ => false,
            },
            (Self::Route { destination }, Subject::Route(route)) => match destination {
                Destination::Default => route.destination.is_none(),
                Destination::Prefix(address, prefix) => route.destination == Some(*address) && route.prefix == *prefix,
            },
            (Self::Address { address, prefix }, Subject::Address(subject)) => {
                subject.address == *address && prefix.is_none_or(|prefix| subject.prefix == prefix)
            }
            (Self::Path { path }, Subject::Path(subject)) => subject == path,
            (Self::Sysctl { name }, Subject::Sysctl(subject)) => subject == name,
            (Self::Mount { path }, Subject::Mount(subject)) => subject.path == *path,
            (Self::IpSet { name, member }, Subject::IpSet(subject)) => {
                subject.set == *name && subject.key() == member.as_deref()
            }
            (Self::Ipvs { .. }, subject) => self.subject().as_ref() == Some(subject),
            (Self::Traffic { dev, place, pref, .. }, subject) => names_traffic(object, subject, dev, place, *pref),
            (Self::Neighbour { address, dev }, Subject::Neighbour(subject)) => {
                names_neighbour(object, &subject.key, address, dev.as_ref())
            }
            _ => false,
        }
    }

    /// The classes its objects can have.
    fn classes(&self) -> Vec<Class> {
        match self {
            Self::Rule { .. } | Self::LegacyRule { .. } | Self::LegacyItem { .. } => vec![Class::Rule],
            Self::Chain { .. } => vec![Class::Chain],
            Self::Table { .. } => vec![Class::Table],
            Self::Set { .. } => vec![Class::Set],
            Self::Link { .. } => vec![Class::Link],
            Self::Route { .. } => vec![Class::Route],
            Self::Address { .. } => vec![Class::Address],
            Self::Path { .. } => vec![Class::Dir, Class::File],
            Self::IpSet { member: None, .. } => vec![Class::IpSet],
            Self::Sysctl { .. } => vec![Class::Sysctl],
            Self::IpSet { member: Some(_), .. } => vec![Class::Member],
            Self::Ipvs { destination: None, .. } => vec![Class::Ipvs],
            Self::Ipvs { destination: Some(_), .. } => vec![Class::Destination],
            Self::Traffic { class, .. } => vec![*class],
            Self::Neighbour { .. } => vec![Class::Neighbour],
            Self::Mount { .. } => vec![Class::Mount],
        }
    }

    /// The one subject it names, where names are unique; saves looking at every object.
    fn subject(&self) -> Option<Subject> {
        match self {
            Self::Rule { table, chain, place: RulePlace::Handle(handle) } => Some(Subject::Nft(NftSubject {
                table: table.clone(),
                item: NftItem::Rule { chain: chain.clone(), handle: *handle },
            })),
            Self::LegacyItem { table, item } => {
                Some(Subject::Legacy(LegacySubject { table: table.clone(), item: item.clone() }))
            }
            Self::Path { path } => Some(Subject::Path(path.clone())),
            Self::Sysctl { name } => Some(Subject::Sysctl(name.clone())),
            Self::IpSet { name, member: None } => Some(Subject::IpSet(IpSetSubject::set(name.clone()))),
            Self::IpSet { name, member: Some(key) } => {
                Some(Subject::IpSet(IpSetSubject::member(name.clone(), key.clone())))
            }
            Self::Ipvs { service, destination } => Some(Subject::Ipvs(match destination {
                None => IpvsSubject::service(*service),
                Some(at) => IpvsSubject::destination(*service, *at),
            })),
            _ => None,
        }
    }
}

fn is_in_legacy(it: &LegacyTable, table: Option<&TableName>, family: Option<Family>) -> bool {
    table.is_none_or(|table| it.name == *table) && family.is_none_or(|family| it.family.as_str() == family.as_str())
}

/// Whether a qdisc, class or filter is on the link, and at the place where one is given: its own handle, or what it
/// hangs on. `1:0` is `1:` to tc(8).
fn names_traffic(object: &Object, subject: &Subject, dev: &Ifname, place: &Option<String>, pref: Option<u16>) -> bool {
    let Snapshot::Traffic(content) = &object.snapshot else { return false };
    let (own, hangs_on) = match subject {
        Subject::Qdisc(qdisc) => (Some(qdisc.handle), content.parent),
        Subject::TrafficClass(class) => (Some(class.handle), content.parent),
        Subject::Filter(filter) => (None, filter.parent),
        _ => return false,
    };
    let is_pref = pref.is_none_or(|pref| matches!(subject, Subject::Filter(filter) if filter.priority == pref));
    let is_place = place.as_deref().is_none_or(|place| {
        let place = place.strip_suffix('0').filter(|place| place.ends_with(':')).unwrap_or(place);
        own.into_iter().chain([hangs_on]).any(|handle| HandleWord(handle).to_string() == place)
    });
    content.ifname.as_deref() == Some(dev.as_str()) && is_pref && is_place
}

fn names_neighbour(object: &Object, key: &NeighbourKey, address: &str, dev: Option<&Ifname>) -> bool {
    let Snapshot::Neighbour(content) = &object.snapshot else { return false };
    let is_dev = dev.is_none_or(|dev| content.ifname.as_deref() == Some(dev.as_str()));
    is_dev
        && match key {
            NeighbourKey::Address(its) => address.parse() == Ok(*its),
            NeighbourKey::Forwarding { mac, .. } => Mac(mac).to_string().eq_ignore_ascii_case(address),
        }
}

fn is_in(nft: &NftSubject, table: Option<&TableName>, family: Option<Family>) -> bool {
    table.is_none_or(|table| nft.table.name == *table) && family.is_none_or(|family| nft.table.family == family)
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qualified =
            |f: &mut fmt::Formatter<'_>, class: &str, family: &Option<Family>, table: &Option<TableName>| {
                f.write_str(class)?;
                family.iter().try_for_each(|family| write!(f, " {family}"))?;
                table.iter().try_for_each(|table| write!(f, " {table}"))
            };
        match self {
            Self::Rule { table, chain, place: RulePlace::Position(position) } => {
                write!(f, "rule {table} {chain} position {position}")
            }
            Self::Rule { table, chain, place: RulePlace::Handle(handle) } => {
                write!(f, "rule {table} {chain} handle {handle}")
            }
            Self::LegacyRule { table, chain, position } => {
                write!(f, "rule legacy {table} {chain} position {position}")
            }
            Self::LegacyItem { table, item } => {
                fmt::Display::fmt(&LegacySubject { table: table.clone(), item: item.clone() }, f)
            }
            Self::Chain { name, table, family, legacy } => {
                qualified(f, if *legacy { "chain legacy" } else { "chain" }, family, table)?;
                write!(f, " {name}")
            }
            Self::Set { name, table, family } => {
                qualified(f, "set", family, table)?;
                write!(f, " {name}")
            }
            Self::Table { name, family, legacy } => {
                qualified(f, if *legacy { "table legacy" } else { "table" }, family, &None)?;
                write!(f, " {name}")
            }
            Self::Link { name } => write!(f, "link {name}"),
            Self::Route { destination } => write!(f, "route {destination}"),
            Self::Address { address, prefix: None } => write!(f, "address {address}"),
            Self::Address { address, prefix: Some(prefix) } => write!(f, "address {address}/{prefix}"),
            Self::Path { path } => write!(f, "path {path}"),
            Self::Sysctl { name } => write!(f, "sysctl {name}"),
            Self::Mount { path } => write!(f, "mount {path}"),
            Self::IpSet { name, member: None } => write!(f, "ipset {name}"),
            Self::IpSet { name, member: Some(member) } => write!(f, "member {name} {member}"),
            Self::Ipvs { service, destination: None } => write!(f, "ipvs {service}"),
            Self::Ipvs { service, destination: Some(at) } => write!(f, "destination {service} {at}"),
            Self::Traffic { class, dev, place, pref } => {
                write!(f, "{class} dev {dev}")?;
                place.iter().try_for_each(|place| write!(f, " {place}"))?;
                pref.iter().try_for_each(|pref| write!(f, " pref {pref}"))
            }
            Self::Neighbour { address, dev } => {
                write!(f, "neighbour {address}")?;
                dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))
            }
        }
    }
}

/// Objects a locator names in the scope the tracker last started in: the living ones, and those that went away, newest
/// first, as far as they are wanted. A rule by its place names none: turn it into a handle first.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn locate(journal: &dyn Read, locator: &Locator, reach: Reach) -> Result<Vec<Object>, JournalError> {
    let Some(scope) = journal.scope()? else { return Ok(Vec::new()) };
    if let Some(subject) = locator.subject().filter(|_| reach == Reach::Now)
        && let Some(object) = journal.live(&scope, &subject)?
    {
        return Ok(vec![object]);
    }
    let filter =
        ObjectFilter { classes: locator.classes(), include_removed: true, scope: Some(scope), ..Default::default() };
    let (mut live, mut removed) = (Vec::new(), Vec::new());
    journal.visit(&filter, &mut |object| {
        if locator.names(&object) {
            if object.is_live() { live.push(object) } else { removed.push(object) }
        }
        ControlFlow::Continue(())
    })?;
    if !live.is_empty() && reach == Reach::Now {
        return Ok(live);
    }
    removed.sort_by_key(|object| std::cmp::Reverse(object.id));
    removed.truncate(if reach == Reach::Now { REMOVED_SHOWN } else { REMOVED_LISTED });
    live.extend(removed);
    Ok(live)
}

/// The sentence for a place in a chain where no rule stands.
pub fn no_such_position(table: &dyn fmt::Display, chain: &ChainName, rules: usize, position: u64) -> String {
    let rules = match rules {
        0 => "no rules".to_owned(),
        1 => "one rule".to_owned(),
        count => format!("{count} rules"),
    };
    format!("chain {table} {chain} has {rules}, so there is none at position {position}")
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Everywhere, in either family.
    Default,
    /// A prefix.
    Prefix(IpAddr, u8),
}

/// A text that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a destination such as `default`, `10.244.0.0/16` or `fd00::1` but found `{0}`")]
pub struct BadDestination(pub String);

impl std::str::FromStr for Destination {
    type Err = BadDestination;

    /// An address alone means the host route to it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "default" {
            return Ok(Self::Default);
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
            (prefix <= longest).then_some((address, prefix))
        });
        match parsed {
            Some((address, 0)) if address.is_unspecified() => Ok(Self::Default),
            Some((address, prefix)) => Ok(Self::Prefix(address, prefix)),
            None => Err(BadDestination(text.to_owned())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Prefix(address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}
