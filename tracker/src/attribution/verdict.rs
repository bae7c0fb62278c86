//! Verdicts: from what is known of a deed to its owner, never without evidence and never by default.

use std::collections::HashMap;

use crate::model::ids::{ActorId, Ifindex};
use crate::model::legacy::LegacySnapshot;
use crate::model::owner::{Attribution, Certainty, Evidence, Owner};
use crate::model::process::Actor;
use crate::model::subject::{Snapshot, Subject};

use super::{Classification, OwnerRules, Users, names};

/// Actors whose classification is remembered; one actor makes many objects.
const REMEMBERED: usize = 4096;

/// Judges deeds by the owner rules.
pub struct Judge {
    rules: OwnerRules,
    users: Box<dyn Users + Send>,
    known: HashMap<ActorId, Classification>,
}

impl Judge {
    /// A judge by these rules; `users` turns user ids into names.
    pub fn new(rules: OwnerRules, users: Box<dyn Users + Send>) -> Self {
        Self { rules, users, known: HashMap::new() }
    }

    /// Forgets what is remembered of actors, for when their numbers are given out anew.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The verdict on a deed of a known actor. `is_exact`: the kernel said who; otherwise content did.
    pub fn seen(&mut self, id: ActorId, actor: &Actor, is_exact: bool, evidence: Evidence) -> Attribution {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let classification = self.known.entry(id).or_insert_with(|| self.rules.classify(actor, &*self.users)).clone();
        let Classification { owner, evidence: rule, weak } = classification;
        let certainty = match (&rule, is_exact && !weak) {
            (Evidence::NoOwnerRule { .. }, _) => Certainty::Unknown,
            (_, true) => Certainty::Exact,
            (_, false) => Certainty::Correlated,
        };
        Attribution::new(owner, certainty, Some(id), evidence).with(rule)
    }

    /// The verdict on a thing that nobody was seen making: `why` there is no witness, then what its name says.
    pub fn unseen(subject: &Subject, snapshot: &Snapshot, why: Evidence) -> Attribution {
        if let Some(sign) = kernel_sign(subject, snapshot) {
            let sign = Evidence::KernelMade { sign: sign.to_owned() };
            return Attribution::new(Owner::kernel(), Certainty::Inferred, None, why).with(sign);
        }
        match names::infer(subject, snapshot) {
            Some((owner, name)) => Attribution::new(owner, Certainty::Inferred, None, why).with(name),
            None => Attribution::unknown(why),
        }
    }

    /// The verdict on a thing that somebody was seen making, which its name may contradict.
    pub fn dispute(verdict: &Attribution, subject: &Subject, snapshot: &Snapshot) -> Attribution {
        let sign = verdict.certainty().is_proven().then(|| names::contradiction(subject, snapshot, verdict.owner()));
        sign.flatten().map_or_else(|| verdict.clone(), |sign| verdict.clone().contradicted(sign))
    }

    /// The verdict on what the kernel makes by itself.
    pub fn kernel_made(sign: &str) -> Attribution {
        let evidence = Evidence::KernelMade { sign: sign.to_owned() };
        Attribution::new(Owner::kernel(), Certainty::Correlated, None, evidence)
    }
}

/// What shows that the kernel made a thing by itself: what every network namespace starts with, and what follows from
/// links and addresses.
fn kernel_sign(subject: &Subject, snapshot: &Snapshot) -> Option<&'static str> {
    const LOOPBACK: Ifindex = Ifindex(1);
    match (subject, snapshot) {
        (Subject::Route(_), Snapshot::Route(route)) if route.is_kernel_made() => Some("route protocol kernel"),
        (Subject::Legacy(_), Snapshot::Legacy(LegacySnapshot::Table)) => Some("legacy table"),
        (Subject::Legacy(_), Snapshot::Legacy(LegacySnapshot::Chain(chain))) if chain.policy.is_some() => {
            Some("built-in chain")
        }
        (Subject::Link(LOOPBACK), Snapshot::Link(link)) if link.kind.is_none() => Some("loopback link"),
        (Subject::Address(address), _) if address.ifindex == LOOPBACK && address.address.is_loopback() => {
            Some("loopback address")
        }
        (Subject::IpRule(rule), Snapshot::IpRule(snapshot)) => {
            let is_default = matches!(
                (rule.priority, snapshot.text.as_str()),
                (0, "from all lookup local") | (32766, "from all lookup main") | (32767, "from all lookup default")
            );
            is_default.then_some("default ip rule")
        }
        _ => None,
    }
}
