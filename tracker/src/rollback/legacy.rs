//! The proof for legacy tables. Which of equal rules is which follows from their order, so they are counted.

use std::collections::BTreeMap;

use super::check::legacy_objects;
use super::live::LiveState;
use super::plan::Plan;
use super::verify::Proof;
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::subject::Subject;

/// A chain, or the rules of one content in it.
type Key = (LegacyTable, Option<ChainName>, Option<Digest>);

/// What must be true of legacy tables after a plan was executed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LegacyExpectation {
    /// How many there must be at least, digests of chains, and what people call one.
    stays: BTreeMap<Key, (usize, Option<Digest>, String)>,
    /// How many there may be at most of what goes, and what people call one.
    goes: BTreeMap<Key, (usize, String)>,
}

impl LegacyExpectation {
    pub(super) fn new(plan: &Plan, before: &LiveState) -> Self {
        let mut it = Self::default();
        for (subject, snapshot) in legacy_objects(before) {
            let content = matches!(snapshot, LegacySnapshot::Chain(_)).then(|| snapshot.digest());
            let (count, _, _) = it.stays.entry(key(subject)).or_insert_with(|| (0, content, subject.to_string()));
            *count += 1;
        }
        for step in plan.steps() {
            let Subject::Legacy(subject) = step.subject() else { continue };
            let Some((count, content, what)) = it.stays.get_mut(&key(subject)) else { continue };
            if let Some(after) = step.after() {
                *content = Some(after.digest());
                continue;
            }
            *count = count.saturating_sub(1);
            it.goes.insert(key(subject), (*count, what.clone()));
        }
        it
    }

    pub(super) fn verify(&self, after: &LiveState, proof: &mut Proof) {
        let mut now: BTreeMap<Key, (usize, Digest)> = BTreeMap::new();
        for (subject, snapshot) in legacy_objects(after) {
            now.entry(key(subject)).or_insert_with(|| (0, snapshot.digest())).0 += 1;
        }
        for (key, (most, what)) in &self.goes {
            let is_there = now.get(key).is_some_and(|(count, _)| count > most);
            proof.remaining.extend(is_there.then(|| what.clone()));
        }
        for (key, (least, content, what)) in &self.stays {
            match now.get(key) {
                Some((count, _)) if count < least => proof.missing.push(what.clone()),
                Some((_, digest)) if content.is_some_and(|content| content != *digest) => {
                    proof.changed.push(what.clone());
                }
                Some(_) => {}
                None if *least > 0 => proof.missing.push(what.clone()),
                None => {}
            }
        }
    }
}

fn key(subject: &LegacySubject) -> Key {
    let (chain, content) = match &subject.item {
        LegacyItem::Table => (None, None),
        LegacyItem::Chain(chain) => (Some(chain.clone()), None),
        LegacyItem::Rule { chain, content, nth: _ } => (Some(chain.clone()), Some(*content)),
    };
    (subject.table.clone(), chain, content)
}
