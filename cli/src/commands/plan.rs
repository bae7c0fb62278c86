//! `netdeed plan`

use clap::builder::PossibleValuesParser;
use netdeed_tracker::control::api::{PlanRequest, PlanView};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::subject::Class;
use netdeed_tracker::model::time::WallTime;

use crate::args::Global;
use crate::error::{CliError, unless_closed};
use crate::output::{Detail, Output, printable, write_plan};

use super::since::Since;

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

/// What to take back; all that is given must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Whose changes to take back: this owner's and those below it; `kubernetes` includes all of `cni`
    #[arg(long, value_name = "OWNER")]
    pub(super) owner: Owner,
    /// Also what was never seen being added and only looks like this owner's
    #[arg(long)]
    pub(super) include_inferred: bool,
    /// Only what was done in or for this pod
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(super) pod: Vec<String>,
    /// Only what was done in or for this container; the beginning of its id will do
    #[arg(long, value_name = "ID")]
    pub(super) container: Vec<String>,
    /// Only what processes of this systemd unit did
    #[arg(long, value_name = "UNIT")]
    pub(super) unit: Vec<String>,
    /// Only what was made from this time on: `10m`, `2h`, `3d` ago, or `2026-05-04T03:02:01Z`
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<Since>,
    /// Only what was made before this time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Since>,
    /// Only these classes
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = classes())]
    pub(super) class: Vec<String>,
}

fn classes() -> PossibleValuesParser {
    PossibleValuesParser::new(Class::ALL.map(Class::as_str))
}

impl Selection {
    /// The request; `10m` ago is counted from now on, once.
    pub(super) fn request(&self) -> PlanRequest {
        let now = WallTime::now();
        PlanRequest {
            include_inferred: self.include_inferred,
            pods: self.pod.clone(),
            containers: self.container.clone(),
            units: self.unit.clone(),
            since: self.since.map(|since| since.moment(now)),
            until: self.until.map(|until| until.moment(now)),
            classes: self.class.iter().filter_map(|class| class.parse().ok()).collect(),
            ..PlanRequest::of(self.owner.clone())
        }
    }
}

/// Asks the tracker for a plan.
pub(super) async fn ask(client: &Client, request: &PlanRequest, what: &'static str) -> Result<PlanView, CliError> {
    client.plan(request).await.map_err(|source| match source.is_not_running() {
        true => CliError::NeedsTracker { what, source },
        false => source.into(),
    })
}

pub(crate) async fn run(global: &Global, output: &Output, args: PlanArgs) -> Result<(), CliError> {
    let plan = ask(&Client::new(&global.socket), &args.selection.request(), "planning").await?;
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
