//! From fates to steps, refusals and things kept.

use super::super::register::{Judged, Register};
use super::super::{Draft, refuse_judged};
use super::fate::{Fate, is_obstacle, may_vanish, parts};
use super::interval::{self, Unit};
use super::leading::Leading;
use super::policy;
use super::ruleset::{Item, Ruleset};
use crate::model::nft::NftItem;
use crate::model::subject::describe;
use crate::rollback::refusal::{KeptReason, Parties, Reason};
use crate::rollback::step::{Action, Step};

const SET_CONSTANT: u32 = 2;
const SET_MAP_OR_OBJECT: u32 = 8 | 64;

pub(super) fn report(
    register: &Register<'_>,
    ruleset: &Ruleset<'_>,
    fates: &[Fate],
    leading: &Leading,
    draft: &mut Draft,
) {
    let flushed = flushed_chains(ruleset, fates);
    for (index, item) in ruleset.items.iter().enumerate() {
        match fates[index] {
            Fate::Goes => {
                if let Some(proof) = item.judged.proof() {
                    draft.steps.push(Step::new(&proof, item.snapshot, action(item, &flushed)));
                }
            }
            Fate::GoesWith(parent) => {
                let parent = &ruleset.items[parent];
                draft.imply(register, item.subject, || describe(parent.subject, parent.snapshot));
            }
            Fate::Stays => match leading.target(index) {
                // a foreign rule within the rule itself is told as such
                Some(target) if inside(register, ruleset, fates, index).foreign.is_empty() => {
                    leads(register, ruleset, (index, target), draft);
                }
                _ => stays(register, ruleset, fates, index, draft),
            },
        }
    }
}

/// For each place, whether it is a chain all of whose rules are steps.
fn flushed_chains(ruleset: &Ruleset<'_>, fates: &[Fate]) -> Vec<bool> {
    let goes = |member: &usize| fates[*member] == Fate::Goes;
    ruleset
        .items
        .iter()
        .map(|item| matches!(item.nft.item, NftItem::Chain(_)) && item.members.iter().all(goes))
        .collect()
}

fn action(item: &Item<'_>, flushed: &[bool]) -> Action {
    match item.nft.item {
        NftItem::Rule { .. } => Action::DeleteRule { whole_chain: item.container.is_some_and(|chain| flushed[chain]) },
        NftItem::Element { .. } => Action::DeleteElement,
        NftItem::Set(_) => {
            let flags = item.set_flags();
            let has_members = !item.members.is_empty();
            Action::DeleteSet {
                clear_first: has_members && flags & SET_MAP_OR_OBJECT != 0 && flags & SET_CONSTANT == 0,
            }
        }
        NftItem::Chain(_) => Action::DeleteChain,
        NftItem::Object { .. } => Action::DeleteObject,
        NftItem::Flowtable(_) => Action::DeleteFlowtable,
        NftItem::Table => Action::DeleteTable,
    }
}

/// A rule that must stay because of what it leads to.
fn leads(register: &Register<'_>, ruleset: &Ruleset<'_>, (index, target): (usize, usize), draft: &mut Draft) {
    let target = &ruleset.items[target];
    if let Some(object) = register.object(ruleset.items[index].subject) {
        draft.refuse(object, Reason::LeadsToForeign { by_way_of: describe(target.subject, target.snapshot) });
    }
}

fn stays(register: &Register<'_>, ruleset: &Ruleset<'_>, fates: &[Fate], index: usize, draft: &mut Draft) {
    let item = &ruleset.items[index];
    let is_set_back = policy::set_back(register, item, draft);
    let Some(object) = register.object(item.subject).filter(|object| register.asks_for(object)) else {
        if is_set_back {
            return;
        }
        return refuse_judged(register, draft, &item.judged, item.subject);
    };
    if let Some(carrier) = carrier(ruleset, index) {
        let carrier = &ruleset.items[carrier];
        return draft.keep(object, KeptReason::GoesWith(describe(carrier.subject, carrier.snapshot)));
    }
    let is_shareable = item.is_base_chain() || matches!(item.nft.item, NftItem::Table);
    let Inside { foreign, own } = inside(register, ruleset, fates, index);
    if is_shareable && !foreign.is_empty() {
        return draft.keep(object, KeptReason::Shared { with: foreign });
    }
    if let Judged::Refused(reason) = &item.judged {
        return draft.refuse(object, reason.clone());
    }
    let users = parties(register, ruleset, item.referrers.iter().copied().filter(|user| !fates[*user].goes()));
    let reason = if !foreign.is_empty() {
        Reason::ForeignInside { what: foreign }
    } else if !users.is_empty() {
        Reason::ForeignReference { by: users }
    } else if !own.is_empty() {
        Reason::NotEmpty { what: own }
    } else {
        return element_stays(register, ruleset, fates, index, draft);
    };
    draft.refuse(object, reason);
}

/// Why an element stays although nothing uses it: its set is constant, or it is one with others that stay.
fn element_stays(register: &Register<'_>, ruleset: &Ruleset<'_>, fates: &[Fate], index: usize, draft: &mut Draft) {
    let Some(object) = register.object(ruleset.items[index].subject) else { return };
    let Some(set) = ruleset.items[index].container else { return };
    if ruleset.items[set].set_flags() & SET_CONSTANT != 0 {
        return draft.refuse(object, Reason::ConstantSet);
    }
    for unit in interval::units(ruleset, set) {
        match unit {
            Unit::Interval(start, end) if start == index || end == index => {
                let other = if start == index { end } else { start };
                let by = parties(register, ruleset, std::iter::once(other));
                draft.refuse(object, Reason::ForeignReference { by });
            }
            Unit::BeforeFirst(it) if it == index => {
                let others = ruleset.items[set].members.iter().filter(|it| **it != index && !fates[**it].goes());
                let with = parties(register, ruleset, others.copied());
                draft.keep(object, KeptReason::Shared { with });
            }
            _ => {}
        }
    }
}

/// What is in an object that stays and does not go.
struct Inside {
    foreign: Parties,
    own: Parties,
}

fn inside(register: &Register<'_>, ruleset: &Ruleset<'_>, fates: &[Fate], index: usize) -> Inside {
    let item = &ruleset.items[index];
    let mut it = Inside { foreign: Parties::default(), own: Parties::default() };
    let mut add = |member: usize| {
        let member = &ruleset.items[member];
        let list = if register.is_owners(member.subject) { &mut it.own } else { &mut it.foreign };
        list.add(|| register.party(member.subject, member.snapshot));
    };
    match item.nft.item {
        NftItem::Rule { .. } => {
            let parts = parts(ruleset, index);
            parts.into_iter().filter(|part| is_obstacle(ruleset, *part)).for_each(&mut add);
        }
        NftItem::Set(_) => {
            let stays = |member: &&usize| !may_vanish(register, &ruleset.items[**member]);
            item.members.iter().filter(stays).for_each(|member| add(*member));
        }
        _ => item.members.iter().filter(|member| !fates[**member].goes()).for_each(|member| add(*member)),
    }
    it
}

/// The rule (or the set or chain in between) that an anonymous object is part of, when it has no fate of its own.
fn carrier(ruleset: &Ruleset<'_>, index: usize) -> Option<usize> {
    let is_part = |index: usize| ruleset.items[index].is_anonymous_set() || ruleset.items[index].is_bound_chain();
    let item = &ruleset.items[index];
    match item.container {
        _ if is_part(index) => item.referrers.first().copied(),
        Some(container) if is_part(container) => Some(container),
        _ => None,
    }
}

fn parties(register: &Register<'_>, ruleset: &Ruleset<'_>, indices: impl Iterator<Item = usize>) -> Parties {
    let mut parties = Parties::default();
    for index in indices {
        let item = &ruleset.items[index];
        parties.add(|| register.party(item.subject, item.snapshot));
    }
    parties
}
