//! nf_tables objects that come back, in the order the kernel needs them: what is referred to before what refers.

use std::collections::{BTreeMap, BTreeSet};

use super::place::Places;
use super::{How, Obstacle, UndoPlan};
use crate::decode::nft::expr::{Kind, decode};
use crate::decode::nft::object_of;
use crate::model::ids::{ObjectName, SetName};
use crate::model::live::LiveState;
use crate::model::nft::{BaseChain, ChainSnapshot, NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::archive::{Archive, Item};
use crate::rollback::planner::deletion_order;

/// `NFT_CHAIN_BINDING`.
const CHAIN_BINDING: u32 = 4;

/// An archived nf_tables object.
type Archived<'a> = (&'a Item, &'a NftSubject, &'a NftSnapshot);

pub(super) fn plan(archive: &Archive, items: &[&Item], live: &LiveState, plan: &mut UndoPlan) {
    let now: BTreeMap<&Subject, &Snapshot> = live.nft.iter().map(|(subject, now)| (subject, now)).collect();
    let places = Places::new(archive, live);
    let lost_ip_sets = items.iter().any(|item| matches!(item.subject, Subject::IpSet(_)));
    let mut wanted: Vec<Archived<'_>> = Vec::new();
    for item in items {
        let (Subject::Nft(subject), Snapshot::Nft(content)) = (&item.subject, &item.snapshot) else { continue };
        if let Some(after) = &item.after {
            set_policy(item, after, now.get(&item.subject).copied(), plan);
            continue;
        }
        let obstacle = obstacle(item, subject, content, &now, &places);
        match obstacle.or_else(|| (lost_ip_sets && matches_ip_set(content)).then_some(Some(Obstacle::IpSet))) {
            Some(Some(reason)) => plan.refuse(item, reason),
            Some(None) => plan.there.push((*item).clone()),
            None => wanted.push((item, subject, content)),
        }
    }
    drop_what_misses_something(&mut wanted, &now, plan);
    let mut rules = Vec::new();
    wanted
        .sort_by_cached_key(|(item, subject, _)| (phase(&subject.item), deletion_order(&item.subject, &item.snapshot)));
    for (item, subject, _) in wanted {
        match &subject.item {
            NftItem::Rule { .. } => rules.push(item),
            _ => plan.restore(item, How::Add),
        }
    }
    places.plan(&rules, plan);
}

/// Whether a rule names an IP set, which it does by a number that a set made anew has not.
pub(super) fn matches_ip_set(content: &NftSnapshot) -> bool {
    let NftSnapshot::Rule(rule) = content else { return false };
    decode(&rule.expressions).any(|expression| match expression.kind {
        Kind::Match(xt) | Kind::Target(xt) => {
            xt.name.eq_ignore_ascii_case(b"set\0") || xt.name.eq_ignore_ascii_case(b"set")
        }
        _ => false,
    })
}

/// Whether something keeps the object from coming back (`Some(Some)`), or it is there (`Some(None)`).
fn obstacle(
    item: &Item,
    subject: &NftSubject,
    content: &NftSnapshot,
    now: &BTreeMap<&Subject, &Snapshot>,
    places: &Places<'_>,
) -> Option<Option<Obstacle>> {
    if let Some(found) = now.get(&item.subject) {
        let handle = |snapshot: &Snapshot| if let Snapshot::Nft(nft) = snapshot { nft.handle() } else { None };
        let is_same = found.digest() == item.snapshot.digest() && handle(found) == handle(&item.snapshot);
        return Some((!is_same).then_some(Obstacle::Taken));
    }
    match (&subject.item, content) {
        (NftItem::Rule { chain, .. }, _) => {
            let is_anew = places.is_made_anew(&subject.table, chain, item.snapshot.digest());
            is_anew.then_some(Some(Obstacle::MadeAnew))
        }
        (_, NftSnapshot::Chain(chain)) if chain.flags & CHAIN_BINDING != 0 => Some(Some(Obstacle::PartOfRule)),
        _ => None,
    }
}

/// Refuses what needs something that is neither there nor comes back, until nothing changes; and parts of rules that do
/// not come back.
fn drop_what_misses_something(
    wanted: &mut Vec<Archived<'_>>,
    now: &BTreeMap<&Subject, &Snapshot>,
    plan: &mut UndoPlan,
) {
    loop {
        let coming: BTreeSet<&Subject> = wanted.iter().map(|(item, ..)| &item.subject).collect();
        let is_there = |subject: &Subject| now.contains_key(subject) || coming.contains(subject);
        let has_object = |table: &TableRef, name: &str| {
            now.keys().copied().chain(coming.iter().copied()).any(|subject| match subject {
                Subject::Nft(NftSubject {
                    table: its,
                    item: NftItem::Object { name: it, .. } | NftItem::Flowtable(it),
                }) => its == table && it.as_str() == name,
                _ => false,
            })
        };
        let users: BTreeSet<(&TableRef, &SetName)> = wanted
            .iter()
            .filter_map(|(_, subject, content)| match content {
                NftSnapshot::Rule(rule) => Some(rule.sets.iter().map(|set| (&subject.table, set))),
                _ => None,
            })
            .flatten()
            .collect();
        let missing = wanted.iter().position(|(_, subject, content)| {
            is_orphan(subject, content, &users) || missing(subject, content, &is_there, &has_object).is_some()
        });
        let Some(at) = missing else { return };
        let (_, subject, content) = wanted[at];
        let needs = missing_of(subject, content, &is_there, &has_object);
        let (item, ..) = wanted.remove(at);
        plan.refuse(item, Obstacle::Needs(needs));
    }
}

fn missing_of(
    subject: &NftSubject,
    content: &NftSnapshot,
    is_there: &dyn Fn(&Subject) -> bool,
    has_object: &dyn Fn(&TableRef, &str) -> bool,
) -> String {
    missing(subject, content, is_there, has_object).unwrap_or_else(|| "the rule it is part of".to_owned())
}

/// An anonymous set none of the rules that come back looks into.
fn is_orphan(subject: &NftSubject, content: &NftSnapshot, users: &BTreeSet<(&TableRef, &SetName)>) -> bool {
    match (&subject.item, content) {
        (NftItem::Set(set), NftSnapshot::Set(content)) => {
            content.is_anonymous() && !users.contains(&(&subject.table, set))
        }
        _ => false,
    }
}

/// What an object needs and does not find.
fn missing(
    subject: &NftSubject,
    content: &NftSnapshot,
    is_there: &dyn Fn(&Subject) -> bool,
    has_object: &dyn Fn(&TableRef, &str) -> bool,
) -> Option<String> {
    let table = &subject.table;
    let named = |item: NftItem| Subject::Nft(NftSubject { table: table.clone(), item });
    let mut needed = Vec::new();
    if subject.item != NftItem::Table {
        needed.push(named(NftItem::Table));
    }
    match &subject.item {
        NftItem::Rule { chain, .. } => needed.push(named(NftItem::Chain(chain.clone()))),
        NftItem::Element { set, .. } => needed.push(named(NftItem::Set(set.clone()))),
        _ => {}
    }
    let of_element: Vec<ObjectName>;
    let (mut chains, mut sets, mut objects): (&[_], &[_], &[_]) = (&[], &[], &[]);
    match content {
        NftSnapshot::Rule(rule) => (chains, sets, objects) = (&rule.chains, &rule.sets, &rule.objects),
        NftSnapshot::Element(element) => {
            of_element = object_of(element).into_iter().collect();
            (chains, objects) = (&element.chains, &of_element);
        }
        _ => {}
    }
    needed.extend(chains.iter().map(|chain| named(NftItem::Chain(chain.clone()))));
    needed.extend(sets.iter().map(|set| named(NftItem::Set(set.clone()))));
    let found = needed.iter().find(|subject| !is_there(subject)).map(|subject| match subject {
        Subject::Nft(nft) => nft.to_string(),
        other => format!("{other:?}"),
    });
    found.or_else(|| {
        let object = objects.iter().find(|name| !has_object(table, name.as_str()));
        object.map(|name| format!("object {table} {name}"))
    })
}

fn phase(item: &NftItem) -> u8 {
    match item {
        NftItem::Table => 0,
        NftItem::Chain(_) => 1,
        NftItem::Object { .. } => 2,
        NftItem::Flowtable(_) => 3,
        NftItem::Set(_) => 4,
        NftItem::Element { .. } => 5,
        NftItem::Rule { .. } => 6,
    }
}

/// A policy that the reset set back: to what it was before the reset, if it still is what the reset made of it.
fn set_policy(item: &Item, after: &Snapshot, now: Option<&Snapshot>, plan: &mut UndoPlan) {
    let policy = |snapshot: &Snapshot| match snapshot {
        Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(BaseChain { policy, .. }), .. })) => Some(*policy),
        _ => None,
    };
    let (Some(was), Some(now)) = (policy(&item.snapshot), now) else {
        return plan.refuse(item, Obstacle::Needs(describe(&item.subject, &item.snapshot)));
    };
    if now.digest() == after.digest() {
        plan.restore(item, How::SetPolicy(was));
    } else if now.digest() == item.snapshot.digest() {
        plan.there.push((*item).clone());
    } else {
        plan.refuse(item, Obstacle::SetSince);
    }
}
