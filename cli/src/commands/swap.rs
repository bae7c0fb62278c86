//! `netdeed swap`

use std::io::{self, Write};

use netdeed_tracker::control::api::{PlanRequest, PlanView, ResetRequest, SwapRequest, SwapView};
use netdeed_tracker::control::client::Client;
use netdeed_tracker::model::owner::Owner;

use crate::args::{Format, Global};
use crate::error::{CliError, complain, unless_closed};
use crate::output::{Output, Style, somebody_must_be_there, write_findings};

use super::reset::{carry_out, is_agreed, not_begun, show, tell};

#[derive(Debug, clap::Args)]
pub(crate) struct SwapArgs {
    /// The CNI that goes: `flannel`, or its owner `cni/flannel`
    #[arg(long, value_name = "CNI", value_parser = cni)]
    from: Owner,
    /// The CNI that comes
    #[arg(long, value_name = "CNI", value_parser = cni)]
    to: Option<Owner>,
    /// Look for what is left, doubled or known to break, once the new one is up; removes nothing
    #[arg(long, conflicts_with_all = ["dry_run", "yes", "force", "include_inferred"])]
    verify: bool,
    /// Also what was never seen being added and only looks like the old one's
    #[arg(long)]
    include_inferred: bool,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Go on although problems were found
    #[arg(long)]
    force: bool,
}

fn cni(text: &str) -> Result<Owner, String> {
    let name = text.strip_prefix("cni/").unwrap_or(text);
    if name.is_empty() || name.contains('/') {
        return Err("expected the name of a CNI such as flannel".to_owned());
    }
    Owner::new(&format!("cni/{name}")).map_err(|error| error.to_string())
}

pub(crate) async fn run(global: &Global, output: &Output, args: SwapArgs) -> Result<(), CliError> {
    let SwapArgs { from, to, verify, include_inferred, dry_run, yes, force } = args;
    if !verify && !yes && !dry_run {
        somebody_must_be_there("say --yes to remove, or --dry-run to only check")?;
    }
    let client = Client::new(&global.socket);
    let request = SwapRequest { from, to, include_inferred, verify };
    let found = client.swap(&request).await.map_err(|source| match source.is_not_running() {
        true => CliError::NeedsTracker { what: "a swap", source },
        false => source.into(),
    })?;
    let has_problems = found.has_problems();
    let Some(plan) = found.plan.clone().filter(|_| !dry_run) else {
        let has_refusals = found.plan.as_ref().is_some_and(|plan| !plan.refusals.is_empty());
        unless_closed(output.write(found, write_findings))?;
        return if has_problems || has_refusals { Err(CliError::Refused) } else { Ok(()) };
    };
    begin(output, &found, &plan).map_err(not_begun)?;
    if has_problems && !force {
        complain("error", "nothing was changed: problems were found");
        complain("hint", "solve them as shown above, or go on all the same with --force");
        return Err(CliError::Refused);
    }
    if plan.steps.is_empty() {
        return if plan.refusals.is_empty() { Ok(()) } else { Err(CliError::Refused) };
    }
    if !yes && !is_agreed(&plan)? {
        return Err(CliError::Declined);
    }
    let reset = ResetRequest {
        force,
        plan: Some(plan.fingerprint.clone()),
        ..ResetRequest::of(PlanRequest { include_inferred, ..PlanRequest::of(request.from.clone()) })
    };
    let operation = carry_out(&client, &reset).await?;
    tell(output, operation, &plan)
}

/// Shows what was found and the plan; on standard error when standard output is for programs.
fn begin(output: &Output, found: &SwapView, plan: &PlanView) -> io::Result<()> {
    let found = SwapView { plan: None, ..found.clone() };
    if output.format == Format::Table {
        let mut out = io::stdout().lock();
        write_findings(output, &mut out, &found)?;
        writeln!(out)?;
    } else {
        let plain = Output { format: Format::Table, style: Style { is_colored: false }, width: None };
        write_findings(&plain, &mut io::stderr().lock(), &found)?;
    }
    show(output, plan)
}
