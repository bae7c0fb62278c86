//! Reconciliation: now and then what lives is held against the record, for what the kernel never tells.
//!
//! A table with the owner flag goes with its owner's socket, a set's element when its time is up; neither is announced.
//! Notifications that still wait in a queue are no differences. The ruleset carries a generation number: it is compared
//! when the record has caught up with the dump's. Links, routes and the like carry none: what differs is looked at again
//! when everything that was queued at the first look has been recorded, by an order that travels behind it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::attribution::verdict::Judge;
use crate::capture::{self, CaptureError};
use crate::model::change::ChangeKind;
use crate::model::gap::{GapReason, Source};
use crate::model::ids::ObjectId;
use crate::model::nft::NftSnapshot;
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::WallTime;

use super::super::command::Command;
use super::super::effects::Effect;
use super::Recorder;
use super::resync::{Differences, source_of};

/// When to reconcile, and what was found suspicious.
#[derive(Default)]
pub(super) struct Reconciliation {
    every: Option<Duration>,
    last: Option<(Instant, WallTime)>,
    is_ruleset_due: bool,
    /// Looks whose orders are on their way.
    looks: Vec<Look>,
}

impl Reconciliation {
    /// Whether records of a gap are still to come.
    pub(super) fn is_pending(&self) -> bool {
        !self.looks.is_empty()
    }
}

/// What differed at one look.
struct Look {
    source: Source,
    suspects: Vec<Suspect>,
    /// Everything before was as recorded.
    since: WallTime,
    /// Why records may be missing; `None` when nothing says so.
    reason: Option<GapReason>,
}

/// A difference that a notification on its way may explain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Suspect {
    /// Recorded as living, and not there.
    Gone(Subject, ObjectId),
    /// There, and not recorded so.
    New(Subject, Snapshot),
}

impl Recorder {
    /// Reconciles every so often from now on.
    #[must_use]
    pub fn reconciling(mut self, every: Option<Duration>) -> Self {
        self.reconciliation.every = every;
        self.reconciliation.last = Some((Instant::now(), WallTime::now()));
        self
    }

    /// Looks when it is time to.
    pub(super) fn reconcile(&mut self) {
        let Some(every) = self.reconciliation.every else { return };
        let last = self.reconciliation.last;
        if last.is_none_or(|(last, _)| last.elapsed() >= every) {
            self.reconciliation.last = Some((Instant::now(), WallTime::now()));
            self.reconciliation.is_ruleset_due = true;
            let since = last.map_or(self.recorded_until, |(_, time)| time);
            if let Err(error) = self.look(Source::Rtnetlink, since, None) {
                debug!(error = &error as &dyn std::error::Error, "cannot reconcile");
            }
        }
        if self.reconciliation.is_ruleset_due && self.open_commit.notifications.is_empty() {
            self.reconcile_ruleset();
        }
    }

    /// Compares the ruleset, if the record has caught up with it.
    fn reconcile_ruleset(&mut self) {
        let dump = match capture::nfnetlink::dump() {
            Ok(dump) => dump,
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "cannot reconcile the ruleset");
                self.reconciliation.is_ruleset_due = false;
                return;
            }
        };
        if dump.generation != self.generation {
            return; // the next turn brings what is on its way
        }
        self.reconciliation.is_ruleset_due = false;
        let gone = self.silently_gone(&dump.objects);
        let mut found = self.forget_gone(gone, &Evidence::Reconciled);
        if dump.undecoded.is_empty() {
            let more = self.compare(Source::Nftables, dump.objects, &Evidence::Reconciled);
            found.add(more);
        }
        let since = self.reconciliation.last.map_or(self.recorded_until, |(_, time)| time);
        self.conclude(Source::Nftables, found, since, None);
    }

    /// Takes down what lives otherwise than recorded, to be judged when all that is queued now has been recorded.
    ///
    /// # Errors
    /// When what lives cannot be read.
    pub(super) fn look(
        &mut self,
        source: Source,
        since: WallTime,
        reason: Option<GapReason>,
    ) -> Result<(), CaptureError> {
        let live: BTreeMap<Subject, Snapshot> = self.read_live(source)?.into_iter().collect();
        let is_missing = |subject: &Subject| source_of(subject) == Some(source) && !live.contains_key(subject);
        let gone = self.world.subjects(is_missing).into_iter();
        let mut suspects: Vec<Suspect> =
            gone.filter_map(|subject| Some(Suspect::Gone(subject.clone(), self.world.get(&subject)?.id))).collect();
        let new = live.into_iter().filter(|(subject, snapshot)| self.is_news(subject, snapshot));
        suspects.extend(new.map(|(subject, snapshot)| Suspect::New(subject, snapshot)));
        if suspects.is_empty() && reason.is_none() {
            return Ok(());
        }
        self.reconciliation.looks.push(Look { source, suspects, since, reason });
        self.surroundings.commands.send(Command::Settle);
        Ok(())
    }

    fn is_news(&self, subject: &Subject, live: &Snapshot) -> bool {
        self.world.get(subject).is_none_or(|known| known.digest != live.digest() || known.is_another(live))
    }

    /// Everything that was queued at the look is recorded: what still differs, and is still so, went or came without a
    /// word.
    pub(super) fn settle(&mut self) {
        if self.reconciliation.looks.is_empty() {
            return;
        }
        let Look { source, suspects, since, reason } = self.reconciliation.looks.remove(0);
        let live: BTreeMap<Subject, Snapshot> = match self.read_live(source) {
            Ok(live) => live.into_iter().collect(),
            Err(error) => {
                warn!(%source, error = &error as &dyn std::error::Error, "cannot compare the record with what lives");
                if let Some(reason) = reason {
                    self.lose(source, reason);
                }
                return;
            }
        };
        let mut gone = Vec::new();
        let mut new = Vec::new();
        for suspect in suspects {
            match suspect {
                Suspect::Gone(subject, id) => {
                    let is_same = self.world.get(&subject).is_some_and(|known| known.id == id);
                    if is_same && !live.contains_key(&subject) {
                        gone.push(subject);
                    }
                }
                Suspect::New(subject, then) => {
                    let now = live.get(&subject).filter(|now| is_still(&then, now));
                    if let Some(now) = now.filter(|now| self.is_news(&subject, now)) {
                        new.push((subject, now.clone()));
                    }
                }
            }
        }
        let why = reason.clone().map_or(Evidence::Reconciled, |reason| Evidence::Gap { reason });
        let mut found = self.forget_gone(gone, &why);
        found.add(self.take_new(new, &why));
        self.conclude(source, found, since, reason);
    }

    /// Recorded parts of the ruleset that are not there.
    fn silently_gone(&self, live: &[(Subject, Snapshot)]) -> Vec<Subject> {
        let alive: std::collections::BTreeSet<&Subject> = live.iter().map(|(subject, _)| subject).collect();
        self.world.subjects(|subject| source_of(subject) == Some(Source::Nftables) && !alive.contains(subject))
    }

    fn forget_gone(&mut self, gone: Vec<Subject>, why: &Evidence) -> Differences {
        let mut found = Differences::default();
        for subject in gone {
            let Some(known) = self.world.get(&subject) else { continue };
            let id = known.id;
            let who = match self.content(id) {
                Some(Snapshot::Nft(NftSnapshot::Element(element))) if element.has_timeout => {
                    Judge::kernel_made("its time was up").with(why.clone())
                }
                _ if *why == Evidence::Reconciled => Attribution::unknown(Evidence::NoRequest).with(why.clone()),
                _ => Attribution::unknown(why.clone()),
            };
            found.vanished += 1;
            self.apply(Effect::removed(id, subject), &who, None);
        }
        found
    }

    fn take_new(&mut self, new: Vec<(Subject, Snapshot)>, why: &Evidence) -> Differences {
        let mut found = Differences::default();
        for (subject, snapshot) in new {
            let known = self.world.get(&subject).map(|known| (known.id, known.is_another(&snapshot)));
            if let Some((id, false)) = known {
                found.changed += 1;
                let effect = Effect::changed(id, subject, snapshot);
                self.apply(effect, &Attribution::unknown(why.clone()), None);
                continue;
            }
            if let Some((id, true)) = known {
                found.vanished += 1;
                self.apply(Effect::removed(id, subject.clone()), &Attribution::unknown(why.clone()), None);
            }
            found.appeared += 1;
            let attribution = Judge::unseen(&subject, &snapshot, why.clone());
            let effect = Effect { kind: ChangeKind::Found, ..Effect::created(subject, snapshot) };
            self.apply(effect, &attribution, None);
        }
        found
    }

    /// The kernel removes without a word, but it makes nothing without one: that is a gap.
    fn conclude(&mut self, source: Source, found: Differences, since: WallTime, reason: Option<GapReason>) {
        let Differences { appeared, vanished, changed } = found;
        if reason.is_some() || found != Differences::default() {
            info!(%source, appeared, vanished, changed, "the record was held against what lives");
        }
        let is_unannounced = appeared + changed > 0;
        if let Some(reason) = reason.or(is_unannounced.then_some(GapReason::Unannounced { source })) {
            self.append_gap(found.gap(since, reason));
        }
    }
}

/// Whether what was seen at the first look is the thing that is there now; what is in a file may have changed.
fn is_still(then: &Snapshot, now: &Snapshot) -> bool {
    match (then, now) {
        (Snapshot::Path(then), Snapshot::Path(now)) => then.inode == now.inode,
        _ => then.digest() == now.digest(),
    }
}
