//! Next hops of multipath routes (`struct rtnexthop` with attributes).

use libc::{RTA_MULTIPATH, RTA_OIF};
use netlink_packet_core::Emitable;

use super::attributes::{Attributes, push};
use super::route::RouteView;
use crate::model::ids::Ifindex;

/// Length of `struct rtnexthop`: length (16 bits), flags (8), hops (8), ifindex (32).
const HEADER: usize = 8;
/// The gateway is taken to be on the link: the one next hop flag that is chosen and not a state.
pub(super) const RTNH_F_ONLINK: u8 = 4;

/// One next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop<'a> {
    /// `RTNH_F_*`.
    pub flags: u8,
    /// Weight less one.
    pub weight: u8,
    /// Outgoing link; 0 when it has none.
    pub ifindex: Ifindex,
    /// Gateway, encapsulation and so on. For the next hop of a route with one, all attributes of the route.
    pub attributes: Attributes<'a>,
}

/// Splits the payload of `RTA_MULTIPATH`; `None` when a length does not fit.
pub fn parse_all(mut bytes: &[u8]) -> Option<Vec<Hop<'_>>> {
    let mut hops = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let hop = bytes.get(..length)?;
        let &[_, _, flags, weight, a, b, c, d, ..] = hop else { return None };
        hops.push(Hop {
            flags,
            weight,
            ifindex: Ifindex(u32::from_ne_bytes([a, b, c, d])),
            attributes: Attributes::parse(&hop[HEADER..])?,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(hops)
}

/// The payload of an `RTA_MULTIPATH` without the flags that come and go with links; unchanged when it is malformed.
pub fn without_state(bytes: &[u8]) -> Vec<u8> {
    parse_all(bytes).map_or_else(|| bytes.to_vec(), |hops| payload(&hops))
}

/// The payload of an `RTA_MULTIPATH` with these next hops, without the flags that come and go with links.
pub fn payload(hops: &[Hop<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for hop in hops {
        emit(&mut bytes, hop);
    }
    bytes
}

/// The route as it would be with this next hop alone, in the plain form. The weight has no place there.
pub(super) fn flatten(view: &RouteView<'_>, hop: &Hop<'_>) -> Vec<u8> {
    let mut message = common(view, hop);
    for (kind, value) in hop.attributes.iter() {
        push(&mut message, kind, value);
    }
    if hop.ifindex.0 != 0 {
        push(&mut message, RTA_OIF, &hop.ifindex.0.to_ne_bytes());
    }
    message
}

/// The route with this next hop alone, in the multipath form, which holds the weight.
pub(super) fn alone(view: &RouteView<'_>, hop: &Hop<'_>) -> Vec<u8> {
    let mut message = common(view, hop);
    push(&mut message, RTA_MULTIPATH, &payload(std::slice::from_ref(hop)));
    message
}

fn common(view: &RouteView<'_>, hop: &Hop<'_>) -> Vec<u8> {
    let mut message = vec![0; view.header.buffer_len()];
    view.header.emit(&mut message);
    // the low byte of `rtm_flags` holds the next hop's flags
    let flags = (view.header.flags.bits() & !0xff) | u32::from(hop.flags);
    message[8..12].copy_from_slice(&flags.to_ne_bytes());
    for (kind, value) in view.attributes.iter().filter(|(kind, _)| *kind != RTA_MULTIPATH) {
        push(&mut message, kind, value);
    }
    message
}

/// Appends one `rtnexthop`, without the flags that come and go.
fn emit(bytes: &mut Vec<u8>, hop: &Hop<'_>) {
    let start = bytes.len();
    bytes.extend([0, 0, hop.flags & RTNH_F_ONLINK, hop.weight]);
    bytes.extend(hop.ifindex.0.to_ne_bytes());
    for (kind, value) in hop.attributes.iter() {
        push(bytes, kind, value);
    }
    // attributes came out of a 16-bit length, so this fits unless unpadded ones were padded: then it saturates
    let length = u16::try_from(bytes.len() - start).unwrap_or(u16::MAX);
    bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
}
