//! What a look at IPVS means for the known services and destinations, and which requests can explain it. Pure.
//!
//! What was deleted and made again with equal content is told from what stayed by the requests alone: when one that
//! deletes ended before one that makes began, the latter made what is there.

use std::collections::BTreeSet;

use crate::attribution::ipvs::{IpvsAct, IpvsRequests};
use crate::attribution::pending::{Candidate, Replacement, replacement};
use crate::decode::ipvs::{ListedService, into_objects};
use crate::model::ipvs::{IpvsService, IpvsSubject};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

use super::effects::{self, Effect};
use super::ip_sets::{Blame, Finding};
use super::world::World;

/// What the services of a look (of all that `was_looked_at` accepts) mean, removals first. `ended` is when the look did.
pub fn differences(
    world: &World,
    requests: &IpvsRequests,
    services: Vec<ListedService>,
    was_looked_at: impl Fn(&IpvsService) -> bool,
    ended: BootTime,
) -> Vec<Finding> {
    let look = Look { world, requests, ended };
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    let mut left: BTreeSet<IpvsSubject> =
        world.ipvs().into_iter().filter(|subject| was_looked_at(&subject.service)).collect();
    for (subject, after) in into_objects(services) {
        let Subject::Ipvs(it) = subject else { continue };
        left.remove(&it);
        look.one(&it, after, &mut gone, &mut there);
    }
    // destinations before their services
    for subject in left.iter().rev() {
        let by = Blame::Requests(look.candidates(IpvsAct::Deleted, subject));
        let effect = effects::of_one(world, Subject::Ipvs(*subject), None);
        gone.extend(effect.map(|effect| Finding { effect, by }));
    }
    gone.extend(there);
    gone
}

struct Look<'a> {
    world: &'a World,
    requests: &'a IpvsRequests,
    ended: BootTime,
}

impl Look<'_> {
    fn candidates(&self, act: IpvsAct, subject: &IpvsSubject) -> Vec<Candidate> {
        let mut candidates = self.requests.candidates(act, subject);
        candidates.retain(|candidate| candidate.opened <= self.ended);
        candidates
    }

    /// Something that is there.
    fn one(&self, it: &IpvsSubject, after: Snapshot, gone: &mut Vec<Finding>, there: &mut Vec<Finding>) {
        let subject = Subject::Ipvs(*it);
        let added = self.candidates(IpvsAct::Added, it);
        let Some(known) = self.world.get(&subject) else {
            there.push(Finding { effect: Effect::created(subject, after), by: Blame::Requests(added) });
            return;
        };
        let deleted = self.candidates(IpvsAct::Deleted, it);
        let (deleted, added) = match replacement(&deleted, added) {
            Replacement::By(added) => (Blame::Requests(deleted), Blame::Requests(added)),
            Replacement::Unclear => (Blame::Unclear, Blame::Unclear),
            Replacement::None => {
                let by = Blame::Requests(self.candidates(IpvsAct::Edited, it));
                let effect = effects::of_one(self.world, subject, Some(after));
                there.extend(effect.map(|effect| Finding { effect, by }));
                return;
            }
        };
        gone.push(Finding { effect: Effect::removed(known.id, subject.clone()), by: deleted });
        there.push(Finding { effect: Effect::created(subject, after), by: added });
    }
}

#[cfg(test)]
mod tests;
