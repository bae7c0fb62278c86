//! The oracle: a scenario runs on two nodes, on one without Kubernetes' part, on the other with it and a reset at the end.
//! The nodes must be equal.

mod kubernetes;
mod others;
mod scenario;
mod step;

use crate::canonical::Canonical;
use crate::node::Node;
use crate::tracker::{Files, Tracker};
use crate::{Failure, Result};

pub use scenario::{Scenario, Timeline};
pub use step::{Script, Stage, Step};

/// Directories whose trees are compared.
pub const DIRS: [&str; 5] = ["/etc/cni", "/var/lib/cni", "/opt/cni", "/etc/kubernetes", "/var/lib/kubelet"];

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// How the node differs from one on which Kubernetes never ran; empty when it does not.
    pub diff: String,
    /// The reset's exit code.
    pub exit: Option<i32>,
    /// What the reset printed, with the tracker's log.
    pub said: String,
    /// Whether a port that Docker publishes answers as on the node without Kubernetes.
    pub docker_answers: bool,
}

impl Outcome {
    /// Runs steps on two nodes at once.
    ///
    /// # Errors
    /// When a step cannot be carried out or the node cannot be dumped.
    pub fn of(steps: &[Step]) -> Result<Self> {
        let (expected, found) = std::thread::scope(|scope| {
            let expected = scope.spawn(|| without(steps));
            let found = with(steps);
            (expected.join(), found)
        });
        let expected = expected.map_err(|_| Failure("the node without Kubernetes panicked".to_owned()))??;
        let (expected, answers) = expected;
        let (found, outcome) = found?;
        Ok(Self { diff: expected.diff(&found), docker_answers: outcome.docker_answers == answers, ..outcome })
    }

    /// Whether the two nodes are equal, nobody else's service suffered, and the reset says so: with 3 when it refused
    /// something that this comparison does not see.
    pub fn is_equal(&self) -> bool {
        self.diff.is_empty() && self.docker_answers && matches!(self.exit, Some(0 | 3))
    }
}

/// The node on which Kubernetes never ran, and whether Docker's port answers there.
fn without(steps: &[Step]) -> Result<(Canonical, bool)> {
    let node = Node::new()?;
    let stage = Stage::run(&node, steps.iter().filter(|step| !step.is_kubernetes()))?;
    Ok((Canonical::of(&node, &DIRS)?.neutral(), stage.docker_answers()))
}

/// The watched node with everything, after a reset.
fn with(steps: &[Step]) -> Result<(Canonical, Outcome)> {
    let node = Node::new()?;
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "")?;
    let mut stage = Stage::run(&node, steps.iter())?;
    stage.stop_kubernetes();
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"])?;
    let said = [&output.stdout[..], &output.stderr, tracker.log().as_bytes()].map(String::from_utf8_lossy).concat();
    let found = Canonical::of(&node, &DIRS)?.neutral();
    let docker_answers = stage.docker_answers();
    drop(stage);
    tracker.stop()?;
    Ok((found, Outcome { diff: String::new(), exit: output.status.code(), said, docker_answers }))
}
