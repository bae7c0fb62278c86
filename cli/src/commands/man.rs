//! `netdeed man`

use std::path::PathBuf;

use clap::CommandFactory;

use crate::args::Args;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Directory to write to; made when it is missing
    directory: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> Result<(), CliError> {
    let failed = |source| CliError::File { path: args.directory.clone(), source };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), &args.directory).map_err(failed)
}
