//! Steps: one removal each, made only from an object proven to be in scope.

use std::fmt;

use super::planner::InScope;
use crate::model::ids::ObjectId;
use crate::model::legacy::LegacyPolicy;
use crate::model::owner::{Certainty, Evidence, Owner};
use crate::model::subject::{Snapshot, Subject, describe};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each names the class it deletes")]
pub enum Action {
    /// Deletes a rule.
    DeleteRule {
        /// Every rule of its chain goes: one message flushes the chain.
        whole_chain: bool,
    },
    DeleteElement,
    /// Deletes a set with its elements.
    DeleteSet {
        /// Its elements refer to chains or objects; kernels before 6.4 free those only when the set is emptied first.
        clear_first: bool,
    },
    DeleteChain,
    DeleteObject,
    DeleteFlowtable,
    /// Deletes a table with everything in it.
    DeleteTable,
    DeleteLegacyRule,
    DeleteLegacyChain,
    /// Sets a built-in chain's policy back.
    RestorePolicy {
        /// To what it was before.
        policy: LegacyPolicy,
    },
    DeleteIpRule,
    DeleteRoute,
    DeleteAddress,
    DeleteLink,
    RemoveFile,
    RemoveDir,
}

impl Action {
    /// Place in the order of execution. Within the nf_tables batch what refers comes before what is referred to.
    pub fn phase(self) -> u8 {
        match self {
            Self::DeleteRule { .. } => 0,
            Self::DeleteElement => 1,
            Self::DeleteSet { .. } => 2,
            Self::DeleteChain => 3,
            Self::DeleteObject => 4,
            Self::DeleteFlowtable => 5,
            Self::DeleteTable => 6,
            Self::DeleteLegacyRule => 7,
            Self::DeleteLegacyChain => 8,
            Self::RestorePolicy { .. } => 9,
            Self::DeleteIpRule => 10,
            Self::DeleteRoute => 11,
            Self::DeleteAddress => 12,
            Self::DeleteLink => 13,
            Self::RemoveFile => 14,
            Self::RemoveDir => 15,
        }
    }

    /// Whether the step is part of the one nf_tables batch.
    pub fn is_nft(self) -> bool {
        self.phase() <= Self::DeleteTable.phase()
    }
}

impl Action {
    /// Whether the step is part of the replacement of a legacy table.
    pub fn is_legacy(self) -> bool {
        matches!(self, Self::DeleteLegacyRule | Self::DeleteLegacyChain | Self::RestorePolicy { .. })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveFile | Self::RemoveDir => f.write_str("remove"),
            Self::RestorePolicy { policy } => write!(f, "set policy {policy} of"),
            _ => f.write_str("delete"),
        }
    }
}

/// Why a step may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Whose the object is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// The first evidence for it.
    pub evidence: Option<Evidence>,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, certainty, evidence } = self;
        write!(f, "{owner} {certainty}")?;
        evidence.as_ref().map_or(Ok(()), |evidence| write!(f, ": {evidence}"))
    }
}

/// One removal. Only the planner makes steps, from objects it has proven to be in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    object: ObjectId,
    subject: Subject,
    snapshot: Snapshot,
    why: Why,
    action: Action,
}

impl Step {
    /// Makes the step that removes an object in scope, which looks like `live` now.
    pub(super) fn new(proof: &InScope<'_>, live: &Snapshot, action: Action) -> Self {
        let object = proof.object();
        let attribution = &object.created.attribution;
        let why = Why {
            owner: attribution.owner().clone(),
            certainty: attribution.certainty(),
            evidence: attribution.evidence().first().cloned(),
        };
        Self { object: object.id, subject: object.subject.clone(), snapshot: live.clone(), why, action }
    }

    /// Makes the step that sets the policy of a built-in chain back, which the owner set last.
    pub(super) fn restoring(proof: &InScope<'_>, live: &Snapshot, policy: LegacyPolicy) -> Self {
        let object = proof.object();
        let attribution = &object.changed.as_ref().unwrap_or(&object.created).attribution;
        let why = Why {
            owner: attribution.owner().clone(),
            certainty: attribution.certainty(),
            evidence: attribution.evidence().first().cloned(),
        };
        let action = Action::RestorePolicy { policy };
        Self { object: object.id, subject: object.subject.clone(), snapshot: live.clone(), why, action }
    }

    /// The journal object it removes, or changes.
    pub fn object(&self) -> ObjectId {
        self.object
    }

    /// Which object.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it looked like when the plan was made.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Why it may go.
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// What is done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// What people call the object.
    pub fn describe(&self) -> String {
        describe(&self.subject, &self.snapshot)
    }
}

impl fmt::Display for Step {
    /// `- rule ip filter FORWARD handle 16   # kubernetes/kube-proxy exact: commit 7 names thread 4321`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::RestorePolicy { policy } => write!(f, "~ {} policy {policy}   # {}", self.describe(), self.why),
            _ => write!(f, "- {}   # {}", self.describe(), self.why),
        }
    }
}
