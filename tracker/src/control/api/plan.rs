//! Plans, and the operations that carry them out.

use serde::{Deserialize, Serialize};

use crate::model::digest::DigestBuilder;
use crate::model::ids::{ObjectId, OperationId, Tgid};
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::Class;

use super::selection::{ExportFormat, PlanRequest};
use super::time::TimeView;

/// What a reset would do, what it would not, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Whose changes it takes back.
    pub owner: Owner,
    /// Removals, in the order they are done.
    pub steps: Vec<StepView>,
    /// What is in scope and will not be touched, and why.
    pub refusals: Vec<RefusalView>,
    /// What stays because others need it.
    pub kept: Vec<KeptView>,
    /// What else is worth knowing before saying yes, a sentence each; programs of `running` among it.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Programs of the selected owner that still run.
    #[serde(default)]
    pub running: Vec<RunningView>,
    /// What was asked for, without `export`: with `fingerprint`, all that is needed to carry out exactly this plan later.
    #[serde(default)]
    pub request: Option<PlanRequest>,
    /// The plan for other programs, when it was asked for.
    #[serde(default)]
    pub export: Option<ExportView>,
    /// The plan as the tracker writes it, for people.
    pub text: String,
    /// Equal for plans with equal steps, and only for them; goes into [`super::ResetRequest::plan`].
    pub fingerprint: String,
}

impl PlanView {
    /// A plan without warnings, running programs, request and text, with its fingerprint.
    pub fn new(owner: Owner, steps: Vec<StepView>, refusals: Vec<RefusalView>, kept: Vec<KeptView>) -> Self {
        let fingerprint = Self::fingerprint_of(&owner, &steps);
        let (warnings, running, text) = (Vec::new(), Vec::new(), String::new());
        let (request, export) = (None, None);
        Self { owner, steps, refusals, kept, warnings, running, request, export, text, fingerprint }
    }

    /// Whether the fingerprint is that of the steps: a document that somebody edited has another one.
    pub fn is_whole(&self) -> bool {
        self.fingerprint == Self::fingerprint_of(&self.owner, &self.steps)
    }

    fn fingerprint_of(owner: &Owner, steps: &[StepView]) -> String {
        let mut digest = DigestBuilder::new("plan");
        digest.field(owner.as_str().as_bytes());
        for StepView { object, class, name, within: _, text, digest: content, owner, certainty, why: _ } in steps {
            digest.field(&object.0.to_le_bytes()).field(class.as_str().as_bytes()).field(name.as_bytes());
            digest.field(content.as_deref().unwrap_or_default().as_bytes());
            digest.field(text.as_bytes()).field(owner.as_str().as_bytes()).field(certainty.as_str().as_bytes());
        }
        digest.finish().to_string()
    }
}

/// A plan in a form that other programs carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportView {
    /// Which form.
    pub format: ExportFormat,
    /// The whole file.
    pub text: String,
    /// Steps it does not do; empty when it is equivalent to the reset.
    pub left_out: Vec<LeftOutView>,
}

/// A step that a form has no words for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutView {
    /// The step, for people.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A program of the selected owner that still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningView {
    /// Whose it is.
    pub owner: Owner,
    /// Last part of its exe path.
    pub program: String,
    /// Process id, host pid namespace.
    pub tgid: Tgid,
    /// Systemd unit it runs in.
    pub unit: Option<String>,
    /// Container it runs in, or, for a container's shim, that it runs.
    pub container: Option<String>,
    /// Pod it runs in, `namespace/name`.
    pub pod: Option<String>,
    /// Whether things in the plan are of this very owner: it would add them again, so a reset refuses without
    /// [`super::ResetRequest::force`].
    pub blocks: bool,
    /// The command that stops it.
    pub remedy: String,
}

/// One removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub name: String,
    /// The nf_tables table it is in, if it is in one.
    #[serde(default)]
    pub within: Option<String>,
    /// Its content in one line.
    pub text: String,
    /// Digest of its content.
    #[serde(default)]
    pub digest: Option<String>,
    /// Whose it is.
    pub owner: Owner,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why it is in the plan.
    pub why: String,
}

/// Something in scope that will not be touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    /// The object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// Why not.
    pub reason: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Something that stays because others need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptView {
    /// The object.
    pub object: ObjectId,
    /// Its class.
    pub class: Class,
    /// What people call it.
    pub name: String,
    /// Why it stays.
    pub reason: String,
}

/// How far a reset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressView {
    /// Steps done.
    pub done: u64,
    /// Steps planned.
    pub total: u64,
}

/// What became of a reset or an undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// Number in the journal; `None` for a dry run.
    pub id: Option<OperationId>,
    /// `reset` or `undo`.
    #[serde(default = "reset")]
    pub kind: String,
    /// The operation that an undo undoes.
    #[serde(default)]
    pub of: Option<OperationId>,
    /// Whose changes were to be taken back, or put back.
    pub owner: Owner,
    /// Whether nothing was changed on purpose.
    pub dry_run: bool,
    /// `done`, `failed` or `begun` (interrupted).
    pub state: String,
    /// What failed, and why.
    pub error: Option<String>,
    /// User id of who asked for it.
    pub requested_by: u32,
    /// When it began.
    pub begun: TimeView,
    /// When it ended.
    pub ended: Option<TimeView>,
    /// Steps planned.
    pub planned: u64,
    /// Steps done.
    pub done: u64,
    /// Steps that failed.
    pub failed: u64,
    /// What became of each step, as far as it came.
    pub outcomes: Vec<OutcomeView>,
    /// What was in scope and was not touched, and why.
    pub refusals: Vec<RefusalView>,
    /// What stayed because others need it.
    pub kept: Vec<KeptView>,
    /// Whether the state afterwards is exactly what was planned; also for a dry run.
    pub proven: bool,
    /// What comparing the state before and after showed, a line each.
    pub proof: Vec<String>,
    /// What was to stay, by owner, before and after.
    #[serde(default)]
    pub others: Vec<OthersView>,
}

/// What of one owner was to stay: the objects of the kernel that the operation was not to touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OthersView {
    /// Whose; `None` for what the journal does not know.
    pub owner: Option<Owner>,
    /// How many objects there were.
    pub objects: u64,
    /// Digest over their names and contents before.
    pub before: String,
    /// The same of what is there of them afterwards.
    pub after: String,
}

fn reset() -> String {
    "reset".to_owned()
}

impl OperationView {
    /// Whether it came to its end, every step was done, and the state afterwards is what was planned.
    pub fn is_done(&self) -> bool {
        self.state == "done" && self.failed == 0 && self.proven
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeView {
    /// The object.
    pub object: ObjectId,
    /// The step, for people.
    pub step: String,
    /// `None` when done, otherwise why not.
    pub error: Option<String>,
}
