//! The proof: what was to go is gone, and nothing else is missing or changed.

use std::collections::BTreeMap;
use std::fmt;

use super::legacy::LegacyExpectation;
use super::live::LiveState;
use super::plan::Plan;
use super::step::Step;
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::ipset::IpSetSnapshot;
use crate::model::nft::NftSnapshot;
use crate::model::object::Object;
use crate::model::owner::Owner;
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject, describe};

/// What must be true after a plan was executed, taken before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    legacy: LegacyExpectation,
    gone: BTreeMap<Subject, String>,
    stays: BTreeMap<Subject, (Digest, String)>,
    owners: BTreeMap<Subject, Owner>,
}

/// What of each owner stays: how many objects, and digests over their names and contents before and after.
#[derive(Default)]
pub(super) struct ByOwner<'a>(BTreeMap<Option<&'a Owner>, (u64, DigestBuilder, DigestBuilder)>);

impl<'a> ByOwner<'a> {
    /// Adds an object with its content before and after; `None` when it is gone.
    pub(super) fn add(&mut self, owner: Option<&'a Owner>, what: &str, was: Digest, is: Option<Digest>) {
        let new = || (0, DigestBuilder::new("others"), DigestBuilder::new("others"));
        let (objects, before, after) = self.0.entry(owner).or_insert_with(new);
        *objects += 1;
        before.field(what.as_bytes()).field(&was.0);
        if let Some(is) = is {
            after.field(what.as_bytes()).field(&is.0);
        }
    }

    fn finish(self) -> Vec<Others> {
        let others = self.0.into_iter().map(|(owner, (objects, before, after))| Others {
            owner: owner.cloned(),
            objects,
            before: before.finish(),
            after: after.finish(),
        });
        others.collect()
    }
}

/// The difference between what was expected and what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a proof that is not read proves nothing"]
pub struct Proof {
    /// Planned to go and still there.
    pub remaining: Vec<String>,
    /// Not planned to go and gone. Its owner, or its link going down, may have removed it meanwhile.
    pub missing: Vec<String>,
    /// Not planned to be touched and different now.
    pub changed: Vec<String>,
    /// What of each owner was to stay, before and after.
    pub others: Vec<Others>,
}

/// One owner's objects that were to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Others {
    /// Whose; `None` for what the journal does not know.
    pub owner: Option<Owner>,
    /// How many objects there were.
    pub objects: u64,
    /// Digest over their names and contents before.
    pub before: Digest,
    /// The same of what is there of them after.
    pub after: Digest,
}

impl Proof {
    /// Whether exactly the plan happened.
    pub fn holds(&self) -> bool {
        let Self { remaining, missing, changed, others: _ } = self;
        remaining.is_empty() && missing.is_empty() && changed.is_empty()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remaining, missing, changed, others: _ } = self;
        if self.holds() {
            return f.write_str("everything planned is gone and nothing else changed");
        }
        let parts = [("still there", remaining), ("missing", missing), ("changed", changed)];
        let mut first = true;
        for (word, things) in parts.into_iter().filter(|(_, things)| !things.is_empty()) {
            write!(f, "{}{word}: {}", if first { "" } else { "; " }, things.join(", "))?;
            first = false;
        }
        Ok(())
    }
}

impl Expectation {
    /// Notes what a plan will remove, and the digest of everything else in `before`.
    pub fn new(plan: &Plan, before: &LiveState) -> Self {
        // by content, not by name: see `LegacyExpectation`
        let others: Vec<&Step> = plan.steps().iter().filter(|step| !step.action().is_legacy()).collect();
        let goes = others.iter().filter(|step| step.after().is_none());
        let gone: BTreeMap<Subject, String> = goes.map(|step| (step.subject().clone(), step.describe())).collect();
        let stops_forwarding = others.iter().any(|step| is_ipv6_forwarding(step.subject()));
        let is_implied = |subject: &Subject, now: &Snapshot| {
            plan.implied().contains(subject) || stops_forwarding && comes_with_forwarding(now)
        };
        let stays = |subject: &Subject, now: &Snapshot| !gone.contains_key(subject) && !is_implied(subject, now);
        let mut stays: BTreeMap<Subject, (Digest, String)> = kernel_objects(before)
            .filter(|(subject, now)| stays(subject, now) && !goes_by_itself(now))
            .map(|(subject, now)| (subject.clone(), (now.digest(), describe(subject, now))))
            .chain(files(before).filter(|(subject, now)| stays(subject, now) && !is_in_a_mount_of(&gone, subject)).map(
                |(subject, now)| {
                    let said = (now.digest(), describe(&subject, &now));
                    (subject, said)
                },
            ))
            .collect();
        for step in others {
            if let Some(after) = step.after() {
                stays.insert(step.subject().clone(), (after.digest(), step.describe()));
            }
        }
        Self { legacy: LegacyExpectation::new(plan, before), gone, stays, owners: BTreeMap::new() }
    }

    /// Notes whose everything is, for the proof to say it by owner.
    #[must_use]
    pub fn owned(mut self, known: &[Object]) -> Self {
        let living = known.iter().filter(|object| object.is_live() && self.stays.contains_key(&object.subject));
        self.owners = living.map(|object| (object.subject.clone(), object.owner().clone())).collect();
        self.legacy.owned(known);
        self
    }

    /// What stays of each owner, by digests before and now; what the journal does not know comes first.
    fn others(&self, now: &BTreeMap<&Subject, Digest>, after: &LiveState) -> Vec<Others> {
        let mut others = ByOwner::default();
        for (subject, (digest, what)) in &self.stays {
            others.add(self.owners.get(subject), what, *digest, now.get(subject).copied());
        }
        self.legacy.others(after, &mut others);
        others.finish()
    }

    /// The paths to read again for [`Expectation::verify`].
    pub fn paths(&self) -> Vec<AbsPath> {
        let path = |subject: &Subject| match subject {
            Subject::Path(path) => Some(path.clone()),
            _ => None,
        };
        self.gone.keys().chain(self.stays.keys()).filter_map(path).collect()
    }

    /// Holds the live state after the execution against the expectation.
    pub fn verify(&self, after: &LiveState) -> Proof {
        let files: Vec<(Subject, Snapshot)> = files(after).collect();
        let files = files.iter().map(|(subject, now)| (subject, now));
        let now: BTreeMap<&Subject, Digest> =
            kernel_objects(after).chain(files).map(|(subject, now)| (subject, now.digest())).collect();
        let mut proof = Proof { others: self.others(&now, after), ..Proof::default() };
        for (subject, what) in &self.gone {
            proof.remaining.extend(now.contains_key(subject).then(|| what.clone()));
        }
        for (subject, (digest, what)) in &self.stays {
            match now.get(subject) {
                None => proof.missing.push(what.clone()),
                Some(now) if now != digest => proof.changed.push(what.clone()),
                Some(_) => {}
            }
        }
        self.legacy.verify(after, &mut proof);
        proof
    }
}

fn kernel_objects(live: &LiveState) -> impl Iterator<Item = (&Subject, &Snapshot)> {
    live.nft
        .iter()
        .chain(&live.rt)
        .chain(&live.ip_sets)
        .chain(&live.ipvs)
        .chain(&live.mounts)
        .map(|(subject, now)| (subject, now))
}

/// Whether a path leads into a mount that goes: what it names is seen there no more.
fn is_in_a_mount_of(gone: &BTreeMap<Subject, String>, subject: &Subject) -> bool {
    let Subject::Path(path) = subject else { return false };
    gone.keys().any(|gone| matches!(gone, Subject::Mount(mount) if mount.path != *path && path.is_within(&mount.path)))
}

/// Files and directories that were read and are there.
fn files(live: &LiveState) -> impl Iterator<Item = (Subject, Snapshot)> {
    let there = live.paths.iter().filter_map(|(path, now)| Some((path, now.as_ref()?)));
    there.map(|(path, now)| (Subject::Path(path.clone()), Snapshot::Path(now.clone())))
}

fn is_ipv6_forwarding(subject: &Subject) -> bool {
    matches!(subject, Subject::Sysctl(name) if name.is_ipv6_forwarding())
}

fn comes_with_forwarding(snapshot: &Snapshot) -> bool {
    matches!(snapshot, Snapshot::Route(route) if route.comes_with_forwarding())
}

/// Elements that time out, and addresses and routes that routers renew, are no proof of anything when they are missing.
pub(super) fn goes_by_itself(snapshot: &Snapshot) -> bool {
    match snapshot {
        Snapshot::Nft(NftSnapshot::Element(element)) => element.has_timeout,
        Snapshot::Address(address) => address.is_dynamic,
        Snapshot::IpSet(IpSetSnapshot::Member(member)) => member.has_timeout,
        _ => false,
    }
}
