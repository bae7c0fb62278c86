//! Benchmarks: placeholder.

use clap::Args;

use crate::error::XtaskError;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {}

/// Runs the benchmarks.
pub(crate) fn run(_arguments: &BenchArguments) -> Result<(), XtaskError> {
    Ok(())
}
