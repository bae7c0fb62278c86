//! Legacy tables: chains, rules between the neighbours they had, policies.
//!
//! A rule has no handle, so its neighbours are known by content: one of content that others added or removed since is no
//! neighbour to go by.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Obstacle, UndoPlan};
use crate::decode::legacy::{Layout, parts};
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{
    LegacyFamily, LegacyItem, LegacyPolicy, LegacyRule, LegacySnapshot, LegacySubject, LegacyTable, Nth, table_digest,
};
use crate::model::live::LiveState;
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::archive::{Archive, Item, LegacyOrder};
use crate::rollback::check::legacy_objects;

/// A table as it is.
#[derive(Default)]
struct Now<'a> {
    /// Policies and rules of its chains.
    chains: BTreeMap<&'a ChainName, (Option<LegacyPolicy>, Vec<Digest>)>,
}

/// The archived rules of a chain, by content and which of the equal ones.
type ArchivedRules<'a> = BTreeMap<(Digest, u32), (&'a Item, &'a LegacyRule)>;

/// What of one table is archived.
struct Archived<'a> {
    order: &'a LegacyOrder,
    items: Vec<(&'a Item, &'a LegacyItem, &'a LegacySnapshot)>,
    /// Whether IP sets went, which rules name by a number that new ones have not.
    lost_ip_sets: bool,
}

pub(super) fn plan(archive: &Archive, items: &[&Item], live: &LiveState, plan: &mut UndoPlan) {
    let mut tables: BTreeMap<&LegacyTable, Now<'_>> = BTreeMap::new();
    for (LegacySubject { table, item }, snapshot) in legacy_objects(live) {
        let now = tables.entry(table).or_default();
        match (item, snapshot) {
            (LegacyItem::Chain(name), LegacySnapshot::Chain(chain)) => {
                now.chains.insert(name, (chain.policy, Vec::new()));
            }
            (LegacyItem::Rule { chain, content, .. }, _) => {
                now.chains.get_mut(chain).into_iter().for_each(|(_, rules)| rules.push(*content));
            }
            _ => {}
        }
    }
    let lost_ip_sets = items.iter().any(|item| matches!(item.subject, Subject::IpSet(_)));
    for order in &archive.legacy {
        let of_table = |item: &&'_ Item| match (&item.subject, &item.snapshot) {
            (Subject::Legacy(subject), Snapshot::Legacy(_)) => subject.table == order.table,
            _ => false,
        };
        let items: Vec<&Item> = items.iter().copied().filter(of_table).collect();
        let Some(now) = tables.get(&order.table) else {
            let missing = || Obstacle::Needs(format!("table legacy {}", order.table));
            items.into_iter().for_each(|item| plan.refuse(item, missing()));
            continue;
        };
        let items = items.into_iter().filter_map(parts_of).collect();
        Archived { order, items, lost_ip_sets }.plan(now, plan);
        plan.tables.insert(order.table.clone(), table_digest(&order.table, legacy_objects(live)));
    }
}

fn parts_of(item: &Item) -> Option<(&Item, &LegacyItem, &LegacySnapshot)> {
    match (&item.subject, &item.snapshot) {
        (Subject::Legacy(subject), Snapshot::Legacy(snapshot)) => Some((item, &subject.item, snapshot)),
        _ => None,
    }
}

impl<'a> Archived<'a> {
    fn plan(&self, now: &Now<'a>, plan: &mut UndoPlan) {
        let coming = self.chains(now, plan);
        let mut rules: BTreeMap<&ChainName, ArchivedRules<'_>> = BTreeMap::new();
        for (item, which, snapshot) in &self.items {
            match (which, snapshot, &item.after) {
                (LegacyItem::Rule { chain, content, nth }, LegacySnapshot::Rule(rule), _) => {
                    rules.entry(chain).or_default().insert((*content, *nth), (item, rule));
                }
                (LegacyItem::Chain(chain), _, Some(after)) => policy(item, after, now.chains.get(chain), plan),
                _ => {}
            }
        }
        for (chain, rules) in rules {
            let live = match now.chains.get(chain) {
                Some((_, live)) => live.as_slice(),
                None if coming.contains(chain) => &[],
                None => {
                    let needs = || Obstacle::Needs(format!("chain legacy {} {chain}", self.order.table));
                    rules.into_values().for_each(|(item, _)| plan.refuse(item, needs()));
                    continue;
                }
            };
            let before = self.order.rules.get(chain).map(Vec::as_slice).unwrap_or_default();
            let has_chain = |name: &ChainName| now.chains.contains_key(name) || coming.contains(name);
            self.rules((before, live), rules, &has_chain, plan);
        }
    }

    /// Plans the chains; returns those that come.
    fn chains(&self, now: &Now<'a>, plan: &mut UndoPlan) -> BTreeSet<&'a ChainName> {
        let mut wanted: BTreeMap<&ChainName, &Item> = BTreeMap::new();
        for (item, which, _) in &self.items {
            if let (LegacyItem::Chain(name), None) = (which, &item.after) {
                wanted.insert(name, item);
            }
        }
        let mut coming = BTreeSet::new();
        let mut behind: Option<&ChainName> = None;
        for name in &self.order.chains {
            match (now.chains.get(name), wanted.get(name)) {
                (Some((policy, _)), archived) => {
                    behind = if policy.is_none() { Some(name) } else { behind };
                    plan.there.extend(archived.map(|item| (*item).clone()));
                }
                (None, Some(item)) => {
                    plan.restore(item, How::AddLegacyChain(behind.cloned()));
                    coming.insert(name);
                    behind = Some(name);
                }
                (None, None) => {}
            }
        }
        coming
    }

    fn rules(
        &self,
        (before, live): (&[(Digest, [u64; 2])], &[Digest]),
        items: ArchivedRules<'_>,
        has_chain: &dyn Fn(&ChainName) -> bool,
        plan: &mut UndoPlan,
    ) {
        if before.iter().map(|(content, _)| content).eq(live) {
            // the reset did not come to this table
            return items.into_values().for_each(|(item, _)| plan.there.push(item.clone()));
        }
        let mut nth = Nth::default();
        let named: Vec<(Digest, u32)> = before.iter().map(|(content, _)| (*content, nth.next(*content))).collect();
        let stays: Vec<Option<Digest>> =
            named.iter().map(|name| (!items.contains_key(name)).then_some(name.0)).collect();
        let places = Places::new(&stays, live);
        for (at, name) in named.iter().enumerate() {
            let Some((item, rule)) = items.get(name) else { continue };
            let missing = rule.chain.as_ref().filter(|chain| !has_chain(chain));
            let place = if let Some(chain) = missing {
                Err(Obstacle::Needs(format!("chain legacy {} {chain}", self.order.table)))
            } else if self.lost_ip_sets && matches_ip_set(self.order.table.family, rule) {
                Err(Obstacle::IpSet)
            } else if places.is_made_anew(name.0) {
                Err(Obstacle::MadeAnew)
            } else {
                places.of(at).ok_or(Obstacle::PlaceLost)
            };
            match place {
                Ok(place) => plan.restore(item, How::AddLegacyRule { at: place, counters: before[at].1 }),
                Err(reason) => plan.refuse(item, reason),
            }
        }
    }
}

/// Where the rules that stayed are now.
struct Places {
    /// For each rule before the reset, its place now.
    anchors: Vec<Option<usize>>,
    /// Rules now.
    live: usize,
    /// Contents of which there are more than stayed.
    more: BTreeSet<Digest>,
}

impl Places {
    fn new(stays: &[Option<Digest>], live: &[Digest]) -> Self {
        let mut now: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        for (place, content) in live.iter().enumerate() {
            now.entry(*content).or_default().push(place);
        }
        let mut stayed: BTreeMap<Digest, usize> = BTreeMap::new();
        for content in stays.iter().flatten() {
            *stayed.entry(*content).or_default() += 1;
        }
        let mut nth = Nth::default();
        let mut anchor = |content: &Digest| {
            let which = nth.next(*content) as usize;
            let places = now.get(content).filter(|places| stayed.get(content) == Some(&places.len()))?;
            places.get(which).copied()
        };
        let anchors = stays.iter().map(|content| content.as_ref().and_then(&mut anchor)).collect();
        let is_more = |(content, places): &(&Digest, &Vec<usize>)| {
            places.len() > stayed.get(*content).copied().unwrap_or_default()
        };
        let more = now.iter().filter(is_more).map(|(content, _)| *content).collect();
        Self { anchors, live: live.len(), more }
    }

    fn is_made_anew(&self, content: Digest) -> bool {
        self.more.contains(&content)
    }

    /// Before which of the rules now the one belongs that stood at this place before the reset.
    fn of(&self, at: usize) -> Option<usize> {
        let before = self.anchors[..at].iter().rev().find_map(|anchor| *anchor);
        let behind = self.anchors[at + 1..].iter().find_map(|anchor| *anchor);
        match (before, behind) {
            (Some(before), Some(behind)) => (before + 1 == behind).then_some(behind),
            (None, Some(behind)) => Some(behind),
            // others appended behind
            (Some(before), None) => Some(before + 1),
            (None, None) => (self.live == 0).then_some(0),
        }
    }
}

/// Whether a rule names an IP set, which it does by a number that a set made anew has not.
pub(super) fn matches_ip_set(family: LegacyFamily, rule: &LegacyRule) -> bool {
    parts(Layout::of(family), &rule.entry).iter().any(|part| part.name.eq_ignore_ascii_case(b"set"))
}

/// A policy that the reset set back: to what it was before, if it still is what the reset made of it.
fn policy(item: &Item, after: &Snapshot, now: Option<&(Option<LegacyPolicy>, Vec<Digest>)>, plan: &mut UndoPlan) {
    let of = |snapshot: &Snapshot| match snapshot {
        Snapshot::Legacy(LegacySnapshot::Chain(chain)) => chain.policy,
        _ => None,
    };
    match (of(&item.snapshot), now.and_then(|(policy, _)| *policy)) {
        (Some(was), Some(now)) if now == was => plan.there.push(item.clone()),
        (Some(was), Some(now)) if Some(now) == of(after) => plan.restore(item, How::SetLegacyPolicy(was)),
        _ => plan.refuse(item, Obstacle::SetSince),
    }
}
