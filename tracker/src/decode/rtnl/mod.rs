//! rtnetlink: datagrams of links, addresses, routes, ip rules, neighbours and traffic control.
//!
//! Attributes are looked up one by one rather than through typed messages: a typed message is all or nothing, and one
//! attribute a newer kernel sends in another form would hide the object.
//!
//! # What the kernel does not say
//!
//! IPv4 routes go without a notification when their link goes down or away, or loses its last IPv4 address; IPv4 and
//! IPv6 alike do not name the route that `ip route replace` took the place of. [`may_drop_routes`] tells when to list
//! the routes again.

pub mod address;
pub mod attributes;
pub mod hop;
pub mod ip_rule;
mod ip_rule_text;
pub mod link;
pub mod neighbour;
pub mod route;
#[cfg(test)]
mod tests;
pub mod traffic;
pub mod wire;

use libc::{
    RTA_OIF, RTM_DELACTION, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELQDISC, RTM_DELROUTE, RTM_DELRULE,
    RTM_DELTCLASS, RTM_DELTFILTER, RTM_GETNEIGH, RTM_NEWACTION, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWQDISC,
    RTM_NEWROUTE, RTM_NEWRULE, RTM_NEWTCLASS, RTM_NEWTFILTER,
};
use netlink_packet_core::NetlinkBuffer;

use crate::model::ids::{Ifindex, Ifname, NetlinkSeq, Portid};
use crate::model::observation::Observation;
use crate::model::subject::{Snapshot, Subject};

pub use ip_rule::selector_count;

/// `RTM_NEWCHAIN` and `RTM_DELCHAIN`: of traffic control; what is in a chain is announced by itself.
const RTM_NEWCHAIN: u16 = 100;
const RTM_DELCHAIN: u16 = 101;

/// The objects of one message: none when it is about nothing that is recorded, several for an IPv6 multipath route.
pub type Decoded = Vec<(Subject, Snapshot)>;

/// `nlmsg_type` values below this are netlink's own: no-operation, error, done, overrun.
const NLMSG_MIN_TYPE: u16 = 16;

/// Decodes one notification datagram, appending to `out`; returns how many messages were not understood.
pub fn decode(datagram: &[u8], out: &mut Vec<Observation>) -> usize {
    let mut rest = datagram;
    let mut not_understood = 0;
    while !rest.is_empty() {
        let Ok(message) = NetlinkBuffer::new_checked(rest) else { return not_understood + 1 };
        let kind = message.message_type();
        match objects(kind, message.payload()) {
            Some(objects) => {
                let (portid, seq) = (Portid(message.port_number()), NetlinkSeq(message.sequence_number()));
                out.extend(objects.into_iter().map(|object| observation(kind, object, portid, seq)));
            }
            None if kind < NLMSG_MIN_TYPE => {}
            None => not_understood += 1,
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        rest = rest.get(length.checked_next_multiple_of(4).unwrap_or(usize::MAX)..).unwrap_or_default();
    }
    not_understood
}

/// Decodes one message without its netlink header: the objects it is about, in their state as sent. `None` when it is
/// not understood.
pub fn objects(kind: u16, body: &[u8]) -> Option<Decoded> {
    match kind {
        RTM_NEWLINK | RTM_DELLINK => link::decode(body),
        RTM_NEWADDR | RTM_DELADDR => address::decode(body),
        RTM_NEWROUTE | RTM_DELROUTE => route::decode(body),
        RTM_NEWRULE | RTM_DELRULE => ip_rule::decode(body),
        RTM_NEWNEIGH | RTM_DELNEIGH => neighbour::decode(body),
        RTM_NEWQDISC | RTM_DELQDISC | RTM_NEWTCLASS | RTM_DELTCLASS | RTM_NEWTFILTER | RTM_DELTFILTER => {
            traffic::decode(kind, body)
        }
        // announced to the same listeners, and about nothing that is recorded
        RTM_GETNEIGH | RTM_NEWACTION | RTM_DELACTION | RTM_NEWCHAIN | RTM_DELCHAIN => Some(Decoded::new()),
        _ => None,
    }
}

fn observation(kind: u16, (subject, snapshot): (Subject, Snapshot), portid: Portid, seq: NetlinkSeq) -> Observation {
    let ifname = match &snapshot {
        Snapshot::Link(link) => Some(link.name.as_str().to_owned()),
        _ => None,
    };
    let is_removal = match kind {
        RTM_DELLINK | RTM_DELADDR | RTM_DELROUTE | RTM_DELRULE | RTM_DELNEIGH => true,
        RTM_DELQDISC | RTM_DELTCLASS | RTM_DELTFILTER => true,
        // one that is no longer set by anybody
        _ => matches!(&snapshot, Snapshot::Neighbour(neighbour) if !neighbour::is_set(neighbour)),
    };
    Observation::Rtnetlink { subject, after: (!is_removal).then_some(snapshot), portid, seq, ifname }
}

/// Fills in the link names that messages do not carry. `lookup` may answer for the moment it is called at only: a name
/// is for people, the number in the message is what counts.
pub fn fill_names(snapshot: &mut Snapshot, lookup: impl Fn(Ifindex) -> Option<Ifname>) {
    match snapshot {
        Snapshot::Address(address) => {
            let view = address::AddressView::parse(&address.message);
            if let Some(ifname) = view.and_then(|view| lookup(view.ifindex)) {
                address.ifname = Some(ifname);
            }
        }
        Snapshot::Route(route) => {
            let view = route::RouteView::parse(&route.message);
            let oif = view.and_then(|view| match view.hops().as_slice() {
                [hop] => Some(hop.ifindex),
                _ => view.attributes.u32(RTA_OIF).map(Ifindex),
            });
            if let Some(ifname) = oif.and_then(lookup) {
                route.ifname = Some(ifname.as_str().to_owned());
            }
        }
        Snapshot::Neighbour(neighbour) => {
            let view = neighbour::NeighbourView::parse(&neighbour.message);
            if let Some(ifname) = view.and_then(|view| lookup(view.ifindex)) {
                neighbour.ifname = Some(ifname.as_str().to_owned());
            }
        }
        Snapshot::Traffic(traffic) => {
            let header = traffic::TrafficHeader::parse(&traffic.message);
            if let Some(ifname) = header.and_then(|header| lookup(Ifindex(header.ifindex))) {
                traffic.ifname = Some(ifname.as_str().to_owned());
            }
        }
        _ => {}
    }
}

/// Whether the kernel may have dropped IPv4 routes together with this, without telling: a link went away or is down, or
/// an IPv4 address went. List the routes again after such an observation (one listing serves a burst of them).
pub fn may_drop_routes(observation: &Observation) -> bool {
    match observation {
        Observation::Rtnetlink { subject: Subject::Link(_), after, .. } => {
            !matches!(after, Some(Snapshot::Link(link)) if link.is_up)
        }
        Observation::Rtnetlink { subject: Subject::Address(address), after: None, .. } => address.address.is_ipv4(),
        _ => false,
    }
}
