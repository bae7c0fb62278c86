//! Addresses, routes and ip rules.

use std::collections::BTreeSet;

use super::links::route_may_go;
use super::register::Register;
use super::{Draft, judge, refuse_judged};
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Reason};
use crate::rollback::relations::{Live, Relations, contains, is_made_for, is_secondary, preferred_source};
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
    sorted.sort_by_key(|(subject, _)| *subject);
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
                    draft.refuse(object, Reason::KernelMade);
                }
            }
            (Subject::Route(_), _, Some(proof)) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteRoute)),
            (Subject::IpRule(_), _, Some(proof)) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteIpRule)),
            (Subject::Route(_) | Subject::IpRule(_), _, None) => refuse_judged(register, draft, &judged, subject),
            _ => {}
        }
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
    let by = dependents(register, relations, address, content);
    if !by.is_empty() {
        return draft.refuse(proof.object(), Reason::ForeignReference { by });
    }
    draft.steps.push(Step::new(&proof, snapshot, Action::DeleteAddress));
    for (route, route_snapshot) in relations.routes(address.ifindex) {
        if let (Subject::Route(route_subject), Snapshot::Route(content)) = (route, route_snapshot)
            && is_made_for(route_subject, content, address.address, address.prefix)
        {
            draft.imply(register, route, || describe(subject, snapshot));
        }
    }
}

/// What the kernel would remove together with an IPv4 address although it is somebody else's: secondary addresses of its
/// subnet, routes that prefer it as their source, and every route of a link that loses its last address.
fn dependents(
    register: &Register<'_>,
    relations: &Relations<'_>,
    address: &AddressSubject,
    content: &AddressSnapshot,
) -> Parties {
    let mut by = Parties::default();
    if !address.address.is_ipv4() {
        return by;
    }
    let mut others_stay = false;
    for (subject, snapshot) in relations.addresses(address.ifindex) {
        let (Subject::Address(other), Snapshot::Address(other_content)) = (subject, snapshot) else { continue };
        if other == address || !other.address.is_ipv4() || judge(register, subject, snapshot).proof().is_some() {
            continue;
        }
        others_stay = true;
        let shares_subnet = other.prefix == address.prefix && contains(address.address, address.prefix, other.address);
        if shares_subnet && is_secondary(other_content) && !is_secondary(content) {
            by.add(|| register.party(subject, snapshot));
        }
    }
    for (subject, snapshot) in relations.routes(address.ifindex) {
        let (Subject::Route(route), Snapshot::Route(content)) = (subject, snapshot) else { continue };
        let goes_down = !others_stay || preferred_source(content) == Some(address.address);
        if route.family == 2 && goes_down && !route_may_go(register, (subject, snapshot)) {
            by.add(|| register.party(subject, snapshot));
        }
    }
    by
}
