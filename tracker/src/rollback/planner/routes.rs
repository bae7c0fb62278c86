//! Addresses, routes and ip rules.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::register::Register;
use super::{Draft, judge, refuse_judged};
use crate::decode::rtnl::selector_count;
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::neighbour::{NeighbourKey, NeighbourSubject};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{KeptReason, Parties, Reason};
use crate::rollback::relations::{
    Live, Relations, contains, is_made_for, is_secondary, outgoing_links, preferred_source,
};
use crate::rollback::step::{Action, Step};

/// Plans what does not already go with one of the links in `going`.
pub(super) fn plan(
    register: &Register<'_>,
    live: &LiveState,
    relations: &Relations<'_>,
    going: &BTreeSet<Ifindex>,
    draft: &mut Draft,
) {
    let mut sorted: Vec<Live<'_>> = live.rt.iter().map(|(subject, snapshot)| (subject, snapshot)).collect();
    // the kernel deletes the first ip rule with at least the selectors asked for: those with most go first; a primary
    // address takes its secondaries along: they go before it
    sorted.sort_by_cached_key(|(subject, snapshot)| (Reverse(selectors(snapshot)), is_primary(snapshot), *subject));
    for (subject, snapshot) in &sorted {
        if let (Subject::Address(address), Snapshot::Address(content)) = (subject, snapshot)
            && !going.contains(&address.ifindex)
        {
            plan_address(register, relations, (subject, snapshot), (address, content), draft);
        }
    }
    for (subject, snapshot) in sorted {
        if draft.implied.contains(subject) {
            continue;
        }
        let judged = judge(register, subject, snapshot);
        match (subject, snapshot, judged.proof()) {
            (Subject::Route(_), Snapshot::Route(content), Some(_)) if content.is_kernel_made() => {
                if let Some(object) = register.object(subject) {
                    let with = needed_by(register, relations, (subject, snapshot));
                    match with.is_empty() {
                        true => draft.refuse(object, Reason::KernelMade),
                        false => draft.keep(object, KeptReason::Shared { with }),
                    }
                }
            }
            (Subject::Route(_), _, Some(proof)) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteRoute)),
            (Subject::IpRule(_), _, Some(proof)) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteIpRule)),
            (Subject::Route(_) | Subject::IpRule(_), _, None) => refuse_judged(register, draft, &judged, subject),
            _ => {}
        }
    }
}

fn is_primary(snapshot: &Snapshot) -> bool {
    matches!(snapshot, Snapshot::Address(address) if !is_secondary(address))
}

fn selectors(snapshot: &Snapshot) -> usize {
    match snapshot {
        Snapshot::IpRule(rule) => selector_count(rule),
        _ => 0,
    }
}

fn plan_address(
    register: &Register<'_>,
    relations: &Relations<'_>,
    (subject, snapshot): Live<'_>,
    (address, content): (&AddressSubject, &AddressSnapshot),
    draft: &mut Draft,
) {
    let judged = judge(register, subject, snapshot);
    let Some(proof) = judged.proof() else { return refuse_judged(register, draft, &judged, subject) };
    let is_last = is_last(register, relations, address);
    let by = dependents(register, relations, address, content, is_last);
    if !by.is_empty() {
        return draft.refuse(proof.object(), Reason::ForeignReference { by });
    }
    draft.steps.push(Step::new(&proof, snapshot, Action::DeleteAddress));
    for (route, route_snapshot) in relations.routes(address.ifindex) {
        let (Subject::Route(route_subject), Snapshot::Route(content)) = (route, route_snapshot) else { continue };
        let goes_with_last = is_last && route_subject.family == 2 && content.is_kernel_made();
        let still_needed =
            staying(register, relations, address.ifindex).any(|(_, it)| is_made_for(route_subject, content, it));
        if goes_with_last || (is_made_for(route_subject, content, (subject, snapshot)) && !still_needed) {
            draft.imply(register, route, || describe(subject, snapshot));
        }
    }
}

/// The addresses of a link that are not in scope.
fn staying<'a>(
    register: &Register<'_>,
    relations: &Relations<'a>,
    link: Ifindex,
) -> impl Iterator<Item = (&'a AddressSubject, Live<'a>)> {
    relations.addresses(link).filter_map(|(subject, snapshot)| match subject {
        Subject::Address(address) if judge(register, subject, snapshot).proof().is_none() => {
            Some((address, (subject, snapshot)))
        }
        _ => None,
    })
}

/// What of somebody else's needs a route that the kernel keeps for addresses.
fn needed_by(register: &Register<'_>, relations: &Relations<'_>, route: Live<'_>) -> Parties {
    let mut with = Parties::default();
    if let (Subject::Route(subject), Snapshot::Route(content)) = route {
        let links = outgoing_links(subject, content);
        let addresses = links.into_iter().flat_map(|link| staying(register, relations, link));
        for (_, (other, snapshot)) in addresses {
            if is_made_for(subject, content, (other, snapshot)) {
                with.add(|| register.party(other, snapshot));
            }
        }
    }
    with
}

/// Whether no IPv4 address stays on the link.
fn is_last(register: &Register<'_>, relations: &Relations<'_>, address: &AddressSubject) -> bool {
    address.address.is_ipv4()
        && !staying(register, relations, address.ifindex).any(|(other, _)| other.address.is_ipv4())
}

/// What the kernel would remove together with an IPv4 address although it is to stay: secondary addresses of its
/// subnet, routes that prefer it as their source, and every route and neighbour of a link that loses its last address.
fn dependents(
    register: &Register<'_>,
    relations: &Relations<'_>,
    address: &AddressSubject,
    content: &AddressSnapshot,
    is_last: bool,
) -> Parties {
    let mut by = Parties::default();
    if !address.address.is_ipv4() {
        return by;
    }
    for (other, (subject, snapshot)) in staying(register, relations, address.ifindex) {
        let Snapshot::Address(other_content) = snapshot else { continue };
        let shares_subnet = other.prefix == address.prefix && contains(address.address, address.prefix, other.address);
        if shares_subnet && is_secondary(other_content) && !is_secondary(content) {
            by.add(|| register.party(subject, snapshot));
        }
    }
    for (subject, snapshot) in relations.routes(address.ifindex) {
        let (Subject::Route(route), Snapshot::Route(content)) = (subject, snapshot) else { continue };
        let goes_down = is_last || preferred_source(content) == Some(address.address);
        let goes_anyway = content.is_kernel_made() || judge(register, subject, snapshot).proof().is_some();
        if route.family == 2 && goes_down && !goes_anyway {
            by.add(|| register.party(subject, snapshot));
        }
    }
    for (subject, snapshot) in relations.parts(address.ifindex).filter(|_| is_last) {
        let is_ipv4 = matches!(subject, Subject::Neighbour(NeighbourSubject { key: NeighbourKey::Address(ip), .. }) if ip.is_ipv4());
        if is_ipv4 && judge(register, subject, snapshot).proof().is_none() {
            by.add(|| register.party(subject, snapshot));
        }
    }
    by
}
