//! Accuracy: many writers of many kinds at once, each of which logs what it made, held against what the tracker says.
//!
//! Everything a writer makes has a name that no other writer uses, so an object's true owner is known from the object.
//! What is made follows from the seed alone; in which order the writers get their turns is the machine's choice.

mod kinds;
mod plan;
mod truth;
mod verdict;

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::node::Node;
use crate::tracker::Tracker;
use crate::{Failure, Result};

pub use kinds::{KINDS, Kind, Made, Step};
pub use plan::{Plan, Random, Writer};
pub use truth::{Truth, words};
pub use verdict::{Limits, Verdict};

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Decides what is made.
    pub seed: u64,
    /// Writers, at once.
    pub writers: usize,
    /// Objects that all of them make together, about.
    pub objects: usize,
}

impl Run {
    /// Lets the writers loose on a watched node and holds what they made against what the tracker says.
    ///
    /// # Errors
    /// When a writer cannot be run or most of what one does fails, or the tracker does not answer.
    pub fn on(&self, node: &Node, tracker: &Tracker<'_>) -> Result<Verdict> {
        node.sh("mkdir -p /var/lib/cni /etc/cni/net.d")?;
        let plan = Plan::of(*self);
        let running =
            plan.writers.iter().map(|writer| Running::start(node, writer)).collect::<Result<Vec<Running<'_>>>>()?;
        let mut truth = Truth::default();
        for writer in running {
            writer.end(&mut truth)?;
        }
        Verdict::of(node, tracker, &plan, &truth)
    }
}

/// A writer at work.
struct Running<'a> {
    writer: &'a Writer,
    child: Child,
    log: PathBuf,
    errors: PathBuf,
}

impl<'a> Running<'a> {
    fn start(node: &Node, writer: &'a Writer) -> Result<Self> {
        let at = |suffix: &str| node.scratch().join(format!("{}.{suffix}", writer.tag()));
        let (script, log, errors) = (at("sh"), at("made"), at("errors"));
        std::fs::write(&script, writer.script(&log, node.scratch()))?;
        let mut command = match writer.program {
            plan::ADMINISTRATOR => node.admin("sh"),
            program => node.command(node.program(program)?),
        };
        command.arg(&script).stdout(Stdio::null()).stderr(std::fs::File::create(&errors)?);
        let child = command.spawn().map_err(|error| Failure::new("cannot run a writer", error))?;
        Ok(Self { writer, child, log, errors })
    }

    fn end(mut self, truth: &mut Truth) -> Result<()> {
        self.child.wait()?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let failed = truth.take(self.writer, &log);
        if failed * 20 > self.writer.steps.len() {
            let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
            let Writer { program, kind, steps, .. } = self.writer;
            return Err(Failure(format!(
                "{failed} of {} steps of a {} writer ({program}) failed:\n{errors}",
                steps.len(),
                kind.name
            )));
        }
        Ok(())
    }
}

/// Threads that keep every CPU busy until this is dropped.
#[derive(Debug)]
pub struct Burners(Arc<AtomicBool>);

impl Burners {
    /// As many burning threads as asked for.
    pub fn start(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..count {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
