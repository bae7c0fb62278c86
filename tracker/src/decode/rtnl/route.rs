//! Routes: `RTM_NEWROUTE`, `RTM_DELROUTE`.
//!
//! IPv4: a destination, tos and metric of a table are one place, and `ip route replace` puts another next hop there
//! without a notification of what was there before. The subject is the place; the next hop is content. (Only
//! `ip route append` puts a second user-made route in one place; it is then seen as a change of the first.) The kernel
//! itself appends: two links with addresses of one subnet have two connected routes. Those carry the link in their
//! subject.
//!
//! IPv6: next hops of one destination and metric are routes of their own, added and deleted one by one, and only
//! *shown* together. A message with several is taken apart into one route each.

use std::net::IpAddr;

use libc::{
    AF_INET, AF_INET6, RTA_CACHEINFO, RTA_DST, RTA_ENCAP, RTA_ENCAP_TYPE, RTA_EXPIRES, RTA_GATEWAY, RTA_MARK,
    RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_UID, RTA_VIA, RTM_F_CLONED,
    RTPROT_KERNEL,
};
use netlink_packet_route::route::RouteHeader;

use super::Decoded;
use super::attributes::{Attributes, address};
use super::hop::{self, Hop};
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::ids::Ifindex;
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};

/// Length of `struct rtmsg`.
pub(super) const HEADER: usize = 12;
/// A nexthop object's number (5.3 and later); the route has no next hop of its own then.
pub const RTA_NH_ID: u16 = 30;

/// A route read from its `rtmsg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteView<'a> {
    /// The fixed header.
    pub header: RouteHeader,
    /// The attributes as sent.
    pub attributes: Attributes<'a>,
}

impl<'a> RouteView<'a> {
    /// Reads an `rtmsg` with its attributes; `None` when it is cut or malformed.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let header = RouteHeader::parse(message).ok()?;
        Some(Self { header, attributes: Attributes::parse(message.get(HEADER..)?)? })
    }

    /// `AF_INET` (2), `AF_INET6` (10) or another.
    pub fn family(&self) -> u8 {
        self.header.address_family.into()
    }

    /// Routing table number.
    pub fn table(&self) -> u32 {
        self.attributes.u32(RTA_TABLE).unwrap_or(u32::from(self.header.table))
    }

    /// `RTPROT_*`.
    pub fn protocol(&self) -> u8 {
        self.header.protocol.into()
    }

    /// Metric.
    pub fn priority(&self) -> u32 {
        self.attributes.u32(RTA_PRIORITY).unwrap_or(0)
    }

    /// Source address the route prescribes.
    pub fn preferred_source(&self) -> Option<IpAddr> {
        self.attributes.address(RTA_PREFSRC)
    }

    /// Whether its next hop is a nexthop object.
    pub fn has_nexthop_object(&self) -> bool {
        self.attributes.u32(RTA_NH_ID).is_some_and(|id| id != 0)
    }

    /// Next hops: those of a multipath route, or the one in the route's own attributes. Empty for blackholes.
    pub fn hops(&self) -> Vec<Hop<'a>> {
        if let Some(multipath) = self.attributes.get(RTA_MULTIPATH) {
            return hop::parse_all(multipath).unwrap_or_default();
        }
        let ifindex = self.attributes.u32(RTA_OIF).map(Ifindex);
        if ifindex.is_none() && gateway(&self.attributes).is_none() {
            return Vec::new();
        }
        vec![Hop { flags: 0, weight: 0, ifindex: ifindex.unwrap_or_default(), attributes: self.attributes.clone() }]
    }

    fn subject(&self) -> RouteSubject {
        let is_ipv6 = self.family() == AF_INET6 as u8;
        let carries_hop = (is_ipv6 || self.protocol() == RTPROT_KERNEL) && !self.has_nexthop_object();
        let hops = if carries_hop { self.hops() } else { Vec::new() };
        let hop = if let [hop] = hops.as_slice() { Some(hop) } else { None };
        let destination = self.attributes.address(RTA_DST);
        RouteSubject {
            family: self.family(),
            destination: destination.filter(|_| self.header.destination_prefix_length != 0),
            prefix: self.header.destination_prefix_length,
            table: self.table(),
            tos: self.header.tos,
            priority: self.priority(),
            oif: hop.map(|hop| hop.ifindex).filter(|ifindex| ifindex.0 != 0),
            gateway: hop.and_then(|hop| gateway(&hop.attributes)),
        }
    }

    /// All that was chosen for the route: not its use, age and liveness, and with a nexthop object not what that object
    /// happens to hold.
    fn content(&self) -> Digest {
        let RouteHeader { destination_prefix_length, source_prefix_length, tos, scope, kind, .. } = self.header;
        let mut digest = DigestBuilder::new("route");
        digest
            .field(&[self.family(), destination_prefix_length, source_prefix_length, tos])
            .field(&[self.protocol(), u8::from(scope), u8::from(kind)])
            .field(&self.table().to_ne_bytes());
        let through_object = self.has_nexthop_object();
        let is_multipath = self.attributes.get(RTA_MULTIPATH).is_some();
        if !through_object && !is_multipath {
            digest.field(&[(self.header.flags.bits() & u32::from(hop::RTNH_F_ONLINK)) as u8]);
        }
        for (kind, value) in self.attributes.sorted().iter() {
            match kind {
                RTA_CACHEINFO | RTA_EXPIRES | RTA_MARK | RTA_UID | RTA_TABLE => {}
                RTA_OIF | RTA_GATEWAY | RTA_VIA | RTA_MULTIPATH | RTA_ENCAP | RTA_ENCAP_TYPE if through_object => {}
                RTA_MULTIPATH => {
                    digest.field(&kind.to_ne_bytes()).field(&hop::without_state(value));
                }
                _ => {
                    digest.field(&kind.to_ne_bytes()).field(value);
                }
            }
        }
        digest.finish()
    }
}

/// The gateway among a route's or a next hop's attributes, whichever family it has.
pub fn gateway(attributes: &Attributes<'_>) -> Option<IpAddr> {
    attributes.address(RTA_GATEWAY).or_else(|| address(attributes.get(RTA_VIA)?.get(2..)?))
}

/// Decodes an `rtmsg` with its attributes.
///
/// Cached clones and routing families other than IPv4 and IPv6 are ignored. An IPv6 route for one source prefix
/// (`from`) is not understood: [`RouteSubject`] cannot tell it from its siblings.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let view = RouteView::parse(body)?;
    let family = i32::from(view.family());
    if (family != AF_INET && family != AF_INET6) || view.header.flags.bits() & RTM_F_CLONED != 0 {
        return Some(Decoded::new());
    }
    if view.header.source_prefix_length != 0 || view.attributes.get(RTA_SRC).is_some() {
        return None;
    }
    if family == AF_INET || view.has_nexthop_object() {
        return Some(vec![route(&view, body)]);
    }
    let Some(multipath) = view.attributes.get(RTA_MULTIPATH) else {
        return Some(vec![route(&view, body)]);
    };
    let mut decoded = Decoded::new();
    for hop in hop::parse_all(multipath)? {
        let flat = hop::flatten(&view, &hop);
        let (subject, mut snapshot) = route(&RouteView::parse(&flat)?, &flat);
        // the content is that of the route alone, which is what it is shown as once its siblings are gone
        if let Snapshot::Route(route) = &mut snapshot
            && hop.weight != 0
        {
            route.message = hop::alone(&view, &hop);
        }
        decoded.push((subject, snapshot));
    }
    Some(decoded)
}

fn route(view: &RouteView<'_>, message: &[u8]) -> (Subject, Snapshot) {
    let snapshot = RouteSnapshot {
        protocol: view.protocol(),
        kind: view.header.kind.into(),
        ifname: None,
        message: message.to_vec(),
        content: view.content(),
    };
    (Subject::Route(view.subject()), Snapshot::Route(snapshot))
}
