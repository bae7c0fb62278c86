//! One file per verb.

pub(crate) mod apply;
pub(crate) mod blame;
pub(crate) mod completions;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod reset;
pub(crate) mod since;
pub(crate) mod status;
pub(crate) mod swap;
pub(crate) mod undo;
pub(crate) mod who;

use crate::args::{Args, Command};
use crate::error::CliError;
use crate::output::Output;

/// Runs the command that was asked for.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let Args { global, command } = args;
    let output = Output::new(&global);
    match command {
        Command::Blame(args) => blame::run(&global, &output, args).await,
        Command::Who(args) => who::run(&global, &output, args).await,
        Command::Ls(args) => ls::run(&global, &output, args).await,
        Command::Log(args) => log::run(&global, &output, args).await,
        Command::Status(args) => status::run(&global, &output, args).await,
        Command::Plan(args) => plan::run(&global, &output, args).await,
        Command::Reset(args) => reset::run(&global, &output, args).await,
        Command::Apply(args) => apply::run(&global, &output, args).await,
        Command::Swap(args) => swap::run(&global, &output, args).await,
        Command::Undo(args) => undo::run(&global, &output, args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
