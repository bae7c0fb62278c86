//! `netdeed apply`

use std::io::Read;
use std::path::{Path, PathBuf};

use netdeed_tracker::control::api::{Document, Envelope, PlanView, ResetRequest, SCHEMA};
use netdeed_tracker::control::client::Client;

use crate::args::Global;
use crate::error::CliError;
use crate::output::{Output, somebody_must_be_there};

use super::plan::ask;
use super::reset::{carry_out, is_agreed, not_begun, refuse_while_owner_runs, show, tell};

#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// A plan as `netdeed plan --export json` writes it; `-` reads it from standard input
    plan: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Go on although programs of the owner still run, which may add everything again
    #[arg(long)]
    force: bool,
}

/// Carries out a plan that somebody reviewed. When the plan made now has other steps, nothing is done.
pub(crate) async fn run(global: &Global, output: &Output, args: ApplyArgs) -> Result<(), CliError> {
    let ApplyArgs { plan: path, yes, force } = args;
    if !yes {
        somebody_must_be_there("say --yes to carry the plan out")?;
    }
    let plan = read(&path)?;
    let Some(request) = plan.request.clone() else {
        return Err(CliError::Usage(format!("`{}` does not say what was asked for: plan again", path.display())));
    };
    show(output, &plan).map_err(not_begun)?;
    let client = Client::new(&global.socket);
    if !force {
        // who runs now matters, not who ran when the plan was made
        refuse_while_owner_runs(&ask(&client, &request, "applying a plan").await?)?;
    }
    if !yes && !plan.steps.is_empty() && !is_agreed(&plan)? {
        return Err(CliError::Declined);
    }
    let is_empty = plan.steps.is_empty();
    let request =
        ResetRequest { force, dry_run: is_empty, plan: Some(plan.fingerprint.clone()), ..ResetRequest::of(request) };
    let operation = carry_out(&client, &request).await?;
    tell(output, operation, &plan)
}

fn read(path: &Path) -> Result<PlanView, CliError> {
    let unreadable = |source| CliError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map_err(unreadable)?,
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map_err(unreadable)?,
    };
    let no_plan = |why: String| CliError::Usage(format!("`{}` is no plan: {why}", path.display()));
    let Envelope { schema, kind, data }: Envelope<PlanView> =
        serde_json::from_str(&text).map_err(|error| no_plan(error.to_string()))?;
    if (schema.as_str(), kind.as_str()) != (SCHEMA, PlanView::KIND) {
        return Err(no_plan(format!("it is a `{kind}` of `{schema}`")));
    }
    if !data.is_whole() {
        return Err(no_plan(
            "its steps are not those it was made with; plan again with what should stay left out".to_owned(),
        ));
    }
    Ok(data)
}
