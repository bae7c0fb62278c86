//! nf_tables commits.

use std::collections::{HashMap, HashSet};

use crate::attribution::requests::{Match, Window};
use crate::decode::nft::DecodeReport;
use crate::lineage::Candidates;
use crate::model::change::ChangeKind;
use crate::model::gap::{GapReason, Source};
use crate::model::ids::{Generation, Handle, Tid};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::owner::{Attribution, Evidence};
use crate::model::subject::{Snapshot, Subject};

use super::super::effects::{self, Effect};
use super::Recorder;

/// The notifications of a commit that is not closed yet.
#[derive(Debug, Default)]
pub(super) struct OpenCommit {
    pub(super) notifications: Vec<(Subject, Option<Snapshot>)>,
    /// Low 16 bits of the generation the messages carry.
    generation_low: Option<u16>,
}

/// Highest handle given out in each table. Handles only grow while a table exists, so something that seems new and has
/// a lower one is not new: a chain that was renamed is announced under its new name only.
#[derive(Debug, Default)]
pub(super) struct HandleMarks(HashMap<TableRef, Handle>);

impl HandleMarks {
    /// The marks after a dump.
    pub(super) fn of(objects: &[(Subject, Snapshot)]) -> Self {
        let mut marks = Self::default();
        objects.iter().for_each(|(subject, snapshot)| marks.see(subject, Some(snapshot)));
        marks
    }

    /// Forgets tables that a commit removes; one that it makes anew under the same name counts from the start.
    fn forget_removed(&mut self, notifications: &[(Subject, Option<Snapshot>)]) {
        for (subject, after) in notifications {
            if let (Subject::Nft(NftSubject { table, item: NftItem::Table }), None) = (subject, after) {
                self.0.remove(table);
            }
        }
    }

    /// Takes note of what a notification tells.
    fn see(&mut self, subject: &Subject, after: Option<&Snapshot>) {
        let Subject::Nft(NftSubject { table, item }) = subject else { return };
        match (item, after) {
            // its handles start anew with the next table of the name
            (NftItem::Table, _) => {
                self.0.remove(table);
            }
            (_, Some(after)) => {
                if let Some(handle) = handle_in_table(item, after) {
                    let mark = self.0.entry(table.clone()).or_default();
                    *mark = (*mark).max(handle);
                }
            }
            (_, None) => {}
        }
    }

    pub(super) fn is_old(&self, table: &TableRef, handle: Handle) -> bool {
        self.0.get(table).is_some_and(|mark| handle <= *mark)
    }
}

fn handle_in_table(item: &NftItem, after: &Snapshot) -> Option<Handle> {
    match (item, after) {
        (NftItem::Rule { handle, .. }, _) => Some(*handle),
        (_, Snapshot::Nft(nft)) => nft.handle(),
        _ => None,
    }
}

impl Recorder {
    /// Looks at a datagram before its observations: one that is not understood, or that belongs to another commit than
    /// the open one, means that something was missed.
    pub(super) fn begin_datagram(&mut self, report: &DecodeReport) {
        for message in &report.undecoded {
            self.board.undecoded("nf_tables message", &message.reason.to_string());
            self.lose(Source::Nftables, GapReason::Undecoded { source: Source::Nftables });
        }
        let Some(low) = report.generation_low else { return };
        match self.open_commit.generation_low {
            Some(open) if open != low && !self.open_commit.notifications.is_empty() => {
                // the message that closes the open commit was lost
                self.open_commit = OpenCommit::default();
                self.lose(Source::Nftables, GapReason::Overrun { source: Source::Nftables });
            }
            _ => {}
        }
        self.open_commit.generation_low = Some(low);
    }

    /// Closes the commit to which the notifications since the last one belong.
    pub(super) fn committed(&mut self, generation: Generation, tid: Option<Tid>, comm: Option<String>, window: Window) {
        let OpenCommit { notifications, generation_low: _ } = std::mem::take(&mut self.open_commit);
        if self.has_overrun(Source::Nftables) {
            return; // half a rewrite looks like new rules: what lives is about to be read
        }
        let expected = Generation(self.generation.0.wrapping_add(1));
        // A dump can be ahead of the notifications that were queued while it was made.
        let is_news = generation.0.wrapping_sub(self.generation.0).cast_signed() > 0;
        if is_news && generation != expected && self.generation != Generation(0) {
            let reason = GapReason::GenerationSkipped { from: self.generation.0, to: generation.0 };
            self.resync(Source::Nftables, reason);
            return;
        }
        if is_news {
            self.generation = generation;
            self.handles.forget_removed(&notifications);
        }
        if is_news {
            self.forget_vanished(&notifications);
        }
        let effects = effects::of_transaction(&self.world, notifications);
        let (effects, renamed) = if is_news { self.follow_renames(effects) } else { (effects, Vec::new()) };
        if is_news && effects.iter().any(|effect| self.is_partial(effect)) {
            self.resync(Source::Nftables, GapReason::Partial { source: Source::Nftables });
            return;
        }
        if effects.is_empty() {
            return;
        }
        let attribution = self.who_committed(generation, tid, comm, window);
        for effect in effects {
            self.handles.see(&effect.subject, effect.after.as_ref());
            self.apply(effect, &attribution, Some(generation));
        }
        self.follow_jumps(&renamed, &attribution, generation);
    }

    /// A table with the owner flag goes without a notification when its owner's socket closes, and so does an element
    /// that times out. What is announced under such a name is another thing, by whoever announces it.
    fn forget_vanished(&mut self, notifications: &[(Subject, Option<Snapshot>)]) {
        let mut removed: HashSet<&Subject> = HashSet::new();
        let mut gone: Vec<Subject> = Vec::new();
        for (subject, after) in notifications {
            let Subject::Nft(NftSubject { table, item }) = subject else { continue };
            let Some(after) = after else {
                removed.insert(subject);
                continue;
            };
            let Some(known) = self.world.get(subject).filter(|_| !removed.contains(subject)) else { continue };
            let holder = |item| Subject::Nft(NftSubject { table: table.clone(), item });
            match (item, after) {
                (NftItem::Table, _) if known.is_another(after) => {
                    gone.extend(self.world.in_table(table));
                    gone.push(subject.clone());
                }
                (NftItem::Element { set, .. }, Snapshot::Nft(NftSnapshot::Element(element)))
                    if element.has_timeout
                        && !removed.contains(&holder(NftItem::Set(set.clone())))
                        && !removed.contains(&holder(NftItem::Table)) =>
                {
                    gone.push(subject.clone());
                }
                _ => {}
            }
        }
        for subject in gone {
            if let Some(effect) = effects::of_one(&self.world, subject, None) {
                self.apply(effect, &Attribution::unknown(Evidence::NoRequest), None);
            }
        }
    }

    /// Whether a notification does not tell all that changed: a renamed chain's rules move with it unannounced, and a
    /// chain that gains a device is announced with that device alone.
    fn is_partial(&self, effect: &Effect) -> bool {
        let (
            Subject::Nft(NftSubject { table, item: NftItem::Chain(_) }),
            Some(Snapshot::Nft(NftSnapshot::Chain(chain))),
        ) = (&effect.subject, &effect.after)
        else {
            return false;
        };
        match effect.kind {
            ChangeKind::Created => self.handles.is_old(table, chain.handle),
            ChangeKind::Changed => chain.base.as_ref().is_some_and(|base| base.device.is_some()),
            ChangeKind::Found | ChangeKind::Rewritten | ChangeKind::Removed => false,
        }
    }

    /// The commit names a thread; its request is the second witness.
    fn who_committed(
        &mut self,
        generation: Generation,
        tid: Option<Tid>,
        comm: Option<String>,
        window: Window,
    ) -> Attribution {
        let Some(tid) = tid else {
            return Attribution::unknown(Evidence::NoOwnerRule {
                lineage: format!("a commit without a thread, comm {}", comm.unwrap_or_default()),
            });
        };
        let netns = self.surroundings.scope.netns;
        let evidence = Evidence::CommitThread { generation: generation.0, tid: tid.0 };
        match self.requests.committed_by(tid, generation.0, netns, window) {
            Match::None => match self.lineage.thread_at(tid, window.after, window.before) {
                Candidates::One(actor) => self.judge_actor(&actor, false, evidence),
                Candidates::Images(actors) => self.judge_images(&actors, false, evidence),
                Candidates::Many(actors) => self.judge_one_of(&actors.iter().collect::<Vec<_>>(), evidence),
                Candidates::None => Attribution::unknown(evidence),
            },
            found => self.judge_match(found, || Attribution::unknown(evidence)),
        }
    }
}
