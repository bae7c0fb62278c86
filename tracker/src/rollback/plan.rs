//! The plan: steps, refusals and what stays, and the ruleset it was made for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::check::Preconditions;
use super::refusal::{Kept, Refusal};
use super::step::Step;
use crate::model::ids::Generation;
use crate::model::subject::Subject;

/// What a rollback would do, would not do, and why. Pure data: nothing happens until it is checked and executed. Its
/// copies share what is long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan does nothing until it is checked and executed, and its refusals want to be read"]
pub struct Plan {
    pub(super) steps: Arc<Vec<Step>>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) kept: Arc<Vec<Kept>>,
    pub(super) implied: Arc<BTreeSet<Subject>>,
    pub(super) generation: Generation,
    pub(super) preconditions: Preconditions,
}

impl Plan {
    /// The removals, in the order they are done; those of nf_tables come first and are one commit.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What was asked for and is not removed.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// What needs no step of its own.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Live objects that vanish without a step of their own, because what they are part of goes.
    pub fn implied(&self) -> &BTreeSet<Subject> {
        &self.implied
    }

    /// The nftables ruleset the plan was made for.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Plan {
    /// The plan as people read it: steps, then refusals with what to do about them, then what stays.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, refusals, kept, implied: _, generation: _, preconditions: _ } = self;
        if steps.is_empty() {
            writeln!(f, "# nothing to remove")?;
        }
        for step in steps.iter() {
            writeln!(f, "{step}")?;
        }
        for Refusal { object: _, class: _, what, owner, reason } in refusals {
            writeln!(f, "! {what}   # {owner}: refused, {reason}")?;
            writeln!(f, "#   {}", reason.remedy())?;
        }
        for Kept { object: _, class: _, what, owner, reason } in kept.iter() {
            writeln!(f, "= {what}   # {owner}: {reason}")?;
        }
        Ok(())
    }
}
