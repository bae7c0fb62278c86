//! What is remembered of a table, and the differences to its next state.

use std::collections::BTreeMap;

use super::align::{Alignment, align};
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{
    ChainContent, LegacyChain, LegacyContent, LegacyItem, LegacyPolicy, LegacyRule, LegacySnapshot, Nth,
};

/// What is remembered of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainOutline {
    /// The chain, with the policies it had.
    pub chain: LegacyChain,
    /// Its rules in their order.
    pub rules: Vec<Digest>,
}

/// What is remembered of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// Its chains.
    pub chains: BTreeMap<ChainName, ChainOutline>,
}

/// One difference between two states of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A chain or rule is gone.
    Removed(LegacyItem),
    /// A rule goes on in another order, or as another of the equal ones.
    Moved {
        /// As which it was known.
        from: LegacyItem,
        /// As which it is.
        to: LegacyItem,
        /// The rule.
        rule: LegacyRule,
    },
    /// A built-in chain has another policy.
    Policy(ChainName, LegacyPolicy),
    /// A chain or rule is new.
    Added(LegacyItem, LegacySnapshot),
}

impl Outline {
    /// The outline of a table's content.
    pub fn of(content: &LegacyContent) -> Self {
        let outline = |chain: &ChainContent| ChainOutline {
            chain: LegacyChain { policy: chain.policy, policies: Vec::new() },
            rules: chain.rules.iter().map(|rule| rule.content).collect(),
        };
        Self { chains: content.chains.iter().map(|chain| (chain.name.clone(), outline(chain))).collect() }
    }

    /// A table as the kernel makes it: its built-in chains, empty.
    pub fn initial(content: &LegacyContent) -> Self {
        let built_in = content.chains.iter().filter(|chain| chain.policy.is_some());
        let chain = LegacyChain { policy: Some(LegacyPolicy::Accept), policies: Vec::new() };
        let outline = ChainOutline { chain, rules: Vec::new() };
        Self { chains: built_in.map(|chain| (chain.name.clone(), outline.clone())).collect() }
    }

    /// How many rules of a chain have this content.
    pub fn count(&self, chain: &ChainName, content: Digest) -> usize {
        self.chains.get(chain).map_or(0, |chain| chain.rules.iter().filter(|rule| **rule == content).count())
    }

    /// Notes a chain with the policies it had.
    pub fn remember(&mut self, name: &ChainName, chain: &LegacyChain) {
        let outline = ChainOutline { chain: chain.clone(), rules: Vec::new() };
        self.chains.insert(name.clone(), outline);
    }

    /// Takes over the policies that chains had.
    pub fn inherit(&mut self, before: &Self) {
        for (name, outline) in &mut self.chains {
            let Some(known) = before.chains.get(name) else { continue };
            outline.chain = match outline.chain.policy {
                policy if policy == known.chain.policy => known.chain.clone(),
                Some(policy) => known.chain.with_policy(policy, None),
                None => continue,
            };
        }
    }

    /// What must have happened for this to become `after`: removals, then what goes on, then what is new.
    pub fn differences(&self, after: &LegacyContent) -> Vec<Difference> {
        let (mut gone, mut on, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let none = Vec::new();
        for chain in &after.chains {
            let known = self.chains.get(&chain.name);
            let now = LegacyChain { policy: chain.policy, policies: Vec::new() };
            match (known.and_then(|known| known.chain.policy), chain.policy) {
                (Some(was), Some(is)) if was != is => on.push(Difference::Policy(chain.name.clone(), is)),
                _ if known.is_none() => {
                    new.push(Difference::Added(LegacyItem::Chain(chain.name.clone()), LegacySnapshot::Chain(now)));
                }
                _ => {}
            }
            let before = known.map_or(&none, |known| &known.rules);
            rules(&chain.name, before, &chain.rules, (&mut gone, &mut on, &mut new));
        }
        for (name, known) in &self.chains {
            if !after.chains.iter().any(|chain| chain.name == *name) {
                let items = named(name, &known.rules);
                gone.extend(items.into_iter().map(Difference::Removed));
                gone.push(Difference::Removed(LegacyItem::Chain(name.clone())));
            }
        }
        gone.into_iter().chain(on).chain(new).collect()
    }
}

type Lists<'a> = (&'a mut Vec<Difference>, &'a mut Vec<Difference>, &'a mut Vec<Difference>);

fn rules(chain: &ChainName, before: &[Digest], after: &[LegacyRule], (gone, on, new): Lists<'_>) {
    let contents: Vec<Digest> = after.iter().map(|rule| rule.content).collect();
    if before == contents {
        return;
    }
    let Alignment { from, gone: lost, moved } = align(before, &contents);
    let (were, are) = (named(chain, before), named(chain, &contents));
    gone.extend(lost.into_iter().map(|place| Difference::Removed(were[place].clone())));
    let moved: std::collections::BTreeSet<usize> = moved.into_iter().collect();
    for (place, (item, rule)) in are.into_iter().zip(after).enumerate() {
        match from[place] {
            Some(was) if moved.contains(&place) || were[was] != item => {
                on.push(Difference::Moved { from: were[was].clone(), to: item, rule: rule.clone() });
            }
            Some(_) => {}
            None => new.push(Difference::Added(item, LegacySnapshot::Rule(rule.clone()))),
        }
    }
}

/// The rules of a chain by the names they have.
fn named(chain: &ChainName, rules: &[Digest]) -> Vec<LegacyItem> {
    let mut count = Nth::default();
    let item =
        |content: &Digest| LegacyItem::Rule { chain: chain.clone(), content: *content, nth: count.next(*content) };
    rules.iter().map(item).collect()
}
