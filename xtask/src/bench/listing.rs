//! `netdeed blame` against `iptables-save` alone, on the same ruleset, in turns.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use netdeed_tests::Failure;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;

use crate::error::XtaskError;

use super::machine;
use super::probe::Probe;
use super::statistics::{Summary, median};
use super::watcher::Netdeed;

/// Services of the ruleset: 15 lines each.
const SERVICES: usize = 5000;
/// What a listing may take of what `iptables-save` takes.
pub(super) const MOST_OVER_SAVE: f64 = 1.5;
/// What people call it.
pub(super) const NAME: &str = "netdeed blame of 5,000 services";

/// What came of it.
#[derive(Debug)]
pub(super) struct Listing {
    /// Lines listed.
    pub(super) lines: usize,
    pub(super) ratio: Summary,
    /// Medians, nanoseconds: `netdeed blame`, `iptables-save`.
    pub(super) figures: (f64, f64),
    /// Rules a second that are read from the kernel and decoded, and that are put into words.
    pub(super) rates: (f64, f64),
}

/// Measures.
pub(super) fn run(programs: &Path, is_quick: bool) -> Result<Listing, XtaskError> {
    machine::wait_for_others()?;
    let node = Node::new()?;
    let tracker = Netdeed::start(&node, programs)?;
    kube_proxy::sync(&node, SERVICES)?;
    tracker.catch_up()?;
    let (mut blames, mut saves) = (Vec::new(), Vec::new());
    let mut lines = 0;
    // the first of each only warms up
    for round in 0..=if is_quick { 2 } else { 12 } {
        eprintln!("{NAME}: round {round}");
        let mut blame = node.command(programs.join("netdeed"));
        blame.arg("--socket").arg(tracker.socket()).args(["blame", "iptables"]);
        let (blame_time, listed) = timed(blame)?;
        let (save_time, _) = timed(node.command("iptables-nft-save"))?;
        lines = listed;
        if round > 0 {
            blames.push(blame_time);
            saves.push(save_time);
        }
    }
    let rate = |probe: Probe| -> Result<f64, XtaskError> {
        let samples = probe.run_in(&node, programs, if is_quick { 1 } else { 5 }, Path::new("/"))?;
        Ok(1e9 / median(&samples))
    };
    let rates = (rate(Probe::ReadRules)?, rate(Probe::RenderRules)?);
    tracker.stop()?;
    let ratios: Vec<f64> = blames.iter().zip(&saves).map(|(blame, save)| blame / save).collect();
    let ratio = Summary::of(&ratios).ok_or_else(|| XtaskError::Wrong("nothing was measured".to_owned()))?;
    Ok(Listing { lines, ratio, figures: (median(&blames), median(&saves)), rates })
}

/// Runs a program to its end with its output read by nobody but us, and says how long that took and how many lines it
/// printed.
fn timed(mut command: Command) -> Result<(f64, usize), XtaskError> {
    let began = Instant::now();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::null()).output();
    let time = began.elapsed().as_secs_f64() * 1e9;
    let output = output.map_err(|error| Failure::new("cannot run a listing", error))?;
    if !output.status.success() {
        return Err(XtaskError::Failed { command: format!("{command:?}"), status: output.status });
    }
    Ok((time, output.stdout.iter().filter(|byte| **byte == b'\n').count()))
}
