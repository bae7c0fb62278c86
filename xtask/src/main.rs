//! The project's own chores. `cargo xtask help` lists them.

mod bench;
mod demo;
mod ebpf;
mod error;
mod fuzz;
mod provision;
mod shell;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::XtaskError;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Shows the whole path on a node made for it: record, ask, plan, reset, prove. Needs root.
    Demo,
    /// Passes the checks and the tests; installs what they need. Needs root.
    Test(test::TestArguments),
    /// Measures what the tracker costs others, side by side in one run. Needs root.
    Bench(bench::BenchArguments),
    /// Feeds the decoders bytes that coverage guides to.
    Fuzz(fuzz::FuzzArguments),
    /// Builds the BPF object from source and puts it into the tree.
    BuildEbpf {
        /// Fail when the object in the tree does not come from the sources in the tree.
        #[arg(long)]
        check: bool,
    },
    /// Installs the programs that tests, demo and benchmarks run.
    Provision,
    /// Does what the tests order, inside of a virtual machine.
    #[command(hide = true)]
    VmGuest(vm::GuestArguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Demo => demo::run(),
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::BuildEbpf { check } => build_ebpf(check),
        Chore::Provision => provision::run().and_then(|()| provision::components()),
        Chore::VmGuest(arguments) => vm::run_guest(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn build_ebpf(check: bool) -> Result<(), XtaskError> {
    println!("{}", ebpf::build(check)?);
    Ok(())
}

fn report(error: &XtaskError) {
    eprintln!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  because {cause}");
        source = cause.source();
    }
}
