//! Sysctls: set back to what they were, unless somebody else set them since. Their values are not part of the live state:
//! the host compares the value right before it writes. Those of a link go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::model::link::AddressSubject;
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{KeptReason, Parties, Reason};
use crate::rollback::step::{Action, Step};

/// Plans the sysctls; the steps for links are in the draft by now.
pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let leaving: BTreeMap<String, String> = live
        .rt
        .iter()
        .filter(|(subject, _)| {
            draft.implied.contains(subject) || draft.steps.iter().any(|step| step.subject() == subject)
        })
        .filter_map(|(subject, snapshot)| match snapshot {
            Snapshot::Link(link) => Some((link.name.as_str().to_owned(), describe(subject, snapshot))),
            _ => None,
        })
        .collect();
    let there: BTreeSet<&str> = live
        .rt
        .iter()
        .filter_map(|(_, snapshot)| match snapshot {
            Snapshot::Link(link) => Some(link.name.as_str()),
            _ => None,
        })
        .collect();
    for object in register.objects() {
        let (Subject::Sysctl(name), Snapshot::Sysctl(set)) = (&object.subject, &object.snapshot) else { continue };
        if let Some(link) = name.link().and_then(|link| leaving.get(link)) {
            draft.imply(register, &object.subject, || link.clone());
            continue;
        }
        if name.link().is_some_and(|link| !there.contains(link)) {
            if register.asks_for(object) {
                draft.keep(object, KeptReason::AlreadyGone);
            }
            continue;
        }
        let judged = match judge(register, &object.subject, &object.snapshot) {
            Judged::Mine(_) if set.before.is_none() => Judged::Refused(Reason::EarlierUnknown),
            Judged::Mine(proof) => match relying(register, live, object) {
                by if by.is_empty() => Judged::Mine(proof),
                by => Judged::Refused(Reason::ReliedOn { by }),
            },
            judged => judged,
        };
        match judged.proof() {
            Some(proof) => draft.steps.push(Step::new(&proof, &object.snapshot, Action::RestoreSysctl)),
            None => refuse_judged(register, draft, &judged, &object.subject),
        }
    }
}

/// Addresses that programs of others gave to links after the node was made to forward. Who was there before did without,
/// or would have set it himself; an administrator's addresses say nothing about forwarding.
fn relying(register: &Register<'_>, live: &LiveState, sysctl: &Object) -> Parties {
    let mut by = Parties::default();
    let Subject::Sysctl(name) = &sysctl.subject else { return by };
    let Some(family) = name.forwards() else { return by };
    for (subject, snapshot) in &live.rt {
        let Subject::Address(AddressSubject { address, .. }) = subject else { continue };
        let is_of_family = match address {
            IpAddr::V4(_) => family == 2,
            IpAddr::V6(address) => family == 10 && !address.is_unicast_link_local(),
        };
        let came_later = register
            .object(subject)
            .is_some_and(|object| object.id > sysctl.id && !object.owner().is_within(&Owner::admin()));
        if is_of_family && came_later && register.is_proven_foreign(subject) {
            by.add(|| register.party(subject, snapshot));
        }
    }
    by
}
