//! What callers ask, as it stands in a query string.

use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::journal::ObjectFilter;
use crate::model::ids::{EntrySeq, Handle, ObjectId};
use crate::model::ipvs::BadService;
use crate::model::legacy::{LegacyFamily, LegacyTable};
use crate::model::nft::Family;
use crate::model::owner::{Certainty, Owner};
use crate::model::path::AbsPath;
use crate::model::subject::Class;
use crate::model::sysctl::SysctlName;
use crate::query::{Destination, EventFilter, Locator, RulePlace};

use super::time::TimeView;

/// A query string that makes no sense; the text says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

/// Which objects to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsQuery {
    /// Only this owner's and those below it.
    pub owner: Option<Owner>,
    /// Only these classes, separated by commas.
    pub class: Option<String>,
    /// Only this certainty.
    pub certainty: Option<Certainty>,
    /// Also those that are gone.
    pub removed: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

impl ObjectsQuery {
    /// The filter it means; its scope is still open.
    ///
    /// # Errors
    /// [`BadRequest`] for a word that names no class.
    pub fn filter(&self) -> Result<ObjectFilter, BadRequest> {
        Ok(ObjectFilter {
            owner: self.owner.clone(),
            classes: classes(self.class.as_deref())?,
            certainty: self.certainty,
            include_removed: self.removed,
            scope: None,
        })
    }
}

fn classes(words: Option<&str>) -> Result<Vec<Class>, BadRequest> {
    let words = words.unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let classes = words.map(|word| word.trim().parse::<Class>()).collect::<Result<_, _>>();
    classes.map_err(|error| BadRequest(error.to_string()))
}

fn objects(numbers: Option<&str>) -> Result<Vec<ObjectId>, BadRequest> {
    let numbers = numbers.unwrap_or_default().split(',').filter(|number| !number.is_empty());
    let parse = |number: &str| {
        let bad = |_| BadRequest(format!("expected numbers of objects separated by commas but found `{number}`"));
        number.trim().parse().map(ObjectId).map_err(bad)
    };
    numbers.map(parse).collect()
}

/// Which entries to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogQuery {
    /// Only what this owner did or what was done to its objects.
    pub owner: Option<Owner>,
    /// Only changes of these objects, by their numbers separated by commas.
    pub object: Option<String>,
    /// Only changes of objects of these classes, separated by commas.
    pub class: Option<String>,
    /// Only from this moment on.
    pub since: Option<TimeView>,
    /// Only up to this moment.
    pub until: Option<TimeView>,
    /// At most this many, the newest.
    pub limit: Option<u64>,
}

impl LogQuery {
    /// The filter it means.
    ///
    /// # Errors
    /// [`BadRequest`] for what names no class or no object.
    pub fn filter(&self) -> Result<EventFilter, BadRequest> {
        Ok(EventFilter {
            owner: self.owner.clone(),
            objects: objects(self.object.as_deref())?,
            classes: classes(self.class.as_deref())?,
            since: self.since.map(|time| time.0),
            until: self.until.map(|time| time.0),
        })
    }
}

/// Which entries to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowQuery {
    /// Only what this owner did or what was done to its objects.
    pub owner: Option<Owner>,
    /// Only changes of these objects, by their numbers separated by commas.
    pub object: Option<String>,
    /// Only changes of objects of these classes, separated by commas.
    pub class: Option<String>,
    /// First entry wanted, see [`super::LogView::next`]; without it, only entries yet to come.
    pub from: Option<EntrySeq>,
}

impl FollowQuery {
    /// The filter it means.
    ///
    /// # Errors
    /// [`BadRequest`] for what names no class or no object.
    pub fn filter(&self) -> Result<EventFilter, BadRequest> {
        Ok(EventFilter {
            owner: self.owner.clone(),
            objects: objects(self.object.as_deref())?,
            classes: classes(self.class.as_deref())?,
            ..EventFilter::default()
        })
    }
}

/// Which thing is asked about. Which fields are needed depends on `class`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhoQuery {
    /// `rule`, `chain`, `table`, `set`, `link`, `route`, `address`, `qdisc`, `tclass`, `filter`, `neighbour`, `dir`, `file`,
    /// `mount`, `ipset`, `ipvs` or `sysctl`.
    pub class: Option<String>,
    /// Name of a chain, table, set or link; of an IPVS service `tcp 10.96.0.1:443` or `fwmark 7`.
    pub name: Option<String>,
    /// Family of the table; `ip` for a rule when not given.
    pub family: Option<Family>,
    /// Table of a rule (needed), chain or set.
    pub table: Option<String>,
    /// Chain of a rule.
    pub chain: Option<String>,
    /// Place of a rule in its chain, counted from 1.
    pub position: Option<u64>,
    /// Handle of a rule.
    pub handle: Option<Handle>,
    /// Whether it is a rule of a legacy table; for chains and tables, whether only legacy ones are meant.
    pub legacy: bool,
    /// Destination of a route: `default`, an address or a prefix; of an IPVS service: an address with a port, the service
    /// itself when not given.
    pub destination: Option<String>,
    /// An address, with or without its prefix length; a neighbour's IP or hardware address.
    pub address: Option<String>,
    /// Link of a qdisc, class or filter (needed), or of a neighbour.
    pub dev: Option<String>,
    /// Where a qdisc, class or filter is: its handle or what it hangs on, `root`, `ingress` or `egress`.
    pub place: Option<String>,
    /// Priority of a filter.
    pub pref: Option<u16>,
    /// An absolute path.
    pub path: Option<String>,
    /// All that ever had the name, not only what has it now.
    pub removed: bool,
    /// A member of an IP set, by what `ipset list` prints of it; the set itself when not given.
    pub member: Option<String>,
}

impl WhoQuery {
    /// What it asks about.
    ///
    /// # Errors
    /// [`BadRequest`] naming the field that is missing or wrong.
    pub fn locator(&self) -> Result<Locator, BadRequest> {
        let class = needed(self.class.as_deref(), "class")?;
        let table = self.table.as_deref().map(Into::into);
        let name = || needed(self.name.as_deref(), "name");
        Ok(match class {
            "rule" => self.rule()?,
            "chain" => Locator::Chain { name: name()?.into(), table, family: self.family, legacy: self.legacy },
            "table" => Locator::Table { name: name()?.into(), family: self.family, legacy: self.legacy },
            "set" => Locator::Set { name: name()?.into(), table, family: self.family },
            "link" => Locator::Link { name: name()?.into() },
            "route" => {
                let text = needed(self.destination.as_deref(), "destination")?;
                let destination = text.parse::<Destination>().map_err(|error| BadRequest(error.to_string()))?;
                Locator::Route { destination }
            }
            "address" => self.address()?,
            "sysctl" => {
                let text = name()?;
                let bad = || BadRequest(format!("expected a sysctl such as `net.ipv4.ip_forward` but found `{text}`"));
                Locator::Sysctl { name: SysctlName::parse(text).ok_or_else(bad)? }
            }
            "ipset" => Locator::IpSet { name: name()?.into(), member: self.member.clone() },
            "ipvs" => self.ipvs()?,
            "qdisc" => self.traffic(Class::Qdisc)?,
            "tclass" => self.traffic(Class::Tclass)?,
            "filter" => self.traffic(Class::Filter)?,
            "neighbour" => Locator::Neighbour {
                address: needed(self.address.as_deref(), "address")?.to_owned(),
                dev: self.dev.as_deref().map(Into::into),
            },
            "dir" | "file" | "mount" => {
                let text = needed(self.path.as_deref(), "path")?;
                let bad = || BadRequest(format!("expected an absolute path without `..` but found `{text}`"));
                let path = AbsPath::new(Path::new(text)).ok_or_else(bad)?;
                if class == "mount" { Locator::Mount { path } } else { Locator::Path { path } }
            }
            other => {
                return Err(BadRequest(format!(
                    "expected class rule, chain, table, set, link, route, address, qdisc, tclass, filter, neighbour, dir, \
                     file, mount, ipset, ipvs or sysctl but found `{other}`"
                )));
            }
        })
    }

    fn legacy_rule(&self) -> Result<Locator, BadRequest> {
        let word = self.family.unwrap_or(Family::Ip).as_str();
        let family = LegacyFamily::from_word(word).ok_or_else(|| {
            BadRequest(format!("expected family ip, ip6, arp or bridge of a legacy table but found `{word}`"))
        })?;
        let position = self.position.filter(|position| *position > 0 && self.handle.is_none());
        let position = position
            .ok_or_else(|| BadRequest("expected `position`, from 1, of a rule in a legacy table".to_owned()))?;
        let table = LegacyTable { family, name: needed(self.table.as_deref(), "table")?.into() };
        Ok(Locator::LegacyRule { table, chain: needed(self.chain.as_deref(), "chain")?.into(), position })
    }

    fn rule(&self) -> Result<Locator, BadRequest> {
        if self.legacy {
            return self.legacy_rule();
        }
        let place = match (self.position, self.handle) {
            (Some(0), None) => return Err(BadRequest("rules are counted from 1 but `position` is 0".to_owned())),
            (Some(position), None) => RulePlace::Position(position),
            (None, Some(handle)) => RulePlace::Handle(handle),
            _ => return Err(BadRequest("expected either `position` or `handle` of the rule".to_owned())),
        };
        Ok(Locator::Rule {
            table: crate::model::nft::TableRef {
                family: self.family.unwrap_or(Family::Ip),
                name: needed(self.table.as_deref(), "table")?.into(),
            },
            chain: needed(self.chain.as_deref(), "chain")?.into(),
            place,
        })
    }

    fn ipvs(&self) -> Result<Locator, BadRequest> {
        let service =
            needed(self.name.as_deref(), "name")?.parse().map_err(|error: BadService| BadRequest(error.to_string()))?;
        let destination = self.destination.as_deref().map(|text| {
            let bad = |_| BadRequest(format!("expected a destination such as `10.244.0.5:8443` but found `{text}`"));
            text.parse().map_err(bad)
        });
        Ok(Locator::Ipvs { service, destination: destination.transpose()? })
    }

    fn traffic(&self, class: Class) -> Result<Locator, BadRequest> {
        let dev = needed(self.dev.as_deref(), "dev")?.into();
        Ok(Locator::Traffic { class, dev, place: self.place.clone(), pref: self.pref })
    }

    fn address(&self) -> Result<Locator, BadRequest> {
        let text = needed(self.address.as_deref(), "address")?;
        let bad = || BadRequest(format!("expected an address such as `10.0.0.1` or `10.0.0.1/24` but found `{text}`"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        Ok(Locator::Address { address: address.parse::<IpAddr>().map_err(|_| bad())?, prefix })
    }
}

fn needed<'a>(value: Option<&'a str>, field: &str) -> Result<&'a str, BadRequest> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| BadRequest(format!("`{field}` is missing")))
}
