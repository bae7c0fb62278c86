//! Sysctls: set back to what they were, unless somebody else set them since. Their values are not part of the live state:
//! the host compares the value right before it writes.

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::refusal::Reason;
use crate::rollback::step::{Action, Step};

pub(super) fn plan(register: &Register<'_>, draft: &mut Draft) {
    for object in register.objects() {
        let (Subject::Sysctl(_), Snapshot::Sysctl(set)) = (&object.subject, &object.snapshot) else { continue };
        let judged = match judge(register, &object.subject, &object.snapshot) {
            Judged::Mine(_) if set.before.is_none() => Judged::Refused(Reason::EarlierUnknown),
            judged => judged,
        };
        match judged.proof() {
            Some(proof) => draft.steps.push(Step::new(&proof, &object.snapshot, Action::RestoreSysctl)),
            None => refuse_judged(register, draft, &judged, &object.subject),
        }
    }
}
