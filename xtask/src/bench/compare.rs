//! Rounds of one latency with one watcher after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use netdeed_tests::node::Node;

use crate::error::XtaskError;

use super::machine;
use super::measurements::Measurement;
use super::statistics::{Summary, median};
use super::watcher::{Running, Watcher};

/// Pause between runs of a probe: what the kernel frees after a table is gone is freed by its workers, unseen.
const PAUSE: Duration = Duration::from_millis(300);
/// A latency with the tracker may be this much of what it is without.
pub(super) const MOST_OVER_NOBODY: f64 = 1.03;
/// And this much of what it is with `nft monitor`.
pub(super) const MOST_OVER_MONITOR: f64 = 1.0;

/// Two watchers held against each other, round by round.
#[derive(Debug)]
pub(super) struct Pairing {
    pub(super) watcher: Watcher,
    pub(super) against: Watcher,
    pub(super) ratio: Summary,
    /// Medians of both over all rounds, nanoseconds.
    pub(super) figures: (f64, f64),
    /// What the ratio should not exceed.
    pub(super) aim: Option<f64>,
}

/// What came of one measurement.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) pairings: Vec<Pairing>,
    /// Rounds thrown away because somebody else's BPF programs came or went meanwhile.
    pub(super) disturbed: usize,
}

/// Measures.
pub(super) fn run(node: &Node, programs: &Path, measurement: &Measurement) -> Result<Comparison, XtaskError> {
    let mut watchers = vec![Watcher::Nobody];
    watchers.extend(measurement.watchers);
    watchers.push(Watcher::NobodyAgain);
    let mut figures: BTreeMap<Watcher, Vec<f64>> = BTreeMap::new();
    let mut disturbed = 0;
    let mut round = 0;
    while round < measurement.rounds {
        eprintln!("{}: round {} of {}", measurement.name, round + 1, measurement.rounds);
        // who begins changes from round to round
        watchers.rotate_left(1);
        machine::wait_for_others()?;
        let others = machine::bpf_holders();
        let mut of_round = Vec::new();
        for watcher in &watchers {
            of_round.push((*watcher, figure(node, programs, measurement, *watcher)?));
        }
        if machine::bpf_holders() != others && disturbed < measurement.rounds {
            disturbed += 1;
            eprintln!("{}: somebody else's BPF programs came or went, the round is repeated", measurement.name);
            continue;
        }
        for (watcher, figure) in of_round {
            figures.entry(watcher).or_default().push(figure);
        }
        round += 1;
    }
    Ok(Comparison { name: measurement.name, pairings: pairings(&figures), disturbed })
}

/// One figure: the median of the samples taken with one watcher in one round, nanoseconds.
#[expect(clippy::disallowed_methods, reason = "a pause in which nothing is measured")]
fn figure(node: &Node, programs: &Path, measurement: &Measurement, watcher: Watcher) -> Result<f64, XtaskError> {
    let running = Running::start(watcher, node, programs)?;
    let mut samples = Vec::new();
    let warm_up = usize::from(measurement.runs > 1);
    for run in 0..measurement.runs + warm_up {
        let taken = measurement.probe.run_in(node, programs, measurement.samples, &measurement.path)?;
        if run >= warm_up {
            samples.extend(taken);
        }
        running.catch_up()?;
        if measurement.runs > 1 {
            std::thread::sleep(PAUSE);
        }
    }
    running.stop()?;
    Ok(median(&samples))
}

fn pairings(figures: &BTreeMap<Watcher, Vec<f64>>) -> Vec<Pairing> {
    use Watcher::{Netdeed, NftMonitor, Nobody, NobodyAgain};
    let wanted = [
        (Netdeed, Nobody, Some(MOST_OVER_NOBODY)),
        (NftMonitor, Nobody, None),
        (Netdeed, NftMonitor, Some(MOST_OVER_MONITOR)),
        (NobodyAgain, Nobody, None),
    ];
    let pairing = |(watcher, against, aim)| {
        let (of, to) = (figures.get(&watcher)?, figures.get(&against)?);
        let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
        Some(Pairing { watcher, against, ratio: Summary::of(&ratios)?, figures: (median(of), median(to)), aim })
    };
    wanted.into_iter().filter_map(pairing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_made_within_rounds() {
        // the machine got twice as slow in the second round; the tracker costs a tenth in both
        let figures = BTreeMap::from([
            (Watcher::Nobody, vec![100.0, 200.0]),
            (Watcher::Netdeed, vec![110.0, 220.0]),
            (Watcher::NobodyAgain, vec![100.0, 200.0]),
        ]);
        let pairings = pairings(&figures);
        let named: Vec<_> = pairings.iter().map(|pairing| (pairing.watcher, pairing.against)).collect();
        assert_eq!(named, [(Watcher::Netdeed, Watcher::Nobody), (Watcher::NobodyAgain, Watcher::Nobody)]);
        assert!((pairings[0].ratio.median - 1.1).abs() < 1e-9);
        assert!((pairings[0].ratio.range.1 - pairings[0].ratio.range.0).abs() < 1e-9);
        assert_eq!(pairings[0].figures, (165.0, 150.0));
    }
}
