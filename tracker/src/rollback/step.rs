//! Steps: one removal or setting back each, made only from an object proven to be in scope.

use std::fmt;

use super::planner::InScope;
use crate::model::ids::ObjectId;
use crate::model::legacy::{LegacyPolicy, LegacySnapshot};
use crate::model::nft::{ChainSnapshot, NftSnapshot};
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
    /// Sets the policy of a base chain back.
    SetPolicy {
        /// What it is to be: 0 drop, 1 accept.
        policy: u32,
    },
    /// Deletes a traffic control filter.
    DeleteFilter,
    DeleteTrafficClass,
    /// Deletes a qdisc with all that hangs below it.
    DeleteQdisc,
    DeleteLegacyRule,
    DeleteLegacyChain,
    /// Sets a built-in chain's policy back.
    RestorePolicy {
        /// To what it was before.
        policy: LegacyPolicy,
    },
    DeleteIpRule,
    DeleteRoute,
    DeleteNeighbour,
    DeleteAddress,
    DeleteLink,
    DeleteMember,
    /// Destroys an IP set with its members.
    DestroyIpSet {
        /// It holds other sets, which it keeps from being destroyed.
        is_list: bool,
    },
    /// Deletes a destination of an IPVS service.
    DeleteDestination,
    /// Deletes an IPVS service that has no destinations.
    DeleteService,
    /// Gives a sysctl its earlier value.
    RestoreSysctl,
    RemoveFile,
    RemoveDir,
    /// Unmounts a mount.
    Unmount {
        /// How many files and directories are lost with a filesystem in memory; `None` when it goes on elsewhere, or on
        /// a disk.
        loses: Option<usize>,
    },
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
            Self::SetPolicy { .. } => 7,
            Self::DeleteLegacyRule => 8,
            Self::DeleteLegacyChain => 9,
            Self::RestorePolicy { .. } => 10,
            Self::DeleteFilter => 11,
            Self::DeleteTrafficClass => 12,
            Self::DeleteQdisc => 13,
            Self::DeleteIpRule => 14,
            Self::DeleteRoute => 15,
            Self::DeleteNeighbour => 16,
            Self::DeleteAddress => 17,
            Self::DeleteLink => 18,
            Self::DeleteMember => 19,
            Self::DestroyIpSet { is_list: true } => 20,
            Self::DestroyIpSet { is_list: false } => 21,
            Self::DeleteDestination => 22,
            Self::DeleteService => 23,
            Self::RestoreSysctl => 24,
            // in the planner's order: deepest first, and what is mounted before what it is mounted on
            Self::RemoveFile | Self::RemoveDir | Self::Unmount { .. } => 26,
        }
    }

    /// Whether the step is part of the one nf_tables batch.
    pub fn is_nft(self) -> bool {
        self.phase() <= Self::SetPolicy { policy: 0 }.phase()
    }

    /// Whether the step is part of the replacement of a legacy table.
    pub fn is_legacy(self) -> bool {
        matches!(self, Self::DeleteLegacyRule | Self::DeleteLegacyChain | Self::RestorePolicy { .. })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveFile | Self::RemoveDir => f.write_str("remove"),
            Self::Unmount { .. } => f.write_str("unmount"),
            Self::DestroyIpSet { .. } => f.write_str("destroy"),
            Self::RestoreSysctl => f.write_str("restore"),
            Self::SetPolicy { .. } => f.write_str("set back"),
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

/// One removal, or one setting back. Only the planner makes steps, from objects it has proven to be in scope.
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
        let attribution = &proof.deed().attribution;
        let why = Why {
            owner: attribution.owner().clone(),
            certainty: attribution.certainty(),
            evidence: attribution.evidence().first().cloned(),
        };
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

    /// The object's content after the step; `None` when it is gone then.
    pub fn after(&self) -> Option<Snapshot> {
        let mut after = self.snapshot.clone();
        match (self.action, &mut after) {
            (
                Action::SetPolicy { policy },
                Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. })),
            ) => base.policy = policy,
            (Action::RestorePolicy { policy }, Snapshot::Legacy(LegacySnapshot::Chain(chain))) => {
                chain.policy = Some(policy);
            }
            _ => return None,
        }
        Some(after)
    }

    /// How many files and directories nobody recorded are lost with it.
    pub fn loses(&self) -> usize {
        if let Action::Unmount { loses: Some(loses) } = self.action { loses } else { 0 }
    }

    /// What people call the object, and for a policy what it is set to.
    pub fn describe(&self) -> String {
        let object = describe(&self.subject, &self.snapshot);
        match self.action {
            Action::SetPolicy { policy } => {
                format!("{object} policy {}", if policy == 0 { "drop" } else { "accept" })
            }
            Action::Unmount { loses: Some(1) } => format!("{object} and the one file in it"),
            Action::Unmount { loses: Some(2..) } => format!("{object} and the {} files in it", self.loses()),
            _ => object,
        }
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
