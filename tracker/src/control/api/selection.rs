//! What a plan or a reset is asked to take back.

use serde::{Deserialize, Serialize};

use crate::model::ids::OperationId;
use crate::model::owner::Owner;
use crate::model::subject::Class;

use super::time::TimeView;

/// Asks what a reset would do. All that is given must hold of a thing; of a list, one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Whose changes to take back: this owner's and all below it.
    pub owner: Owner,
    /// Also objects whose owner is only inferred.
    #[serde(default)]
    pub include_inferred: bool,
    /// Only what was done in or for these pods, `namespace/name`.
    #[serde(default)]
    pub pods: Vec<String>,
    /// Only what was done in or for these containers; the first characters of the id will do.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Only what was done by processes of these systemd units; `.service` may be left out.
    #[serde(default)]
    pub units: Vec<String>,
    /// Only what was made at or after this time.
    #[serde(default)]
    pub since: Option<TimeView>,
    /// Only what was made before this time.
    #[serde(default)]
    pub until: Option<TimeView>,
    /// Only these classes; empty means all.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// Also the plan in a form for other programs.
    #[serde(default)]
    pub export: Option<ExportFormat>,
}

/// Forms for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// libnftables JSON for `nft -j -f`: the steps of nf_tables.
    Nftables,
    /// A shell script of `iptables-restore`, `nft`, `ip`, `ipset` and file commands: all steps.
    IptablesRestore,
}

impl PlanRequest {
    /// Everything proven to be `owner`'s.
    pub fn of(owner: Owner) -> Self {
        Self {
            owner,
            include_inferred: false,
            pods: Vec::new(),
            containers: Vec::new(),
            units: Vec::new(),
            since: None,
            until: None,
            classes: Vec::new(),
            export: None,
        }
    }
}

/// Asks for a reset. The first fields are those of a [`PlanRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// Whose changes to take back: this owner's and all below it.
    pub owner: Owner,
    /// Also objects whose owner is only inferred.
    #[serde(default)]
    pub include_inferred: bool,
    /// See [`PlanRequest::pods`].
    #[serde(default)]
    pub pods: Vec<String>,
    /// See [`PlanRequest::containers`].
    #[serde(default)]
    pub containers: Vec<String>,
    /// See [`PlanRequest::units`].
    #[serde(default)]
    pub units: Vec<String>,
    /// See [`PlanRequest::since`].
    #[serde(default)]
    pub since: Option<TimeView>,
    /// See [`PlanRequest::until`].
    #[serde(default)]
    pub until: Option<TimeView>,
    /// See [`PlanRequest::classes`].
    #[serde(default)]
    pub classes: Vec<Class>,
    /// Only check; change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Go on although programs of the owner still run, which may add everything again.
    #[serde(default)]
    pub force: bool,
    /// The fingerprint of the plan somebody agreed to: when the plan made now differs, nothing is done.
    #[serde(default)]
    pub plan: Option<String>,
}

impl ResetRequest {
    /// The reset that carries out what a plan request asks about.
    pub fn of(request: PlanRequest) -> Self {
        let PlanRequest { owner, include_inferred, pods, containers, units, since, until, classes, export: _ } =
            request;
        Self {
            owner,
            include_inferred,
            pods,
            containers,
            units,
            since,
            until,
            classes,
            dry_run: false,
            force: false,
            plan: None,
        }
    }

    /// The plan it would carry out.
    pub fn plan_request(&self) -> PlanRequest {
        let Self { owner, include_inferred, pods, containers, units, since, until, classes, .. } = self.clone();
        PlanRequest { owner, include_inferred, pods, containers, units, since, until, classes, export: None }
    }
}

/// Asks for an undo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// The operation to undo; the newest reset that is not undone when it is left out.
    #[serde(default)]
    pub operation: Option<OperationId>,
    /// Only check; change nothing.
    #[serde(default)]
    pub dry_run: bool,
}
