//! `netdeed undo`

use std::io::{self, Write};

use netdeed_tracker::control::api::{OperationView, UndoRequest};
use netdeed_tracker::control::client::{Client, ClientError};
use netdeed_tracker::model::ids::OperationId;

use crate::args::{Format, Global};
use crate::error::{CliError, unless_closed};
use crate::output::{Output, somebody_must_be_there, write_undo};

#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// Operation to undo, as `netdeed log` numbers them [default: the newest reset that is not undone]
    operation: Option<u64>,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, output: &Output, args: UndoArgs) -> Result<(), CliError> {
    let UndoArgs { operation, dry_run, yes } = args;
    if !yes && !dry_run {
        somebody_must_be_there("say --yes to put things back, or --dry-run to only check")?;
    }
    let client = Client::new(&global.socket);
    let request = UndoRequest { operation: operation.map(OperationId), dry_run: true };
    let mut shown = None;
    if dry_run || !yes {
        let check = ask(&client, &request).await?;
        let is_refused = !check.refusals.is_empty();
        if dry_run {
            unless_closed(output.write(check, write_undo))?;
            return if is_refused { Err(CliError::Refused) } else { Ok(()) };
        }
        show(output, &check)?;
        if check.planned > 0 && !is_agreed(&check)? {
            return Err(CliError::Declined);
        }
        shown = check.of;
    }
    let request = UndoRequest { operation: request.operation.or(shown), dry_run: false };
    let done = ask(&client, &request).await?;
    let (is_done, is_refused) = (done.is_done(), !done.refusals.is_empty());
    unless_closed(output.write(done, write_undo))?;
    match (is_done, is_refused) {
        (false, _) => Err(CliError::StepsFailed),
        (true, true) => Err(CliError::Refused),
        (true, false) => Ok(()),
    }
}

async fn ask(client: &Client, request: &UndoRequest) -> Result<OperationView, CliError> {
    client.undo(request, |_| ()).await.map_err(|source: ClientError| match source.is_not_running() {
        true => CliError::NeedsTracker { what: "an undo", source },
        false => source.into(),
    })
}

fn show(output: &Output, check: &OperationView) -> Result<(), CliError> {
    if output.format != Format::Table {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    write_undo(output, &mut out, check)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn is_agreed(check: &OperationView) -> Result<bool, CliError> {
    let count = check.planned;
    eprint!("Put back {count} {} of {}? [y/N] ", if count == 1 { "thing" } else { "things" }, check.owner);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
