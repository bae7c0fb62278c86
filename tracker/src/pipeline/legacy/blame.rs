//! Whose a difference is, among the calls that can have made it.
//!
//! A difference is a call's when it can be that one's alone; else nobody is named.

use std::collections::HashMap;

use super::outline::{Difference, Outline};
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyContent, LegacyItem};
use crate::model::owner::{Attribution, Certainty, Evidence};
use crate::model::time::BootTime;

/// A call that replaced a table.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was entered.
    pub opened: BootTime,
    /// When it had returned.
    pub closed: BootTime,
    /// The verdict on its actor.
    pub attribution: Attribution,
    /// What it replaced the table with; `None` where that was not seen.
    pub content: Option<LegacyContent>,
    /// How many rules the table had when it was replaced, where the kernel held the call to that and marks no rules: of
    /// bridge tables.
    pub replaced: Option<usize>,
}

/// A call with the outline of its content.
#[derive(Debug)]
pub struct Suspect<'a> {
    call: &'a Call,
    outline: Option<Outline>,
    /// How many rules of each content it handed in with the kernel's mark: they were there before.
    marked: HashMap<(&'a ChainName, Digest), u32>,
}

impl<'a> Suspect<'a> {
    /// Prepares calls for [`blame`].
    pub fn all(calls: &'a [Call]) -> Vec<Self> {
        let suspect = |call: &'a Call| {
            let chains = call.content.iter().flat_map(|content| &content.chains);
            let rules = chains.flat_map(|chain| chain.rules.iter().map(move |rule| (&chain.name, rule)));
            let mut marked: HashMap<_, u32> = HashMap::new();
            for (chain, rule) in rules.filter(|(_, rule)| rule.is_marked) {
                *marked.entry((chain, rule.content)).or_default() += 1;
            }
            Self { call, outline: call.content.as_ref().map(Outline::of), marked }
        };
        calls.iter().map(suspect).collect()
    }

    /// Whether it only handed on what was there.
    fn handed_on(&self, difference: &Difference) -> bool {
        let Difference::Added(LegacyItem::Rule { chain, content, nth }, _) = difference else { return false };
        self.marked.get(&(chain, *content)).is_some_and(|count| nth < count)
    }

    /// Whether the table was so after this call; `None` where that was not seen.
    fn left(&self, difference: &Difference) -> Option<bool> {
        let outline = self.outline.as_ref()?;
        let has = |item: &LegacyItem| match item {
            LegacyItem::Table => true,
            LegacyItem::Chain(chain) => outline.chains.contains_key(chain),
            LegacyItem::Rule { chain, content, nth } => outline.count(chain, *content) > *nth as usize,
        };
        Some(match difference {
            Difference::Removed(item) => !has(item),
            Difference::Added(item, _) => has(item),
            Difference::Policy(chain, policy) => {
                outline.chains.get(chain).is_some_and(|known| known.chain.policy == Some(*policy))
            }
            Difference::Ending(chain, now) => {
                outline.chains.get(chain).is_some_and(|known| known.chain.ending == now.ending)
            }
            Difference::Moved { to, .. } => has(to),
        })
    }
}

/// The verdict on one difference between the state before all of `suspects` and the state after them; `none` when no
/// call can have made it.
pub fn blame(suspects: &[Suspect<'_>], difference: &Difference, none: impl FnOnce() -> Attribution) -> Attribution {
    // after a call that left it otherwise, only later ones can have made it so
    let not_before = suspects.iter().filter(|it| it.left(difference) == Some(false)).map(|it| it.call.opened).max();
    let can = |it: &&Suspect<'_>| {
        it.left(difference) != Some(false)
            && !it.handed_on(difference)
            && not_before.is_none_or(|opened| it.call.closed >= opened)
    };
    let mut candidates: Vec<&Suspect<'_>> = suspects.iter().filter(can).collect();
    candidates.sort_by_key(|it| it.call.opened);
    let Some((first, others)) = candidates.split_first() else { return none() };
    // all of them left it so, one after the other: the first made it, the others kept it
    let is_firsts = candidates.iter().all(|it| it.left(difference) == Some(true))
        && others.iter().all(|it| it.call.opened > first.call.closed)
        && !matches!(difference, Difference::Moved { .. });
    let attribution = &first.call.attribution;
    if others.is_empty() || is_firsts {
        return attribution.clone();
    }
    let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
    let ambiguous = Evidence::Ambiguous { candidates: count };
    let is_one_owners = others.iter().all(|it| it.call.attribution.owner() == attribution.owner());
    if is_one_owners && attribution.certainty().is_proven() {
        let owner = attribution.owner().clone();
        return Attribution::new(owner, Certainty::Correlated, attribution.actor(), ambiguous);
    }
    Attribution::unknown(ambiguous)
}
