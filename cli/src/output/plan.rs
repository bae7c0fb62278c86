//! Plans, and what became of them.

use std::io::{self, Write};

use netdeed_tracker::control::api::{KeptView, OperationView, PlanView, RefusalView};

use super::Output;
use super::proof::write_proof;
use super::steps::{classes, write_each, write_grouped};
use super::style::Paint;
use super::text::{counted, printable, write_hanging};

/// Failed steps shown; when the kernel refuses a commit, all of it failed for one reason.
const FAILURES_SHOWN: usize = 20;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What goes in few lines, and at most this many refusals.
    Short(usize),
    /// Everything, each with its content and evidence.
    Long,
}

impl Detail {
    fn refusals(self) -> usize {
        match self {
            Self::Short(shown) => shown,
            Self::Long => usize::MAX,
        }
    }
}

/// Writes a plan.
pub(crate) fn write_plan(output: &Output, out: &mut dyn Write, plan: &PlanView, detail: Detail) -> io::Result<()> {
    let style = output.style;
    let count = |count: usize, one: &str, many: &str| counted(count as u64, one, many);
    let title = format!(
        "to take back what {} added: {}, {}, {} without a step",
        plan.owner,
        count(plan.steps.len(), "removal", "removals"),
        count(plan.refusals.len(), "refusal", "refusals"),
        plan.kept.len(),
    );
    writeln!(out, "{}", style.paint(Paint::Title, &printable(&title)))?;
    if !plan.steps.is_empty() {
        writeln!(out, "\nremove ({})", classes(plan.steps.iter().map(|step| step.class)))?;
    }
    match detail {
        Detail::Short(_) => write_grouped(output, out, &plan.steps)?,
        Detail::Long => write_each(output, out, &plan.steps)?,
    }
    write_refusals(output, out, &plan.refusals, detail)?;
    write_kept(out, &plan.kept, detail)?;
    for warning in &plan.warnings {
        writeln!(out, "\n{}: {}", style.paint(Paint::Doubt, "warning"), printable(warning))?;
    }
    Ok(())
}

pub(super) fn write_refusals(
    output: &Output,
    out: &mut dyn Write,
    refusals: &[RefusalView],
    detail: Detail,
) -> io::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrefused")?;
    for RefusalView { object: _, class: _, name, owner, reason, remedy } in refusals.iter().take(detail.refusals()) {
        let sign = output.style.paint(Paint::Doubt, "!");
        writeln!(out, "  {sign} {}   {}", printable(name), printable(owner.as_str()))?;
        for (label, text) in [("reason", Some(reason)), ("remedy", remedy.as_ref())] {
            if let Some(text) = text {
                write_hanging(out, &format!("      {label}  "), 14, text, output.width)?;
            }
        }
    }
    match refusals.len().saturating_sub(detail.refusals()) {
        0 => Ok(()),
        left_out => writeln!(out, "  ... and {left_out} more"),
    }
}

pub(super) fn write_kept(out: &mut dyn Write, kept: &[KeptView], detail: Detail) -> io::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nwithout a step of their own")?;
    // most go with the one thing they are part of
    let mut by_reason: Vec<(&str, Vec<&KeptView>)> = Vec::new();
    for it in kept {
        match by_reason.iter_mut().find(|(reason, _)| *reason == it.reason) {
            Some((_, same)) if detail != Detail::Long => same.push(it),
            _ => by_reason.push((&it.reason, vec![it])),
        }
    }
    for (reason, same) in by_reason {
        match same.as_slice() {
            [one] => writeln!(out, "  = {}: {}", printable(&one.name), printable(reason))?,
            many => writeln!(out, "  = {}: {}", classes(many.iter().map(|it| it.class)), printable(reason))?,
        }
    }
    Ok(())
}

/// Writes what became of a reset; what was refused or needed no step only where that differs from `plan`, which was
/// shown before.
pub(crate) fn write_operation(
    output: &Output,
    out: &mut dyn Write,
    operation: &OperationView,
    plan: &PlanView,
) -> io::Result<()> {
    let OperationView { id, owner, dry_run, state, error, planned, done, failed, outcomes, .. } = operation;
    let OperationView { refusals, kept, .. } = operation;
    let style = output.style;
    let things = counted(*planned, "thing", "things");
    let (title, paint) = if *dry_run {
        (format!("dry run: {things} of {owner} can be removed; nothing was changed"), Paint::Title)
    } else if operation.is_done() {
        (format!("removed {done} of {things} of {owner}"), Paint::Good)
    } else if state == "done" && *failed == 0 {
        (format!("removed {done} of {things} of {owner}, but the state now is not what was planned"), Paint::Bad)
    } else {
        (format!("{state}: removed {done} of {things} of {owner}, {failed} failed"), Paint::Bad)
    };
    let number = id.map(|id| format!(" (operation {id})")).unwrap_or_default();
    writeln!(out, "{}{number}", style.paint(paint, &printable(&title)))?;
    if let Some(error) = error {
        writeln!(out, "  {}", printable(error))?;
    }
    let failures = outcomes.iter().filter_map(|outcome| outcome.error.as_ref().map(|error| (&outcome.step, error)));
    for (step, error) in failures.take(FAILURES_SHOWN) {
        writeln!(out, "  {} {}: {}", style.paint(Paint::Bad, "x"), printable(step), printable(error))?;
    }
    if let Ok(left_out @ 1..) = usize::try_from(*failed).map(|failed| failed.saturating_sub(FAILURES_SHOWN)) {
        writeln!(out, "  ... and {left_out} more; `-o json` shows all")?;
    }
    if *refusals != plan.refusals || *kept != plan.kept {
        write_refusals(output, out, refusals, Detail::Long)?;
        write_kept(out, kept, Detail::Short(usize::MAX))?;
    } else if !refusals.is_empty() {
        writeln!(out, "{} refused, as shown above", counted(refusals.len() as u64, "thing was", "things were"))?;
    }
    write_proof(output, out, operation)
}
