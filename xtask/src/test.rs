//! The tests: format, lints, the BPF object's freshness, documentation, unit and namespace tests, other kernels.

use std::process::Command;

use clap::{Args, ValueEnum};

use crate::error::XtaskError;
use crate::vm::{self, VmArguments};
use crate::{ebpf, provision, shell};

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Only one tier.
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    #[command(flatten)]
    vm: VmArguments,
}

/// Tiers, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Formatting, lints and documentation. Needs neither root nor any tool but Rust's.
    Lint,
    /// The BPF object in the tree comes from the sources in the tree.
    Ebpf,
    /// Unit and namespace tests.
    Run,
    /// Thousands of objects by 32 writers at once, each held against what its maker logged. Takes minutes; only when asked
    /// for. `NETDEED_SEED` chooses what is made.
    Accuracy,
    /// Random scenarios on two nodes each, with and without Kubernetes; only when asked for. `NETDEED_SEED` is the first
    /// seed, `NETDEED_SCENARIOS` says how many (200).
    Counterfactual,
    /// The laws of a rollback and its undo on 100,000 random worlds each, `NETDEED_LAW_CASES`, and the fake kernel they
    /// stand on against the real one; only when asked for.
    Laws,
    /// Other kernels, in virtual machines. Without a tier only one of them, and whether the BPF programs load and record
    /// truthfully there: all takes long without KVM.
    Vm,
}

/// Runs the tiers in order; stops at the first failure.
pub(crate) fn run(arguments: &TestArguments) -> Result<(), XtaskError> {
    let is_wanted = |tier| arguments.tier.is_none_or(|only| only == tier);
    if is_wanted(Tier::Run) || matches!(arguments.tier, Some(Tier::Accuracy | Tier::Counterfactual | Tier::Laws)) {
        provision::run()?;
    }
    if is_wanted(Tier::Ebpf) {
        println!("{}", ebpf::build(true)?);
    }
    if is_wanted(Tier::Lint) {
        lint()?;
    }
    if is_wanted(Tier::Run) {
        provision::components()?;
        shell::build_programs(false)?;
        shell::run("cargo", &["test", "--workspace"])?;
    }
    if arguments.tier == Some(Tier::Accuracy) {
        alone("accuracy")?;
    }
    if arguments.tier == Some(Tier::Counterfactual) {
        alone("counterfactual")?;
    }
    if arguments.tier == Some(Tier::Laws) {
        laws()?;
    }
    match arguments.tier {
        Some(Tier::Vm) => vm::run(&arguments.vm)?,
        None => vm::run(&VmArguments::usual())?,
        Some(_) => {}
    }
    Ok(())
}

/// One test after the other, those that take long too: each wants the machine for itself.
fn alone(test: &str) -> Result<(), XtaskError> {
    shell::build_programs(false)?;
    let run = ["test", "--package", "netdeed-tests", "--test", test, "--", "--include-ignored", "--nocapture"];
    shell::run("cargo", &[&run[..], &["--test-threads", "1"]].concat())
}

fn laws() -> Result<(), XtaskError> {
    let run =
        ["test", "--package", "netdeed-tracker", "--lib", "--", "rollback::tests::laws", "rollback::tests::undoing"];
    let mut command = Command::new("cargo");
    command.args(run).current_dir(shell::workspace());
    if std::env::var_os("NETDEED_LAW_CASES").is_none() {
        command.env("NETDEED_LAW_CASES", "100000");
    }
    shell::run_command(&mut command)?;
    shell::run("cargo", &["test", "--package", "netdeed-tracker", "--test", "fake"])
}

/// The BPF programs are linted as if they were for this machine: the BPF target's own compiler comes without clippy. What
/// the kernel calls takes its context by value.
const BPF_LINT: [&str; 14] = [
    "clippy",
    "--package",
    "netdeed-tracker-ebpf",
    "--bin",
    "netdeed-bpf",
    "--features",
    "bpf",
    "--profile",
    "bpf",
    "--",
    "--deny",
    "warnings",
    "--allow",
    "clippy::needless_pass_by_value",
];

fn lint() -> Result<(), XtaskError> {
    shell::run("cargo", &["fmt", "--all", "--check"])?;
    shell::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    shell::run("cargo", &BPF_LINT)?;
    let mut doc = Command::new("cargo");
    doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "--deny warnings");
    shell::run_command(doc.current_dir(shell::workspace()))
}
