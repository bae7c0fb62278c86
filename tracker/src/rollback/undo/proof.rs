//! The proof of an undo: what was to come back is there with the content it had, and nothing else changed.

use std::collections::{BTreeMap, BTreeSet};

use super::execute::paths_of;
use super::{How, Restore, UndoPlan};
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::live::LiveState;
use crate::model::nft::{NftItem, NftSubject, TableRef};
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::legacy::LegacyExpectation;
use crate::rollback::verify::{Proof, goes_by_itself};

/// What must be true after an undo, taken before it is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoExpectation {
    steps: Vec<Restore>,
    stays: BTreeMap<Subject, (Digest, String)>,
    legacy: LegacyExpectation,
    paths: BTreeSet<AbsPath>,
}

impl UndoExpectation {
    /// Notes what an undo brings back, and the digest of everything in `before`.
    pub fn new(plan: &UndoPlan, before: &LiveState) -> Self {
        let set: BTreeSet<&Subject> =
            plan.steps.iter().filter(|step| matches!(step.how, How::SetPolicy(_))).map(|step| &step.subject).collect();
        let kernel = before.nft.iter().chain(&before.rt).chain(&before.ipvs);
        let stays = kernel
            .filter(|(subject, now)| !set.contains(subject) && !goes_by_itself(now))
            .map(|(subject, now)| (subject.clone(), (now.digest(), describe(subject, now))))
            .collect();
        let legacy = LegacyExpectation::of_undo(&plan.steps, before);
        Self { steps: plan.steps.clone(), stays, legacy, paths: paths_of(plan) }
    }

    /// The paths to read for [`UndoExpectation::verify`].
    pub fn paths(&self) -> Vec<AbsPath> {
        self.paths.iter().cloned().collect()
    }

    /// Holds the live state afterwards against the expectation; `remaining` of the proof is what did not come back.
    pub fn verify(&self, after: &LiveState) -> Proof {
        let now: BTreeMap<&Subject, &Snapshot> =
            after.nft.iter().chain(&after.rt).chain(&after.ipvs).map(|(subject, now)| (subject, now)).collect();
        let mut rules: BTreeMap<(&TableRef, &ChainName, Digest), usize> = BTreeMap::new();
        for (subject, content) in &after.nft {
            if let Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }) = subject
                && !self.stays.contains_key(subject)
            {
                *rules.entry((table, chain, content.digest())).or_default() += 1;
            }
        }
        let mut proof = Proof::default();
        for step in &self.steps {
            let is_back = match &step.subject {
                Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, .. } }) => {
                    let left = rules.get_mut(&(table, chain, step.snapshot.digest()));
                    left.filter(|left| **left > 0).map(|left| *left -= 1).is_some()
                }
                Subject::Path(path) => matches!(after.paths.get(path), Some(Some(_))),
                // it has another number, and in memory another device
                Subject::Mount(mount) => {
                    after.mounts.iter().any(|(subject, now)| match (subject, now, &step.snapshot) {
                        (Subject::Mount(other), Snapshot::Mount(now), Snapshot::Mount(was)) => {
                            other.path == mount.path && now.made_again() == was.made_again()
                        }
                        _ => false,
                    })
                }
                // the host read it back
                Subject::Sysctl(_) => true,
                // by content, not by name: below
                Subject::Legacy(_) => true,
                subject => now.get(subject).is_some_and(|found| found.digest() == step.snapshot.digest()),
            };
            proof.remaining.extend((!is_back).then(|| step.describe()));
        }
        for (subject, (digest, what)) in &self.stays {
            match now.get(subject) {
                None => proof.missing.push(what.clone()),
                Some(now) if now.digest() != *digest => proof.changed.push(what.clone()),
                Some(_) => {}
            }
        }
        self.legacy.verify(after, &mut proof);
        proof
    }
}
