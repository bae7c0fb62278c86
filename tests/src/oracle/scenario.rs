//! Scenarios: what several programs do, each in its order, in an order among them that follows from a seed.

use std::fmt;

use super::{Outcome, Step, kubernetes, others};
use crate::Result;
use crate::accuracy::Random;

/// What one program does, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// A short name.
    pub name: &'static str,
    /// What it does while the node starts, before everybody else.
    pub boot: Vec<Step>,
    /// What it does later.
    pub steps: Vec<Step>,
}

impl Timeline {
    /// Nothing while the node starts.
    pub(super) fn new(name: &'static str, steps: Vec<Step>) -> Self {
        Self { name, boot: Vec::new(), steps }
    }
}

/// Makes a timeline. The number differs from that of all others of a scenario.
pub(super) type Maker = fn(&mut Random, usize) -> Timeline;

/// Several timelines and an order among their steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything.
    pub seed: u64,
    timelines: Vec<Timeline>,
    /// The timeline of each turn.
    turns: Vec<usize>,
}

impl Scenario {
    /// The scenario of a seed: one to three timelines of Kubernetes, one to four of others.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // the first numbers of neighbouring seeds are alike
        random.below(2);
        let mut timelines = Vec::new();
        for (makers, most) in [(&kubernetes::TIMELINES[..], 3), (&others::TIMELINES[..], 4)] {
            let mut left: Vec<Maker> = makers.to_vec();
            for _ in 0..=random.below(most) {
                let maker = left.remove(random.below(left.len()));
                timelines.push(maker(&mut random, timelines.len()));
            }
        }
        let mut left: Vec<usize> = timelines.iter().map(|timeline| timeline.steps.len()).collect();
        let mut turns = Vec::new();
        while left.iter().any(|count| *count > 0) {
            // longer timelines get their turn more often, so that all end about together
            let mut place = random.below(left.iter().sum());
            let turn = left.iter().position(|count| {
                let is_here = place < *count;
                place = place.saturating_sub(*count);
                is_here
            });
            if let Some(turn) = turn {
                left[turn] -= 1;
                turns.push(turn);
            }
        }
        Self { seed, timelines, turns }
    }

    /// All steps, after what every node has from its start.
    pub fn steps(&self) -> Vec<Step> {
        // firewalld's start flushes what iptables has
        let boot = self.timelines.iter().flat_map(|timeline| timeline.boot.clone()).chain(others::boot());
        let mut timelines: Vec<_> = self.timelines.iter().map(|timeline| timeline.steps.iter()).collect();
        let turns = self.turns.iter().filter_map(|turn| timelines[*turn].next().cloned());
        boot.chain(turns).collect()
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub fn run(&self) -> Result<Outcome> {
        Outcome::of(&self.steps())
    }

    /// The smallest scenario that still ends unequal when whole timelines are left out one by one, with its outcome.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub fn shrink(self, outcome: Outcome) -> Result<(Self, Outcome)> {
        let mut smallest = (self, outcome);
        for left_out in (0..smallest.0.timelines.len()).rev() {
            let mut smaller = smallest.0.clone();
            smaller.timelines.remove(left_out);
            smaller.turns.retain(|turn| *turn != left_out);
            smaller.turns.iter_mut().filter(|turn| **turn > left_out).for_each(|turn| *turn -= 1);
            let outcome = smaller.run()?;
            if !outcome.is_equal() {
                smallest = (smaller, outcome);
            }
        }
        Ok(smallest)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.timelines.iter().map(|timeline| timeline.name).collect();
        writeln!(f, "seed {}: {}", self.seed, names.join(", "))?;
        self.steps().iter().try_for_each(|step| writeln!(f, "  {step:?}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_everything_and_no_step_is_lost() {
        for seed in 0..200 {
            let scenario = Scenario::of(seed);
            assert_eq!(scenario, Scenario::of(seed));
            let planned: usize =
                scenario.timelines.iter().map(|timeline| timeline.boot.len() + timeline.steps.len()).sum();
            assert_eq!(scenario.steps().len(), planned + others::boot().len());
            assert!(scenario.steps().iter().any(Step::is_kubernetes));
        }
    }

    #[test]
    fn every_timeline_has_its_turn_in_two_hundred_scenarios() {
        let seen: BTreeSet<&str> =
            (0..200).flat_map(|seed| Scenario::of(seed).timelines).map(|timeline| timeline.name).collect();
        // two of Kubernetes' are by the real program or by what it writes
        assert_eq!(seen.len(), kubernetes::TIMELINES.len() + others::TIMELINES.len() + 2, "{seen:?}");
    }
}
