//! Mounts: what differs in the mount table since it was read last, and who asked for that.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribution::mounts::{Hints, MountAct, MountRequests};
use crate::attribution::requests::{Match, Window};
use crate::capture::mountinfo::MountLook;
use crate::capture::mounts::Mount;
use crate::model::mount::MountSubject;
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

use super::super::effects::Effect;
use super::Recorder;

/// What is kept between two looks.
#[derive(Debug)]
pub(super) struct MountState {
    pub(super) requests: MountRequests,
    /// When the table was read last.
    read: BootTime,
}

impl MountState {
    pub(super) fn new(requests: MountRequests) -> Self {
        Self { requests, read: BootTime(0) }
    }
}

impl Recorder {
    /// Records what a look shows.
    pub(super) fn mounts(&mut self, look: &MountLook, window: Window) {
        // also when there was nothing to read, the table was asked for changes at the window's begin
        let since = std::mem::replace(&mut self.mounts.read, look.read).max(window.after);
        let (effects, doubtful) = self.differing_mounts(look, since);
        let unnamed = |act| {
            let is_one = |(effect, its): &&(Effect, MountAct)| {
                *its == act && self.request_behind(&effect.subject, act, since, Hints::Paths) == Match::None
            };
            effects.iter().filter(is_one).count()
        };
        let acts = [MountAct::Appeared, MountAct::Changed, MountAct::Disappeared];
        // a call that names nothing did one thing: of several that nobody named it is not known which
        let lone: Vec<MountAct> = acts.into_iter().filter(|act| unnamed(*act) == 1).collect();
        for (effect, act) in effects {
            let hints = if lone.contains(&act) { Hints::All } else { Hints::Paths };
            let attribution = if doubtful.contains(&effect.subject) {
                Attribution::unknown(Evidence::Ambiguous { candidates: 2 })
            } else {
                let found = self.request_behind(&effect.subject, act, since, hints);
                self.judge_match(found, || Attribution::unknown(Evidence::NoRequest))
            };
            self.apply(effect, &attribution, None);
        }
    }

    /// What differs from what is known; second, the mounts that may be others than they look like.
    fn differing_mounts(&self, look: &MountLook, since: BootTime) -> (Vec<(Effect, MountAct)>, BTreeSet<Subject>) {
        let live: BTreeMap<Subject, Snapshot> = look.mounts.iter().map(Mount::object).collect();
        let (mut effects, mut doubtful, mut gone) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for subject in self.world.subjects(|subject| matches!(subject, Subject::Mount(_))) {
            let Some(tracked) = self.world.get(&subject) else { continue };
            if live.get(&subject).is_some_and(|now| !tracked.is_another(now)) {
                if !self.is_another_perhaps(&subject, since) {
                    continue;
                }
                doubtful.insert(subject.clone());
            }
            gone.insert(subject.clone());
            effects.push((Effect::removed(tracked.id, subject), MountAct::Disappeared));
        }
        for (subject, snapshot) in live {
            match self.world.get(&subject).filter(|_| !gone.contains(&subject)) {
                Some(known) if known.digest == snapshot.digest() => {}
                Some(known) => effects.push((Effect::changed(known.id, subject, snapshot), MountAct::Changed)),
                None => effects.push((Effect::created(subject, snapshot), MountAct::Appeared)),
            }
        }
        (effects, doubtful)
    }

    /// Whether a mount that looks like the known one may be another with its number: somebody unmounted there, and somebody
    /// mounted there, between two looks. With several at one place that may have been about another of them; nobody knows.
    fn is_another_perhaps(&self, subject: &Subject, since: BootTime) -> bool {
        let is_seen = |act| !matches!(self.request_behind(subject, act, since, Hints::All), Match::None | Match::Lost);
        is_seen(MountAct::Disappeared) && is_seen(MountAct::Appeared)
    }

    fn request_behind(&self, subject: &Subject, act: MountAct, since: BootTime, hints: Hints) -> Match {
        let Subject::Mount(MountSubject { path, .. }) = subject else { return Match::None };
        self.mounts.requests.behind(path, act, since, hints)
    }
}
