//! Addresses, routes and ip rules that come back. What the kernel keeps for links and addresses by itself is left to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{How, Obstacle, UndoPlan};
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::live::LiveState;
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::archive::Item;
use crate::rollback::relations::{is_secondary, outgoing_links};

const RTPROT_RA: u8 = 9;

/// Plans them; `links` are those there afterwards.
pub(super) fn plan(items: &[&Item], live: &LiveState, links: &BTreeSet<Ifindex>, plan: &mut UndoPlan) {
    let all = live.rt.iter().chain(&live.ip_sets);
    let now: BTreeMap<&Subject, &Snapshot> = all.map(|(subject, now)| (subject, now)).collect();
    let mut wanted: Vec<((u8, bool), &Item)> = Vec::new();
    for item in items {
        let (order, needed) = match (&item.subject, &item.snapshot) {
            (Subject::Address(address), Snapshot::Address(content)) if !comes_by_itself(address, content) => {
                ((0, is_secondary(content)), BTreeSet::from([address.ifindex]))
            }
            (Subject::Route(route), Snapshot::Route(content)) if !is_kept_by_kernel(route, content) => {
                // a gateway has to be reached by a route that is there before
                ((1, route.gateway.is_some()), outgoing_links(route, content))
            }
            (Subject::IpSet(_), _) if !now.contains_key(&item.subject) => {
                plan.refuse(item, Obstacle::IpSet);
                continue;
            }
            // its value is compared by the host
            (Subject::Sysctl(_), _) => ((3, false), BTreeSet::new()),
            (_, Snapshot::Traffic(_) | Snapshot::Neighbour(_)) if !now.contains_key(&item.subject) => {
                plan.refuse(item, Obstacle::Traffic);
                continue;
            }
            (Subject::IpRule(_) | Subject::IpSet(_), _) => ((2, false), BTreeSet::new()),
            _ => continue,
        };
        match now.get(&item.subject) {
            Some(found) if found.digest() == item.snapshot.digest() => plan.there.push((*item).clone()),
            Some(_) => plan.refuse(item, Obstacle::Taken),
            None => match needed.iter().find(|link| !links.contains(link)) {
                Some(link) => plan.refuse(item, Obstacle::Needs(format!("link #{link}"))),
                None => wanted.push((order, item)),
            },
        }
    }
    wanted.sort_by_key(|(order, _)| *order);
    wanted.into_iter().for_each(|(_, item)| plan.restore(item, How::Add));
}

fn comes_by_itself(address: &AddressSubject, content: &AddressSnapshot) -> bool {
    let is_link_local = matches!(address.address, IpAddr::V6(address) if address.is_unicast_link_local());
    content.is_dynamic || is_link_local
}

/// Routes the kernel makes for addresses and links, and what routers announce.
fn is_kept_by_kernel(route: &RouteSubject, content: &RouteSnapshot) -> bool {
    let is_multicast = matches!(route.destination, Some(IpAddr::V6(destination)) if destination.is_multicast());
    content.is_kernel_made() || content.protocol == RTPROT_RA || is_multicast || matches!(content.kind, 2..=5)
}
