//! Policies of base chains that stay.

use super::super::Draft;
use super::super::register::Register;
use super::ruleset::Item;
use crate::model::nft::{BaseChain, ChainSnapshot, NftSnapshot};
use crate::model::subject::Snapshot;
use crate::rollback::step::{Action, Step};

/// Makes the step that sets the policy back to what it was before the selected owner changed it, if that is all that is
/// different; whether it did.
pub(super) fn set_back(register: &Register<'_>, item: &Item<'_>, draft: &mut Draft) -> bool {
    let Some((proof, earlier)) = register.set_back(item.subject, item.snapshot) else { return false };
    let (Some(was), Some(is)) = (base(earlier), base(item.snapshot)) else { return false };
    let is_all = BaseChain { policy: is.policy, ..was.clone() } == *is;
    if was.policy == is.policy || !is_all {
        return false;
    }
    draft.steps.push(Step::new(&proof, item.snapshot, Action::SetPolicy { policy: was.policy }));
    true
}

fn base(snapshot: &Snapshot) -> Option<&BaseChain> {
    match snapshot {
        Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base, .. })) => base.as_ref(),
        _ => None,
    }
}
