//! A chain of which only the rules are known, not their order: the journal keeps none.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::Digest;
use crate::model::legacy::LegacyRule;

/// The rules of a chain in the order they have `after`, those that are gone behind them; and the contents of which some
/// of several equal rules are gone: which of them cannot be told, and they are not among the rules.
pub(super) fn in_order_of(before: &[Digest], after: &[LegacyRule]) -> (Vec<Digest>, BTreeSet<Digest>) {
    let (mut left, now) = (counts(before.iter()), counts(after.iter().map(|rule| &rule.content)));
    let is_doubtful = |(content, count): (&Digest, &usize)| {
        let stays = now.get(content).copied().unwrap_or_default();
        (stays > 0 && stays < *count).then_some(*content)
    };
    let doubtful: BTreeSet<Digest> = left.iter().filter_map(is_doubtful).collect();
    left.retain(|content, _| !doubtful.contains(content));
    let mut take = |content: &Digest| match left.get_mut(content) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let mut rules: Vec<Digest> = after.iter().map(|rule| rule.content).filter(|content| take(content)).collect();
    rules.extend(before.iter().filter(|content| take(content)));
    (rules, doubtful)
}

fn counts<'a>(rules: impl Iterator<Item = &'a Digest>) -> BTreeMap<Digest, usize> {
    let mut counts = BTreeMap::new();
    for content in rules {
        *counts.entry(*content).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(before: &str, after: &str) -> (String, String) {
        let digest = |byte: u8| Digest([byte; 16]);
        let rule = |byte: u8| LegacyRule {
            entry: Vec::new(),
            content: digest(byte),
            chain: None,
            comment: None,
            is_marked: false,
            counters: [0; 2],
        };
        let before: Vec<Digest> = before.bytes().map(digest).collect();
        let after: Vec<LegacyRule> = after.bytes().map(rule).collect();
        let (rules, doubtful) = in_order_of(&before, &after);
        let text = |digests: &mut dyn Iterator<Item = &Digest>| digests.map(|it| char::from(it.0[0])).collect();
        (text(&mut rules.iter()), text(&mut doubtful.iter()))
    }

    #[test]
    fn rules_that_go_on_have_the_order_they_have_now() {
        assert_eq!(ordered("abc", "cxba"), ("cba".into(), String::new()));
        assert_eq!(ordered("abc", "b"), ("bac".into(), String::new()));
        assert_eq!(ordered("aab", "abaa"), ("aba".into(), String::new()));
    }

    #[test]
    fn which_of_equal_rules_went_cannot_be_told() {
        assert_eq!(ordered("aba", "ba"), ("b".into(), "a".into()));
        assert_eq!(ordered("aba", "b"), ("baa".into(), String::new()), "all of them went");
    }
}
