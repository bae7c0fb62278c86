//! Rollback: plan, check, execute, verify, each a type.
//!
//! After a rollback the node is in the state it would be in had the selected owner never run on it, with everything of
//! everybody else still in place. The argument that nothing else is touched:
//!
//! 1. A [`step::Step`] can only be made by the planner, from an object that the journal proves to be the selected owner's
//!    and that is unchanged by others ([`planner`] alone gives out that proof).
//! 2. What is live but not recorded counts as somebody else's. An object that somebody else's thing needs, or that holds
//!    one, is refused; so is one whose removal would make the kernel remove such a thing.
//! 3. [`check::check`] reads everything the steps rest on again and hands out the only value the executor takes.
//! 4. All nf_tables deletions are one commit carrying the generation of the ruleset that was planned for: if anybody
//!    committed since, the kernel refuses it whole. A legacy table is replaced once, under the lock of its tools, after it
//!    was read again; a tool that takes no lock is caught by the kernel only if it added or removed something. Everything else is compared once more by the host right before its
//!    removal; between that comparison and the removal remains a moment that the kernel offers no means to close.
//! 5. [`verify::Expectation`] compares digests of everything else before and after.
//!
//! A base chain's policy that the owner changed last goes back to what it was before. What is *not* done: other contents
//! that the owner changed on other people's objects are reported ([`refusal::Reason::Altered`]) and not set back; bridge
//! tables of legacy xtables are reported and not touched.

pub mod archive;
pub mod check;
pub mod earlier;
pub mod execution;
pub mod executor;
pub mod export;
mod legacy;
pub mod live;
pub mod plan;
pub mod planner;
pub mod refusal;
pub(crate) mod relations;
pub mod run;
pub mod selection;
pub mod step;
pub mod swap;
pub mod undo;
pub mod verify;

pub use archive::{Archive, BadArchive};
pub use check::{CheckedPlan, PlanChanged, check};
pub use earlier::{Earlier, earlier, wants_earlier};
pub use execution::{Execution, ExecutionState};
pub use executor::execute;
pub use live::{LiveState, candidate_paths};
pub use plan::Plan;
pub use planner::{plan, plan_with};
pub use refusal::{Kept, KeptReason, Reason, Refusal};
pub use run::{Ledger, LedgerError, Rollback, RollbackError, run};
pub use selection::{ActorFilter, Selection};
pub use step::{Action, Step, Why};
pub use verify::{Expectation, Proof};

#[cfg(test)]
mod tests;
