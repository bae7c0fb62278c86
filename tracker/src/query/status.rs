//! What the journal alone can say about the tracker.

use std::path::Path;

use crate::control::api::{JournalView, StatusView, TrackerState};
use crate::journal::{JournalError, ObjectFilter, Read, Stats};

use super::list::summary;
use super::log::gaps;

/// The status when no tracker runs.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn stopped_status(journal: &dyn Read, directory: &Path) -> Result<StatusView, JournalError> {
    let scope = journal.scope()?;
    let Stats { entries, live_objects, removed_objects, bytes_on_disk } = journal.stats()?;
    let mut gaps = gaps(journal)?;
    let (owners, rules) = summary(journal, &ObjectFilter::default())?;
    Ok(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: TrackerState::Stopped,
        boot: scope.map(|scope| scope.boot.to_string()),
        netns: scope.map(|scope| scope.netns),
        uptime_seconds: None,
        last_alive: journal.last_alive()?.map(Into::into),
        journal: JournalView {
            directory: directory.display().to_string(),
            entries,
            live_objects,
            removed_objects,
            bytes_on_disk,
            set_aside: None,
        },
        sources: Vec::new(),
        self_test: Vec::new(),
        bpf: Vec::new(),
        losses: Vec::new(),
        gaps: gaps.len() as u64,
        last_gap: gaps.pop(),
        owners,
        rules,
    })
}
