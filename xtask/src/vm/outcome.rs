//! What goes into a machine and what comes out of it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a machine is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    /// In this order; one that fails does not stop the others.
    pub(super) steps: Vec<Step>,
}

/// One program to run in a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    /// What people call it.
    pub(super) name: String,
    /// A test program of this workspace.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Suites on which it is not done.
    pub(super) not_on: Vec<String>,
    /// Modules to load first.
    pub(super) modules: Vec<String>,
    /// Longest time it may take.
    pub(super) seconds: u64,
}

impl Step {
    /// Longest time it may take.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What came of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// `uname -r`.
    pub(super) release: String,
    /// What became of the programs; or why none was loaded.
    pub(super) programs: Result<Vec<ProgramOutcome>, String>,
    /// Kernel structure members that were not found.
    pub(super) missing: Vec<String>,
    /// The self-test.
    pub(super) checks: Vec<CheckOutcome>,
    /// The steps.
    pub(super) steps: Vec<StepOutcome>,
    /// How long all of it took, the boot included.
    pub(super) seconds: u64,
}

/// One program of the BPF object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProgramOutcome {
    /// Where it attaches.
    pub(super) hook: String,
    /// Whether it runs; with the instructions the verifier looked at, where the kernel says. Or why it does not.
    pub(super) state: Result<Option<u32>, String>,
}

/// One check of the self-test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CheckOutcome {
    /// What was checked.
    pub(super) name: String,
    /// Why it failed, or nothing.
    pub(super) result: Result<(), String>,
}

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StepOutcome {
    /// Which.
    pub(super) name: String,
    /// How many tests passed; or what went wrong.
    pub(super) result: Result<usize, String>,
    /// How long it took.
    pub(super) seconds: f64,
}
