//! Keeping: changes and gaps go to the journal, wait for one that fails, and are given up for a gap when they cannot.

use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::journal::JournalError;
use crate::model::gap::{Gap, GapReason};
use crate::model::owner::Evidence;
use crate::model::time::WallTime;

use super::Recorder;

/// Changes that may wait for a journal that fails. Beyond that they are given up, and what lives is compared once the
/// journal works again: memory is bounded, and a gap says what is missing.
const MAX_WAITING: usize = 65_536;
/// Changes handed over in one piece: the store needs memory by the piece.
const AT_ONCE: usize = 1024;
/// How often a journal that failed is tried again without anybody waiting for it.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Recorder {
    /// Hands what waits to the journal and tells whoever follows the log.
    pub(super) fn commit(&mut self) {
        let is_waiting = self.failed_at.is_some_and(|failed| failed.elapsed() < TRY_AGAIN);
        if !is_waiting || self.changes.len() > MAX_WAITING {
            // reported where it failed; it is tried again
            let _ = self.write();
        }
    }

    /// Hands what waits to the journal.
    ///
    /// # Errors
    /// [`JournalError`] when the journal does not have it all.
    pub(super) fn write(&mut self) -> Result<(), JournalError> {
        self.rebuild()?;
        if self.changes.is_empty() && self.gaps.is_empty() {
            return Ok(());
        }
        let written = self.append_waiting();
        match &written {
            Ok(()) => self.failed_at = None,
            Err(error) => {
                self.journal_failed("append", error);
                // contradictions do not go away by trying again
                let is_hopeless = matches!(error, JournalError::Inconsistent { .. });
                if is_hopeless || self.changes.len() > MAX_WAITING {
                    self.give_up(0);
                }
            }
        }
        written
    }

    fn append_waiting(&mut self) -> Result<(), JournalError> {
        let mut waiting = std::mem::take(&mut self.changes);
        let mut kept = 0;
        let mut most = AT_ONCE;
        while kept < waiting.len() {
            let end = waiting.len().min(kept.saturating_add(most));
            // a copy stays here until the journal has them
            match self.journal.append(waiting[kept..end].to_vec()) {
                Ok(_) => kept = end,
                // names that change hands across the cut: all of it at once is the whole truth
                Err(JournalError::Inconsistent { .. }) if end < waiting.len() => most = usize::MAX,
                Err(error) => {
                    self.changes = waiting.split_off(kept);
                    return Err(error);
                }
            }
        }
        while let Some(gap) = self.gaps.first() {
            self.journal.append_gap(gap.clone())?;
            self.gaps.remove(0);
        }
        self.board.publish();
        self.journal.heartbeat(WallTime::now())
    }

    /// Records a gap, behind the changes that were found in it.
    pub(super) fn append_gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
        self.commit();
    }

    /// Whether the journal has everything that was observed.
    pub(super) fn is_kept(&self) -> bool {
        self.changes.is_empty() && self.gaps.is_empty() && self.given_up.is_none()
    }

    /// Says that the journal failed. One that went back to what was durable knows less than we told it.
    pub(super) fn journal_failed(&mut self, operation: &'static str, error: &JournalError) {
        if self.failed_at.is_none() {
            error!(%operation, error = error as &dyn std::error::Error, "the journal failed");
        }
        self.failed_at = Some(Instant::now());
        self.board.journal_failed(operation, error);
        if let JournalError::RolledBack { entries } = error {
            self.give_up(*entries);
        }
    }

    /// Gives up what waits, besides `lost` entries that the journal lost: what lives must be compared.
    fn give_up(&mut self, lost: u64) {
        let waiting = std::mem::take(&mut self.changes).len() as u64;
        self.gaps.clear();
        *self.given_up.get_or_insert(0) += waiting + lost;
    }

    /// After changes were given up: starts over from what the journal has, compares it with what lives, and records the
    /// gap.
    fn rebuild(&mut self) -> Result<(), JournalError> {
        let Some(lost) = self.given_up else { return Ok(()) };
        self.start_over().inspect_err(|error| self.journal_failed("start over", error))?;
        warn!(lost, "the journal works again after changes were given up");
        let reason = GapReason::JournalFailed { lost };
        self.given_up = None;
        match self.compare_all(&Evidence::Gap { reason: reason.clone() }) {
            Ok(found) => {
                self.gaps.push(found.gap(self.recorded_until, reason));
                Ok(())
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot read what lives, trying again");
                self.changes.clear();
                self.given_up = Some(lost);
                Err(JournalError::Behind { changes: lost })
            }
        }
    }

    /// Forgets everything that was learnt of objects and reads them from the journal.
    fn start_over(&mut self) -> Result<(), JournalError> {
        // shows a journal that still fails before anything costly is done
        self.journal.heartbeat(self.recorded_until)?;
        self.journal.flush()?;
        self.world = super::World::default();
        self.changes.clear();
        self.moved.clear();
        self.own_actors.clear();
        // numbers of actors that the journal lost are given out again
        self.judge.forget();
        self.load_known()
    }
}
