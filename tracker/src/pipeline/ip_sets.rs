//! What a look at IP sets means for the known ones, and which requests can explain it. Pure.
//!
//! A hash set carries the seed it was made with, wherever a swap or a rename moves it: by the seed a set that was made
//! anew under an old name is told from the one before. Sets without one (bitmaps, lists, older kernels) are the same set
//! as long as no request can have replaced them; otherwise who made what is in them is not known.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribution::ipsets::{IpSetDeed, IpSetRequests};
use crate::attribution::pending::{Candidate, Replacement, replacement};
use crate::decode::ipset::ListedSet;
use crate::model::ids::{Handle, IpSetName};
use crate::model::ipset::{IpSetHeader, IpSetSnapshot, IpSetSubject, IpSetVerb};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

use super::effects::{self, Effect};
use super::world::World;

/// Who can be behind a difference.
#[derive(Debug, Clone)]
pub enum Blame {
    /// One of these requests; none is nobody that was seen.
    Requests(Vec<Candidate>),
    /// More than one course of events leads here.
    Unclear,
    /// A member of a set whose members time out.
    MayTimeOut,
}

/// One difference.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it means.
    pub effect: Effect,
    /// Who can be behind it.
    pub by: Blame,
}

/// Where the content of a set comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// It was there under this name.
    Same,
    /// It was there under another name.
    Moved(IpSetName),
    /// It is new.
    New,
    /// It may be the old one or another.
    Doubtful,
}

/// A set of a look.
struct Seen<'a> {
    set: &'a ListedSet,
    origin: Origin,
}

/// What the sets of a look (of all that `was_looked_at` accepts) mean, removals first. `ended` is when the look did.
pub fn differences(
    world: &World,
    requests: &IpSetRequests,
    sets: &[ListedSet],
    was_looked_at: impl Fn(&IpSetName) -> bool,
    ended: BootTime,
) -> Vec<Finding> {
    let before: BTreeMap<IpSetName, Option<Handle>> = world
        .ip_sets()
        .into_iter()
        .filter(|name| was_looked_at(name))
        .map(|name| {
            let seed = world.get(&Subject::IpSet(IpSetSubject::set(name.clone()))).and_then(|known| known.handle);
            (name, seed)
        })
        .collect();
    let now = sets.iter().map(|set| {
        let origin = origin(requests, &before, set);
        (set.name.clone(), Seen { set, origin })
    });
    let look = Look { world, requests, before: &before, now: now.collect(), ended };
    let mut found = Found::default();
    look.sets(&mut found);
    look.members(&mut found);
    let Found { gone, kept, made } = found;
    gone.into_iter().chain(kept).chain(made).collect()
}

/// Whether a look saw one set under two names: it was moved while being looked at.
pub fn is_torn(requests: &IpSetRequests, sets: &[ListedSet]) -> bool {
    let mut seeds = BTreeMap::new();
    sets.iter().any(|set| {
        let Some(seed) = set.header.seed else { return false };
        let other = seeds.insert(seed, &set.name);
        other.is_some_and(|other| requests.group(other, false).contains(&set.name))
    })
}

fn origin(requests: &IpSetRequests, before: &BTreeMap<IpSetName, Option<Handle>>, set: &ListedSet) -> Origin {
    let seed = set.header.seed.map(|seed| Handle(seed.into()));
    let was = before.get(&set.name);
    let replaced = requests.asks(&[IpSetVerb::Destroy, IpSetVerb::Rename, IpSetVerb::Swap], &set.name);
    match (was, seed) {
        (Some(Some(was)), Some(seed)) if *was == seed => Origin::Same,
        (_, Some(seed)) => {
            let group = requests.group(&set.name, false);
            match group.into_iter().find(|name| before.get(name) == Some(&Some(seed))) {
                Some(from) => Origin::Moved(from),
                None if matches!(was, Some(None)) => Origin::Doubtful,
                None => Origin::New,
            }
        }
        (Some(_), None) if replaced => Origin::Doubtful,
        (Some(_), None) => Origin::Same,
        (None, None) => {
            let group = requests.group(&set.name, true);
            // one set more under one name, one less under the other, and nothing but a rename asked of both
            let from: Vec<_> = group.iter().filter(|name| **name != set.name && before.contains_key(*name)).collect();
            let others = [IpSetVerb::Create, IpSetVerb::Destroy, IpSetVerb::Swap];
            match from.as_slice() {
                [from] if !group.iter().any(|name| requests.asks(&others, name)) => Origin::Moved((*from).clone()),
                [] => Origin::New,
                _ => Origin::Doubtful,
            }
        }
    }
}

#[derive(Default)]
struct Found {
    gone: Vec<Finding>,
    kept: Vec<Finding>,
    made: Vec<Finding>,
}

struct Look<'a> {
    world: &'a World,
    requests: &'a IpSetRequests,
    before: &'a BTreeMap<IpSetName, Option<Handle>>,
    now: BTreeMap<IpSetName, Seen<'a>>,
    ended: BootTime,
}

impl Look<'_> {
    fn by(&self, deed: IpSetDeed<'_>) -> Blame {
        let mut candidates = self.requests.candidates(deed);
        candidates.retain(|candidate| candidate.opened <= self.ended);
        Blame::Requests(candidates)
    }

    fn removed(&self, subject: Subject, by: Blame, found: &mut Found) {
        if let Some(effect) = effects::of_one(self.world, subject, None) {
            found.gone.push(Finding { effect, by });
        }
    }

    /// The old object under a new subject or content.
    fn rewritten(&self, old: Subject, subject: Subject, after: Snapshot, by: Blame, found: &mut Found) {
        match self.world.get(&old) {
            Some(known) => {
                found.kept.push(Finding { effect: Effect::rewritten(known.id, old, subject, after), by });
            }
            None => found.made.push(Finding { effect: Effect::created(subject, after), by: Blame::Unclear }),
        }
    }

    fn sets(&self, found: &mut Found) {
        let mut renamed: BTreeSet<&IpSetName> = BTreeSet::new();
        for (name, seen) in &self.now {
            let subject = Subject::IpSet(IpSetSubject::set(name.clone()));
            let after = Snapshot::IpSet(IpSetSnapshot::Set(seen.set.header.clone()));
            let was_there = self.before.contains_key(name);
            let is_swapped = self.requests.asks(&[IpSetVerb::Swap], name);
            let may_be_replaced = self.requests.asks(&[IpSetVerb::Destroy, IpSetVerb::Rename], name);
            match &seen.origin {
                Origin::Same => {
                    if let Some(effect) = effects::of_one(self.world, subject, Some(after)) {
                        let by = if may_be_replaced || is_swapped { Blame::Unclear } else { self.created(name) };
                        found.kept.push(Finding { effect, by });
                    }
                }
                // the name goes on, with what another one had
                Origin::Moved(_) | Origin::New if was_there && is_swapped && !may_be_replaced => {
                    let by = self.by(IpSetDeed::Swapped { name });
                    self.rewritten(subject.clone(), subject, after, by, found);
                }
                Origin::Moved(from) if !is_swapped && self.requests.asks(&[IpSetVerb::Rename], name) => {
                    renamed.insert(from);
                    self.removed(subject.clone(), self.by(IpSetDeed::Destroyed { name }), found);
                    let by = self.by(IpSetDeed::Renamed { from, to: name });
                    self.rewritten(Subject::IpSet(IpSetSubject::set(from.clone())), subject, after, by, found);
                }
                Origin::New if !is_swapped || !was_there => {
                    self.removed(subject.clone(), self.by(IpSetDeed::Destroyed { name }), found);
                    let by = self.created(name);
                    found.made.push(Finding { effect: Effect::created(subject, after), by });
                }
                Origin::Moved(_) if !was_there => {
                    let by = self.created(name);
                    found.made.push(Finding { effect: Effect::created(subject, after), by });
                }
                Origin::Moved(_) | Origin::New | Origin::Doubtful => {
                    self.removed(subject.clone(), Blame::Unclear, found);
                    found.made.push(Finding { effect: Effect::created(subject, after), by: Blame::Unclear });
                }
            }
        }
        for name in self.before.keys().filter(|name| !self.now.contains_key(*name) && !renamed.contains(name)) {
            let by = self.by(IpSetDeed::Destroyed { name });
            self.removed(Subject::IpSet(IpSetSubject::set(name.clone())), by, found);
        }
    }

    fn created(&self, name: &IpSetName) -> Blame {
        self.by(IpSetDeed::Created { name })
    }

    fn members(&self, found: &mut Found) {
        let mut carried: BTreeSet<&IpSetName> = BTreeSet::new();
        for (name, seen) in &self.now {
            let from = match &seen.origin {
                Origin::Same => Some(name),
                Origin::Moved(from) => Some(from),
                Origin::New | Origin::Doubtful => None,
            };
            carried.extend(from);
            self.members_of(name, seen, from, found);
        }
        for name in self.before.keys().filter(|name| !carried.contains(name)) {
            for subject in self.world.members_of(name) {
                self.removed(subject, self.by(IpSetDeed::Dropped { set: name }), found);
            }
        }
    }

    /// The members of a set that is there, whose content was known under the name `from`.
    fn members_of(&self, name: &IpSetName, seen: &Seen<'_>, from: Option<&IpSetName>, found: &mut Found) {
        let ListedSet { name: _, header, members } = seen.set;
        let mut left: BTreeSet<Subject> =
            from.map(|from| self.world.members_of(from)).unwrap_or_default().into_iter().collect();
        let may_be_deleted = self
            .requests
            .group(name, false)
            .iter()
            .any(|name| self.requests.asks(&[IpSetVerb::Del, IpSetVerb::Flush], name));
        for (key, member) in members {
            let subject = Subject::IpSet(IpSetSubject::member(name.clone(), key.clone()));
            let after = Snapshot::IpSet(IpSetSnapshot::Member(member.clone()));
            let old = from.map(|from| Subject::IpSet(IpSetSubject::member(from.clone(), key.clone())));
            let added = || self.by(IpSetDeed::Added { set: name, header, key });
            match old.filter(|old| left.remove(old)) {
                None => {
                    let by = if seen.origin == Origin::Doubtful { Blame::Unclear } else { added() };
                    found.made.push(Finding { effect: Effect::created(subject, after), by });
                }
                Some(old) if may_be_deleted && self.was_replaced(name, header, key, found, &old, &subject, &after) => {}
                Some(old) if old != subject => {
                    let by = self.by(IpSetDeed::Swapped { name });
                    let by = match by {
                        Blame::Requests(none) if none.is_empty() => {
                            self.by(IpSetDeed::Renamed { from: name, to: name })
                        }
                        by => by,
                    };
                    self.rewritten(old, subject, after, by, found);
                }
                Some(_) => {
                    if let Some(effect) = effects::of_one(self.world, subject, Some(after)) {
                        found.kept.push(Finding { effect, by: added() });
                    }
                }
            }
        }
        for subject in left {
            let Subject::IpSet(IpSetSubject { item: crate::model::ipset::IpSetItem::Member { key }, .. }) = &subject
            else {
                continue;
            };
            let by = match self.by(IpSetDeed::Deleted { set: name, header, key }) {
                Blame::Requests(none) if none.is_empty() && header.has_timeout => Blame::MayTimeOut,
                by => by,
            };
            self.removed(subject, by, found);
        }
    }

    /// A member that is there as before may have been deleted and added again meanwhile, perhaps by somebody else.
    #[expect(clippy::too_many_arguments, reason = "the member by all its names")]
    fn was_replaced(
        &self,
        name: &IpSetName,
        header: &IpSetHeader,
        key: &str,
        found: &mut Found,
        old: &Subject,
        subject: &Subject,
        after: &Snapshot,
    ) -> bool {
        let Blame::Requests(deleted) = self.by(IpSetDeed::Deleted { set: name, header, key }) else { return false };
        let Blame::Requests(added) = self.by(IpSetDeed::Added { set: name, header, key }) else { return false };
        let deletes = |candidate: &Candidate| candidate.is_certain || !candidate.matched.starts_with("ipset swap");
        if !deleted.iter().any(deletes) {
            return false;
        }
        let (deleted, added) = match replacement(&deleted, added) {
            Replacement::None => return false,
            Replacement::By(added) => (Blame::Requests(deleted), Blame::Requests(added)),
            Replacement::Unclear => (Blame::Unclear, Blame::Unclear),
        };
        self.removed(old.clone(), deleted, found);
        let effect = Effect::created(subject.clone(), after.clone());
        found.made.push(Finding { effect, by: added });
        true
    }
}
