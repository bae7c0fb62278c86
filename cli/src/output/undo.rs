//! Undos.

use std::io::{self, Write};

use netdeed_tracker::control::api::OperationView;

use super::Output;
use super::plan::{Detail, write_kept, write_refusals};
use super::proof::write_proof;
use super::style::Paint;
use super::text::{counted, printable};

/// Steps shown by name; the classes of all are in the title's count.
const SHOWN: usize = 40;

/// Writes what an undo would do or did.
pub(crate) fn write_undo(output: &Output, out: &mut dyn Write, operation: &OperationView) -> io::Result<()> {
    let OperationView { id, of, owner, dry_run, state, error, planned, done, failed, outcomes, .. } = operation;
    let OperationView { refusals, kept, .. } = operation;
    let style = output.style;
    let things = counted(*planned, "thing", "things");
    let of = of.map(|of| format!(" from operation {of}")).unwrap_or_default();
    let (title, paint) = if *dry_run {
        (format!("{things} of {owner} can be put back{of}; nothing was changed"), Paint::Title)
    } else if operation.is_done() {
        (format!("put back {done} of {things} of {owner}{of}"), Paint::Good)
    } else if state == "done" && *failed == 0 {
        (format!("put back {done} of {things} of {owner}{of}, but the state now is not what was planned"), Paint::Bad)
    } else {
        (format!("{state}: put back {done} of {things} of {owner}{of}, {failed} failed"), Paint::Bad)
    };
    let number = id.map(|id| format!(" (operation {id})")).unwrap_or_default();
    writeln!(out, "{}{number}", style.paint(paint, &printable(&title)))?;
    if let Some(error) = error {
        writeln!(out, "  {}", printable(error))?;
    }
    let shown = outcomes.iter().filter(|outcome| *dry_run || outcome.error.is_some());
    let total = shown.clone().count();
    for outcome in shown.take(SHOWN) {
        let sign = if outcome.error.is_some() { style.paint(Paint::Bad, "x") } else { "+".to_owned() };
        let error = outcome.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "  {sign} {}{}", printable(outcome.step.trim_start_matches("restore ")), printable(&error))?;
    }
    if total > SHOWN {
        writeln!(out, "  ... and {} more; `-o json` shows all", total - SHOWN)?;
    }
    write_refusals(output, out, refusals, Detail::Short(SHOWN))?;
    write_kept(out, kept, Detail::Short(usize::MAX))?;
    write_proof(output, out, operation)
}
