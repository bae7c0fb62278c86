//! Plan, check, execute, verify: the bounded loop around the kernel's compare-and-set.

use super::check::check;
use super::earlier::Earlier;
use super::execution::{Execution, ExecutionState};
use super::executor::execute;
use super::live::{LiveState, candidate_paths, recorded_paths};
use super::plan::Plan;
use super::planner::plan_with;
use super::selection::Selection;
use super::verify::{Expectation, Proof};
use crate::host::{Host, HostError};
use crate::model::object::Object;

/// How often a plan that went stale before anything was changed is made anew.
pub const ATTEMPTS: usize = 5;

/// What a rollback came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a rollback may have failed half-way or refused something"]
pub struct Rollback {
    /// The plan that was executed.
    pub plan: Plan,
    /// What became of its steps.
    pub execution: Execution,
    /// The state afterwards, held against the plan.
    pub proof: Proof,
}

/// A rollback that did not come to execution, or whose result could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// The journal could not be read. Nothing was changed.
    #[error("cannot use the journal for a rollback")]
    Journal(#[source] LedgerError),
    /// The begin could not be recorded, or is not wanted. Nothing was changed.
    #[error("cannot begin the rollback")]
    NotBegun(#[source] LedgerError),
    /// The live state could not be read. Nothing was changed.
    #[error("cannot read the live state")]
    Live(#[source] HostError),
    /// The live state kept changing. Nothing was changed by us.
    #[error("the live state kept changing during {attempts} attempts, last: {last}")]
    Unstable {
        /// How often was planned.
        attempts: usize,
        /// The last difference.
        last: String,
    },
    /// The steps were tried, but the state afterwards could not be read.
    #[error("cannot read the live state after the steps were tried")]
    Unverified {
        /// What became of the steps.
        execution: Execution,
        /// Why.
        source: HostError,
    },
}

/// Error of a ledger.
pub type LedgerError = Box<dyn std::error::Error + Send + Sync>;

/// The journal's side of a rollback.
pub trait Ledger {
    /// The journal's objects of the scope, of all owners, read anew for each attempt: what made the last one stale should
    /// be recorded by then; if it is not, it counts as somebody else's.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn objects(&mut self) -> Result<Vec<Object>, LedgerError>;

    /// The content of objects before the selected owner changed them; see [`super::wants_earlier`].
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn earlier(&mut self, objects: &[Object], selection: &Selection) -> Result<Earlier, LedgerError> {
        let _ = (objects, selection);
        Ok(Earlier::new())
    }

    /// Records, durably, that this plan is about to be executed, and archives what it takes away of `before`. Called
    /// again when an attempt ends in a conflict.
    ///
    /// # Errors
    /// When it cannot be recorded or must not be; nothing is executed then.
    fn begin(&mut self, plan: &Plan, before: &LiveState, known: &[Object]) -> Result<(), LedgerError>;

    /// Is told how many of the steps are done.
    fn progress(&mut self, done: usize, total: usize);
}

/// Rolls back what `selection` asks for.
///
/// # Errors
/// [`RollbackError`]; only [`RollbackError::Unverified`] comes after steps were tried.
pub fn run(ledger: &mut dyn Ledger, selection: &Selection, host: &mut dyn Host) -> Result<Rollback, RollbackError> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        let known = ledger.objects().map_err(RollbackError::Journal)?;
        let paths = candidate_paths(&known, selection);
        let live = host.live(&paths).map_err(RollbackError::Live)?;
        let earlier = ledger.earlier(&known, selection).map_err(RollbackError::Journal)?;
        let planned = plan_with(&known, &earlier, &live, selection);
        let before = host.live_again(&recorded_paths(&known), live).map_err(RollbackError::Live)?;
        let expectation = Expectation::new(&planned, &before).owned(&known);
        let checked = match check(planned, &before) {
            Ok(checked) => checked,
            Err(changed) => {
                last = changed.to_string();
                continue;
            }
        };
        let plan = checked.plan().clone();
        ledger.begin(&plan, &before, &known).map_err(RollbackError::NotBegun)?;
        // what is not needed any more makes room for what comes
        drop((before, known));
        let execution = execute(checked, host, &mut |done, total| ledger.progress(done, total));
        if execution.state == ExecutionState::GenerationConflict {
            "somebody committed a ruleset".clone_into(&mut last);
            continue;
        }
        return match host.live(&expectation.paths()) {
            Ok(after) => Ok(Rollback { proof: expectation.verify(&after), plan, execution }),
            Err(source) => Err(RollbackError::Unverified { execution, source }),
        };
    }
    Err(RollbackError::Unstable { attempts: ATTEMPTS, last })
}
