//! IP sets: a set goes when nothing that stays uses it and nothing of others is in it; else the owner's members go out of
//! it one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::decode;
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetHeader, IpSetItem, IpSetSnapshot};
use crate::model::nft::NftSnapshot;
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Party, Reason};
use crate::rollback::relations::Live;
use crate::rollback::step::{Action, Step};

/// A set with what is in it and what uses it.
struct Set<'a> {
    live: Live<'a>,
    header: &'a IpSetHeader,
    members: Vec<Live<'a>>,
    users: Vec<Live<'a>>,
}

/// Plans the sets; the steps for rules are in the draft by now.
pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let sets = sets(live);
    let leaving: BTreeSet<Subject> =
        draft.steps.iter().map(|step| step.subject().clone()).chain(draft.implied.iter().cloned()).collect();
    // lists first: what they hold is free when they go
    let mut order: Vec<&IpSetName> = sets.keys().copied().collect();
    order.sort_by_key(|name| (!is_list(sets[name].header), *name));
    let mut going: BTreeSet<Subject> = leaving;
    for name in order {
        let set = &sets[name];
        let judged = obstacle(register, set, &going);
        match judged.proof() {
            Some(proof) => {
                let action = Action::DestroyIpSet { is_list: is_list(set.header) };
                draft.steps.push(Step::new(&proof, set.live.1, action));
                going.insert(set.live.0.clone());
                for (member, _) in &set.members {
                    draft.imply(register, member, || describe(set.live.0, set.live.1));
                    going.insert((*member).clone());
                }
            }
            None => {
                refuse_judged(register, draft, &judged, set.live.0);
                for (subject, snapshot) in &set.members {
                    let judged = judge(register, subject, snapshot);
                    match judged.proof() {
                        Some(proof) => {
                            draft.steps.push(Step::new(&proof, snapshot, Action::DeleteMember));
                            going.insert((*subject).clone());
                        }
                        None => refuse_judged(register, draft, &judged, subject),
                    }
                }
            }
        }
    }
}

fn is_list(header: &IpSetHeader) -> bool {
    header.kind.starts_with("list:")
}

/// The judgement on a set, with what stands in its way.
fn obstacle<'a>(register: &Register<'a>, set: &Set<'_>, going: &BTreeSet<Subject>) -> Judged<'a> {
    let judged = judge(register, set.live.0, set.live.1);
    if judged.proof().is_none() {
        return judged;
    }
    let (mut foreign, mut using) = (Parties::default(), Parties::default());
    for (subject, snapshot) in set.members.iter().filter(|(subject, _)| !register.is_owners(subject)) {
        foreign.add(|| register.party(subject, snapshot));
    }
    if !foreign.is_empty() {
        return Judged::Refused(Reason::ForeignInside { what: foreign });
    }
    for (subject, snapshot) in set.users.iter().filter(|(subject, _)| !going.contains(subject)) {
        using.add(|| register.party(subject, snapshot));
    }
    let unseen = usize::try_from(set.header.references).unwrap_or(usize::MAX).saturating_sub(set.users.len());
    if unseen > 0 {
        let what = "a rule of a legacy table, or of another kind that is not read".to_owned();
        using.add(|| Party { what, owner: None });
    }
    if using.is_empty() { judged } else { Judged::Refused(Reason::ForeignReference { by: using }) }
}

fn sets(live: &LiveState) -> BTreeMap<&IpSetName, Set<'_>> {
    let mut sets: BTreeMap<&IpSetName, Set<'_>> = BTreeMap::new();
    for (subject, snapshot) in &live.ip_sets {
        let (Subject::IpSet(it), Snapshot::IpSet(content)) = (subject, snapshot) else { continue };
        match (&it.item, content) {
            (IpSetItem::Set, IpSetSnapshot::Set(header)) => {
                let (members, users) = (Vec::new(), Vec::new());
                sets.insert(&it.set, Set { live: (subject, snapshot), header, members, users });
            }
            _ => {
                if let Some(set) = sets.get_mut(&it.set) {
                    set.members.push((subject, snapshot));
                }
            }
        }
    }
    let by_index: BTreeMap<u16, &IpSetName> =
        sets.iter().filter_map(|(name, set)| Some((set.header.index?, *name))).collect();
    for (subject, snapshot) in &live.nft {
        let Snapshot::Nft(NftSnapshot::Rule(rule)) = snapshot else { continue };
        for index in decode::ipset::used_by(rule) {
            if let Some(set) = by_index.get(&index).and_then(|name| sets.get_mut(name)) {
                set.users.push((subject, snapshot));
            }
        }
    }
    for (subject, snapshot) in &live.ip_sets {
        if let Snapshot::IpSet(IpSetSnapshot::Member(member)) = snapshot
            && let Some(set) = member.refers_to.as_ref().and_then(|name| sets.get_mut(name))
        {
            set.users.push((subject, snapshot));
        }
    }
    sets
}
