//! Which live nf_tables objects go.

use super::super::register::{Judged, Register};
use super::interval::{self, Unit};
use super::leading::Leading;
use super::ruleset::{Item, Ruleset};
use crate::model::nft::{NftItem, NftSnapshot};

const SET_CONSTANT: u32 = 2;

/// What becomes of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Stays,
    /// A step of its own removes it.
    Goes,
    /// It goes with the object at this place.
    GoesWith(usize),
}

impl Fate {
    pub(super) fn goes(self) -> bool {
        self != Self::Stays
    }
}

/// Decides in the order of references: rules, sets, elements, chains, objects, tables.
pub(super) fn decide(register: &Register<'_>, ruleset: &Ruleset<'_>, leading: &Leading) -> Vec<Fate> {
    let mut fates = vec![Fate::Stays; ruleset.items.len()];
    let each =
        |wanted: fn(&NftItem) -> bool| ruleset.items.iter().enumerate().filter(move |(_, item)| wanted(&item.nft.item));
    for (index, item) in each(|item| matches!(item, NftItem::Rule { .. })) {
        if !is_in_bound_chain(ruleset, item) && leading.target(index).is_none() {
            rule(ruleset, index, &mut fates);
        }
    }
    for (index, item) in each(|item| matches!(item, NftItem::Set(_))) {
        if !item.is_anonymous_set() {
            set(register, ruleset, index, &mut fates);
        }
    }
    for (index, item) in each(|item| matches!(item, NftItem::Set(_))) {
        if !fates[index].goes() && !is_constant(item) {
            elements(ruleset, leading, index, &mut fates);
        }
    }
    let is_referable =
        |item: &NftItem| matches!(item, NftItem::Chain(_) | NftItem::Object { .. } | NftItem::Flowtable(_));
    for (index, item) in each(is_referable) {
        let all_go = item.members.iter().chain(&item.referrers).all(|other| fates[*other].goes());
        if item.judged.proof().is_some() && !item.is_bound_chain() && all_go {
            fates[index] = Fate::Goes;
        }
    }
    for (index, item) in each(|item| matches!(item, NftItem::Table)) {
        if item.judged.proof().is_some() && item.members.iter().all(|member| fates[*member].goes()) {
            fates[index] = Fate::Goes;
            item.members.iter().for_each(|member| fates[*member] = Fate::GoesWith(index));
        }
    }
    fates
}

/// The bound chains, their rules, the anonymous sets and their elements that are part of a rule, however deep.
pub(super) fn parts(ruleset: &Ruleset<'_>, rule: usize) -> Vec<usize> {
    let mut parts = Vec::new();
    let mut rules = vec![rule];
    while let Some(rule) = rules.pop() {
        for &target in &ruleset.items[rule].references {
            let item = &ruleset.items[target];
            if (item.is_bound_chain() || item.is_anonymous_set()) && !parts.contains(&target) {
                parts.push(target);
                parts.extend(&item.members);
                // elements of an anonymous verdict map may jump to bound chains, rules of a bound chain too
                rules.extend(&item.members);
            }
        }
    }
    parts
}

/// Whether something in a bound chain keeps the rule that carries it from going.
pub(super) fn is_obstacle(ruleset: &Ruleset<'_>, part: usize) -> bool {
    let item = &ruleset.items[part];
    let is_rule = matches!(item.content, NftSnapshot::Rule(_));
    is_rule && !matches!(item.judged, Judged::Mine(_) | Judged::NotAskedFor)
}

fn rule(ruleset: &Ruleset<'_>, index: usize, fates: &mut [Fate]) {
    if ruleset.items[index].judged.proof().is_none() {
        return;
    }
    let parts = parts(ruleset, index);
    if parts.iter().any(|part| is_obstacle(ruleset, *part)) {
        return;
    }
    fates[index] = Fate::Goes;
    parts.into_iter().for_each(|part| fates[part] = Fate::GoesWith(index));
}

fn set(register: &Register<'_>, ruleset: &Ruleset<'_>, index: usize, fates: &mut [Fate]) {
    let item = &ruleset.items[index];
    let no_user_stays = item.referrers.iter().all(|user| fates[*user].goes());
    let may_empty = item.members.iter().all(|member| may_vanish(register, &ruleset.items[*member]));
    if item.judged.proof().is_some() && no_user_stays && may_empty {
        fates[index] = Fate::Goes;
        item.members.iter().for_each(|member| fates[*member] = Fate::GoesWith(index));
    }
}

/// Whether an element may go with its set: the owner's own, or one that packets made (it times out by itself, and nobody
/// else was seen adding it).
pub(super) fn may_vanish(register: &Register<'_>, element: &Item<'_>) -> bool {
    let by_packets = matches!(element.content, NftSnapshot::Element(content) if content.has_timeout);
    matches!(element.judged, Judged::Mine(_) | Judged::NotAskedFor)
        || (by_packets && element.judged.is_foreign() && !register.is_proven_foreign(element.subject))
}

/// Elements of a set that stays.
fn elements(ruleset: &Ruleset<'_>, leading: &Leading, set: usize, fates: &mut [Fate]) {
    let is_mine = |index: usize| ruleset.items[index].judged.proof().is_some() && leading.target(index).is_none();
    let mut before_first = None;
    for unit in interval::units(ruleset, set) {
        match unit {
            Unit::Single(index) if is_mine(index) => fates[index] = Fate::Goes,
            Unit::Interval(start, end) if is_mine(start) && is_mine(end) => {
                fates[start] = Fate::Goes;
                fates[end] = Fate::Goes;
            }
            Unit::BeforeFirst(index) => before_first = Some(index),
            Unit::Single(_) | Unit::Interval(..) => {}
        }
    }
    // whoever adds the first interval adds it; had the owner not, the next one would have
    if let Some(index) = before_first.filter(|index| is_mine(*index)) {
        let others = || ruleset.items[set].members.iter().filter(|member| **member != index);
        if others().all(|other| fates[*other].goes()) {
            fates[index] = Fate::Goes;
        }
    }
}

/// Whether the kernel refuses to delete single elements (`EBUSY`).
fn is_constant(set: &Item<'_>) -> bool {
    set.is_anonymous_set() || set.set_flags() & SET_CONSTANT != 0
}

fn is_in_bound_chain(ruleset: &Ruleset<'_>, rule: &Item<'_>) -> bool {
    rule.container.is_some_and(|chain| ruleset.items[chain].is_bound_chain())
}
