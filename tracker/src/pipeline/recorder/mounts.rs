//! Mounts: what differs in the mount table since it was read last, and who asked for that.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribution::mounts::{MountAct, MountRequests};
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
        let live: BTreeMap<Subject, Snapshot> = look.mounts.iter().map(Mount::object).collect();
        let mut doubtful = BTreeSet::new();
        let known = self.world.subjects(|subject| matches!(subject, Subject::Mount(_)));
        for subject in known {
            let Some(tracked) = self.world.get(&subject) else { continue };
            let now = live.get(&subject);
            if now.is_some_and(|now| !tracked.is_another(now)) {
                if !self.is_another_perhaps(&subject, since) {
                    continue;
                }
                doubtful.insert(subject.clone());
            }
            let effect = Effect::removed(tracked.id, subject.clone());
            let attribution = match doubtful.contains(&subject) {
                true => Attribution::unknown(Evidence::Ambiguous { candidates: 2 }),
                false => self.who_mounted(&subject, MountAct::Disappeared, since),
            };
            self.apply(effect, &attribution, None);
        }
        for (subject, snapshot) in live {
            let (effect, act) = match self.world.get(&subject) {
                Some(known) if known.digest == snapshot.digest() => continue,
                Some(known) => (Effect::changed(known.id, subject.clone(), snapshot), MountAct::Changed),
                None => (Effect::created(subject.clone(), snapshot), MountAct::Appeared),
            };
            let attribution = match doubtful.contains(&subject) {
                true => Attribution::unknown(Evidence::Ambiguous { candidates: 2 }),
                false => self.who_mounted(&subject, act, since),
            };
            self.apply(effect, &attribution, None);
        }
    }

    /// Whether a mount that looks like the known one may be another with its number: somebody unmounted there, and somebody
    /// mounted there, between two looks. With several at one place that may have been about another of them; nobody knows.
    fn is_another_perhaps(&self, subject: &Subject, since: BootTime) -> bool {
        let Subject::Mount(MountSubject { path, .. }) = subject else { return false };
        let is_seen = |act| !matches!(self.mounts.requests.behind(path, act, since), Match::None | Match::Lost);
        is_seen(MountAct::Disappeared) && is_seen(MountAct::Appeared)
    }

    fn who_mounted(&mut self, subject: &Subject, act: MountAct, since: BootTime) -> Attribution {
        let Subject::Mount(MountSubject { path, .. }) = subject else {
            return Attribution::unknown(Evidence::NoRequest);
        };
        let found = self.mounts.requests.behind(path, act, since);
        self.judge_match(found, || Attribution::unknown(Evidence::NoRequest))
    }
}
