//! Objects: one thing from its creation to its removal, with the deeds that made and changed it.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::ids::{BootId, Generation, NetnsId, ObjectId, OperationId};
use super::owner::{Attribution, Certainty, Owner};
use super::subject::{Class, Snapshot, Subject};
use super::time::{BootTime, WallTime};

/// Where a subject's name means something: kernel objects live in one network namespace of one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The boot.
    pub boot: BootId,
    /// The network namespace that is watched.
    pub netns: NetnsId,
}

/// One act on one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, for people.
    pub time: WallTime,
    /// When, to order by.
    pub boot_time: BootTime,
    /// The nf_tables commit it was part of.
    pub generation: Option<Generation>,
    /// Who.
    pub attribution: Attribution,
    /// The operation of ours that did it.
    pub operation: Option<OperationId>,
}

/// One thing from its creation to its removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Number in the journal.
    pub id: ObjectId,
    /// Where the subject means something.
    pub scope: Scope,
    /// Which object. Changes when a path is renamed or a rule is re-added with equal content.
    pub subject: Subject,
    /// Content, the last known.
    pub snapshot: Snapshot,
    /// Digest of `snapshot`.
    pub digest: Digest,
    /// Who made it.
    pub created: Deed,
    /// Who last changed its content, if anybody did.
    pub changed: Option<Deed>,
    /// Who last removed and re-added it with equal content, if anybody did.
    pub rewritten: Option<Deed>,
    /// Who removed it; `None` while it lives.
    pub removed: Option<Deed>,
}

impl Object {
    /// Whose it is: the creator's.
    pub fn owner(&self) -> &Owner {
        self.created.attribution.owner()
    }

    /// How sure that is.
    pub fn certainty(&self) -> Certainty {
        self.created.attribution.certainty()
    }

    /// Whether it is still there, as far as the journal knows.
    pub fn is_live(&self) -> bool {
        self.removed.is_none()
    }

    /// The class people list it by.
    pub fn class(&self) -> Class {
        Class::of(&self.subject, &self.snapshot)
    }

    /// What people call it.
    pub fn describe(&self) -> String {
        super::subject::describe(&self.subject, &self.snapshot)
    }
}
