//! nf_tables: what may go, what the kernel would refuse, what others need.
//!
//! References run one way (rules to sets, chains and objects; elements to chains and objects; everything to its
//! table), so one pass in that order reaches the fixpoint. Anonymous sets and bound chains are part of the rule that
//! made them: they and what is in them go and stay with it.

mod fate;
mod interval;
mod leading;
mod policy;
mod report;
mod ruleset;

use super::Draft;
use super::register::Register;
use crate::model::subject::{Snapshot, Subject};

pub(in crate::rollback) use interval::deletion_order;

pub(super) fn plan(register: &Register<'_>, live: &[(Subject, Snapshot)], draft: &mut Draft) {
    let ruleset = ruleset::Ruleset::new(register, live);
    let leading = leading::Leading::find(&ruleset);
    let fates = fate::decide(register, &ruleset, &leading);
    report::report(register, &ruleset, &fates, &leading, draft);
}
