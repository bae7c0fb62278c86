//! What a swap of one CNI for another meets.

use std::io::{self, Write};

use netdeed_tracker::control::api::{FindingView, SwapView};

use super::Output;
use super::style::Paint;
use super::text::{counted, printable, write_hanging};

/// Writes the findings, worst first, and how much a reset of the old CNI would remove where that is known.
pub(crate) fn write_findings(output: &Output, out: &mut dyn Write, found: &SwapView) -> io::Result<()> {
    let SwapView { from, to, verify, findings, plan } = found;
    let to = to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    let moment = if *verify { "after" } else { "before" };
    let count = |severity: &str| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let problems = counted(count("problem"), "problem", "problems");
    let warnings = counted(count("warning"), "warning", "warnings");
    let title = format!("{moment} the swap from {from}{to}: {problems}, {warnings}");
    writeln!(out, "{}", output.style.paint(Paint::Title, &printable(&title)))?;
    for FindingView { severity, check, what, remedy } in findings {
        let paint = match severity.as_str() {
            "problem" => Paint::Bad,
            "warning" => Paint::Doubt,
            _ => Paint::Label,
        };
        writeln!(out, "  {}   {}", output.style.paint(paint, &printable(severity)), printable(check))?;
        write_hanging(out, "      ", 6, what, output.width)?;
        write_hanging(out, "      remedy  ", 14, remedy, output.width)?;
    }
    if let Some(plan) = plan {
        let removals = counted(plan.steps.len() as u64, "removal", "removals");
        let refusals = counted(plan.refusals.len() as u64, "refusal", "refusals");
        writeln!(out, "\n{removals}, {refusals}: `netdeed plan --owner {from}` shows them")?;
    }
    Ok(())
}
