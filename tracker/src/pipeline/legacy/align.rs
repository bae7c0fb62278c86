//! Which rule of a chain goes on as which.
//!
//! Rules have no handles: equal content is all there is. Rules at the chain's two ends that are the same before and after
//! went on; between them, rules of equal content went on in their order. Of equal rules beside each other the new one is
//! taken to be the last and the removed one the first, as `iptables -A` and `iptables -D` do it.

use std::collections::{BTreeMap, VecDeque};

use crate::model::digest::Digest;

/// How two states of a chain correspond.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alignment {
    /// For each rule after, its place before; `None` for one that is new.
    pub from: Vec<Option<usize>>,
    /// Places before of rules that are gone.
    pub gone: Vec<usize>,
    /// Places after of rules that went on in another order than the rest.
    pub moved: Vec<usize>,
}

/// Aligns a chain's rules before and after.
pub fn align(before: &[Digest], after: &[Digest]) -> Alignment {
    let (prefix, suffix) = ends(before, after);
    let (mid_before, mid_after) = (prefix..before.len() - suffix, prefix..after.len() - suffix);
    let mut from = vec![None; after.len()];
    for (place, from) in from.iter_mut().take(prefix).enumerate() {
        *from = Some(place);
    }
    for back in 1..=suffix {
        from[after.len() - back] = Some(before.len() - back);
    }
    let mut left = by_content(before, mid_before.clone());
    let wanted = by_content(after, mid_after.clone());
    for (content, places) in &mut left {
        // the first ones are the ones that were deleted
        let stays = wanted.get(content).map_or(0, VecDeque::len);
        while places.len() > stays {
            places.pop_front();
        }
    }
    for place in mid_after.clone() {
        from[place] = left.get_mut(&after[place]).and_then(VecDeque::pop_front);
    }
    let went_on: std::collections::BTreeSet<usize> = from.iter().flatten().copied().collect();
    let gone = mid_before.filter(|place| !went_on.contains(place)).collect();
    let pairs: Vec<(usize, usize)> = mid_after.filter_map(|place| Some((place, from[place]?))).collect();
    let moved = out_of_order(&pairs);
    Alignment { from, gone, moved }
}

/// How many rules at the start and at the end are the same.
fn ends(before: &[Digest], after: &[Digest]) -> (usize, usize) {
    let same =
        |left: &mut dyn Iterator<Item = (&Digest, &Digest)>| left.take_while(|(one, other)| one == other).count();
    if after.len() >= before.len() {
        let prefix = same(&mut before.iter().zip(after));
        let suffix = same(&mut before[prefix..].iter().rev().zip(after[prefix..].iter().rev()));
        (prefix, suffix)
    } else {
        let suffix = same(&mut before.iter().rev().zip(after.iter().rev()));
        let prefix = same(&mut before[..before.len() - suffix].iter().zip(&after[..after.len() - suffix]));
        (prefix, suffix)
    }
}

fn by_content(rules: &[Digest], places: std::ops::Range<usize>) -> BTreeMap<Digest, VecDeque<usize>> {
    let mut found: BTreeMap<Digest, VecDeque<usize>> = BTreeMap::new();
    for place in places {
        found.entry(rules[place]).or_default().push_back(place);
    }
    found
}

/// The places after that are not in the longest run of pairs that keeps its order.
fn out_of_order(pairs: &[(usize, usize)]) -> Vec<usize> {
    // for each length, the pair with which a run of that length ends lowest
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, (_, from)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *from);
        previous.push(length.checked_sub(1).map(|before| ends[before]));
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    let mut keeps = vec![false; pairs.len()];
    let mut at = ends.last().copied();
    while let Some(index) = at {
        keeps[index] = true;
        at = previous[index];
    }
    pairs.iter().zip(keeps).filter(|(_, keeps)| !keeps).map(|((place, _), _)| *place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(text: &str) -> Vec<Digest> {
        text.bytes().map(|byte| Digest([byte; 16])).collect()
    }

    fn aligned(before: &str, after: &str) -> (Vec<Option<usize>>, Vec<usize>, Vec<usize>) {
        let Alignment { from, gone, moved } = align(&chain(before), &chain(after));
        (from, gone, moved)
    }

    #[test]
    fn insertions_and_deletions_leave_the_others_as_they_are() {
        assert_eq!(aligned("abc", "abxc"), (vec![Some(0), Some(1), None, Some(2)], vec![], vec![]));
        assert_eq!(aligned("abc", "ac"), (vec![Some(0), Some(2)], vec![1], vec![]));
        assert_eq!(aligned("", "a"), (vec![None], vec![], vec![]));
        assert_eq!(aligned("ab", ""), (vec![], vec![0, 1], vec![]));
    }

    #[test]
    fn of_equal_rules_the_appended_is_new_and_the_first_is_deleted() {
        assert_eq!(aligned("aa", "aaa"), (vec![Some(0), Some(1), None], vec![], vec![]));
        assert_eq!(aligned("aaa", "aa"), (vec![Some(1), Some(2)], vec![0], vec![]));
        // an equal one elsewhere is not confused with it
        assert_eq!(aligned("ba", "aba"), (vec![None, Some(0), Some(1)], vec![], vec![]));
        assert_eq!(aligned("aba", "ba"), (vec![Some(1), Some(2)], vec![0], vec![]));
    }

    #[test]
    fn a_rewrite_in_another_order_goes_on() {
        assert_eq!(aligned("abcd", "acbd"), (vec![Some(0), Some(2), Some(1), Some(3)], vec![], vec![1]));
        assert_eq!(aligned("abc", "abc"), (vec![Some(0), Some(1), Some(2)], vec![], vec![]));
    }

    proptest! {
        #[test]
        fn every_rule_is_accounted_for_once(before in "[a-d]{0,12}", after in "[a-d]{0,12}") {
            let (one, other) = (chain(&before), chain(&after));
            let Alignment { from, gone, moved } = align(&one, &other);
            let mut seen = gone.clone();
            for (place, from) in from.iter().enumerate().filter_map(|(place, from)| Some((place, (*from)?))) {
                prop_assert_eq!(one[from], other[place]);
                seen.push(from);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..one.len()).collect::<Vec<_>>());
            // as many go on as can
            for content in chain("abcd") {
                let count = |rules: &[Digest]| rules.iter().filter(|it| **it == content).count();
                let new = from.iter().enumerate().filter(|(at, from)| from.is_none() && other[*at] == content).count();
                prop_assert_eq!(new, count(&other).saturating_sub(count(&one)));
            }
            prop_assert!(moved.iter().all(|place| from[*place].is_some()));
        }
    }
}
