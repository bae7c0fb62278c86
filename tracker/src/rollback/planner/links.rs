//! Links: which may be deleted, and what of others hangs on them.
//!
//! The kernel deletes a link together with its addresses, its routes, the links stacked on it, its veth peer and the
//! netdev chains attached to it. Anything among these that is somebody else's refuses the link. Had the owner never run,
//! an administrator's route through its bridge could not exist; but it does, and saying so is better than taking it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, LinkSnapshot};
use crate::model::nft::{ChainSnapshot, NftSnapshot};
use crate::model::route::{RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Reason};
use crate::rollback::relations::{Live, Relations};
use crate::rollback::step::{Action, Step};

const RTPROT_RA: u8 = 9;

/// Plans the links; returns those that go.
pub(super) fn plan(
    register: &Register<'_>,
    live: &LiveState,
    relations: &Relations<'_>,
    draft: &mut Draft,
) -> BTreeSet<Ifindex> {
    let chains: Vec<(&str, Live<'_>)> = live.nft.iter().filter_map(chain_of_device).collect();
    let hanging: BTreeMap<Ifindex, Hanging> = relations
        .links()
        .map(|(ifindex, _, link)| (ifindex, Hanging::on(register, &chains, relations, ifindex, link)))
        .collect();
    let mut judged: BTreeMap<Ifindex, Judged<'_>> = relations
        .links()
        .map(|(ifindex, (subject, snapshot), link)| (ifindex, judge_link(register, subject, snapshot, link)))
        .collect();
    for (ifindex, hanging) in &hanging {
        if judged[ifindex].proof().is_some()
            && let Some(reason) = hanging.reason()
        {
            judged.insert(*ifindex, Judged::Refused(reason));
        }
    }
    spread_refusals(register, relations, &hanging, &mut judged);

    let going: BTreeSet<Ifindex> =
        judged.iter().filter(|(_, judged)| judged.proof().is_some()).map(|(ifindex, _)| *ifindex).collect();
    for ifindex in in_order(relations, &going) {
        delete(register, relations, ifindex, &judged, draft);
    }
    for (ifindex, (subject, _), _) in relations.links() {
        refuse_judged(register, draft, &judged[&ifindex], subject);
    }
    going
}

fn judge_link<'a>(register: &Register<'a>, subject: &Subject, snapshot: &Snapshot, link: &LinkSnapshot) -> Judged<'a> {
    let judged = judge(register, subject, snapshot);
    let is_kernel_made = link.kind.is_none() || link.is_fallback();
    if judged.proof().is_some() && is_kernel_made { Judged::Refused(Reason::KernelMade) } else { judged }
}

/// Refuses links whose deletion would delete a link that must stay, until nothing changes.
fn spread_refusals<'a>(
    register: &Register<'a>,
    relations: &Relations<'_>,
    hanging: &BTreeMap<Ifindex, Hanging>,
    judged: &mut BTreeMap<Ifindex, Judged<'a>>,
) {
    loop {
        let refused = relations.links().find_map(|(ifindex, _, _)| {
            judged[&ifindex].proof()?;
            let upper = relations.uppers(ifindex).find(|upper| judged.get(upper).is_none_or(|it| it.proof().is_none()));
            let peer = relations.peer(ifindex).filter(|peer| must_stay(register, relations, hanging, judged, *peer));
            let (subject, snapshot) = relations.link(upper.or(peer)?)?.0;
            let mut what = Parties::default();
            what.add(|| register.party(subject, snapshot));
            let is_own = register.is_owners(subject);
            Some((ifindex, if is_own { Reason::NotEmpty { what } } else { Reason::ForeignInside { what } }))
        });
        let Some((ifindex, reason)) = refused else { return };
        judged.insert(ifindex, Judged::Refused(reason));
    }
}

/// Whether a veth peer may not go with its other end. One request made both, so an unrecorded peer goes along.
fn must_stay(
    register: &Register<'_>,
    relations: &Relations<'_>,
    hanging: &BTreeMap<Ifindex, Hanging>,
    judged: &BTreeMap<Ifindex, Judged<'_>>,
    peer: Ifindex,
) -> bool {
    let has_others = hanging.get(&peer).is_some_and(|hanging| hanging.reason().is_some());
    let is_others = relations.link(peer).is_some_and(|((subject, _), _)| register.is_proven_foreign(subject));
    let is_refused =
        matches!(judged.get(&peer), Some(Judged::Refused(reason)) if !matches!(reason, Reason::NotProven(_)));
    has_others || is_others || is_refused
}

/// What hangs on one link and would go with it.
#[derive(Debug, Default)]
struct Hanging {
    foreign: Parties,
}

impl Hanging {
    fn on(
        register: &Register<'_>,
        chains: &[(&str, Live<'_>)],
        relations: &Relations<'_>,
        ifindex: Ifindex,
        link: &LinkSnapshot,
    ) -> Self {
        let mut it = Self::default();
        let mut add = |(subject, snapshot): Live<'_>| it.foreign.add(|| register.party(subject, snapshot));
        relations.addresses(ifindex).filter(|live| !address_may_go(register, *live)).for_each(&mut add);
        relations.routes(ifindex).filter(|live| !route_may_go(register, *live)).for_each(&mut add);
        relations.parts(ifindex).filter(|live| !part_may_go(register, *live)).for_each(&mut add);
        let ports = relations.ports(ifindex).filter_map(|port| relations.link(port)).map(|(live, _)| live);
        ports.filter(|(subject, _)| !register.is_owners(subject)).for_each(&mut add);
        let chains = chains.iter().filter(|(device, _)| *device == link.name.as_str()).map(|(_, live)| *live);
        chains.filter(|(subject, _)| !register.is_owners(subject)).for_each(&mut add);
        it
    }

    fn reason(&self) -> Option<Reason> {
        (!self.foreign.is_empty()).then(|| Reason::ForeignInside { what: self.foreign.clone() })
    }
}

/// The owner's own neighbours, qdiscs and filters, and the forwarding entries that came with the link.
fn part_may_go(register: &Register<'_>, (subject, _): Live<'_>) -> bool {
    let is_forwarding = matches!(subject, Subject::Neighbour(neighbour) if neighbour.is_forwarding());
    register.is_owners(subject)
        || register.is_kernels(subject)
        || (is_forwarding && !register.is_proven_foreign(subject))
}

/// The owner's own addresses, and those the kernel or the network put there.
fn address_may_go(register: &Register<'_>, (subject, snapshot): Live<'_>) -> bool {
    let (Subject::Address(address), Snapshot::Address(AddressSnapshot { is_dynamic, .. })) = (subject, snapshot) else {
        return false;
    };
    let is_link_local = matches!(address.address, IpAddr::V6(address) if address.is_unicast_link_local());
    register.is_owners(subject)
        || register.is_kernels(subject)
        || ((*is_dynamic || is_link_local) && !register.is_proven_foreign(subject))
}

/// The owner's own routes, and those the kernel or the network put there.
fn route_may_go(register: &Register<'_>, (subject, snapshot): Live<'_>) -> bool {
    let (Subject::Route(route), Snapshot::Route(content)) = (subject, snapshot) else { return false };
    let is_by_itself = is_made_by_itself(route, content) || content.protocol == RTPROT_RA;
    register.is_owners(subject)
        || register.is_kernels(subject)
        || content.is_kernel_made()
        || (is_by_itself && !register.is_proven_foreign(subject))
}

/// Local, broadcast, anycast and multicast routes, which the kernel keeps for addresses and links.
fn is_made_by_itself(route: &RouteSubject, content: &RouteSnapshot) -> bool {
    let is_multicast = matches!(route.destination, Some(IpAddr::V6(destination)) if destination.is_multicast());
    is_multicast || matches!(content.kind, 2..=5)
}

/// A netdev chain, with the link it is attached to.
fn chain_of_device((subject, snapshot): &(Subject, Snapshot)) -> Option<(&str, Live<'_>)> {
    let Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. })) = snapshot else { return None };
    base.device.as_deref().map(|device| (device, (subject, snapshot)))
}

/// Controllers before their ports and upper links before lower ones: a bridge takes over addresses of its ports, so a port
/// deleted first would make the bridge look drifted.
fn in_order(relations: &Relations<'_>, going: &BTreeSet<Ifindex>) -> Vec<Ifindex> {
    fn visit(
        relations: &Relations<'_>,
        link: Ifindex,
        going: &BTreeSet<Ifindex>,
        seen: &mut BTreeSet<Ifindex>,
        out: &mut Vec<Ifindex>,
    ) {
        if !seen.insert(link) {
            return;
        }
        for end in std::iter::once(link).chain(relations.peer(link)) {
            let controller = relations.link(end).and_then(|(_, content)| content.controller);
            for before in relations.uppers(end).chain(controller) {
                visit(relations, before, going, seen, out);
            }
        }
        if going.contains(&link) {
            out.push(link);
        }
    }
    let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
    going.iter().for_each(|link| visit(relations, *link, going, &mut seen, &mut out));
    out
}

/// Makes the step, and notes what goes with the link. Of a veth pair only the end with the lower number gets a step.
fn delete(
    register: &Register<'_>,
    relations: &Relations<'_>,
    ifindex: Ifindex,
    judged: &BTreeMap<Ifindex, Judged<'_>>,
    draft: &mut Draft,
) {
    let Some(((subject, snapshot), _)) = relations.link(ifindex) else { return };
    let Some(proof) = judged[&ifindex].proof() else { return };
    let going_peer = relations.peer(ifindex).filter(|peer| judged[peer].proof().is_some());
    if let Some(peer) = going_peer.filter(|peer| *peer < ifindex)
        && let Some(((peer, peer_snapshot), _)) = relations.link(peer)
    {
        draft.imply(register, subject, || describe(peer, peer_snapshot));
    } else {
        draft.steps.push(Step::new(&proof, snapshot, Action::DeleteLink));
    }
    if let (Some(peer), None) = (relations.peer(ifindex), going_peer)
        && let Some(((peer, _), _)) = relations.link(peer)
    {
        draft.imply(register, peer, || describe(subject, snapshot));
    }
    for end in std::iter::once(ifindex).chain(relations.peer(ifindex)) {
        for (part, _) in relations.addresses(end).chain(relations.routes(end)).chain(relations.parts(end)) {
            if !draft.implied.contains(part) {
                draft.imply(register, part, || describe(subject, snapshot));
            }
        }
    }
}
