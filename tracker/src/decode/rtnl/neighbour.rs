//! Neighbours and forwarding entries that somebody set: `RTM_NEWNEIGH`, `RTM_DELNEIGH`.
//!
//! What ARP, NDP and bridges learn by themselves comes and goes with traffic: it is decoded as gone. Not decoded either
//! is a link's own filter list (`self` without a destination), which the kernel fills with multicast groups, and proxy
//! entries, which are not announced.

use std::net::IpAddr;

use libc::{AF_BRIDGE, AF_INET, AF_INET6};

use super::Decoded;
use super::attributes::{Attributes, push};
use crate::model::ids::Ifindex;
use crate::model::neighbour::{
    NTF_EXT_LEARNED, NUD_NOARP, NUD_PERMANENT, NeighbourKey, NeighbourSnapshot, NeighbourSubject,
};
use crate::model::subject::{Snapshot, Subject};

/// Length of `struct ndmsg`.
pub const HEADER: usize = 12;
/// `NDA_DST`: IP address.
pub const NDA_DST: u16 = 1;
/// `NDA_LLADDR`: hardware address.
pub const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
const NDA_PROBES: u16 = 4;
/// `NDA_VLAN`: 16 bits.
pub const NDA_VLAN: u16 = 5;
/// `NDA_MASTER`: the bridge.
pub const NDA_MASTER: u16 = 9;
/// `NTF_SELF`: the link's own table.
pub const NTF_SELF: u8 = 2;
/// `NTF_MASTER`: the table of the link's bridge.
pub const NTF_MASTER: u8 = 4;
const NTF_PROXY: u8 = 8;

/// A neighbour read from its `ndmsg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourView<'a> {
    /// `AF_INET`, `AF_INET6` or `AF_BRIDGE`.
    pub family: u8,
    /// The link.
    pub ifindex: Ifindex,
    /// `NUD_*`.
    pub state: u16,
    /// `NTF_*`.
    pub flags: u8,
    /// The attributes as sent.
    pub attributes: Attributes<'a>,
}

impl<'a> NeighbourView<'a> {
    /// Reads an `ndmsg` with its attributes; `None` when it is cut or malformed.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let [family, _, _, _, a, b, c, d, low, high, flags, _] = *message.first_chunk::<HEADER>()?;
        Some(Self {
            family,
            ifindex: Ifindex(u32::from_ne_bytes([a, b, c, d])),
            state: u16::from_ne_bytes([low, high]),
            flags,
            attributes: Attributes::parse(message.get(HEADER..)?)?,
        })
    }

    fn is_forwarding(&self) -> bool {
        self.family == AF_BRIDGE as u8
    }

    /// Whether it lasts until somebody takes it away.
    fn is_set(&self) -> bool {
        let lasting = if self.is_forwarding() { NUD_PERMANENT | NUD_NOARP } else { NUD_PERMANENT };
        self.state & lasting != 0 || self.flags & NTF_EXT_LEARNED != 0
    }

    fn destination(&self) -> Option<IpAddr> {
        self.attributes.address(NDA_DST)
    }

    fn forwarding(&self, is_self: bool) -> Option<NeighbourKey> {
        let vlan =
            self.attributes.get(NDA_VLAN).and_then(<[u8]>::first_chunk).map_or(0, |vlan| u16::from_ne_bytes(*vlan));
        let mac = self.attributes.get(NDA_LLADDR)?.to_vec();
        Some(NeighbourKey::Forwarding { mac, vlan, destination: self.destination(), is_self })
    }

    fn subject(&self, key: NeighbourKey) -> Subject {
        Subject::Neighbour(NeighbourSubject { ifindex: self.ifindex, key })
    }
}

/// Decodes an `ndmsg` with its attributes.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let view = NeighbourView::parse(body)?;
    let controller = view.attributes.u32(NDA_MASTER).map(Ifindex);
    let key = match i32::from(view.family) {
        AF_BRIDGE if controller.is_none() && view.destination().is_none() => return Some(Decoded::new()),
        AF_BRIDGE => view.forwarding(controller.is_none())?,
        AF_INET | AF_INET6 if view.flags & NTF_PROXY == 0 => NeighbourKey::Address(view.destination()?),
        _ => return Some(Decoded::new()),
    };
    let mut message = body.get(..HEADER)?.to_vec();
    for (attribute, value) in view.attributes.iter() {
        if !matches!(attribute, NDA_CACHEINFO | NDA_PROBES) {
            push(&mut message, attribute, value);
        }
    }
    let mac = if view.is_forwarding() { &[][..] } else { view.attributes.get(NDA_LLADDR).unwrap_or_default() };
    let snapshot = NeighbourSnapshot {
        ifname: None,
        state: view.state,
        flags: view.flags,
        mac: mac.to_vec(),
        controller,
        message,
    };
    Some(vec![(view.subject(key), Snapshot::Neighbour(snapshot))])
}

/// Whether a neighbour lasts until somebody takes it away; what does not is not recorded.
pub fn is_set(snapshot: &NeighbourSnapshot) -> bool {
    NeighbourView::parse(&snapshot.message).is_some_and(|view| view.is_set())
}

/// The neighbours a request is about: of a bridge's port both tables can be meant at once.
pub fn requested(body: &[u8]) -> Option<Vec<Subject>> {
    let view = NeighbourView::parse(body)?;
    if !view.is_forwarding() {
        return Some(vec![view.subject(NeighbourKey::Address(view.destination()?))]);
    }
    let mut subjects = Vec::new();
    let is_master = view.flags & NTF_MASTER != 0 || view.flags & NTF_SELF == 0;
    for is_self in
        [false, true].into_iter().filter(|is_self| if *is_self { view.flags & NTF_SELF != 0 } else { is_master })
    {
        subjects.push(view.subject(view.forwarding(is_self)?));
    }
    Some(subjects)
}

#[cfg(test)]
mod tests;
