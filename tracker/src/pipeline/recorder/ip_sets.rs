//! IP sets: looked at after each request that may have changed one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::attribution::ipsets::Touched;
use crate::attribution::pending::Candidate;
use crate::attribution::verdict::Judge;
use crate::capture::ipset::IpSetLook;
use crate::capture::looks::{Look, Looks, Wanted};
use crate::capture::{self};
use crate::model::ids::IpSetName;
use crate::model::observation::Request;
use crate::model::owner::{Attribution, Evidence};
use crate::model::process::Actor;
use crate::model::time::BootTime;

use super::super::ip_sets::{Blame, differences, is_torn};
use super::Recorder;

/// How often is looked without a request: members time out without a word, and packets add some; IPVS can be told things
/// in ways that no record is made of.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How soon after a look that failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Looks in a row that may catch a set on its way between two names.
const MAX_TORN: u32 = 3;
/// Processes whose request can explain one difference that are judged; with more, nobody is named.
const MAX_CANDIDATES: usize = 32;

/// What was ordered and what came.
#[derive(Debug)]
pub(super) struct LookState<K> {
    looks: Looks<K>,
    /// Number of the last order, and of the last answer.
    asked: u64,
    answered: u64,
    torn: u32,
    has_failed: bool,
    /// When everything was last compared in another way: looks that began before are older.
    pub(super) compared: BootTime,
    last: Instant,
}

impl<K: Ord> LookState<K> {
    pub(super) fn new(looks: Looks<K>) -> Self {
        Self { looks, asked: 0, answered: 0, torn: 0, has_failed: false, compared: BootTime(0), last: Instant::now() }
    }

    pub(super) fn ask(&mut self, wanted: Wanted<K>) {
        self.asked = self.looks.ask(wanted);
    }

    /// Whether an answer is due; the source is told to hurry then.
    pub(super) fn is_due(&self) -> bool {
        let is_due = self.asked > self.answered;
        if is_due {
            self.looks.hurry();
        }
        is_due
    }

    /// Looks at everything from time to time, if there `is_any`thing to look at.
    pub(super) fn ask_again(&mut self, is_any: impl FnOnce() -> bool) {
        let every = if self.has_failed { TRY_AGAIN } else { LOOK_EVERY };
        if self.last.elapsed() >= every && (self.has_failed || is_any()) {
            self.has_failed = false;
            self.last = Instant::now();
            self.ask(Wanted::All);
        }
    }

    /// Takes the answer to an order: what it found, unless it could not, or everything was compared since it began; then
    /// it is ordered anew.
    pub(super) fn answer<T>(&mut self, what: &str, look: Look<K, T>) -> Result<(Answer<K>, Vec<T>), Option<String>> {
        let Look { number, began, ended, wanted, found } = look;
        self.answered = self.answered.max(number);
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                warn!(%why, "{what} could not be listed, trying again");
                self.has_failed = true;
                return Err(Some(why));
            }
        };
        if began < self.compared {
            self.ask(wanted);
            return Err(None);
        }
        Ok((Answer { began, ended, wanted }, found))
    }
}

/// What a look was about, and when it was.
pub(super) struct Answer<K> {
    pub(super) began: BootTime,
    pub(super) ended: BootTime,
    pub(super) wanted: Wanted<K>,
}

impl Recorder {
    /// Notes a request that may change sets here.
    pub(super) fn ip_set_request(&mut self, request: &Request, actor: &Arc<Actor>) {
        if request.netns == self.surroundings.scope.netns && !request.ip_sets.is_empty() {
            let orders = request.ip_sets.clone();
            self.ip_set_requests.open(request.time, request.task.tid, orders, Arc::clone(actor));
        }
    }

    /// Looks at what a request touched, now that the kernel is done with it.
    pub(super) fn look_at(&mut self, touched: Option<Touched>) {
        match touched {
            None => {}
            Some(None) => self.looks.ask(Wanted::All),
            Some(Some(names)) => self.looks.ask(Wanted::Named(names)),
        }
    }

    /// Looks from time to time.
    pub(super) fn look_again(&mut self) {
        let world = &self.world;
        self.looks.ask_again(|| !world.ip_sets().is_empty());
        self.ipvs.looks.ask_again(|| world.has_ipvs() || capture::ipvs::is_loaded());
    }

    /// Records what a look found.
    pub(super) fn ip_sets(&mut self, look: IpSetLook) {
        let (Answer { began, ended, wanted }, sets) = match self.looks.answer("ip sets", look) {
            Ok(answer) => answer,
            Err(why) => return why.iter().for_each(|why| self.board.undecoded("ip set listing", why)),
        };
        // what was under one of these names may be under another by now
        let missing = self.moved_elsewhere(&wanted);
        if missing.is_some() || (is_torn(&self.ip_set_requests, &sets) && self.looks.torn < MAX_TORN) {
            debug!("an ip set was moved while it was looked at");
            self.looks.torn += 1;
            let again = if self.looks.torn < MAX_TORN { missing.unwrap_or_default() } else { BTreeSet::new() };
            self.looks.ask(if again.is_empty() { Wanted::All } else { wanted.and(Wanted::Named(again)) });
            return;
        }
        self.looks.torn = 0;
        let found = differences(&self.world, &self.ip_set_requests, &sets, |name| wanted.has(name), ended);
        for finding in found {
            let attribution = self.who_is_behind(finding.by, self.ip_set_requests.is_blind());
            self.apply(finding.effect, &attribution, None);
        }
        self.ip_set_requests.forget(began, |name| wanted.has(name), wanted == Wanted::All);
    }

    /// The names that requests connect with those of a look, when it was not at all of them.
    fn moved_elsewhere(&self, wanted: &Wanted<IpSetName>) -> Option<BTreeSet<IpSetName>> {
        let Wanted::Named(names) = wanted else { return None };
        let connected: BTreeSet<IpSetName> =
            names.iter().flat_map(|name| self.ip_set_requests.group(name, false)).collect();
        (connected != *names).then_some(connected)
    }

    /// The verdict on a difference, when nobody `is_blind` to a part of the requests.
    pub(super) fn who_is_behind(&mut self, by: Blame, is_blind: bool) -> Attribution {
        if is_blind {
            return Attribution::unknown(Evidence::RequestLost);
        }
        match by {
            Blame::Requests(candidates) => self.judge_candidates(candidates),
            Blame::Unclear => Attribution::unknown(Evidence::Ambiguous { candidates: 2 }),
            Blame::MayTimeOut => Judge::kernel_made("timed out"),
        }
    }

    /// The verdict on several requests any of which may be behind a difference: whose it is when all are one owner's.
    fn judge_candidates(&mut self, mut candidates: Vec<Candidate>) -> Attribution {
        candidates.dedup_by_key(|candidate| candidate.actor.image.id);
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        if candidates.len() > MAX_CANDIDATES {
            return Attribution::unknown(Evidence::Ambiguous { candidates: count });
        }
        let mut verdict: Option<Attribution> = None;
        for Candidate { actor, matched, .. } in candidates {
            let one = self.judge_actor(&actor, false, Evidence::RequestContent { matched });
            match &verdict {
                None => verdict = Some(one),
                Some(first) if first.owner() == one.owner() => {}
                Some(_) => return Attribution::unknown(Evidence::Ambiguous { candidates: count }),
            }
        }
        verdict.unwrap_or_else(|| Attribution::unknown(Evidence::NoRequest))
    }
}
