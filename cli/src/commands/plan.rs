//! `netdeed plan`

use netdeed_tracker::control::api::{PlanRequest, PlanView};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::owner::Owner;

use crate::args::Global;
use crate::error::{CliError, unless_closed};
use crate::output::{Detail, Output, printable, write_plan};

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Show each thing with its content and evidence
    #[arg(short, long)]
    long: bool,
    /// Print the plan as the tracker writes it: one line for each thing
    #[arg(long, conflicts_with = "long")]
    text: bool,
}

/// Whose changes to take back.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Whose changes to take back: this owner's and those below it; `kubernetes` includes all of `cni`
    #[arg(long, value_name = "OWNER")]
    pub(super) owner: Owner,
    /// Also what was never seen being added and only looks like this owner's
    #[arg(long)]
    pub(super) include_inferred: bool,
}

impl Selection {
    /// Asks the tracker for the plan.
    pub(super) async fn plan(&self, client: &Client, what: &'static str) -> Result<PlanView, CliError> {
        let request = PlanRequest { owner: self.owner.clone(), include_inferred: self.include_inferred };
        client.plan(&request).await.map_err(|source| match source.is_not_running() {
            true => CliError::NeedsTracker { what, source },
            false => source.into(),
        })
    }
}

pub(crate) async fn run(global: &Global, output: &Output, args: PlanArgs) -> Result<(), CliError> {
    let plan = args.selection.plan(&Client::new(&global.socket), "planning").await?;
    let has_refusals = !plan.refusals.is_empty();
    let written = output.write(plan, |output, out, plan| {
        if args.text {
            return plan.text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)));
        }
        let detail = if args.long { Detail::Long } else { Detail::Short(usize::MAX) };
        write_plan(output, out, plan, detail)?;
        if detail != Detail::Long && !plan.steps.is_empty() {
            writeln!(out, "\neach of them, with its evidence: netdeed plan --owner {} --long", plan.owner)?;
        }
        Ok(())
    });
    unless_closed(written)?;
    if has_refusals { Err(CliError::Refused) } else { Ok(()) }
}
