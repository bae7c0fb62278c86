//! Swaps of one CNI for another.

use serde::{Deserialize, Serialize};

use crate::model::owner::Owner;

use super::plan::PlanView;

/// Asks what to know before one CNI is swapped for another, or what is left once it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// The CNI that goes, `cni/flannel`.
    pub from: Owner,
    /// The CNI that comes.
    #[serde(default)]
    pub to: Option<Owner>,
    /// Also things of the old one that nobody was seen making.
    #[serde(default)]
    pub include_inferred: bool,
    /// What is left, doubled or known to break, rather than what stands in the way.
    #[serde(default)]
    pub verify: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapView {
    /// The CNI that goes.
    pub from: Owner,
    /// The CNI that comes.
    pub to: Option<Owner>,
    /// Whether it is about what is left.
    pub verify: bool,
    /// Worst first.
    pub findings: Vec<FindingView>,
    /// The reset of the old CNI alone; `None` when it is about what is left.
    pub plan: Option<PlanView>,
}

impl SwapView {
    /// Whether something was found that breaks a network, or the swap.
    pub fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == "problem")
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    /// `problem`, `warning` or `note`.
    pub severity: String,
    /// What was looked at: `agents`, `pods`, `configuration`, `tunnels`, `leftovers`, `masquerade`.
    pub check: String,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}
