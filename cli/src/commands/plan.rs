//! `netdeed plan`

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use netdeed_tracker::control::api::{Envelope, ExportFormat, ExportView, LeftOutView, PlanRequest, PlanView};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::owner::Owner;
use netdeed_tracker::model::subject::Class;
use netdeed_tracker::model::time::WallTime;

use crate::args::Global;
use crate::error::{CliError, complain, unless_closed};
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
    /// Print the plan as a file: `text` to read, `json` for `netdeed apply`, `nftables` for `nft -j -f` (the steps of
    /// nf_tables), `iptables-restore` a shell script
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with_all = ["long", "text"])]
    export: Option<Export>,
}

/// What a plan can be printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Export {
    Text,
    Json,
    Nftables,
    IptablesRestore,
}

impl Export {
    /// What the tracker is asked for.
    fn format(self) -> Option<ExportFormat> {
        match self {
            Self::Text | Self::Json => None,
            Self::Nftables => Some(ExportFormat::Nftables),
            Self::IptablesRestore => Some(ExportFormat::IptablesRestore),
        }
    }
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

/// Writes a plan as a file. What it lacks, and what is refused, is named on standard error.
fn export(format: Export, plan: &PlanView) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match (format, &plan.export) {
        (Export::Json, _) => {
            let text = serde_json::to_string_pretty(&Envelope::of(plan.clone()))
                .map_err(|source| CliError::Format { format: "json", source: source.into() })?;
            writeln!(out, "{text}")?;
        }
        (Export::Text, _) => plan.text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)))?,
        (_, Some(export)) => out.write_all(export.text.as_bytes())?,
        (_, None) => return Err(CliError::Usage("the tracker is too old for this format".to_owned())),
    }
    out.flush()?;
    let left_out = plan.export.iter().flat_map(|ExportView { left_out, .. }| left_out);
    left_out.for_each(|LeftOutView { name, reason }| complain("not in it", &format!("{name}: {reason}")));
    plan.refusals.iter().for_each(|refusal| complain("refused", &format!("{}: {}", refusal.name, refusal.reason)));
    Ok(())
}

pub(crate) async fn run(global: &Global, output: &Output, args: PlanArgs) -> Result<(), CliError> {
    let request = PlanRequest { export: args.export.and_then(Export::format), ..args.selection.request() };
    let plan = ask(&Client::new(&global.socket), &request, "planning").await?;
    let has_refusals = !plan.refusals.is_empty();
    if let Some(format) = args.export {
        unless_closed(export(format, &plan))?;
        let is_whole = plan.export.is_none_or(|export| export.left_out.is_empty());
        return if is_whole && !has_refusals { Ok(()) } else { Err(CliError::Refused) };
    }
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
