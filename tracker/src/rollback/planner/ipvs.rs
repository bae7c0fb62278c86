//! IPVS: the owner's destinations go out of whatever service they are in; a service goes when nothing stays in it.

use std::collections::BTreeMap;

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::model::ipvs::{IpvsItem, IpvsService};
use crate::model::subject::Subject;
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Reason};
use crate::rollback::relations::Live;
use crate::rollback::step::{Action, Step};

/// A service with what is in it.
#[derive(Default)]
struct Service<'a> {
    live: Option<Live<'a>>,
    destinations: Vec<Live<'a>>,
}

/// Plans destinations, and services after them: the kernel would delete what is in a service with it.
pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let mut services: BTreeMap<&IpvsService, Service<'_>> = BTreeMap::new();
    for (subject, snapshot) in &live.ipvs {
        let Subject::Ipvs(it) = subject else { continue };
        let service = services.entry(&it.service).or_default();
        match it.item {
            IpvsItem::Service => service.live = Some((subject, snapshot)),
            IpvsItem::Destination { .. } => service.destinations.push((subject, snapshot)),
        }
    }
    for Service { live, destinations } in services.into_values() {
        let (mut own, mut foreign) = (Parties::default(), Parties::default());
        for (subject, snapshot) in destinations {
            let judged = judge(register, subject, snapshot);
            match judged.proof() {
                Some(proof) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteDestination)),
                None => {
                    refuse_judged(register, draft, &judged, subject);
                    let stays = if judged.is_foreign() { &mut foreign } else { &mut own };
                    stays.add(|| register.party(subject, snapshot));
                }
            }
        }
        let Some((subject, snapshot)) = live else { continue };
        let mut judged = judge(register, subject, snapshot);
        if judged.proof().is_some() && !foreign.is_empty() {
            judged = Judged::Refused(Reason::ForeignInside { what: foreign });
        } else if judged.proof().is_some() && !own.is_empty() {
            judged = Judged::Refused(Reason::NotEmpty { what: own });
        }
        match judged.proof() {
            Some(proof) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteService)),
            None => refuse_judged(register, draft, &judged, subject),
        }
    }
}
