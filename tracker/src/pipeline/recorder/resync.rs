//! Baseline and resync: what lives is read from the kernel, compared with what is known, and every difference is
//! recorded as found in a gap, with nobody seen doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use tracing::{debug, info, warn};

use crate::attribution::verdict::Judge;
use crate::capture::{self, CaptureError};
use crate::decode;
use crate::journal::{JournalError, ObjectFilter};
use crate::model::change::ChangeKind;
use crate::model::gap::{Gap, GapReason, Source};
use crate::model::ipset::IpSetSubject;
use crate::model::legacy::LegacyContent;
use crate::model::nft::{NftItem, NftSubject};
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::{BootTime, WallTime};

use super::super::capture_loop::Batch;
use super::super::effects::Effect;
use super::super::legacy::outline::Difference;
use super::super::world::Tracked;
use super::Recorder;
use super::nft::{HandleMarks, OpenCommit};

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub(super) appeared: u64,
    pub(super) vanished: u64,
    pub(super) changed: u64,
}

impl Differences {
    /// Counts what a legacy table's difference is.
    pub(super) fn count(&mut self, difference: &Difference) {
        match difference {
            Difference::Added(..) => self.appeared += 1,
            Difference::Removed(_) => self.vanished += 1,
            Difference::Policy(..) | Difference::Ending(..) | Difference::Moved { .. } => self.changed += 1,
        }
    }

    /// Counts more of them.
    pub(super) fn add(&mut self, more: Self) {
        let Self { appeared, vanished, changed } = more;
        self.appeared += appeared;
        self.vanished += vanished;
        self.changed += changed;
    }

    /// The gap in which they were found; it ends now.
    pub(super) fn gap(self, from: WallTime, reason: GapReason) -> Gap {
        let Self { appeared, vanished, changed } = self;
        Gap { from, to: WallTime::now(), from_boot: Some(BootTime::now()), reason, appeared, vanished, changed }
    }
}

/// A recorder that could not start.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// What lives could not be read.
    #[error("cannot read what lives on this node")]
    Capture(#[from] CaptureError),
    /// The journal failed.
    #[error("cannot record what lives on this node")]
    Journal(#[from] JournalError),
}

impl Recorder {
    /// Compares what the journal knows with what lives, after the sources were attached and before the first batch.
    ///
    /// `meanwhile` is what the queues of a former tracker hold. It is recorded first; when what lives is then what is
    /// known, nothing was missed and there is no gap.
    ///
    /// # Errors
    /// [`BaselineError`] when the kernel cannot be read or the journal not be written.
    pub fn baseline(&mut self, journal_was_lost: bool, meanwhile: Option<Batch>) -> Result<(), BaselineError> {
        let scope = self.surroundings.scope;
        let last_alive = self.journal.last_alive()?;
        let began = WallTime::now();
        self.journal.begin(scope, began)?;
        self.board.publish();
        self.load_known()?;
        let reason = match (last_alive, journal_was_lost) {
            (_, true) => Some(GapReason::JournalLost),
            (Some(_), false) => Some(GapReason::TrackerDown),
            (None, false) => None,
        };
        let evidence = match &reason {
            Some(reason) => Evidence::Gap { reason: reason.clone() },
            None => Evidence::Baseline,
        };
        let is_resumed = meanwhile.is_some();
        if let Some(batch) = meanwhile {
            info!(records = batch.records.len(), "recording what happened since the last tracker");
            self.take(batch);
        }
        let all = self.compare_all(&evidence)?;
        info!(known = self.world.len(), appeared = all.appeared, vanished = all.vanished, "baseline read");
        let is_seamless = is_resumed && reason == Some(GapReason::TrackerDown) && all == Differences::default();
        if let Some(reason) = reason.filter(|_| !is_seamless) {
            self.gaps.push(all.gap(last_alive.unwrap_or(began), reason));
        }
        self.write()?;
        self.recorded_until = WallTime::now();
        self.journal.heartbeat(self.recorded_until)?;
        self.journal.flush()?;
        Ok(())
    }

    /// The objects that the journal holds for this boot and network namespace, paths of any.
    pub(super) fn load_known(&mut self) -> Result<(), JournalError> {
        let filter = ObjectFilter { scope: Some(self.surroundings.scope), ..ObjectFilter::default() };
        let (world, originals) = (&mut self.world, &mut self.originals);
        let ledger = &mut self.legacy.ledger;
        ledger.forget_known();
        self.journal.visit(&filter, &mut |object| {
            originals.know(&object.subject, &object.snapshot);
            Self::remember_legacy(ledger, &object);
            world.insert(object.subject, Tracked::of(object.id, &object.snapshot));
            ControlFlow::Continue(())
        })
    }

    /// Compares everything that lives with what is known.
    pub(super) fn compare_all(&mut self, evidence: &Evidence) -> Result<Differences, CaptureError> {
        let mut all = Differences::default();
        for source in [
            Source::Rtnetlink,
            Source::Nftables,
            Source::Fanotify,
            Source::IpSets,
            Source::Ipvs,
            Source::Legacy,
            Source::Mounts,
        ] {
            let live = self.read_live(source)?;
            all.add(self.compare(source, live, evidence));
        }
        self.compare_sysctls(evidence);
        Ok(all)
    }

    /// Notes that a stream lost records. One look at what lives answers all that was lost before it.
    pub(super) fn lose(&mut self, source: Source, reason: GapReason) {
        match self.lost.iter_mut().find(|(known, _)| *known == source) {
            Some((_, GapReason::RingFull { lost, .. })) => {
                if let GapReason::RingFull { lost: more, .. } = reason {
                    *lost += more;
                }
            }
            Some(_) => {}
            None => self.lost.push((source, reason)),
        }
    }

    /// Whether a queue overran and what lives has not been read since.
    pub(super) fn has_overrun(&self, source: Source) -> bool {
        self.lost.contains(&(source, GapReason::Overrun { source }))
    }

    /// Reads anew what lost streams may have hidden, and records the gap.
    pub(super) fn resync_lost(&mut self) {
        for (source, reason) in std::mem::take(&mut self.lost) {
            match source {
                Source::Nftables | Source::IpSets | Source::Ipvs | Source::Legacy | Source::Mounts => {
                    self.resync(source, reason);
                }
                Source::Rtnetlink | Source::Fanotify => self.look_after_loss(source, reason),
                Source::Sysctls => {
                    self.compare_sysctls(&Evidence::Gap { reason: reason.clone() });
                    self.append_gap(Differences::default().gap(self.recorded_until, reason));
                }
                // Who did it is lost, not what was done: nothing to read anew.
                Source::Processes | Source::Requests => {
                    self.append_gap(Differences::default().gap(self.recorded_until, reason));
                }
            }
        }
    }

    /// What lives is ahead of what is queued: a look now would find things of which the makers are about to be told.
    fn look_after_loss(&mut self, source: Source, reason: GapReason) {
        if let Err(error) = self.look(source, self.recorded_until, Some(reason.clone())) {
            warn!(%source, error = &error as &dyn std::error::Error, "cannot resynchronise, trying again");
            self.lose(source, reason);
        }
    }

    pub(super) fn resync(&mut self, source: Source, reason: GapReason) {
        match self.read_live(source) {
            Ok(live) => {
                let found = self.compare(source, live, &Evidence::Gap { reason: reason.clone() });
                warn!(%source, %reason, appeared = found.appeared, vanished = found.vanished, "resynchronised after a gap");
                self.append_gap(found.gap(self.recorded_until, reason));
            }
            Err(error) => {
                warn!(%source, error = &error as &dyn std::error::Error, "cannot resynchronise, trying again");
                self.lose(source, reason);
            }
        }
    }

    pub(super) fn read_live(&mut self, source: Source) -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
        match source {
            Source::Nftables => {
                let dump = capture::nfnetlink::dump()?;
                // The rest of an interrupted commit is in the dump; its notifications are no news then.
                self.open_commit = OpenCommit::default();
                self.generation = dump.generation;
                self.handles = HandleMarks::of(&dump.objects);
                Ok(dump.objects)
            }
            Source::Rtnetlink => {
                let mut live = capture::rtnetlink::dump()?;
                let names: BTreeMap<_, _> = live
                    .iter()
                    .filter_map(|(subject, snapshot)| match (subject, snapshot) {
                        (Subject::Link(ifindex), Snapshot::Link(link)) => Some((*ifindex, link.name.clone())),
                        _ => None,
                    })
                    .collect();
                for (_, snapshot) in &mut live {
                    decode::rtnl::fill_names(snapshot, |ifindex| names.get(&ifindex).cloned());
                }
                Ok(live)
            }
            Source::Fanotify => {
                let scan = capture::scan::scan(&self.surroundings.roots, self.surroundings.scan_limit)?;
                if scan.truncated {
                    warn!(limit = self.surroundings.scan_limit, "more paths than `max_paths`: the rest is not known");
                }
                for (path, why) in &scan.skipped {
                    debug!(%path, %why, "not looked into");
                }
                Ok(scan.objects)
            }
            Source::IpSets => {
                let live = capture::ipset::dump()?;
                // looks that are under way are older
                self.looks.compared = BootTime::now();
                Ok(live)
            }
            Source::Ipvs => {
                let live = capture::ipvs::dump()?;
                self.ipvs.looks.compared = BootTime::now();
                Ok(live)
            }
            Source::Legacy => {
                let began = BootTime::now();
                let contents = capture::legacy::contents()?;
                self.legacy.read = Some((began, BootTime::now(), contents.clone()));
                let objects = contents.into_iter().flat_map(LegacyContent::into_objects);
                Ok(objects.map(|(subject, content)| (Subject::Legacy(subject), Snapshot::Legacy(content))).collect())
            }
            Source::Mounts => {
                let mounts = capture::mounts::mounts()?;
                Ok(mounts.iter().map(capture::mounts::Mount::object).collect())
            }
            // compared by their values: see `compare_sysctls`
            Source::Sysctls | Source::Processes | Source::Requests => Ok(Vec::new()),
        }
    }

    pub(super) fn compare(
        &mut self,
        source: Source,
        live: Vec<(Subject, Snapshot)>,
        evidence: &Evidence,
    ) -> Differences {
        let found = self.compare_objects(source, live, evidence);
        if let Some((began, ended, contents)) = self.legacy.read.take() {
            self.legacy.ledger.start_over(began, ended, &contents);
        }
        found
    }

    fn compare_objects(&mut self, source: Source, live: Vec<(Subject, Snapshot)>, evidence: &Evidence) -> Differences {
        let mut found = Differences::default();
        let recreated = self.recreated(&live);
        let alive: BTreeSet<&Subject> = live.iter().map(|(subject, _)| subject).collect();
        let gone = self.world.subjects(|subject| {
            source_of(subject) == Some(source) && (!alive.contains(subject) || is_recreated(subject, &recreated))
        });
        for subject in gone {
            let Some(known) = self.world.get(&subject) else { continue };
            found.vanished += 1;
            let effect = Effect::removed(known.id, subject);
            self.apply(effect, &Attribution::unknown(evidence.clone()), None);
        }
        for (subject, snapshot) in live {
            match self.world.get(&subject) {
                Some(known) if known.digest == snapshot.digest() => {}
                Some(known) => {
                    found.changed += 1;
                    let snapshot = self.with_policies(&subject, snapshot);
                    let effect = Effect::changed(known.id, subject, snapshot);
                    self.apply(effect, &Attribution::unknown(evidence.clone()), None);
                }
                None => {
                    found.appeared += 1;
                    let attribution = Judge::unseen(&subject, &snapshot, evidence.clone());
                    let effect = Effect { kind: ChangeKind::Found, ..Effect::created(subject, snapshot) };
                    self.apply(effect, &attribution, None);
                }
            }
        }
        found
    }

    /// What has the name of something known and is another thing: nobody saw who made it.
    fn recreated(&self, live: &[(Subject, Snapshot)]) -> BTreeSet<Subject> {
        let is_another = |(subject, snapshot): &&(Subject, Snapshot)| {
            self.world.get(subject).is_some_and(|k| k.is_another(snapshot))
        };
        live.iter().filter(is_another).map(|(subject, _)| subject.clone()).collect()
    }
}

/// Whether a thing, or the table or set it is in, was made anew. Handles start anew with a table, elements have none.
fn is_recreated(subject: &Subject, recreated: &BTreeSet<Subject>) -> bool {
    if recreated.contains(subject) {
        return true;
    }
    if let Subject::IpSet(member) = subject {
        return recreated.contains(&Subject::IpSet(IpSetSubject::set(member.set.clone())));
    }
    let Subject::Nft(NftSubject { table, item }) = subject else { return false };
    let is_one = |item| recreated.contains(&Subject::Nft(NftSubject { table: table.clone(), item }));
    match item {
        NftItem::Element { set, .. } => is_one(NftItem::Set(set.clone())) || is_one(NftItem::Table),
        _ => is_one(NftItem::Table),
    }
}

/// The stream that reports a subject; `None` for what no stream reports.
pub(super) fn source_of(subject: &Subject) -> Option<Source> {
    match subject {
        Subject::Nft(_) => Some(Source::Nftables),
        Subject::Xtables { .. } => None,
        Subject::Link(_) | Subject::Address(_) | Subject::Route(_) | Subject::IpRule(_) => Some(Source::Rtnetlink),
        Subject::Qdisc(_) | Subject::TrafficClass(_) | Subject::Filter(_) | Subject::Neighbour(_) => {
            Some(Source::Rtnetlink)
        }
        Subject::Path(_) => Some(Source::Fanotify),
        Subject::Legacy(_) => Some(Source::Legacy),
        Subject::IpSet(_) => Some(Source::IpSets),
        Subject::Ipvs(_) => Some(Source::Ipvs),
        Subject::Mount(_) => Some(Source::Mounts),
        // always there, whatever is set
        Subject::Sysctl(_) => None,
    }
}
