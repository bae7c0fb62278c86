//! Listings: services, each with its destinations.

use std::net::SocketAddr;

use super::{attribute, key, number, port};
use crate::decode::rtnl::attributes::Attributes;
use crate::model::ipvs::{HASHED, IpvsDestination, IpvsService, IpvsSettings, IpvsSnapshot, IpvsSubject};
use crate::model::subject::{Snapshot, Subject};

/// `CTRL_ATTR_FAMILY_ID` and `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// A service of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedService {
    /// Which.
    pub service: IpvsService,
    /// What it was made with.
    pub settings: IpvsSettings,
    /// Its destinations.
    pub destinations: Vec<(SocketAddr, IpvsDestination)>,
}

/// Number and name of a generic netlink family, from the attributes of an answer about families.
pub fn family_of(attributes: &[u8]) -> Option<(u16, String)> {
    let attributes = Attributes::parse(attributes)?;
    Some((number(&attributes, FAMILY_ID)?, attributes.text(FAMILY_NAME)?))
}

/// A service, from the attributes of an answer about services.
pub fn service(attributes: &[u8]) -> Option<(IpvsService, IpvsSettings)> {
    let attributes = Attributes::parse(attributes)?.nested(attribute::SERVICE)?;
    let settings = IpvsSettings {
        scheduler: attributes.text(attribute::SVC_SCHED_NAME).unwrap_or_default(),
        // the flags, and behind them which of them are meant
        flags: attributes.u32(attribute::SVC_FLAGS)? & !HASHED,
        timeout: attributes.u32(attribute::SVC_TIMEOUT)?,
        netmask: *attributes.get(attribute::SVC_NETMASK)?.first_chunk()?,
        engine: attributes.text(attribute::SVC_PE_NAME),
    };
    Some((key(&attributes)?, settings))
}

/// A destination, from the attributes of an answer about the destinations of a service of `family`: kernels before 3.18
/// do not tell the destination's own.
pub fn destination(family: u16, attributes: &[u8]) -> Option<(SocketAddr, IpvsDestination)> {
    let attributes = Attributes::parse(attributes)?.nested(attribute::DEST)?;
    let content = IpvsDestination {
        forwarding: attributes.u32(attribute::DEST_FWD_METHOD)?,
        weight: attributes.u32(attribute::DEST_WEIGHT)?,
        upper: attributes.u32(attribute::DEST_U_THRESH)?,
        lower: attributes.u32(attribute::DEST_L_THRESH)?,
        tunnel_kind: attributes.u8(attribute::DEST_TUN_TYPE).unwrap_or_default(),
        tunnel_port: port(&attributes, attribute::DEST_TUN_PORT).unwrap_or_default(),
        tunnel_flags: number(&attributes, attribute::DEST_TUN_FLAGS).unwrap_or_default(),
    };
    Some((place(family, &attributes)?, content))
}

/// Where a destination is.
pub(super) fn place(family: u16, attributes: &Attributes<'_>) -> Option<SocketAddr> {
    let family = number(attributes, attribute::DEST_ADDR_FAMILY).unwrap_or(family);
    let address = super::address(family, attributes.get(attribute::DEST_ADDR)?)?;
    Some(SocketAddr::new(address, port(attributes, attribute::DEST_PORT)?))
}

/// Services, each followed by its destinations, as objects.
pub fn into_objects(services: Vec<ListedService>) -> Vec<(Subject, Snapshot)> {
    services.into_iter().flat_map(ListedService::into_objects).collect()
}

impl ListedService {
    fn into_objects(self) -> Vec<(Subject, Snapshot)> {
        let Self { service, settings, destinations } = self;
        let mut objects =
            vec![(Subject::Ipvs(IpvsSubject::service(service)), Snapshot::Ipvs(IpvsSnapshot::Service(settings)))];
        objects.extend(destinations.into_iter().map(|(at, content)| {
            let subject = Subject::Ipvs(IpvsSubject::destination(service, at));
            (subject, Snapshot::Ipvs(IpvsSnapshot::Destination(content)))
        }));
        objects
    }
}
