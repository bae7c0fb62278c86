//! `netdeed`: asks who added a thing to this node's network, and takes back what Kubernetes added.

mod args;
mod commands;
mod error;

mod output;
mod tracker;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use error::CliError;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Start { source })
        .and_then(|runtime| runtime.block_on(commands::run(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error),
    }
}
