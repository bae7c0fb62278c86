//! How links and what belongs to them hang together in the live state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::decode::rtnl::address::AddressView;
use crate::decode::rtnl::attributes::Attributes;
use crate::decode::rtnl::route::RouteView;
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};

/// An object of the live state.
pub(crate) type Live<'a> = (&'a Subject, &'a Snapshot);

/// Links by number, with what is attached to each.
#[derive(Debug, Default)]
pub(super) struct Relations<'a> {
    links: BTreeMap<Ifindex, (Live<'a>, &'a LinkSnapshot)>,
    addresses: BTreeMap<Ifindex, Vec<Live<'a>>>,
    routes: BTreeMap<Ifindex, Vec<Live<'a>>>,
    ports: BTreeMap<Ifindex, BTreeSet<Ifindex>>,
    uppers: BTreeMap<Ifindex, BTreeSet<Ifindex>>,
    parts: BTreeMap<Ifindex, Vec<Live<'a>>>,
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
                    for oif in outgoing_links(route, content) {
                        it.routes.entry(oif).or_default().push(live);
                    }
                }
                (Subject::Neighbour(neighbour), Snapshot::Neighbour(content)) => {
                    let bridge = content.controller.filter(|bridge| *bridge != neighbour.ifindex);
                    for link in bridge.into_iter().chain([neighbour.ifindex]) {
                        it.parts.entry(link).or_default().push(live);
                    }
                }
                (Subject::Qdisc(_) | Subject::TrafficClass(_) | Subject::Filter(_), _) => {
                    if let Some(link) = subject.link() {
                        it.parts.entry(link).or_default().push(live);
                    }
                }
                _ => {}
            }
        }
        for (ifindex, (_, link)) in &it.links {
            if let Some(controller) = link.controller {
                it.ports.entry(controller).or_default().insert(*ifindex);
            }
            if let Some(lower) = lower(link).filter(|lower| lower != ifindex && it.peer(*ifindex).is_none()) {
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

    /// Neighbours, forwarding entries (also those of its ports, for a bridge), qdiscs, classes and filters of the link.
    pub(super) fn parts(&self, ifindex: Ifindex) -> impl Iterator<Item = Live<'a>> {
        self.parts.get(&ifindex).into_iter().flatten().copied()
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
            all.extend(self.addresses(end).chain(self.routes(end)).chain(self.parts(end)));
            let links = std::iter::once(end).chain(self.ports(end)).chain(self.uppers(end));
            all.extend(links.filter_map(|link| self.link(link)).map(|(live, _)| live));
        }
        all
    }
}

/// The links a route's next hops leave by. For most IPv4 routes they are not part of the subject.
pub(crate) fn outgoing_links(route: &RouteSubject, content: &RouteSnapshot) -> BTreeSet<Ifindex> {
    let hops = RouteView::parse(&content.message).map(|view| view.hops()).unwrap_or_default();
    let hops = hops.iter().map(|hop| hop.ifindex).filter(|link| link.0 != 0);
    hops.chain(route.oif).collect()
}

/// The source address a route prefers; the kernel removes an IPv4 route together with it.
pub(super) fn preferred_source(route: &RouteSnapshot) -> Option<IpAddr> {
    RouteView::parse(&route.message)?.preferred_source()
}

/// Whether an IPv4 address is a secondary one, which goes with the primary one of its subnet.
pub(crate) fn is_secondary(address: &AddressSnapshot) -> bool {
    AddressView::parse(&address.message).is_some_and(|view| view.is_secondary())
}

/// `RTN_LOCAL`: the route by which a node takes packets for an address of its own.
const RTN_LOCAL: u8 = 2;

/// `IFLA_VXLAN_LINK`: a vxlan link names the link below it only in its own settings.
const IFLA_VXLAN_LINK: u16 = 3;

/// The link this one is stacked on, when that is in the same network namespace.
pub(crate) fn lower(link: &LinkSnapshot) -> Option<Ifindex> {
    let vxlan = (link.kind.as_deref() == Some("vxlan")).then(|| Attributes::parse(&link.info_data)).flatten();
    let vxlan = vxlan.and_then(|settings| settings.u32(IFLA_VXLAN_LINK)).filter(|link| *link != 0).map(Ifindex);
    link.lower.or(vxlan).filter(|_| link.peer_netns.is_none())
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

/// Whether the kernel keeps the route for an address (its local, subnet or broadcast route). With a peer, the subnet is
/// the peer's.
pub(crate) fn is_made_for(route: &RouteSubject, content: &RouteSnapshot, address: Live<'_>) -> bool {
    let Some(destination) = route.destination.filter(|_| content.is_kernel_made()) else { return false };
    let (Subject::Address(address), Snapshot::Address(found)) = address else { return false };
    let peer = AddressView::parse(&found.message).and_then(|view| view.attributes.address(libc::IFA_ADDRESS));
    let AddressSubject { ifindex: _, address, prefix } = address;
    // the local route of another address of the subnet is that address's
    let is_others = content.kind == RTN_LOCAL && route.prefix != *prefix && destination != *address;
    let subnets = std::iter::once(*address).chain(peer);
    !is_others && subnets.into_iter().any(|subnet| contains(subnet, *prefix, destination))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    #[test]
    fn the_local_route_of_one_address_is_not_made_for_another_of_its_subnet() {
        let made_for = |destination: &str, prefix: u8, kind: u8, (address, peer): (&str, Option<[u8; 4]>)| {
            let route = RouteSubject {
                family: 2,
                destination: Some(destination.parse().expect("address")),
                prefix,
                table: 255,
                tos: 0,
                priority: 0,
                oif: Some(Ifindex(2)),
                gateway: None,
            };
            let content =
                RouteSnapshot { protocol: 2, kind, ifname: None, message: Vec::new(), content: Digest::of(b"") };
            let mut message = vec![2, 24, 0, 0, 2, 0, 0, 0];
            if let Some(peer) = peer {
                // IFA_ADDRESS
                message.extend([8, 0, 1, 0]);
                message.extend(peer);
            }
            let address = address.parse().expect("address");
            let subject = Subject::Address(AddressSubject { ifindex: Ifindex(2), address, prefix: 24 });
            let digest = Digest::of(&message);
            let found = AddressSnapshot { ifname: None, message, content: digest, is_dynamic: false };
            is_made_for(&route, &content, (&subject, &Snapshot::Address(found)))
        };
        let five = ("10.0.0.5", None);
        let one = ("10.0.0.1", None);
        assert!(made_for("10.0.0.5", 32, RTN_LOCAL, five));
        assert!(!made_for("10.0.0.5", 32, RTN_LOCAL, one));
        assert!(made_for("10.0.0.255", 32, 3, one), "broadcast");
        assert!(made_for("10.0.0.0", 24, 1, one), "the subnet's");
        assert!(!made_for("10.0.1.0", 24, 1, one));
        assert!(made_for("10.0.1.0", 24, 1, ("10.0.0.1", Some([10, 0, 1, 9]))), "the peer's subnet");
    }
}
