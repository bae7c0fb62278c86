//! The proof: what was to go is gone, and nothing else is missing or changed.

use std::collections::BTreeMap;
use std::fmt;

use super::legacy::LegacyExpectation;
use super::live::LiveState;
use super::plan::Plan;
use super::step::Step;
use crate::model::digest::Digest;
use crate::model::ipset::IpSetSnapshot;
use crate::model::nft::NftSnapshot;
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject, describe};

/// What must be true after a plan was executed, taken before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    legacy: LegacyExpectation,
    gone: BTreeMap<Subject, String>,
    stays: BTreeMap<Subject, (Digest, String)>,
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
}

impl Proof {
    /// Whether exactly the plan happened.
    pub fn holds(&self) -> bool {
        let Self { remaining, missing, changed } = self;
        remaining.is_empty() && missing.is_empty() && changed.is_empty()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remaining, missing, changed } = self;
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
        let mut stays: BTreeMap<Subject, (Digest, String)> = kernel_objects(before)
            .filter(|(subject, now)| {
                !gone.contains_key(subject) && !plan.implied().contains(subject) && !goes_by_itself(now)
            })
            .map(|(subject, now)| (subject.clone(), (now.digest(), describe(subject, now))))
            .collect();
        for step in others {
            if let Some(after) = step.after() {
                stays.insert(step.subject().clone(), (after.digest(), step.describe()));
            }
        }
        Self { legacy: LegacyExpectation::new(plan, before), gone, stays }
    }

    /// The paths to read again for [`Expectation::verify`].
    pub fn paths(&self) -> Vec<AbsPath> {
        let path = |subject: &Subject| match subject {
            Subject::Path(path) => Some(path.clone()),
            _ => None,
        };
        self.gone.keys().filter_map(path).collect()
    }

    /// Holds the live state after the execution against the expectation.
    pub fn verify(&self, after: &LiveState) -> Proof {
        let now: BTreeMap<&Subject, &Snapshot> = kernel_objects(after).collect();
        let mut proof = Proof::default();
        for (subject, what) in &self.gone {
            let is_there = match subject {
                Subject::Path(path) => matches!(after.paths.get(path), Some(Some(_))),
                subject => now.contains_key(subject),
            };
            proof.remaining.extend(is_there.then(|| what.clone()));
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

fn kernel_objects(live: &LiveState) -> impl Iterator<Item = (&Subject, &Snapshot)> {
    live.nft.iter().chain(&live.rt).chain(&live.ip_sets).map(|(subject, now)| (subject, now))
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
