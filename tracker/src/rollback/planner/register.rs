//! The journal's objects by subject, and the judgement on each live object.

use std::collections::BTreeMap;

use super::drift::drift;
use crate::model::legacy::{LegacyPolicy, LegacySnapshot, PolicyBy};
use crate::model::object::{Deed, Object};
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::earlier::Earlier;
use crate::rollback::refusal::{Party, Reason};
use crate::rollback::selection::Selection;

/// Proof that an object is the selected owner's, surely enough, of a selected class, and unchanged by anybody else.
/// Only [`Register::judge`] gives it out, and [`Register::set_back`] for a change.
#[derive(Debug, Clone, Copy)]
pub(in crate::rollback) struct InScope<'a> {
    object: &'a Object,
    /// The deed that is taken back: its making, or the last change of somebody else's object.
    deed: &'a Deed,
}

impl<'a> InScope<'a> {
    pub(in crate::rollback) fn deed(&self) -> &'a Deed {
        self.deed
    }

    pub(in crate::rollback) fn object(&self) -> &'a Object {
        self.object
    }
}

/// What a live object is to the plan.
#[derive(Debug, Clone)]
pub(super) enum Judged<'a> {
    /// Proven to be in scope: may go, if nothing needs it.
    Mine(InScope<'a>),
    /// Asked for, but must not go.
    Refused(Reason),
    /// The selected owner's, but of a class that was not asked for.
    NotAskedFor,
    /// Somebody else's, nobody's, or not recorded.
    Foreign,
}

impl<'a> Judged<'a> {
    pub(super) fn proof(&self) -> Option<InScope<'a>> {
        match self {
            Self::Mine(proof) => Some(*proof),
            Self::Refused(_) | Self::NotAskedFor | Self::Foreign => None,
        }
    }

    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign)
    }
}

/// The journal's living objects by subject, seen through a selection.
#[derive(Debug)]
pub(super) struct Register<'a> {
    selection: &'a Selection,
    by_subject: BTreeMap<&'a Subject, &'a Object>,
    earlier: &'a Earlier,
}

impl<'a> Register<'a> {
    pub(super) fn new(objects: &'a [Object], earlier: &'a Earlier, selection: &'a Selection) -> Self {
        let mut by_subject: BTreeMap<&Subject, &Object> = BTreeMap::new();
        for object in objects.iter().filter(|object| object.is_live()) {
            let newest = by_subject.entry(&object.subject).or_insert(object);
            if newest.id < object.id {
                *newest = object;
            }
        }
        Self { selection, by_subject, earlier }
    }

    /// Every object, in the order of subjects.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'a Object> {
        self.by_subject.values().copied()
    }

    pub(super) fn object(&self, subject: &Subject) -> Option<&'a Object> {
        self.by_subject.get(subject).copied()
    }

    /// Whether the selection is about this object, though perhaps not surely enough to act.
    pub(super) fn asks_for(&self, object: &Object) -> bool {
        self.selection.names_owner_of(object) && self.selection.has_class(object.class())
    }

    /// Who of the selected owner changed the content of somebody else's object last.
    pub(super) fn altered(&self, object: &Object) -> Option<Owner> {
        let changed = object.changed.as_ref().filter(|_| self.selection.has_class(object.class()))?;
        let is_altered = !self.selection.names_owner_of(object) && self.selection.covers(changed);
        is_altered.then(|| changed.attribution.owner().clone())
    }

    /// Proof that the selected owner changed a live object last, be it whose it may, and the content before that.
    pub(super) fn set_back(&self, subject: &Subject, live: &Snapshot) -> Option<(InScope<'a>, &'a Snapshot)> {
        let object = self.object(subject).filter(|object| object.digest == live.digest())?;
        let deed = object.changed.as_ref().filter(|deed| self.selection.covers(deed))?;
        let earlier = self.earlier.get(&object.id).filter(|_| self.selection.has_class(object.class()))?;
        Some((InScope { object, deed }, earlier))
    }

    /// Whether the journal gives a live object to the selected owner, at any certainty and of any class.
    pub(super) fn is_owners(&self, subject: &Subject) -> bool {
        self.object(subject).is_some_and(|object| self.selection.names_owner_of(object))
    }

    /// Whether the journal proves a live object to be somebody else's (the kernel is nobody else).
    pub(super) fn is_proven_foreign(&self, subject: &Subject) -> bool {
        self.object(subject).is_some_and(|object| {
            object.certainty() >= Certainty::Inferred
                && !self.selection.names_owner_of(object)
                && *object.owner() != Owner::kernel()
        })
    }

    /// Whether the journal says that the kernel made a live object by itself.
    pub(super) fn is_kernels(&self, subject: &Subject) -> bool {
        self.object(subject).is_some_and(|object| *object.owner() == Owner::kernel())
    }

    pub(super) fn judge(&self, subject: &Subject, live: &Snapshot) -> Judged<'a> {
        let Some(object) = self.object(subject).filter(|object| self.selection.names_owner_of(object)) else {
            return Judged::Foreign;
        };
        if !self.selection.has_class(object.class()) {
            return Judged::NotAskedFor;
        }
        if !self.selection.trusts(object.certainty()) {
            return Judged::Refused(Reason::NotProven(object.certainty()));
        }
        match drift(object, live, self.selection) {
            Some(reason) => Judged::Refused(reason),
            None => Judged::Mine(InScope { object, deed: &object.created }),
        }
    }

    /// The policy that a built-in chain of a legacy table had before the selected owner set it, if that was the last one
    /// to set it and what it set is still there.
    pub(super) fn policy_before(&self, subject: &Subject, live: &Snapshot) -> Option<(InScope<'a>, LegacyPolicy)> {
        let object = self.object(subject).filter(|object| self.selection.has_class(object.class()))?;
        let changed = object.changed.as_ref()?;
        let Snapshot::Legacy(LegacySnapshot::Chain(chain)) = &object.snapshot else { return None };
        if !self.selection.covers(changed) || object.digest != live.digest() {
            return None;
        }
        let is_owners = |set: &&PolicyBy| set.by.as_ref().is_some_and(|by| by.is_within(&self.selection.owner));
        let owners = chain.policies.iter().rev().take_while(is_owners).count();
        let before = chain.policies.len().checked_sub(owners + 1).filter(|_| owners > 0)?;
        Some((InScope { object, deed: changed }, chain.policies.get(before)?.policy))
    }

    /// A live object and whose it is, for people.
    pub(super) fn party(&self, subject: &Subject, live: &Snapshot) -> Party {
        Party { what: describe(subject, live), owner: self.object(subject).map(|object| object.owner().clone()) }
    }
}
