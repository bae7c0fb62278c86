//! Deleting routes.

use libc::{
    AF_INET, AF_INET6, RTA_DST, RTA_ENCAP, RTA_ENCAP_TYPE, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF,
    RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA, RTM_DELROUTE, RTN_UNICAST,
};

use super::{delete, live, unusable};
use crate::capture::rtnetlink::Listing;
use crate::decode::rtnl::attributes::{Attributes, push};
use crate::decode::rtnl::hop::{self, Hop};
use crate::decode::rtnl::route::{RTA_NH_ID, RouteView, gateway};
use crate::decode::rtnl::wire::Wire;
use crate::host::{HostError, Removal};
use crate::model::ids::Ifindex;
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject, describe};

/// Length of `struct rtmsg`, and where its flags are.
const HEADER: usize = 12;
const FLAGS: std::ops::Range<usize> = 8..12;

/// Deletes one route: of IPv6 siblings the one next hop, of an IPv4 multipath route all of it.
///
/// # Errors
/// [`HostError::Drifted`] when the route has another next hop, protocol, metrics and so on than recorded;
/// [`HostError::Collateral`] when the kernel would take another route for it (one appended by hand in the same place);
/// [`HostError::Io`] when the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_route(subject: &RouteSubject, snapshot: &RouteSnapshot) -> Result<Removal, HostError> {
    let wanted = Subject::Route(subject.clone());
    let object = describe(&wanted, &Snapshot::Route(snapshot.clone()));
    let view = RouteView::parse(&snapshot.message).ok_or_else(|| unusable(&object))?;
    let body = request(&view, &snapshot.message).ok_or_else(|| unusable(&object))?;
    let live = live(Listing::Routes, &object)?;
    let is_ours = |(candidate, found): &(Subject, Snapshot)| *candidate == wanted && found.digest() == snapshot.content;
    let Some(ours) = live.iter().position(is_ours) else {
        return match live.iter().find(|(candidate, _)| *candidate == wanted) {
            None => Ok(Removal::AlreadyGone),
            Some((_, found)) => Err(HostError::Drifted {
                object,
                expected: format!("content {}", snapshot.content),
                found: format!("content {}", found.digest()),
            }),
        };
    };
    let is_taken = |(_, found): &(Subject, Snapshot)| match found {
        Snapshot::Route(found) => RouteView::parse(&found.message).is_some_and(|found| takes(&view, &found)),
        _ => false,
    };
    match live.iter().position(is_taken) {
        Some(first) if first != ours => {
            let (candidate, found) = &live[first];
            Err(HostError::Collateral { object, other: describe(candidate, found) })
        }
        _ => delete(Wire { kind: RTM_DELROUTE, body }, &object),
    }
}

/// The request for a route: everything the kernel compares, nothing it would refuse.
fn request(view: &RouteView<'_>, message: &[u8]) -> Option<Vec<u8>> {
    let mut body = message.get(..HEADER)?.to_vec();
    body[FLAGS].fill(0);
    let through_object = view.has_nexthop_object();
    let device_only = device_only(view);
    for (kind, value) in view.attributes.iter() {
        match kind {
            RTA_DST | RTA_SRC | RTA_PRIORITY | RTA_PREFSRC | RTA_METRICS | RTA_FLOW | RTA_TABLE | RTA_NH_ID => {
                push(&mut body, kind, value);
            }
            RTA_MULTIPATH if !through_object => push(&mut body, kind, &hop::without_state(value)),
            RTA_OIF if device_only.is_some() => {}
            RTA_OIF | RTA_GATEWAY | RTA_VIA | RTA_ENCAP | RTA_ENCAP_TYPE if !through_object => {
                push(&mut body, kind, value);
            }
            _ => {}
        }
    }
    if let Some(ifindex) = device_only {
        let hop = Hop { flags: 0, weight: 0, ifindex, attributes: Attributes::default() };
        push(&mut body, RTA_MULTIPATH, &hop::payload(&[hop]));
    }
    Some(body)
}

/// The link of an IPv6 route without a gateway. Asked for plainly, the kernel would delete all siblings of it; asked for
/// as one next hop of several, just this one.
fn device_only(view: &RouteView<'_>) -> Option<Ifindex> {
    let is_plain = i32::from(view.family()) == AF_INET6
        && u8::from(view.header.kind) == RTN_UNICAST
        && !view.has_nexthop_object()
        && view.attributes.get(RTA_MULTIPATH).is_none()
        && gateway(&view.attributes).is_none();
    view.attributes.u32(RTA_OIF).filter(|_| is_plain).map(Ifindex)
}

/// Whether the kernel may take `found` for what a request made of `wanted` asks for. Errs to the side of yes.
fn takes(wanted: &RouteView<'_>, found: &RouteView<'_>) -> bool {
    let same = |kind: u16| wanted.attributes.get(kind) == found.attributes.get(kind);
    let unset_or_same = |kind: u16| wanted.attributes.get(kind).is_none() || same(kind);
    let (ours, theirs) = (&wanted.header, &found.header);
    let is_ipv4 = i32::from(wanted.family()) == AF_INET;
    wanted.family() == found.family()
        && wanted.table() == found.table()
        && ours.destination_prefix_length == theirs.destination_prefix_length
        && same(RTA_DST)
        && same(RTA_SRC)
        && (wanted.priority() == 0 || wanted.priority() == found.priority())
        && (wanted.protocol() == 0 || wanted.protocol() == found.protocol())
        && (!is_ipv4
            || (ours.tos == theirs.tos
                && ours.kind == theirs.kind
                && ours.scope == theirs.scope
                && unset_or_same(RTA_PREFSRC)
                && unset_or_same(RTA_METRICS)))
        && takes_hop(wanted, found)
}

fn takes_hop(wanted: &RouteView<'_>, found: &RouteView<'_>) -> bool {
    if wanted.has_nexthop_object() {
        return wanted.attributes.get(RTA_NH_ID) == found.attributes.get(RTA_NH_ID);
    }
    let (ours, theirs) = (wanted.hops(), found.hops());
    // of a multipath route the kernel compares all next hops, or the first one when asked for one
    if ours.len() > 1 && ours.len() != theirs.len() {
        return false;
    }
    ours.iter().zip(&theirs).all(|(ours, theirs)| {
        (ours.ifindex.0 == 0 || ours.ifindex == theirs.ifindex)
            && (gateway(&ours.attributes).is_none() || gateway(&ours.attributes) == gateway(&theirs.attributes))
    })
}
