//! Links that come back: lower links and controllers before what is stacked on them or attached to them.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Obstacle, UndoPlan};
use crate::model::ids::Ifindex;
use crate::model::link::LinkSnapshot;
use crate::model::live::LiveState;
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::archive::Item;

/// Kinds that `RTM_NEWLINK` makes of what is recorded of them. Others need a program (tun), keys (wireguard) or settings
/// that are not read.
pub(super) const KINDS: [&str; 17] = [
    "bridge", "dummy", "veth", "vxlan", "vlan", "macvlan", "macvtap", "ipvlan", "ipip", "sit", "gre", "gretap",
    "ip6tnl", "geneve", "vrf", "ifb", "nlmon",
];

/// Plans the links; returns those that are there afterwards.
pub(super) fn plan(items: &[&Item], live: &LiveState, plan: &mut UndoPlan) -> BTreeSet<Ifindex> {
    let now: BTreeMap<Ifindex, &LinkSnapshot> =
        live.rt.iter().filter_map(|(subject, now)| link_of(subject, now)).collect();
    let names: BTreeSet<&str> = now
        .values()
        .flat_map(|link| std::iter::once(link.name.as_str()).chain(link.altnames.iter().map(String::as_str)))
        .collect();
    let mut archived: BTreeMap<Ifindex, (&Item, &LinkSnapshot)> = BTreeMap::new();
    let mut loose: Vec<(&Item, Ifindex)> = Vec::new();
    let mut wanted: BTreeMap<Ifindex, (&Item, &LinkSnapshot)> = BTreeMap::new();
    for item in items {
        let Some((ifindex, link)) = link_of(&item.subject, &item.snapshot) else { continue };
        archived.insert(ifindex, (item, link));
        match now.get(&ifindex) {
            Some(found) if found.name == link.name && found.kind == link.kind => {
                plan.there.push((*item).clone());
                // an interrupted reset took its controller and not yet itself
                loose.extend(
                    link.controller.filter(|_| found.controller.is_none()).map(|controller| (*item, controller)),
                );
            }
            Some(_) => plan.refuse(item, Obstacle::Taken),
            None if names.contains(link.name.as_str()) => plan.refuse(item, Obstacle::Taken),
            None => {
                wanted.insert(ifindex, (item, link));
            }
        }
    }
    loop {
        let refused = wanted.iter().find_map(|(ifindex, (item, link))| {
            Some((*ifindex, *item, obstacle((*ifindex, link), &wanted, &now, &archived)?))
        });
        let Some((ifindex, item, reason)) = refused else { break };
        wanted.remove(&ifindex);
        plan.refuse(item, reason);
    }
    let there: BTreeSet<Ifindex> = now.keys().chain(wanted.keys()).copied().collect();
    let ports: Vec<&LinkSnapshot> = archived.values().map(|(_, link)| *link).chain(now.values().copied()).collect();
    let mut done = BTreeSet::new();
    for ifindex in wanted.keys() {
        make(*ifindex, &wanted, &ports, &mut done, plan);
    }
    for (item, controller) in loose {
        if wanted.contains_key(&controller) {
            plan.restore(item, How::Attach);
        }
    }
    there
}

fn link_of<'a>(subject: &Subject, snapshot: &'a Snapshot) -> Option<(Ifindex, &'a LinkSnapshot)> {
    match (subject, snapshot) {
        (Subject::Link(ifindex), Snapshot::Link(link)) => Some((*ifindex, link)),
        _ => None,
    }
}

fn is_veth(link: &LinkSnapshot) -> bool {
    link.kind.as_deref() == Some("veth")
}

fn obstacle(
    (ifindex, link): (Ifindex, &LinkSnapshot),
    wanted: &BTreeMap<Ifindex, (&Item, &LinkSnapshot)>,
    now: &BTreeMap<Ifindex, &LinkSnapshot>,
    archived: &BTreeMap<Ifindex, (&Item, &LinkSnapshot)>,
) -> Option<Obstacle> {
    let kind = link.kind.as_deref().unwrap_or("hardware");
    if !KINDS.contains(&kind) {
        return Some(Obstacle::Kind(kind.to_owned()));
    }
    if is_veth(link) {
        let is_paired = |peer: &Ifindex| wanted.get(peer).is_some_and(|(_, other)| other.lower == Some(ifindex));
        if link.peer_netns.is_some() || !link.lower.as_ref().is_some_and(is_paired) {
            return Some(Obstacle::PeerElsewhere);
        }
    }
    let needed = link.controller.into_iter().chain(link.lower.filter(|_| link.peer_netns.is_none()));
    let missing = needed.into_iter().find(|other| !now.contains_key(other) && !wanted.contains_key(other))?;
    let name = archived.get(&missing).map(|(item, _)| describe(&item.subject, &item.snapshot));
    Some(Obstacle::Needs(name.unwrap_or_else(|| format!("link #{missing}"))))
}

/// Makes the step of a link after those of what it needs; of a pair, both ends are one step.
fn make(
    ifindex: Ifindex,
    wanted: &BTreeMap<Ifindex, (&Item, &LinkSnapshot)>,
    ports: &[&LinkSnapshot],
    done: &mut BTreeSet<Ifindex>,
    plan: &mut UndoPlan,
) {
    let Some((item, link)) = wanted.get(&ifindex).filter(|_| done.insert(ifindex)) else { return };
    let peer = link.lower.filter(|_| is_veth(link)).and_then(|peer| Some((peer, wanted.get(&peer)?.1)));
    if let Some((peer, _)) = peer {
        done.insert(peer);
    }
    let lower = link.lower.filter(|_| peer.is_none());
    let controllers = link.controller.into_iter().chain(peer.and_then(|(_, peer)| peer.controller));
    for needed in controllers.chain(lower).collect::<Vec<_>>() {
        make(needed, wanted, ports, done, plan);
    }
    let takes_ports = matches!(link.kind.as_deref(), Some("bridge"));
    let is_ports = ports.iter().any(|port| port.controller == Some(ifindex) && port.mac == link.mac);
    plan.restore(
        item,
        How::MakeLink {
            peer: peer.map(|(number, peer)| (number, peer.clone())),
            keeps_mac: !(takes_ports && is_ports),
        },
    );
}
