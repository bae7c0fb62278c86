//! What a rollback is asked to take back.

use crate::model::object::Object;
use crate::model::owner::{Attribution, Certainty, Owner};
use crate::model::subject::Class;

/// Whose things, how surely theirs, and of which classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The owner and everything below it.
    pub owner: Owner,
    /// Also things whose owner is only inferred. Things of unknown owner are never taken.
    pub include_inferred: bool,
    /// Only these classes; empty means all.
    pub classes: Vec<Class>,
}

impl Selection {
    /// Everything proven to be `owner`'s.
    pub fn of(owner: Owner) -> Self {
        Self { owner, include_inferred: false, classes: Vec::new() }
    }

    /// Whether an object is attributed to the owner, however surely.
    pub fn names_owner_of(&self, object: &Object) -> bool {
        object.certainty() > Certainty::Unknown && object.owner().is_within(&self.owner)
    }

    /// Whether a certainty is enough to act on.
    pub fn trusts(&self, certainty: Certainty) -> bool {
        certainty.is_proven() || (self.include_inferred && certainty == Certainty::Inferred)
    }

    /// Whether objects of a class are to go.
    pub fn has_class(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    /// Whether a deed is the selected owner's, surely enough to act on.
    pub fn covers(&self, attribution: &Attribution) -> bool {
        attribution.owner().is_within(&self.owner) && self.trusts(attribution.certainty())
    }
}
