//! The benchmarks: what the tracker costs everybody else, and itself.
//!
//! A latency is measured on one node with one watcher after the other: nobody, `netdeedd`, `nft monitor`, and nobody once
//! more. That is a round, and rounds follow each other, each beginning with another watcher, so that whatever else the
//! machine does hits all alike. Ratios are made within a round and only then put together: the last of them, of nobody to
//! nobody, says what a difference must exceed to mean anything.

mod compare;
mod footprint;
mod listing;
mod machine;
mod measurements;
mod probe;
mod report;
mod rollback;
mod statistics;
mod watcher;

use std::path::{Path, PathBuf};

use clap::Args;
use netdeed_tests::node::Node;

use crate::error::XtaskError;
use crate::{provision, shell};

use machine::Machine;
use probe::Probe;
use report::Report;
use rollback::Rollbacks;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Few rounds: shows that everything can be measured, the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Writes the figures into docs/benchmarks.md; with `--only`, those of rollbacks only.
    #[arg(long)]
    write: bool,
    /// Only what has this in its name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measures `netdeedd` in this directory, by `xtask` in it, instead of building them: for comparing versions.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Measures one thing in this process and prints nanoseconds; how the benchmarks run themselves in a node.
    #[arg(long, hide = true, value_enum)]
    probe: Option<Probe>,
    /// Samples the probe takes.
    #[arg(long, hide = true, default_value_t = 1)]
    samples: usize,
    /// What the probe works on.
    #[arg(long, hide = true, default_value = ".")]
    path: PathBuf,
}

/// Runs the benchmarks.
pub(crate) fn run(arguments: &BenchArguments) -> Result<(), XtaskError> {
    if let Some(probe) = arguments.probe {
        return probe.run(arguments.samples, &arguments.path);
    }
    let is_of_rollbacks =
        |text: &String| rollback::scales(false).iter().all(|scale| scale.name().contains(text.as_str()));
    if arguments.write && arguments.only.as_ref().is_some_and(|text| !is_of_rollbacks(text)) {
        return Err(XtaskError::Wrong("only `--only rollback` can be written alone".to_owned()));
    }
    provision::run()?;
    let programs = match &arguments.programs {
        Some(programs) => programs.clone(),
        None => {
            shell::build_programs(true)?;
            shell::target().join("release")
        }
    };
    let programs =
        programs.canonicalize().map_err(|source| XtaskError::File { operation: "find", path: programs, source })?;
    machine::wait_for_others()?;
    let report = measure(arguments, &programs)?;
    println!("{report}");
    if arguments.write { report.write(&shell::workspace().join("docs/benchmarks.md")) } else { Ok(()) }
}

fn measure(arguments: &BenchArguments, programs: &Path) -> Result<Report, XtaskError> {
    let is_wanted = |name: &str| arguments.only.as_ref().is_none_or(|text| name.contains(text));
    let mut machine = Machine::describe()?;
    let mut comparisons = Vec::new();
    let node = Node::new()?;
    for measurement in measurements::all(&node, arguments.quick)? {
        if is_wanted(measurement.name) {
            comparisons.push(compare::run(&node, programs, &measurement)?);
        }
    }
    drop(node);
    let mut footprints = Vec::new();
    for scene in footprint::scenes(arguments.quick) {
        if is_wanted(&scene.name()) {
            footprints.push(footprint::run(programs, &scene)?);
        }
    }
    let listing = is_wanted(listing::NAME).then(|| listing::run(programs, arguments.quick)).transpose()?;
    let rollbacks = rollbacks(programs, arguments.quick, is_wanted)?;
    machine.note_end();
    Ok(Report { machine, is_quick: arguments.quick, comparisons, footprints, listing, rollbacks })
}

fn rollbacks(programs: &Path, is_quick: bool, is_wanted: impl Fn(&str) -> bool) -> Result<Rollbacks, XtaskError> {
    let mut scales = rollback::scales(is_quick);
    scales.retain(|scale| is_wanted(&scale.name()));
    if scales.is_empty() {
        return Ok(Rollbacks(Vec::new()));
    }
    provision::components()?;
    let node = Node::new()?;
    let bench = rollback::Bench::start(&node, programs)?;
    Ok(Rollbacks(scales.into_iter().map(|scale| bench.run(scale)).collect::<Result<_, _>>()?))
}
