//! Effects: what a set of notifications means for the known objects. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::model::change::ChangeKind;
use crate::model::digest::Digest;
use crate::model::ids::{ChainName, ObjectId};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::model::traffic::FilterSubject;

use super::world::World;

/// One difference of one object, before anybody asks who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What happened.
    pub kind: ChangeKind,
    /// The object; `None` for a new one.
    pub object: Option<ObjectId>,
    /// The subject it had before, when that changes.
    pub old_subject: Option<Subject>,
    /// The subject after (before, for a removal).
    pub subject: Subject,
    /// The content after; `None` for a removal.
    pub after: Option<Snapshot>,
}

impl Effect {
    /// A new object.
    pub fn created(subject: Subject, after: Snapshot) -> Self {
        Self { kind: ChangeKind::Created, object: None, old_subject: None, subject, after: Some(after) }
    }

    /// Other content.
    pub fn changed(object: ObjectId, subject: Subject, after: Snapshot) -> Self {
        Self { kind: ChangeKind::Changed, object: Some(object), old_subject: None, subject, after: Some(after) }
    }

    /// An object that is gone.
    pub fn removed(object: ObjectId, subject: Subject) -> Self {
        Self { kind: ChangeKind::Removed, object: Some(object), old_subject: None, subject, after: None }
    }

    /// An object that goes on under another subject or handle.
    pub fn rewritten(object: ObjectId, old: Subject, subject: Subject, after: Snapshot) -> Self {
        Self { kind: ChangeKind::Rewritten, object: Some(object), old_subject: Some(old), subject, after: Some(after) }
    }
}

/// What one notification outside nf_tables means.
pub fn of_one(world: &World, subject: Subject, after: Option<Snapshot>) -> Option<Effect> {
    match (world.get(&subject), after) {
        (Some(known), Some(after)) if known.digest == after.digest() => None,
        (Some(known), Some(after)) => Some(Effect::changed(known.id, subject, after)),
        (None, Some(after)) => Some(Effect::created(subject, after)),
        (Some(known), None) => Some(Effect::removed(known.id, subject)),
        (None, None) => None,
    }
}

/// What goes, unannounced, together with an object that is gone: with a link what is part of it; with a qdisc all below
/// it; filters by the one number that stands for several.
pub fn gone_with(world: &World, gone: &Subject) -> Vec<Effect> {
    let parts = match gone {
        Subject::Link(ifindex) => world.subjects(|subject| subject.link() == Some(*ifindex)),
        Subject::Qdisc(qdisc) => world.below_qdisc(qdisc),
        Subject::Filter(all) if all.handle == 0 => world.subjects(|subject| match subject {
            Subject::Filter(filter) => FilterSubject { handle: 0, ..filter.clone() } == *all,
            _ => false,
        }),
        _ => Vec::new(),
    };
    parts.into_iter().filter_map(|subject| Some(Effect::removed(world.get(&subject)?.id, subject))).collect()
}

/// What one nf_tables transaction means: removals, then objects that go on, then new ones.
///
/// An object removed and added again with equal content in one transaction goes on: `iptables-restore`, a firewall's
/// reload or a save-filter-restore pipeline writes other people's rules anew, and they stay other people's. Rules are
/// matched within their chain by content, oldest first; everything else by its name.
pub fn of_transaction(world: &World, notifications: Vec<(Subject, Option<Snapshot>)>) -> Vec<Effect> {
    let mut transaction = Transaction { world, removed: BTreeSet::new(), added: Vec::new(), at: HashMap::new() };
    for (subject, after) in notifications {
        match after {
            Some(after) => transaction.add(subject, after),
            None => transaction.remove(subject),
        }
    }
    transaction.finish()
}

struct Transaction<'a> {
    world: &'a World,
    /// Known objects that the transaction removed.
    removed: BTreeSet<Subject>,
    /// What it added or changed, in order; `None` where it removed it again.
    added: Vec<Option<(Subject, Snapshot)>>,
    /// Where in `added` a subject is.
    at: HashMap<Subject, usize>,
}

impl Transaction<'_> {
    fn add(&mut self, subject: Subject, after: Snapshot) {
        match self.at.get(&subject) {
            Some(&index) => self.added[index] = Some((subject, after)),
            None => {
                self.at.insert(subject.clone(), self.added.len());
                self.added.push(Some((subject, after)));
            }
        }
    }

    fn remove(&mut self, subject: Subject) {
        if let Some(index) = self.at.remove(&subject) {
            self.added[index] = None;
        }
        let Some(_) = self.world.get(&subject) else { return };
        if let Subject::Nft(NftSubject { table, item }) = &subject {
            let taken = match item {
                NftItem::Table => self.world.in_table(table),
                NftItem::Chain(chain) => self.world.in_chain(table, chain),
                NftItem::Set(set) => self.world.in_set(table, set),
                NftItem::Rule { .. } | NftItem::Element { .. } | NftItem::Object { .. } | NftItem::Flowtable(_) => {
                    Vec::new()
                }
            };
            self.removed.extend(taken);
        }
        self.removed.insert(subject);
    }

    fn finish(self) -> Vec<Effect> {
        let Self { world, removed, added, at: _ } = self;
        let mut by_content = removed_rules_by_content(world, &removed);
        let mut going_on = Vec::new();
        let mut created = Vec::new();
        for (subject, after) in added.into_iter().flatten() {
            let digest = after.digest();
            // by content alone: a table made anew gives out the handles of the old one again, to other rules
            let same = content_key(&subject, digest)
                .filter(|_| !uses_anonymous_set(&after))
                .and_then(|key| by_content.get_mut(&key)?.pop_front());
            if let Some((old, id)) = same.and_then(|old| world.get(&old).map(|known| (old, known.id))) {
                going_on.push(Effect::rewritten(id, old, subject, after));
                continue;
            }
            let was_removed = removed.contains(&subject);
            match world.get(&subject).map(|known| (known.id, known.digest == digest)) {
                Some((id, true)) if was_removed && !is_rule(&subject) => {
                    going_on.push(Effect::rewritten(id, subject.clone(), subject, after));
                }
                Some((id, false)) if !was_removed || keeps_identity(&subject) => {
                    going_on.push(Effect::changed(id, subject, after));
                }
                Some((_, true)) if !was_removed => {}
                _ => created.push(Effect::created(subject, after)),
            }
        }
        let go_on: HashSet<ObjectId> = going_on.iter().filter_map(|effect| effect.object).collect();
        let gone = removed.into_iter().filter_map(|subject| {
            let known = world.get(&subject).filter(|known| !go_on.contains(&known.id))?;
            Some(Effect::removed(known.id, subject))
        });
        gone.chain(going_on).chain(created).collect()
    }
}

fn is_rule(subject: &Subject) -> bool {
    matches!(subject, Subject::Nft(NftSubject { item: NftItem::Rule { .. }, .. }))
}

/// A table or chain of the same name in the same transaction is the same shared container, whatever changed about it.
fn keeps_identity(subject: &Subject) -> bool {
    matches!(subject, Subject::Nft(NftSubject { item: NftItem::Table | NftItem::Chain(_), .. }))
}

/// A rule names its anonymous sets by a number; what is in them is not part of its digest. Equal digests of such rules
/// prove nothing.
fn uses_anonymous_set(snapshot: &Snapshot) -> bool {
    match snapshot {
        Snapshot::Nft(NftSnapshot::Rule(rule)) => {
            rule.sets.iter().any(|set| set.as_str().starts_with("__set") || set.as_str().starts_with("__map"))
        }
        _ => false,
    }
}

type ContentKey = (TableRef, ChainName, Digest);

fn content_key(subject: &Subject, digest: Digest) -> Option<ContentKey> {
    match subject {
        Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }) => {
            Some((table.clone(), chain.clone(), digest))
        }
        _ => None,
    }
}

fn removed_rules_by_content(world: &World, removed: &BTreeSet<Subject>) -> BTreeMap<ContentKey, VecDeque<Subject>> {
    let mut by_content: BTreeMap<ContentKey, VecDeque<Subject>> = BTreeMap::new();
    for subject in removed {
        let key = world.get(subject).and_then(|known| content_key(subject, known.digest));
        if let Some(key) = key {
            by_content.entry(key).or_default().push_back(subject.clone());
        }
    }
    by_content
}

#[cfg(test)]
mod tests;
