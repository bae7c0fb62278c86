//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{apply, blame, completions, log, ls, man, plan, reset, status, swap, undo, who};

/// Who added this rule, link, route or directory, and how to take back what Kubernetes added
#[derive(Debug, Parser)]
#[command(
    name = "netdeed",
    version,
    propagate_version = true,
    after_help = "Exit status: 0 done, 1 failed, 2 usage, 3 something was refused, 4 tracker not reachable."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the help lists what every command takes.
const GLOBAL: &str = "Global options";

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Socket the tracker listens on
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "PATH",
        env = "NETDEED_SOCKET",
        default_value = "/run/netdeed/netdeed.sock"
    )]
    pub(crate) socket: PathBuf,
    /// Journal to read when no tracker runs
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR", default_value = "/var/lib/netdeed")]
    pub(crate) journal: PathBuf,
    /// Output for people (table) or for programs (json, yaml)
    #[arg(short, long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// How to write answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say who added a thing
    Who(who::WhoArgs),
    /// Print the firewall rules, each line with who added it
    Blame(blame::BlameArgs),
    /// List recorded objects
    Ls(ls::LsArgs),
    /// Show what happened
    Log(log::LogArgs),
    /// Show how the tracker is
    Status(status::StatusArgs),
    /// Show what a reset would remove, and what not
    Plan(plan::PlanArgs),
    /// Remove what an owner added
    Reset(reset::ResetArgs),
    /// Carry out a plan that was reviewed
    Apply(apply::ApplyArgs),
    /// Remove one CNI to make room for another, or look for what is left of it
    Swap(swap::SwapArgs),
    /// Put back what a reset removed
    Undo(undo::UndoArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write manual pages to a directory
    Man(man::ManArgs),
}
