//! Requests over generic netlink, in the bytes that were captured.

use super::listing::place;
use super::{HEADERS, attribute, command, key};
use crate::decode::rtnl::attributes::Attributes;
use crate::model::ipvs::{IpvsOrder, IpvsVerb};

/// `struct nlmsghdr`.
const MESSAGE_HEADER: usize = 16;
const ANYTHING: IpvsOrder = IpvsOrder { verb: IpvsVerb::Anything, service: None, destination: None };

/// What the captured beginning of a request of `total` bytes to the family IPVS asks for, in its order. Whether it is to
/// that family only the kernel knows: the type of its messages says so. Messages of another type are left out.
pub fn orders(bytes: &[u8], total: u64) -> Vec<IpvsOrder> {
    let mut orders = Vec::new();
    let mut first_kind = None;
    let mut seen = 0_u64;
    let mut rest = bytes;
    while let Some(&header) = rest.first_chunk::<HEADERS>() {
        let [l0, l1, l2, l3, k0, k1, ..] = header;
        let [.., command, _, _, _] = header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if length < MESSAGE_HEADER {
            break;
        }
        if *first_kind.get_or_insert([k0, k1]) == [k0, k1] && length >= HEADERS {
            let body = rest.get(HEADERS..length.min(rest.len())).unwrap_or_default();
            orders.extend(verb(command).and_then(|verb| order(verb, body, length > rest.len())));
        }
        seen = seen.saturating_add(length.next_multiple_of(4) as u64);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // messages that were not captured
    if seen < total && !bytes.is_empty() {
        orders.push(ANYTHING);
    }
    orders
}

fn verb(command: u8) -> Option<IpvsVerb> {
    Some(match command {
        command::NEW_SERVICE => IpvsVerb::NewService,
        command::SET_SERVICE => IpvsVerb::SetService,
        command::DEL_SERVICE => IpvsVerb::DelService,
        command::NEW_DEST => IpvsVerb::NewDestination,
        command::SET_DEST => IpvsVerb::SetDestination,
        command::DEL_DEST => IpvsVerb::DelDestination,
        command::FLUSH => IpvsVerb::Flush,
        _ => return None,
    })
}

/// One order; `None` for what the kernel refuses. What was cut may be anything.
fn order(verb: IpvsVerb, body: &[u8], is_cut: bool) -> Option<IpvsOrder> {
    if verb == IpvsVerb::Flush {
        return Some(IpvsOrder { verb, ..ANYTHING });
    }
    if is_cut {
        return Some(ANYTHING);
    }
    let attributes = Attributes::parse(body)?;
    let service = key(&attributes.nested(attribute::SERVICE)?)?;
    let destination = match verb {
        IpvsVerb::NewDestination | IpvsVerb::SetDestination | IpvsVerb::DelDestination => {
            Some(place(service.family(), &attributes.nested(attribute::DEST)?)?)
        }
        _ => None,
    };
    Some(IpvsOrder { verb, service: Some(service), destination })
}
