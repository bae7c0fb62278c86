//! Which tests run in a machine: those about the kernel side, and those of the whole that need no container runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::XtaskError;
use crate::shell;

use super::Extent;
use super::outcome::Step;

/// Tests of one program.
struct Tests {
    /// What people call it.
    name: &'static str,
    /// The test program.
    program: &'static str,
    /// Only these, all when empty.
    only: &'static [&'static str],
    /// Longest time. Emulation is some 20 times slower.
    seconds: u64,
    /// Whether it is part of every run.
    is_usual: bool,
}

const TESTS: [Tests; 5] = [
    Tests { name: "BPF programs", program: "bpf", only: &[], seconds: 300, is_usual: true },
    Tests {
        name: "rewrites keep their owner",
        program: "provenance",
        only: &["rules_rewritten_by_somebody_else_keep_their_creator"],
        seconds: 900,
        is_usual: false,
    },
    Tests {
        name: "reset",
        program: "provenance",
        only: &["the_journal_follows_its_own_rollback"],
        seconds: 900,
        is_usual: false,
    },
    Tests { name: "restart", program: "restart", only: &[], seconds: 900, is_usual: false },
    Tests {
        name: "attribution",
        program: "attribution",
        only: &["many_writers_at_once_are_told_apart", "one_name_in_many_hands_is_never_given_to_the_wrong_one"],
        seconds: 1_800,
        is_usual: false,
    },
];

/// A line of cargo's messages.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the test programs and gives the steps.
pub(super) fn steps(extent: Extent) -> Result<Vec<Step>, XtaskError> {
    let tests = || TESTS.iter().filter(move |tests| tests.is_usual || extent == Extent::All);
    let programs = build(tests().map(|tests| tests.program))?;
    tests()
        .map(|tests| {
            let program = programs
                .get(tests.program)
                .ok_or_else(|| XtaskError::Wrong(format!("cargo built no test program `{}`", tests.program)))?;
            let mut args: Vec<String> = tests.only.iter().map(|name| (*name).to_owned()).collect();
            if !args.is_empty() {
                args.push("--exact".to_owned());
            }
            args.push("--test-threads=1".to_owned());
            let program = program.clone();
            Ok(Step { name: tests.name.to_owned(), program, args, seconds: tests.seconds })
        })
        .collect()
}

/// Builds test programs, and gives where they are by their names.
fn build(names: impl Iterator<Item = &'static str>) -> Result<BTreeMap<String, PathBuf>, XtaskError> {
    let mut command = Command::new("cargo");
    command.args(["test", "--no-run", "--workspace", "--message-format=json-render-diagnostics"]);
    for name in names {
        command.args(["--test", name]);
    }
    eprintln!("+ cargo test --no-run");
    let output = command
        .current_dir(shell::workspace())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| XtaskError::Spawn { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(XtaskError::Failed { command: "cargo test --no-run".to_owned(), status: output.status });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    Ok(messages
        .filter_map(|message| {
            let target = message.target.filter(|target| target.kind.iter().any(|kind| kind == "test"))?;
            Some((target.name, message.executable?))
        })
        .collect())
}
