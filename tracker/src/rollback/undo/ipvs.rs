//! IPVS services and destinations that come back.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Obstacle, UndoPlan};
use crate::model::ipvs::{IpvsItem, IpvsService, IpvsSubject};
use crate::model::live::LiveState;
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::archive::Item;

/// Plans services, and destinations after them. A destination comes back into the service it was in: that stayed, comes
/// back, or was made anew as it was.
pub(super) fn plan(items: &[&Item], live: &LiveState, plan: &mut UndoPlan) {
    let now: BTreeMap<&Subject, &Snapshot> = live.ipvs.iter().map(|(subject, now)| (subject, now)).collect();
    let of_ipvs = items.iter().filter_map(|item| match &item.subject {
        Subject::Ipvs(subject) => Some((subject, *item)),
        _ => None,
    });
    let (services, destinations): (Vec<_>, Vec<_>) = of_ipvs.partition(|(it, _)| it.item == IpvsItem::Service);
    let mut others: BTreeSet<&IpvsService> = BTreeSet::new();
    for (subject, item) in services {
        match now.get(&item.subject) {
            None => plan.restore(item, How::Add),
            Some(found) if found.digest() == item.snapshot.digest() => plan.there.push(item.clone()),
            Some(_) => {
                others.insert(&subject.service);
                plan.refuse(item, Obstacle::Taken);
            }
        }
    }
    for (subject, item) in destinations {
        let service = IpvsSubject::service(subject.service);
        let is_back = plan.steps.iter().any(|step| step.subject == Subject::Ipvs(service));
        let is_there = now.contains_key(&Subject::Ipvs(service)) && !others.contains(&subject.service);
        match now.get(&item.subject) {
            Some(found) if found.digest() == item.snapshot.digest() => plan.there.push(item.clone()),
            Some(_) => plan.refuse(item, Obstacle::Taken),
            None if is_back || is_there => plan.restore(item, How::Add),
            None => plan.refuse(item, Obstacle::Needs(service.to_string())),
        }
    }
}
