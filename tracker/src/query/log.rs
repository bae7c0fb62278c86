//! What happened, in order; and the gaps in it.

use std::collections::VecDeque;

use crate::control::api::{ChangeEvent, EventDetail, EventView, GapView, LogView, OperationEvent};
use crate::journal::{Entry, JournalError, Read, RecordedEntry};
use crate::model::change::{Change, RecordedChange};
use crate::model::gap::{Gap, GapReason};
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::operation::Operation;
use crate::model::owner::Owner;
use crate::model::subject::{Class, Snapshot, Subject, describe};
use crate::model::time::WallTime;

use super::actor::Actors;
use super::content::content_text;
use super::operation::state_word;

/// Entries read at a time.
const CHUNK: usize = 1_000;

/// Which entries pass. Gaps and starts pass unless one object is asked about: they say what may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only what this owner, or one below it, did or had done to its objects.
    pub owner: Option<Owner>,
    /// Only changes of these objects; of all when there is none here.
    pub objects: Vec<ObjectId>,
    /// Only changes of objects of these classes; of all when there is none here.
    pub classes: Vec<Class>,
    /// Only from this moment on.
    pub since: Option<WallTime>,
    /// Only up to this moment.
    pub until: Option<WallTime>,
}

impl EventFilter {
    fn accepts(&self, journal: &dyn Read, entry: &Entry) -> Result<bool, JournalError> {
        let time = entry_time(entry);
        if self.since.is_some_and(|since| time < since) || self.until.is_some_and(|until| time > until) {
            return Ok(false);
        }
        match entry {
            Entry::Change(change) => self.accepts_change(journal, change),
            Entry::Started { .. } | Entry::Gap(_) => Ok(self.objects.is_empty()),
            Entry::Operation(Operation { kind, .. }) => {
                let of = kind.owner();
                Ok(self.objects.is_empty()
                    && self.classes.is_empty()
                    && self.owner.as_ref().is_none_or(|owner| of.is_within(owner) || owner.is_within(of)))
            }
        }
    }

    fn accepts_change(&self, journal: &dyn Read, change: &Change) -> Result<bool, JournalError> {
        if !self.objects.is_empty() && !self.objects.contains(&change.object) {
            return Ok(false);
        }
        if !self.classes.is_empty() && !self.classes.contains(&class_of(journal, change)?) {
            return Ok(false);
        }
        let Some(owner) = &self.owner else { return Ok(true) };
        if change.deed.attribution.owner().is_within(owner) {
            return Ok(true);
        }
        Ok(journal.object(change.object)?.is_some_and(|object| object.owner().is_within(owner)))
    }
}

/// A removal carries no content, which tells a directory from a file.
fn class_of(journal: &dyn Read, change: &Change) -> Result<Class, JournalError> {
    match (&change.after, &change.subject) {
        (Some(after), subject) => Ok(Class::of(subject, after)),
        (None, subject @ Subject::Path(_)) => {
            let known = journal.object(change.object)?;
            Ok(known.map_or_else(|| Class::of(subject, &Snapshot::Xtables), |object| object.class()))
        }
        (None, subject) => Ok(Class::of(subject, &Snapshot::Xtables)),
    }
}

/// When an entry's content happened; a gap when it ended.
fn entry_time(entry: &Entry) -> WallTime {
    match entry {
        Entry::Started { time, .. } => *time,
        Entry::Change(change) => change.deed.time,
        Entry::Gap(gap) => gap.to,
        Entry::Operation(operation) => operation.ended.unwrap_or(operation.begun),
    }
}

/// The newest entries that pass, newest last, at most `limit`.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn log(journal: &dyn Read, filter: &EventFilter, limit: usize) -> Result<LogView, JournalError> {
    let mut chunk = journal.last_entries(CHUNK)?;
    let next = EntrySeq(chunk.last().map_or(0, |entry| entry.seq.0 + 1));
    let mut actors = Actors::new(journal);
    if !filter.objects.is_empty() {
        return Ok(LogView { events: objects_log(journal, filter, limit, &mut actors)?, next });
    }
    let mut events = VecDeque::new();
    'reading: loop {
        for recorded in chunk.iter().rev() {
            if events.len() >= limit {
                break 'reading;
            }
            if filter.accepts(journal, &recorded.entry)? {
                events.push_front(event_view(recorded, &mut actors)?);
            }
        }
        // wall time may jump, so one old entry does not end the search; a whole chunk of them does
        let is_too_old = filter.since.is_some_and(|since| chunk.iter().all(|entry| entry_time(&entry.entry) < since));
        let Some(first) = chunk.first().map(|entry| entry.seq).filter(|_| !is_too_old) else { break };
        chunk = before(journal, first)?;
    }
    Ok(LogView { events: events.into(), next })
}

/// The newest changes of some objects that pass; an object's history is kept together, so nothing is searched.
fn objects_log(
    journal: &dyn Read,
    filter: &EventFilter,
    limit: usize,
    actors: &mut Actors<'_>,
) -> Result<Vec<EventView>, JournalError> {
    let mut changes = Vec::new();
    for object in &filter.objects {
        changes.extend(journal.history(*object)?);
    }
    changes.sort_by_key(|change| change.seq);
    let mut events = VecDeque::new();
    for RecordedChange { seq, change } in changes.into_iter().rev() {
        let recorded = RecordedEntry { seq, entry: Entry::Change(change) };
        if events.len() < limit && filter.accepts(journal, &recorded.entry)? {
            events.push_front(event_view(&recorded, actors)?);
        }
    }
    Ok(events.into())
}

/// The entries right before `end`, oldest first; none when the journal holds none.
fn before(journal: &dyn Read, end: EntrySeq) -> Result<Vec<RecordedEntry>, JournalError> {
    let mut chunk = journal.entries(EntrySeq(end.0.saturating_sub(CHUNK as u64)), CHUNK)?;
    chunk.retain(|entry| entry.seq < end);
    Ok(chunk)
}

/// Entries from `from` on that pass, oldest first, out of at most a thousand that were looked at; and where to go on.
/// Nothing more was there when that is `from`.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn follow(journal: &dyn Read, filter: &EventFilter, from: EntrySeq) -> Result<LogView, JournalError> {
    let mut answer = LogView { events: Vec::new(), next: from };
    let mut actors = Actors::new(journal);
    for recorded in journal.entries(from, CHUNK)? {
        answer.next = EntrySeq(recorded.seq.0 + 1);
        if filter.accepts(journal, &recorded.entry)? {
            answer.events.push(event_view(&recorded, &mut actors)?);
        }
    }
    Ok(answer)
}

/// One entry as a document.
///
/// # Errors
/// [`JournalError`] when its actor cannot be read.
pub fn event_view(recorded: &RecordedEntry, actors: &mut Actors<'_>) -> Result<EventView, JournalError> {
    let detail = match &recorded.entry {
        Entry::Started { scope, time: _ } => EventDetail::Started { boot: scope.boot.to_string(), netns: scope.netns },
        Entry::Change(change) => EventDetail::Change(change_event(change, actors)?),
        Entry::Gap(gap) => EventDetail::Gap(gap_view(gap)),
        Entry::Operation(operation) => EventDetail::Operation(operation_event(operation)),
    };
    Ok(EventView { seq: recorded.seq, time: entry_time(&recorded.entry).into(), detail })
}

fn change_event(change: &Change, actors: &mut Actors<'_>) -> Result<ChangeEvent, JournalError> {
    let Change { object, kind, subject, after, deed } = change;
    let attribution = &deed.attribution;
    let (class, name, text) = match after {
        Some(after) => {
            let text = content_text(&actors.texts, subject, after, deed.generation);
            (Class::of(subject, after), describe(subject, after), text)
        }
        None => last_known(actors, change)?,
    };
    Ok(ChangeEvent {
        change: *kind,
        object: *object,
        class,
        name,
        owner: attribution.owner().clone(),
        certainty: attribution.certainty(),
        evidence: attribution.evidence().iter().map(ToString::to_string).collect(),
        generation: deed.generation,
        actor: actors.brief(attribution.actor())?,
        operation: deed.operation,
        text,
    })
}

/// Class, name and last content of a removed object: its removal carries no content.
fn last_known(actors: &Actors<'_>, change: &Change) -> Result<(Class, String, String), JournalError> {
    let known = actors.journal().object(change.object)?;
    let made = known.as_ref().and_then(|object| object.created.generation);
    let snapshot = known.map_or(Snapshot::Xtables, |object| object.snapshot);
    let class = Class::of(&change.subject, &snapshot);
    let text = content_text(&actors.texts, &change.subject, &snapshot, made);
    Ok((class, describe(&change.subject, &snapshot), text))
}

fn operation_event(operation: &Operation) -> OperationEvent {
    let Operation { id, kind, requested_by, begun: _, ended: _, state, planned, outcomes } = operation;
    let (state, error) = state_word(state);
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count() as u64;
    OperationEvent {
        id: *id,
        kind: kind.as_str().to_owned(),
        of: kind.of(),
        state: state.to_owned(),
        owner: kind.owner().clone(),
        requested_by: *requested_by,
        planned: *planned,
        done: outcomes.len() as u64 - failed,
        failed,
        error,
    }
}

/// One gap as a document.
pub fn gap_view(gap: &Gap) -> GapView {
    let Gap { from, to, from_boot: _, reason, appeared, vanished, changed } = gap;
    let (word, source) = match reason {
        GapReason::TrackerDown => ("tracker-down", None),
        GapReason::Overrun { source } => ("overrun", Some(*source)),
        GapReason::RingFull { source, lost: _ } => ("ring-full", Some(*source)),
        GapReason::GenerationSkipped { .. } => ("generation-skipped", None),
        GapReason::Undecoded { source } => ("undecoded", Some(*source)),
        GapReason::Partial { source } => ("partial", Some(*source)),
        GapReason::Unseen { source } => ("unseen", Some(*source)),
        GapReason::Unannounced { source } => ("unannounced", Some(*source)),
        GapReason::JournalLost => ("journal-lost", None),
        GapReason::JournalFailed { .. } => ("journal-failed", None),
    };
    GapView {
        from: (*from).into(),
        to: (*to).into(),
        reason: word.to_owned(),
        source,
        text: reason.to_string(),
        appeared: *appeared,
        vanished: *vanished,
        changed: *changed,
    }
}

/// All gaps kept, oldest first.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn gaps(journal: &dyn Read) -> Result<Vec<GapView>, JournalError> {
    Ok(journal.gaps()?.iter().map(gap_view).collect())
}
