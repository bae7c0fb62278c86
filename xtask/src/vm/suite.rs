//! Which tests run in a machine: those about the kernel side, and those of the whole that need no container runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::XtaskError;
use crate::{provision, shell};

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
    /// Not these.
    except: &'static [&'static str],
    /// Modules the machine loads first; one that its kernel lacks fails the step.
    modules: &'static [&'static str],
    /// Programs it runs beside those every test may need, each with the package that has it.
    packages: &'static [(&'static str, &'static str)],
    /// Longest time, seconds. Emulation is some 20 times slower.
    seconds: u64,
    /// Whether it is part of every run.
    is_usual: bool,
}

/// What most steps are.
const PLAIN: Tests =
    Tests { name: "", program: "", only: &[], except: &[], modules: &[], packages: &[], seconds: 600, is_usual: false };

/// How a step is added: tests/README.md, "Other kernels".
const TESTS: [Tests; 8] = [
    Tests { name: "BPF programs", program: "bpf", is_usual: true, ..PLAIN },
    Tests {
        name: "provenance",
        program: "provenance",
        only: &["rules_rewritten_by_somebody_else_keep_their_creator", "the_journal_follows_its_own_rollback"],
        ..PLAIN
    },
    Tests { name: "restart", program: "restart", ..PLAIN },
    Tests {
        name: "attribution",
        program: "attribution",
        only: &["one_name_in_many_hands_is_never_given_to_the_wrong_one", "a_moved_directory_keeps_its_makers"],
        ..PLAIN
    },
    Tests { name: "legacy", program: "legacy", ..PLAIN },
    Tests { name: "classes", program: "classes", ..PLAIN },
    Tests {
        name: "ebtables",
        program: "ebtables",
        modules: &["ebtables", "ebtable_filter", "ebtable_nat"],
        packages: &[("/usr/sbin/ebtables-legacy", "ebtables")],
        ..PLAIN
    },
    Tests { name: "ipsets", program: "ipsets", modules: &["ip_set"], ..PLAIN },
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

/// Installs what the tests run, builds their programs and gives the steps; of those in `extent`, the ones whose name holds
/// `wanted`.
pub(super) fn steps(extent: Extent, wanted: Option<&str>) -> Result<Vec<Step>, XtaskError> {
    let is_in = |tests: &&Tests| match wanted {
        Some(wanted) => tests.name.contains(wanted),
        None => tests.is_usual || extent == Extent::All,
    };
    let tests: Vec<&Tests> = TESTS.iter().filter(is_in).collect();
    if tests.is_empty() {
        let names: Vec<&str> = TESTS.iter().map(|tests| tests.name).collect();
        return Err(XtaskError::Wrong(format!("no such step: expected one of {}", names.join(", "))));
    }
    for tests in &tests {
        provision::install_missing(tests.packages)?;
    }
    let programs = build(tests.iter().map(|tests| tests.program))?;
    tests
        .into_iter()
        .map(|tests| {
            let program = programs
                .get(tests.program)
                .ok_or_else(|| XtaskError::Wrong(format!("cargo built no test program `{}`", tests.program)))?;
            Ok(tests.step(program.clone()))
        })
        .collect()
}

impl Tests {
    fn step(&self, program: PathBuf) -> Step {
        // names are whole ones; those that run nowhere else are marked as ignored
        let mut args: Vec<String> = self.only.iter().map(|name| (*name).to_owned()).collect();
        args.extend(self.except.iter().flat_map(|name| ["--skip".to_owned(), (*name).to_owned()]));
        if !self.only.is_empty() {
            args.push("--exact".to_owned());
        }
        args.extend(["--include-ignored", "--test-threads=1"].map(str::to_owned));
        let modules = self.modules.iter().map(|name| (*name).to_owned()).collect();
        Step { name: self.name.to_owned(), program, args, modules, seconds: self.seconds }
    }
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
