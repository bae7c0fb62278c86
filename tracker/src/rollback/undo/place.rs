//! Where in its chain a rule comes back: between the neighbours it had.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Obstacle, UndoPlan};
use crate::host::Place;
use crate::model::digest::Digest;
use crate::model::ids::{ChainName, Handle};
use crate::model::live::LiveState;
use crate::model::nft::{NftItem, NftSubject, TableRef};
use crate::model::subject::Subject;
use crate::rollback::archive::{Archive, Item};

type Chain<'a> = (&'a TableRef, &'a ChainName);

/// The rules of chains, before the reset and now.
pub(super) struct Places<'a> {
    before: BTreeMap<Chain<'a>, &'a [(Handle, Digest)]>,
    now: BTreeMap<Chain<'a>, Vec<(Handle, Digest)>>,
}

/// Neighbours that are still there, as places in the chain as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    before: Option<usize>,
    behind: Option<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(archive: &'a Archive, live: &'a LiveState) -> Self {
        let before = archive.chains.iter().map(|it| ((&it.table, &it.chain), it.rules.as_slice())).collect();
        let mut now: BTreeMap<Chain<'_>, Vec<(Handle, Digest)>> = BTreeMap::new();
        for (subject, content) in &live.nft {
            if let Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, handle } }) = subject {
                now.entry((table, chain)).or_default().push((*handle, content.digest()));
            }
        }
        Self { before, now }
    }

    /// Whether a rule of this content that was not there before the reset is in the chain.
    pub(super) fn is_made_anew(&self, table: &TableRef, chain: &ChainName, content: Digest) -> bool {
        let before: BTreeSet<Handle> = self
            .before
            .get(&(table, chain))
            .into_iter()
            .flat_map(|rules| rules.iter().map(|(handle, _)| *handle))
            .collect();
        let now = self.now.get(&(table, chain)).into_iter().flatten();
        now.into_iter().any(|(handle, digest)| *digest == content && !before.contains(handle))
    }

    /// Makes the steps of rules, which are sorted by nothing yet.
    pub(super) fn plan(&self, rules: &[&Item], plan: &mut UndoPlan) {
        let mut by_chain: BTreeMap<Chain<'_>, BTreeMap<Handle, &Item>> = BTreeMap::new();
        for item in rules {
            if let Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, handle } }) = &item.subject {
                by_chain.entry((table, chain)).or_default().insert(*handle, item);
            }
        }
        for (chain, mut items) in by_chain {
            let order = self.before.get(&chain).copied().unwrap_or_default();
            let mut gaps: Vec<(Gap, Vec<&Item>)> = Vec::new();
            for (at, (handle, _)) in order.iter().enumerate() {
                let Some(item) = items.remove(handle) else { continue };
                let gap = self.gap(chain, order, at);
                match gaps.last_mut() {
                    Some((last, same)) if *last == gap => same.push(item),
                    _ => gaps.push((gap, vec![item])),
                }
            }
            for (gap, items) in gaps {
                self.fill(chain, gap, items, plan);
            }
        }
    }

    /// The nearest rules on both sides that are still there.
    fn gap(&self, chain: Chain<'_>, order: &[(Handle, Digest)], at: usize) -> Gap {
        let now = self.now.get(&chain).map(Vec::as_slice).unwrap_or_default();
        let place = |rule: &(Handle, Digest)| now.iter().position(|found| found == rule);
        Gap { before: order[..at].iter().rev().find_map(place), behind: order[at + 1..].iter().find_map(place) }
    }

    fn fill(&self, chain: Chain<'_>, gap: Gap, items: Vec<&Item>, plan: &mut UndoPlan) {
        let now = self.now.get(&chain).map(Vec::as_slice).unwrap_or_default();
        let Gap { before, behind } = gap;
        let between = (before.map_or(0, |at| at + 1), behind.unwrap_or(now.len()));
        let is_empty = between.0 == between.1;
        match (before, behind) {
            (_, Some(behind)) if is_empty || (before.is_none() && between.0 <= between.1) => {
                let place = Place::Before(now[behind].0);
                items.into_iter().for_each(|item| plan.restore(item, How::AddRule(place)));
            }
            (_, None) if is_empty => items.into_iter().for_each(|item| plan.restore(item, How::AddRule(Place::Last))),
            // others appended behind: each goes right behind the neighbour, so the last comes first
            (Some(before), None) => {
                let place = Place::After(now[before].0);
                items.into_iter().rev().for_each(|item| plan.restore(item, How::AddRule(place)));
            }
            _ => items.into_iter().for_each(|item| plan.refuse(item, Obstacle::PlaceLost)),
        }
    }
}
