//! The proof for legacy tables. Which of equal rules is which follows from their order, so they are counted.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::check::legacy_objects;
use super::live::LiveState;
use super::plan::Plan;
use super::step::Step;
use super::undo::Restore;
use super::verify::{ByOwner, Proof};
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::subject::{Snapshot, Subject};

/// A chain, or the rules of one content in it.
type Key = (LegacyTable, Option<ChainName>, Option<Digest>);

/// What there must be of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// How many at least.
    least: usize,
    /// Digest of a chain.
    content: Option<Digest>,
    /// What people call one.
    what: String,
}

/// What must be true of legacy tables after a plan was executed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LegacyExpectation {
    stays: BTreeMap<Key, Wanted>,
    /// How many there may be at most of what goes, and what people call one.
    goes: BTreeMap<Key, (usize, String)>,
    /// Keys of which something comes back.
    comes: BTreeSet<Key>,
    /// Everything that is to stay, and whose it is.
    whose: BTreeMap<LegacySubject, Option<Owner>>,
}

impl LegacyExpectation {
    pub(super) fn new(plan: &Plan, before: &LiveState) -> Self {
        let removed = plan.steps().iter().filter(|step| step.after().is_none());
        let removed: HashSet<&Subject> = removed.map(Step::subject).collect();
        let mut it = Self::of_everything(before);
        let stay = before.legacy.iter().filter(|(subject, _)| !removed.contains(subject));
        it.whose = stay.filter_map(|(subject, _)| Some((legacy(subject)?.clone(), None))).collect();
        for step in plan.steps() {
            let Some(subject) = legacy(step.subject()) else { continue };
            let Some(wanted) = it.stays.get_mut(&key(subject)) else { continue };
            if let Some(after) = step.after() {
                wanted.content = Some(after.digest());
                continue;
            }
            wanted.least = wanted.least.saturating_sub(1);
            it.goes.insert(key(subject), (wanted.least, wanted.what.clone()));
        }
        it
    }

    /// What an undo's steps bring back, and everything else.
    pub(super) fn of_undo(steps: &[Restore], before: &LiveState) -> Self {
        let mut it = Self::of_everything(before);
        for step in steps {
            let (Subject::Legacy(subject), Snapshot::Legacy(snapshot)) = (&step.subject, &step.snapshot) else {
                continue;
            };
            let wanted = it.stays.entry(key(subject)).or_insert_with(|| wanted(subject));
            // a policy is set on a chain that is there
            wanted.least += usize::from(!matches!(snapshot, LegacySnapshot::Chain(chain) if chain.policy.is_some()));
            wanted.content = content(snapshot);
            it.comes.insert(key(subject));
        }
        it
    }

    fn of_everything(before: &LiveState) -> Self {
        let mut it = Self::default();
        for (subject, snapshot) in legacy_objects(before) {
            let wanted = it.stays.entry(key(subject)).or_insert_with(|| wanted(subject));
            wanted.least += 1;
            wanted.content = content(snapshot);
        }
        it
    }

    /// Notes whose everything is that stays.
    pub(super) fn owned(&mut self, known: &[Object]) {
        for object in known.iter().filter(|object| object.is_live()) {
            let whose = legacy(&object.subject).and_then(|subject| self.whose.get_mut(subject));
            if let Some(whose) = whose {
                *whose = Some(object.owner().clone());
            }
        }
    }

    /// Adds what stays of each owner, before and after. Where equal rules are missing, the last of them are taken to be.
    pub(super) fn others<'a>(&'a self, after: &LiveState, others: &mut ByOwner<'a>) {
        let now = counts(after);
        let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
        for (subject, whose) in &self.whose {
            let key = key(subject);
            let Some(Wanted { content, what, .. }) = self.stays.get(&key) else { continue };
            let nth = seen.entry(key.clone()).or_default();
            let is_there = now.get(&key).filter(|(count, _)| *count > *nth);
            *nth += 1;
            let rule = key.2;
            let expected = content.or(rule).unwrap_or(Digest([0; 16]));
            let found = is_there.map(|(_, digest)| if content.is_some() { *digest } else { expected });
            others.add(whose.as_ref(), what, expected, found);
        }
    }

    pub(super) fn verify(&self, after: &LiveState, proof: &mut Proof) {
        let now = counts(after);
        for (key, (most, what)) in &self.goes {
            let is_there = now.get(key).is_some_and(|(count, _)| count > most);
            proof.remaining.extend(is_there.then(|| what.clone()));
        }
        for (key, Wanted { least, content, what }) in &self.stays {
            let is_back = self.comes.contains(key);
            let is_missing = now.get(key).map_or(0, |(count, _)| *count) < *least;
            let is_other = now.get(key).is_some_and(|(_, digest)| content.is_some_and(|content| content != *digest));
            let list = match (is_missing, is_other) {
                (false, false) => continue,
                _ if is_back => &mut proof.remaining,
                (true, _) => &mut proof.missing,
                (false, true) => &mut proof.changed,
            };
            list.push(what.clone());
        }
    }
}

/// How many there are of each key, and the digest of one.
fn counts(live: &LiveState) -> BTreeMap<Key, (usize, Digest)> {
    let mut now: BTreeMap<Key, (usize, Digest)> = BTreeMap::new();
    for (subject, snapshot) in legacy_objects(live) {
        now.entry(key(subject)).or_insert_with(|| (0, snapshot.digest())).0 += 1;
    }
    now
}

fn legacy(subject: &Subject) -> Option<&LegacySubject> {
    if let Subject::Legacy(subject) = subject { Some(subject) } else { None }
}

fn wanted(subject: &LegacySubject) -> Wanted {
    Wanted { least: 0, content: None, what: subject.to_string() }
}

/// Of a rule the key says it.
fn content(snapshot: &LegacySnapshot) -> Option<Digest> {
    matches!(snapshot, LegacySnapshot::Chain(_)).then(|| snapshot.digest())
}

fn key(subject: &LegacySubject) -> Key {
    let (chain, content) = match &subject.item {
        LegacyItem::Table => (None, None),
        LegacyItem::Chain(chain) => (Some(chain.clone()), None),
        LegacyItem::Rule { chain, content, nth: _ } => (Some(chain.clone()), Some(*content)),
    };
    (subject.table.clone(), chain, content)
}
