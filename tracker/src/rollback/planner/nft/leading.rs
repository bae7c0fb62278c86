//! Rules that lead to other people's rules.
//!
//! When somebody else has a rule in a chain of the owner's, the chain stays, and so must what leads there: without the
//! jump their rule would still be listed but no packet would meet it. The reference CNI plugins share chains this way,
//! whoever calls them first makes the chains and the jumps into them.

use std::collections::BTreeMap;

use super::ruleset::Ruleset;
use crate::model::nft::{NftItem, NftSnapshot};

/// The owner's rules and elements that lead to a rule of somebody else, each with the chain or map it leads to next.
#[derive(Debug, Default)]
pub(super) struct Leading(BTreeMap<usize, usize>);

impl Leading {
    pub(super) fn find(ruleset: &Ruleset<'_>) -> Self {
        let holds_foreign = |index: &usize| {
            let mut members = ruleset.items[*index].members.iter().map(|member| &ruleset.items[*member]);
            members.any(|member| matches!(member.content, NftSnapshot::Rule(_)) && member.judged.is_foreign())
        };
        let is_chain = |index: &usize| matches!(ruleset.items[*index].nft.item, NftItem::Chain(_));
        let mut ahead: Vec<usize> = (0..ruleset.items.len()).filter(is_chain).filter(holds_foreign).collect();
        let mut seen = vec![false; ruleset.items.len()];
        let mut it = Self::default();
        while let Some(target) = ahead.pop() {
            if std::mem::replace(&mut seen[target], true) {
                continue;
            }
            for &user in &ruleset.items[target].referrers {
                let item = &ruleset.items[user];
                if item.judged.proof().is_some() {
                    it.0.entry(user).or_insert(target);
                    ahead.extend(item.container);
                }
            }
        }
        it
    }

    /// What the rule or element at a place leads to, if it must stay for that.
    pub(super) fn target(&self, index: usize) -> Option<usize> {
        self.0.get(&index).copied()
    }
}
