//! How links, addresses and routes hang together in the live state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};

use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, LinkSnapshot};
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};

/// An object of the live state.
pub(super) type Live<'a> = (&'a Subject, &'a Snapshot);

/// Links by number, with what is attached to each.
#[derive(Debug, Default)]
pub(super) struct Relations<'a> {
    links: BTreeMap<Ifindex, (Live<'a>, &'a LinkSnapshot)>,
    addresses: BTreeMap<Ifindex, Vec<Live<'a>>>,
    routes: BTreeMap<Ifindex, Vec<Live<'a>>>,
    ports: BTreeMap<Ifindex, BTreeSet<Ifindex>>,
    uppers: BTreeMap<Ifindex, BTreeSet<Ifindex>>,
}

impl<'a> Relations<'a> {
    pub(super) fn new(rt: &'a [(Subject, Snapshot)]) -> Self {
        let mut it = Self::default();
        for (subject, snapshot) in rt {
            let live = (subject, snapshot);
            match (subject, snapshot) {
                (Subject::Link(ifindex), Snapshot::Link(link)) => {
                    it.links.insert(*ifindex, (live, link));
                }
                (Subject::Address(address), _) => it.addresses.entry(address.ifindex).or_default().push(live),
                (Subject::Route(route), Snapshot::Route(content)) => {
                    let hops: BTreeSet<Ifindex> = route.oif.into_iter().chain(next_hop_links(content)).collect();
                    for oif in hops {
                        it.routes.entry(oif).or_default().push(live);
                    }
                }
                _ => {}
            }
        }
        for (ifindex, (_, link)) in &it.links {
            if let Some(controller) = link.controller {
                it.ports.entry(controller).or_default().insert(*ifindex);
            }
            let lower = link.lower.filter(|lower| link.peer_netns.is_none() && lower != ifindex);
            if let Some(lower) = lower.filter(|_| it.peer(*ifindex).is_none()) {
                it.uppers.entry(lower).or_default().insert(*ifindex);
            }
        }
        it
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (Ifindex, Live<'a>, &'a LinkSnapshot)> {
        self.links.iter().map(|(ifindex, (live, link))| (*ifindex, *live, *link))
    }

    pub(super) fn link(&self, ifindex: Ifindex) -> Option<(Live<'a>, &'a LinkSnapshot)> {
        self.links.get(&ifindex).copied()
    }

    /// The other end of a veth pair, when it is in this network namespace too.
    pub(super) fn peer(&self, ifindex: Ifindex) -> Option<Ifindex> {
        let is_veth = |link: &LinkSnapshot| link.kind.as_deref() == Some("veth") && link.peer_netns.is_none();
        let (_, link) = self.links.get(&ifindex).filter(|(_, link)| is_veth(link))?;
        let peer = link.lower?;
        self.links.get(&peer).filter(|(_, other)| is_veth(other) && other.lower == Some(ifindex)).map(|_| peer)
    }

    pub(super) fn addresses(&self, ifindex: Ifindex) -> impl Iterator<Item = Live<'a>> {
        self.addresses.get(&ifindex).into_iter().flatten().copied()
    }

    /// Routes with a next hop through the link.
    pub(super) fn routes(&self, ifindex: Ifindex) -> impl Iterator<Item = Live<'a>> {
        self.routes.get(&ifindex).into_iter().flatten().copied()
    }

    pub(super) fn ports(&self, ifindex: Ifindex) -> impl Iterator<Item = Ifindex> {
        self.ports.get(&ifindex).into_iter().flatten().copied()
    }

    /// Links stacked on this one (vlan, macvlan, vxlan); the kernel deletes them together with it.
    pub(super) fn uppers(&self, ifindex: Ifindex) -> impl Iterator<Item = Ifindex> {
        self.uppers.get(&ifindex).into_iter().flatten().copied()
    }

    /// Everything that hangs on the link or on its veth peer, the links themselves included.
    pub(super) fn attached(&self, ifindex: Ifindex) -> Vec<Live<'a>> {
        let mut all = Vec::new();
        for end in std::iter::once(ifindex).chain(self.peer(ifindex)) {
            all.extend(self.addresses(end).chain(self.routes(end)));
            let links = std::iter::once(end).chain(self.ports(end)).chain(self.uppers(end));
            all.extend(links.filter_map(|link| self.link(link)).map(|(live, _)| live));
        }
        all
    }
}

/// Length of `struct rtmsg`, which the attributes follow.
const RTMSG_BYTES: usize = 12;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;

fn attribute(message: &[u8], kind: u16) -> Option<&[u8]> {
    let mut attributes = NlasIterator::new(message.get(RTMSG_BYTES..)?).map_while(Result::ok);
    let found = attributes.find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(NLA_HEADER_SIZE..length)
}

/// Outgoing links of a route with several next hops (`struct rtnexthop`: length, flags, weight, ifindex).
fn next_hop_links(route: &RouteSnapshot) -> Vec<Ifindex> {
    let mut hops = attribute(&route.message, RTA_MULTIPATH).unwrap_or_default();
    let mut links = Vec::new();
    while let Some((head, _)) = hops.split_first_chunk::<8>() {
        links.push(Ifindex(u32::from_ne_bytes([head[4], head[5], head[6], head[7]])));
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).next_multiple_of(4).max(8);
        let Some(rest) = hops.get(length..) else { break };
        hops = rest;
    }
    links
}

/// The source address a route prefers; the kernel removes an IPv4 route together with it.
pub(super) fn preferred_source(route: &RouteSnapshot) -> Option<IpAddr> {
    let bytes = attribute(&route.message, RTA_PREFSRC)?;
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Whether an IPv4 address is a secondary one (`IFA_F_SECONDARY`), which goes with the primary one of its subnet.
pub(crate) fn is_secondary(address: &AddressSnapshot) -> bool {
    address.message.get(2).is_some_and(|flags| flags & 1 != 0)
}

/// Whether `address` is in `network`/`prefix`.
pub(crate) fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            (u32::from(network) ^ u32::from(address)) & mask == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            (u128::from(network) ^ u128::from(address)) & mask == 0
        }
        _ => false,
    }
}

/// Whether the kernel keeps the route for an address (its local, subnet or broadcast route).
pub(super) fn is_made_for(route: &RouteSubject, content: &RouteSnapshot, address: IpAddr, prefix: u8) -> bool {
    content.is_kernel_made() && route.destination.is_some_and(|destination| contains(address, prefix, destination))
}
