//! What an object was before the selected owner changed it.

use std::collections::BTreeMap;

use super::selection::Selection;
use crate::model::change::{ChangeKind, RecordedChange};
use crate::model::ids::ObjectId;
use crate::model::object::Object;
use crate::model::subject::{Class, Snapshot};

/// The content of objects before the selected owner's last changes of them.
pub type Earlier = BTreeMap<ObjectId, Snapshot>;

/// Whether a plan wants to know the earlier content of an object: the selected owner changed it last, and it is of a
/// class of which something can be set back.
pub fn wants_earlier(object: &Object, selection: &Selection) -> bool {
    let is_changed = object.changed.as_ref().is_some_and(|deed| selection.covers(deed));
    object.is_live() && is_changed && object.class() == Class::Chain
}

/// The content before the selected owner's last changes in a row. `None` when the journal holds no change before
/// them: it was dropped, or the owner made the object and nobody else changed it, so the content it was made with counts.
pub fn earlier(history: &[RecordedChange], selection: &Selection) -> Option<Snapshot> {
    let mut last_of_others = None;
    for RecordedChange { seq: _, change } in history {
        match change.kind {
            ChangeKind::Found | ChangeKind::Created => last_of_others = change.after.clone(),
            ChangeKind::Changed if !selection.covers(&change.deed) => last_of_others = change.after.clone(),
            ChangeKind::Changed | ChangeKind::Rewritten | ChangeKind::Removed => {}
        }
    }
    last_of_others
}
