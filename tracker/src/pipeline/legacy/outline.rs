//! What is remembered of a table, and the differences to its next state.

use std::collections::BTreeMap;

use super::align::{Alignment, align};
use super::unordered::in_order_of;
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
    /// Whether the rules are in no order: remembered from the journal.
    pub is_unordered: bool,
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
    /// Packets fare otherwise at the end of a chain made by a user.
    Ending(ChainName, LegacyChain),
    /// A chain or rule is new.
    Added(LegacyItem, LegacySnapshot),
}

impl Outline {
    /// The outline of a table's content.
    pub fn of(content: &LegacyContent) -> Self {
        let outline = |chain: &ChainContent| ChainOutline {
            chain: LegacyChain { policy: chain.policy, policies: Vec::new(), ending: chain.ending },
            rules: chain.rules.iter().map(|rule| rule.content).collect(),
        };
        let chains = content.chains.iter().map(|chain| (chain.name.clone(), outline(chain))).collect();
        Self { chains, is_unordered: false }
    }

    /// A table as the kernel makes it: its built-in chains, empty.
    pub fn initial(content: &LegacyContent) -> Self {
        let built_in = content.chains.iter().filter(|chain| chain.policy.is_some());
        let chain = LegacyChain { policy: Some(LegacyPolicy::Accept), policies: Vec::new(), ending: None };
        let outline = ChainOutline { chain, rules: Vec::new() };
        let chains = built_in.map(|chain| (chain.name.clone(), outline.clone())).collect();
        Self { chains, is_unordered: false }
    }

    /// How many rules of a chain have this content.
    pub fn count(&self, chain: &ChainName, content: Digest) -> usize {
        self.chains.get(chain).map_or(0, |chain| chain.rules.iter().filter(|rule| **rule == content).count())
    }

    /// Notes what the journal has of the table, in any order.
    pub fn remember(&mut self, item: &LegacyItem, snapshot: &LegacySnapshot) {
        self.is_unordered = true;
        let (LegacyItem::Chain(name) | LegacyItem::Rule { chain: name, .. }) = item else { return };
        let none = LegacyChain { policy: None, policies: Vec::new(), ending: None };
        let chain = self.chains.entry(name.clone());
        let chain = chain.or_insert_with(|| ChainOutline { chain: none, rules: Vec::new() });
        match (item, snapshot) {
            (LegacyItem::Rule { content, .. }, _) => chain.rules.push(*content),
            (_, LegacySnapshot::Chain(content)) => chain.chain = content.clone(),
            _ => {}
        }
    }

    /// Takes over the policies that chains had.
    pub fn inherit(&mut self, before: &Self) {
        for (name, outline) in &mut self.chains {
            let Some(known) = before.chains.get(name) else { continue };
            outline.chain = match outline.chain.policy {
                policy if policy == known.chain.policy => {
                    LegacyChain { ending: outline.chain.ending, ..known.chain.clone() }
                }
                Some(policy) => known.chain.with_policy(policy, None),
                None => continue,
            };
        }
    }

    /// What must have happened for this to become `after`: removals, then what goes on, then what is new.
    ///
    /// Content does not tell which one of equal rules beside each other was removed: one that `is_removers` if there is.
    pub fn differences(
        &self,
        after: &LegacyContent,
        is_removers: &mut dyn FnMut(&LegacyItem) -> bool,
    ) -> Vec<Difference> {
        let (mut gone, mut on, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let none = Vec::new();
        for chain in &after.chains {
            let known = self.chains.get(&chain.name);
            let now = LegacyChain { policy: chain.policy, policies: Vec::new(), ending: chain.ending };
            match (known.and_then(|known| known.chain.policy), chain.policy) {
                (Some(was), Some(is)) if was != is => on.push(Difference::Policy(chain.name.clone(), is)),
                _ if known.is_some_and(|known| known.chain.ending != chain.ending) => {
                    on.push(Difference::Ending(chain.name.clone(), now));
                }
                _ if known.is_none() => {
                    new.push(Difference::Added(LegacyItem::Chain(chain.name.clone()), LegacySnapshot::Chain(now)));
                }
                _ => {}
            }
            let before = known.map_or(&none, |known| &known.rules);
            let lists = (&mut gone, &mut on, &mut new);
            if self.is_unordered {
                unordered_rules(&chain.name, before, &chain.rules, is_removers, lists);
            } else {
                rules(&chain.name, before, &chain.rules, is_removers, lists);
            }
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

fn rules(
    chain: &ChainName,
    before: &[Digest],
    after: &[LegacyRule],
    is_removers: &mut dyn FnMut(&LegacyItem) -> bool,
    (gone, on, new): Lists<'_>,
) {
    let contents: Vec<Digest> = after.iter().map(|rule| rule.content).collect();
    if before == contents {
        return;
    }
    let Alignment { mut from, gone: mut lost, moved } = align(before, &contents);
    let (were, are) = (named(chain, before), named(chain, &contents));
    for at in 0..lost.len() {
        let run = run(before, lost[at]);
        let other = run.filter(|place| !lost.contains(place));
        let others: Vec<usize> = other.collect();
        if others.is_empty() || is_removers(&were[lost[at]]) {
            continue;
        }
        let Some(better) = others.into_iter().find(|place| is_removers(&were[*place])) else { continue };
        if let Some(kept) = from.iter_mut().find(|from| **from == Some(better)) {
            *kept = Some(lost[at]);
            lost[at] = better;
        }
    }
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

/// The same for rules in no order. Equal ones of which not all are there are taken to be others, found by looking.
fn unordered_rules(
    chain: &ChainName,
    before: &[Digest],
    after: &[LegacyRule],
    is_removers: &mut dyn FnMut(&LegacyItem) -> bool,
    (gone, on, new): Lists<'_>,
) {
    let (ordered, doubtful) = in_order_of(before, after);
    let lost: Vec<Digest> = before.iter().filter(|content| doubtful.contains(*content)).copied().collect();
    gone.extend(named(chain, &lost).into_iter().map(Difference::Removed));
    let mut after = after.to_vec();
    for rule in after.iter_mut().filter(|rule| doubtful.contains(&rule.content)) {
        rule.is_marked = true;
    }
    rules(chain, &ordered, &after, is_removers, (gone, on, new));
}

/// The places of the rules beside each other that are equal to the one at `place`, itself included.
fn run(rules: &[Digest], place: usize) -> std::ops::Range<usize> {
    let content = rules[place];
    let start = rules[..place].iter().rposition(|rule| *rule != content).map_or(0, |before| before + 1);
    let end = rules[place..].iter().position(|rule| *rule != content).map_or(rules.len(), |after| place + after);
    start..end
}

/// The rules of a chain by the names they have.
fn named(chain: &ChainName, rules: &[Digest]) -> Vec<LegacyItem> {
    let mut count = Nth::default();
    let item =
        |content: &Digest| LegacyItem::Rule { chain: chain.clone(), content: *content, nth: count.next(*content) };
    rules.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::legacy::{LegacyFamily, LegacyTable};

    fn content(rules: &str) -> LegacyContent {
        let rule = |byte: u8| LegacyRule {
            entry: Vec::new(),
            content: Digest([byte; 16]),
            chain: None,
            comment: None,
            is_marked: false,
            counters: [0; 2],
        };
        let rules = rules.bytes().map(rule).collect();
        let chain = ChainContent { name: "INPUT".into(), policy: Some(LegacyPolicy::Accept), ending: None, rules };
        let table = LegacyTable { family: LegacyFamily::Ip, name: "filter".into() };
        LegacyContent { table, chains: vec![chain] }
    }

    fn nth_removed(before: &str, after: &str, removers: &[u32]) -> Vec<u32> {
        let mut is_removers =
            |item: &LegacyItem| matches!(item, LegacyItem::Rule { nth, .. } if removers.contains(nth));
        let differences = Outline::of(&content(before)).differences(&content(after), &mut is_removers);
        let nth = |difference: &Difference| match difference {
            Difference::Removed(LegacyItem::Rule { nth, .. }) => Some(*nth),
            _ => None,
        };
        differences.iter().filter_map(nth).collect()
    }

    #[test]
    fn of_equal_rules_beside_each_other_the_removers_own_went() {
        assert_eq!(nth_removed("axxxb", "axxb", &[]), [0]);
        assert_eq!(nth_removed("axxxb", "axxb", &[2]), [2]);
        assert_eq!(nth_removed("axxxb", "axxb", &[0, 2]), [0]);
        assert_eq!(nth_removed("xx", "x", &[1]), [1]);
        // the place tells
        assert_eq!(nth_removed("xax", "ax", &[1]), [0]);
    }

    #[test]
    fn what_the_journal_remembers_goes_on_in_any_order() {
        let remembered = |rules: &str| {
            let mut outline = Outline::default();
            for (item, snapshot) in content(rules).into_objects().into_iter().map(|(it, what)| (it.item, what)).rev() {
                outline.remember(&item, &snapshot);
            }
            outline
        };
        let differences = |before: &str, after: &str| remembered(before).differences(&content(after), &mut |_| false);
        assert_eq!(differences("abc", "abc"), []);
        assert!(matches!(differences("abc", "acxb").as_slice(), [Difference::Added(..)]));
        // which of the two went is not known: neither goes on
        let one_of_two = differences("axa", "xa");
        let marked =
            |it: &&Difference| matches!(it, Difference::Added(_, LegacySnapshot::Rule(rule)) if rule.is_marked);
        assert_eq!((one_of_two.len(), one_of_two.iter().filter(marked).count()), (3, 1), "{one_of_two:?}");
    }

    #[test]
    fn a_table_the_kernel_makes_has_its_built_in_chains() {
        let initial = Outline::initial(&content("ab"));
        let differences = initial.differences(&content("ab"), &mut |_| false);
        assert!(matches!(differences.as_slice(), [Difference::Added(..), Difference::Added(..)]), "{differences:?}");
    }
}
