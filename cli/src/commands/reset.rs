//! `netdeed reset`

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use netdeed_tracker::control::api::{OperationView, PlanView, ResetRequest};
use netdeed_tracker::control::client::Client;

use crate::args::{Format, Global};
use crate::error::{CliError, complain, unless_closed};
use crate::output::{Detail, Output, Style, somebody_must_be_there, write_operation, write_plan};

use super::plan::{Selection, ask};

/// Refusals shown before asking; `netdeed plan` shows all.
const SHOWN: Detail = Detail::Short(40);

#[derive(Debug, clap::Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    selection: Selection,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Go on although programs of the owner still run, which may add everything again
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(global: &Global, output: &Output, args: ResetArgs) -> Result<(), CliError> {
    let ResetArgs { selection, dry_run, yes, force } = args;
    if !yes && !dry_run {
        somebody_must_be_there("say --yes to remove, or --dry-run to only check")?;
    }
    let client = Client::new(&global.socket);
    let request = selection.request();
    let plan = ask(&client, &request, "a reset").await?;
    show(output, &plan).map_err(not_begun)?;
    if plan.steps.is_empty() && output.format == Format::Table {
        return if plan.refusals.is_empty() { Ok(()) } else { Err(CliError::Refused) };
    }
    if !force && !dry_run {
        refuse_while_owner_runs(&plan)?;
    }
    // with nothing to remove there is nothing to ask about, and no operation to record
    let dry_run = dry_run || plan.steps.is_empty();
    if !yes && !dry_run && !is_agreed(&plan)? {
        return Err(CliError::Declined);
    }
    let request = ResetRequest {
        dry_run,
        force,
        plan: (!yes && !dry_run).then(|| plan.fingerprint.clone()),
        ..ResetRequest::of(request)
    };
    let operation = carry_out(&client, &request).await?;
    tell(output, operation, &plan)
}

/// Says what became of a reset.
pub(super) fn tell(output: &Output, operation: OperationView, plan: &PlanView) -> Result<(), CliError> {
    let (is_done, has_refusals) = (operation.is_done(), !operation.refusals.is_empty());
    let written = output.write(operation, |output, out, operation| write_operation(output, out, operation, plan));
    unless_closed(written)?;
    match (is_done, has_refusals) {
        (false, _) => Err(CliError::StepsFailed),
        (true, true) => Err(CliError::Refused),
        (true, false) => Ok(()),
    }
}

pub(super) fn refuse_while_owner_runs(plan: &PlanView) -> Result<(), CliError> {
    if !plan.running.iter().any(|running| running.blocks) {
        return Ok(());
    }
    complain("error", "nothing was changed: programs of the owner still run and would add again what is removed");
    complain("hint", "stop them as shown above, or go on all the same with --force");
    Err(CliError::Refused)
}

/// Shows the plan; on standard error when standard output is for programs.
pub(super) fn show(output: &Output, plan: &PlanView) -> io::Result<()> {
    if output.format == Format::Table {
        let mut out = io::stdout().lock();
        write_plan(output, &mut out, plan, SHOWN)?;
        writeln!(out)?;
        return out.flush();
    }
    let plain = Output { format: Format::Table, style: Style { is_colored: false }, width: None };
    write_plan(&plain, &mut io::stderr().lock(), plan, SHOWN)
}

/// A reader that went away before anything was done must not look like success.
pub(super) fn not_begun(error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::Declined,
        _ => CliError::Output(error),
    }
}

pub(super) fn is_agreed(plan: &PlanView) -> Result<bool, CliError> {
    let count = plan.steps.len();
    eprint!("Remove {count} {} of {}? [y/N] ", if count == 1 { "thing" } else { "things" }, plan.owner);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Carries the reset out, with a bar on a terminal.
pub(super) async fn carry_out(client: &Client, request: &ResetRequest) -> Result<OperationView, CliError> {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("removing {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let operation = client
        .reset(request, |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        })
        .await;
    bar.finish_and_clear();
    Ok(operation?)
}
