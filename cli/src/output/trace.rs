//! Traced packets.

use std::io::{self, Write};

use crate::commands::who::{Around, Step, TraceView};

use super::Output;
use super::style::Paint;
use super::text::{printable, write_hanging};
use super::time::format_ago;

/// Writes one packet with what it met.
pub(crate) fn write_trace(output: &Output, out: &mut dyn Write, trace: &TraceView) -> io::Result<()> {
    let TraceView { packet, text, steps, outcome, around } = trace;
    let title = output.style.paint(Paint::Title, &format!("packet {}", printable(packet)));
    write_hanging(out, &format!("{title}  "), 2, text, output.width)?;
    let place = |step: &Step| format!("{} {}", step.table, step.chain);
    let places = steps.iter().map(|step| place(step).chars().count()).max().unwrap_or_default().min(40);
    for step in steps {
        let what = match (step.kind.as_str(), step.position) {
            ("rule", Some(position)) => format!("rule {position}"),
            (kind, _) => kind.to_owned(),
        };
        let verdict = step.verdict.as_deref().unwrap_or_default();
        let paint = match verdict {
            "drop" => Paint::Bad,
            "accept" => Paint::Good,
            _ => Paint::Label,
        };
        let place = printable(&place(step)).into_owned();
        let verdict = output.style.paint(paint, &format!("{:<10}", printable(verdict)));
        let prefix = format!("  {place:<places$}  {what:<8}  {verdict}  ");
        let indent = places + 4;
        write_hanging(out, &prefix, indent, step.text.as_deref().unwrap_or_default(), output.width)?;
        if let Some(who) = who(step) {
            write_hanging(out, &" ".repeat(indent), indent, &who, output.width)?;
        }
    }
    if let Some(outcome) = outcome {
        let outcome = output.style.paint(Paint::Title, &printable(outcome));
        writeln!(out, "  {outcome}")?;
    }
    let owners = around.iter().map(|rule| rule.owner.chars().count()).max().unwrap_or_default();
    for Around { position, owner, text, decided, object: _ } in around {
        let mark = if *decided { ">" } else { " " };
        writeln!(out, "  {mark} {position:>4}  {:<owners$}  {}", printable(owner), printable(text))?;
    }
    writeln!(out)
}

fn who(step: &Step) -> Option<String> {
    let note = step.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    match (&step.owner, step.certainty, step.created) {
        (Some(owner), Some(certainty), Some(created)) => {
            let actor = step.actor.as_ref().map(|actor| format!(", {actor}")).unwrap_or_default();
            Some(format!("{owner} {certainty}{actor}, {}{note}", format_ago(created)))
        }
        _ => step.note.clone(),
    }
}
