//! Plans, and what became of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use netdeed_tracker::control::api::{KeptView, OperationView, PlanView, RefusalView, StepView};
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};

/// Writes a plan, with at most `shown` of its steps.
pub(crate) fn write_plan(output: &Output, out: &mut dyn Write, plan: &PlanView, shown: usize) -> io::Result<()> {
    let style = output.style;
    let count = |count: usize, one: &str, many: &str| counted(count as u64, one, many);
    let title = format!(
        "to take back what {} added: {}, {}, {} kept",
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
    let left_out = plan.steps.len().saturating_sub(shown);
    if left_out > 0 {
        writeln!(out, "  ... and {left_out} more: `netdeed plan --owner {}` shows all", plan.owner)?;
    }
    write_refusals(output, out, &plan.refusals)?;
    write_kept(out, &plan.kept)?;
    for warning in &plan.warnings {
        writeln!(out, "\n{}: {}", style.paint(Paint::Doubt, "warning"), printable(warning))?;
    }
    Ok(())
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
            class => format!("{class}s"),
        };
        counted(count, class.as_str(), &many)
    });
    words.collect::<Vec<_>>().join(", ")
}

fn write_refusals(output: &Output, out: &mut dyn Write, refusals: &[RefusalView]) -> io::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrefused")?;
    for RefusalView { object: _, class: _, name, owner, reason, remedy } in refusals {
        let sign = output.style.paint(Paint::Doubt, "!");
        writeln!(out, "  {sign} {}   {}", printable(name), printable(owner.as_str()))?;
        for (label, text) in [("reason", Some(reason)), ("remedy", remedy.as_ref())] {
            if let Some(text) = text {
                write_hanging(out, &format!("      {label}  "), 14, text, output.width)?;
            }
        }
    }
    Ok(())
}

fn write_kept(out: &mut dyn Write, kept: &[KeptView]) -> io::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nkept")?;
    for KeptView { object: _, class: _, name, reason } in kept {
        writeln!(out, "  = {}: {}", printable(name), printable(reason))?;
    }
    Ok(())
}

/// Writes what became of a reset; refusals and what is kept only where they differ from those of `plan`, which was
/// shown before.
pub(crate) fn write_operation(
    output: &Output,
    out: &mut dyn Write,
    operation: &OperationView,
    plan: &PlanView,
) -> io::Result<()> {
    let OperationView {
        id, owner, dry_run, state, error, planned, done, failed, outcomes, refusals, kept, proof, ..
    } = operation;
    let style = output.style;
    let things = counted(*planned, "thing", "things");
    let (title, paint) = if *dry_run {
        (format!("dry run: {things} of {owner} can be removed; nothing was changed"), Paint::Title)
    } else if operation.is_done() {
        (format!("removed {done} of {things} of {owner}"), Paint::Good)
    } else {
        (format!("{state}: removed {done} of {things} of {owner}, {failed} failed"), Paint::Bad)
    };
    let number = id.map(|id| format!(" (operation {id})")).unwrap_or_default();
    writeln!(out, "{}{number}", style.paint(paint, &printable(&title)))?;
    if let Some(error) = error {
        writeln!(out, "  {}", printable(error))?;
    }
    let failures = outcomes.iter().filter_map(|outcome| outcome.error.as_ref().map(|error| (&outcome.step, error)));
    for (step, error) in failures {
        writeln!(out, "  {} {}: {}", style.paint(Paint::Bad, "x"), printable(step), printable(error))?;
    }
    if *refusals != plan.refusals || *kept != plan.kept {
        write_refusals(output, out, refusals)?;
        write_kept(out, kept)?;
    } else if !refusals.is_empty() {
        writeln!(out, "{} refused, as shown above", counted(refusals.len() as u64, "thing was", "things were"))?;
    }
    if !proof.is_empty() {
        writeln!(out, "\nproof")?;
        proof.iter().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
    }
    Ok(())
}
