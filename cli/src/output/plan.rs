//! Plans, and what became of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use netdeed_tracker::control::api::{KeptView, OperationView, PlanView, RefusalView, StepView};
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};

/// Failed steps shown; when the kernel refuses a commit, all of it failed for one reason.
const FAILURES_SHOWN: usize = 20;

/// Writes a plan, at most `shown` things of each kind.
pub(crate) fn write_plan(output: &Output, out: &mut dyn Write, plan: &PlanView, shown: usize) -> io::Result<()> {
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
        writeln!(out, "\nremove ({})", classes(&plan.steps))?;
    }
    for StepView { object: _, class: _, name, text, owner, certainty, why } in plan.steps.iter().take(shown) {
        let sign = style.paint(Paint::Bad, "-");
        writeln!(out, "  {sign} {}", printable(name))?;
        if !text.is_empty() {
            write_hanging(out, "      ", 6, text, output.width)?;
        }
        write_hanging(out, "      ", 6, &format!("{owner} {certainty}: {why}"), output.width)?;
    }
    write_left_out(out, plan.steps.len(), shown)?;
    write_refusals(output, out, &plan.refusals, shown)?;
    write_kept(out, &plan.kept, shown)?;
    for warning in &plan.warnings {
        writeln!(out, "\n{}: {}", style.paint(Paint::Doubt, "warning"), printable(warning))?;
    }
    Ok(())
}

fn write_left_out(out: &mut dyn Write, count: usize, shown: usize) -> io::Result<()> {
    match count.saturating_sub(shown) {
        0 => Ok(()),
        left_out => writeln!(out, "  ... and {left_out} more; `netdeed plan` shows all"),
    }
}

/// `12 rules, 3 chains`, in the order of classes.
fn classes(steps: &[StepView]) -> String {
    let mut counts: BTreeMap<Class, u64> = BTreeMap::new();
    for step in steps {
        *counts.entry(step.class).or_default() += 1;
    }
    let words = counts.into_iter().map(|(class, count)| {
        let many = match class {
            Class::Address => "addresses".to_owned(),
            Class::IpRule => "ip rules".to_owned(),
            class => format!("{class}s"),
        };
        counted(count, class.as_str(), &many)
    });
    words.collect::<Vec<_>>().join(", ")
}

fn write_refusals(output: &Output, out: &mut dyn Write, refusals: &[RefusalView], shown: usize) -> io::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrefused")?;
    for RefusalView { object: _, class: _, name, owner, reason, remedy } in refusals.iter().take(shown) {
        let sign = output.style.paint(Paint::Doubt, "!");
        writeln!(out, "  {sign} {}   {}", printable(name), printable(owner.as_str()))?;
        for (label, text) in [("reason", Some(reason)), ("remedy", remedy.as_ref())] {
            if let Some(text) = text {
                write_hanging(out, &format!("      {label}  "), 14, text, output.width)?;
            }
        }
    }
    write_left_out(out, refusals.len(), shown)
}

fn write_kept(out: &mut dyn Write, kept: &[KeptView], shown: usize) -> io::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nwithout a step of their own")?;
    for KeptView { object: _, class: _, name, reason } in kept.iter().take(shown) {
        writeln!(out, "  = {}: {}", printable(name), printable(reason))?;
    }
    write_left_out(out, kept.len(), shown)
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
    let OperationView { refusals, kept, proven, proof, .. } = operation;
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
        write_refusals(output, out, refusals, usize::MAX)?;
        write_kept(out, kept, usize::MAX)?;
    } else if !refusals.is_empty() {
        writeln!(out, "{} refused, as shown above", counted(refusals.len() as u64, "thing was", "things were"))?;
    }
    if !proof.is_empty() {
        writeln!(out, "\n{}", style.paint(if *proven { Paint::Good } else { Paint::Bad }, "proof"))?;
        proof.iter().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
    }
    Ok(())
}
