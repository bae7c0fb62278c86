//! Plan, execute, verify an undo: the bounded loop around the kernel's compare-and-set.

use super::proof::UndoExpectation;
use super::{UndoPlan, execute, plan_undo, undo_paths};
use crate::host::archive::ArchivedFiles;
use crate::host::{Host, HostError};
use crate::model::object::Scope;
use crate::rollback::archive::Archive;
use crate::rollback::execution::{Execution, ExecutionState};
use crate::rollback::run::{ATTEMPTS, LedgerError};
use crate::rollback::verify::Proof;

/// What an undo came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an undo may have failed half-way or refused something"]
pub struct Undone {
    /// The plan that was executed.
    pub plan: UndoPlan,
    /// What became of its steps.
    pub execution: Execution,
    /// The state afterwards, held against the plan; `None` when it could not be read.
    pub proof: Option<Proof>,
}

/// An undo that did not come to execution; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// The live state could not be read.
    #[error("cannot read the live state")]
    Live(#[source] HostError),
    /// The begin could not be recorded.
    #[error("cannot begin the undo")]
    NotBegun(#[source] LedgerError),
    /// The live state kept changing.
    #[error("the nftables ruleset kept changing during {attempts} attempts")]
    Unstable {
        /// How often was planned.
        attempts: usize,
    },
}

/// The journal's side of an undo.
pub trait UndoLedger {
    /// Records, durably, that this plan is about to be executed. Called again after a conflict.
    ///
    /// # Errors
    /// When it cannot be recorded; nothing is executed then.
    fn begin(&mut self, plan: &UndoPlan) -> Result<(), LedgerError>;

    /// Is told how many of the steps are done.
    fn progress(&mut self, done: usize, total: usize);
}

/// Puts back what fits of an archive.
///
/// # Errors
/// [`UndoError`]; nothing was changed then.
pub fn run(
    ledger: &mut dyn UndoLedger,
    archive: &Archive,
    scope: Scope,
    host: &mut dyn Host,
    files: Option<ArchivedFiles<'_>>,
) -> Result<Undone, UndoError> {
    for _ in 0..ATTEMPTS {
        let live = host.live(&undo_paths(archive)).map_err(UndoError::Live)?;
        let plan = plan_undo(archive, &live, scope);
        let expectation = UndoExpectation::new(&plan, &live);
        ledger.begin(&plan).map_err(UndoError::NotBegun)?;
        let execution = execute(&plan, host, files, &mut |done, total| ledger.progress(done, total));
        if execution.state == ExecutionState::GenerationConflict {
            continue;
        }
        let proof = host.live(&expectation.paths()).ok().map(|after| expectation.verify(&after));
        return Ok(Undone { plan, execution, proof });
    }
    Err(UndoError::Unstable { attempts: ATTEMPTS })
}
