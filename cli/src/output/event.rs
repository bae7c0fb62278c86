//! Entries of the log, a line each.

use std::io::{self, Write};

use netdeed_tracker::control::api::{ChangeEvent, EventDetail, EventView, GapView, LogView, OperationEvent};
use netdeed_tracker::model::change::ChangeKind;
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::card::brief;
use super::style::Paint;
use super::text::{counted, write_hanging};
use super::time::{format_plain, format_seconds};

/// Columns before an entry's text: its time and its word.
const INDENT: usize = 32;

/// Writes entries, newest last.
pub(crate) fn write_log(output: &Output, out: &mut dyn Write, log: &LogView) -> io::Result<()> {
    log.events.iter().try_for_each(|event| write_event(output, out, event))
}

/// Writes one entry.
pub(crate) fn write_event(output: &Output, out: &mut dyn Write, event: &EventView) -> io::Result<()> {
    // aligned where there is room
    let verdict_width = if output.width.is_none_or(|width| width >= 110) { 30 } else { 0 };
    let (word, paint, text) = match &event.detail {
        EventDetail::Change(change) => {
            (change_word(change.change), change_paint(change), change_text(change, verdict_width))
        }
        EventDetail::Gap(gap) => ("gap", Paint::Bad, gap_text(gap)),
        EventDetail::Started { boot, netns } => {
            ("started", Paint::Label, format!("tracker, in boot {boot}, netns {netns}"))
        }
        EventDetail::Operation(operation) => ("operation", Paint::Title, operation_text(operation)),
    };
    let word = output.style.paint(paint, &format!("{word:<9}"));
    write_hanging(out, &format!("{}  {word}  ", format_plain(event.time)), INDENT, &text, output.width)
}

fn change_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Found => "found",
        ChangeKind::Created => "created",
        ChangeKind::Changed => "changed",
        ChangeKind::Rewritten => "rewritten",
        ChangeKind::Removed => "removed",
    }
}

fn change_paint(change: &ChangeEvent) -> Paint {
    match change.change {
        ChangeKind::Created => Paint::Good,
        ChangeKind::Found | ChangeKind::Rewritten => Paint::Label,
        ChangeKind::Changed => Paint::Doubt,
        ChangeKind::Removed => Paint::Bad,
    }
}

fn change_text(change: &ChangeEvent, verdict_width: usize) -> String {
    let ChangeEvent { name, owner, certainty, actor, operation, class, text, .. } = change;
    let by = match (actor, operation) {
        (_, Some(operation)) => format!("  by operation {operation}"),
        (Some(actor), None) => format!("  by {}", brief(actor)),
        (None, None) => String::new(),
    };
    let verdict = format!("{owner} ({certainty})");
    let text = if *class == Class::Rule && !text.is_empty() { format!(": {text}") } else { String::new() };
    format!("{verdict:<verdict_width$}  {name}{by}{text}")
}

/// `nftables queue overran, for 1 s: 2 appeared, 0 vanished, 1 changed`.
pub(super) fn gap_text(gap: &GapView) -> String {
    let GapView { from, to, reason: _, source: _, text, appeared, vanished, changed } = gap;
    let seconds = u64::try_from(to.0.seconds() - from.0.seconds()).unwrap_or_default();
    let length = if seconds == 0 { "less than 1 s".to_owned() } else { format_seconds(seconds) };
    format!("{text}, for {length}: {appeared} appeared, {vanished} vanished, {changed} changed")
}

fn operation_text(operation: &OperationEvent) -> String {
    let OperationEvent { id, kind, of, state, owner, requested_by, planned, done, failed, error } = operation;
    let steps = counted(*planned, "step", "steps");
    let what = of.map_or_else(|| kind.clone(), |of| format!("{kind} of operation {of}"));
    let mut text = format!("{id} {state}: {what} of {owner}, {steps}");
    // how far an interrupted one came nobody noted
    if !matches!(state.as_str(), "begun" | "interrupted") {
        text.push_str(&format!(", {done} done, {failed} failed"));
    }
    text.push_str(&format!(", asked for by uid {requested_by}"));
    if let Some(error) = error {
        text.push_str(&format!(": {error}"));
    }
    text
}
