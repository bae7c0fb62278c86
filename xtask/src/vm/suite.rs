//! Which tests run in a machine: those about the kernel side, and those of the whole that need no container runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
    /// The test program's source: programs of several packages have the same name.
    program: &'static str,
    /// Only these, all when empty.
    only: &'static [&'static str],
    /// Not these.
    except: &'static [&'static str],
    /// Suites whose kernel lacks what they are about.
    not_on: &'static [&'static str],
    /// Modules the machine loads first; one that its kernel lacks fails the step.
    modules: &'static [&'static str],
    /// Programs it runs beside those every test may need, each with the package that has it.
    packages: &'static [(&'static str, &'static str)],
    /// Whether it runs components of Kubernetes, which are built from their Go modules.
    is_of_kubernetes: bool,
    /// Longest time, seconds. Emulation is some 20 times slower.
    seconds: u64,
    /// Whether it is part of every run.
    is_usual: bool,
}

/// What most steps are.
const PLAIN: Tests = Tests {
    name: "",
    program: "",
    only: &[],
    except: &[],
    not_on: &[],
    modules: &[],
    packages: &[],
    is_of_kubernetes: false,
    seconds: 600,
    is_usual: false,
};

/// How a step is added: tests/README.md, "Other kernels".
const TESTS: [Tests; 10] = [
    Tests { name: "BPF programs", program: "tracker/tests/bpf.rs", is_usual: true, ..PLAIN },
    Tests {
        name: "provenance",
        program: "tests/tests/provenance.rs",
        only: &["rules_rewritten_by_somebody_else_keep_their_creator", "the_journal_follows_its_own_rollback"],
        ..PLAIN
    },
    Tests { name: "restart", program: "tests/tests/restart.rs", ..PLAIN },
    Tests {
        name: "attribution",
        program: "tests/tests/attribution.rs",
        only: &["one_name_in_many_hands_is_never_given_to_the_wrong_one"],
        ..PLAIN
    },
    Tests {
        name: "directories",
        program: "tests/tests/attribution.rs",
        only: &["a_moved_directory_keeps_its_makers"],
        // its tmpfs has no filesystem id, so nothing in memory can be watched
        not_on: &["bullseye"],
        ..PLAIN
    },
    Tests {
        name: "legacy",
        program: "tests/tests/legacy.rs",
        only: &["rules_of_many_owners_in_one_table_are_told_apart", "a_reset_leaves_everybody_elses_legacy_rules"],
        ..PLAIN
    },
    Tests {
        name: "classes",
        program: "tests/tests/classes.rs",
        // nothing here makes the device file whose opening loads it
        modules: &["tun"],
        only: &["links_by_ioctl_ipv6_addresses_traffic_control_and_neighbours_are_told_apart"],
        ..PLAIN
    },
    Tests {
        name: "ipsets",
        program: "tests/tests/ipsets.rs",
        only: &["a_reset_takes_the_owners_sets_and_members_and_nothing_else"],
        modules: &["ip_set"],
        ..PLAIN
    },
    Tests {
        name: "ebtables",
        program: "tests/tests/ebtables.rs",
        modules: &["ebtables", "ebtable_filter", "ebtable_nat"],
        packages: &[("/usr/sbin/ebtables-legacy", "ebtables")],
        ..PLAIN
    },
    Tests {
        name: "IPVS",
        program: "tests/tests/ipvs.rs",
        modules: &["ip_vs", "ip_vs_rr", "ip_vs_wlc", "ip_set", "dummy"],
        packages: &[("/usr/sbin/keepalived", "keepalived")],
        is_of_kubernetes: true,
        seconds: 1500,
        ..PLAIN
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
    src_path: PathBuf,
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
        if tests.is_of_kubernetes {
            provision::components()?;
        }
    }
    let programs = build(tests.iter().map(|tests| Path::new(tests.program)))?;
    tests
        .into_iter()
        .map(|tests| {
            let program = programs.iter().find(|(source, _)| source.ends_with(tests.program));
            let (_, program) = program
                .ok_or_else(|| XtaskError::Wrong(format!("cargo built no test program of `{}`", tests.program)))?;
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
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (not_on, modules) = (owned(self.not_on), owned(self.modules));
        Step { name: self.name.to_owned(), program, args, not_on, modules, seconds: self.seconds }
    }
}

/// Builds test programs, and gives where they are by their sources.
fn build(sources: impl Iterator<Item = &'static Path>) -> Result<BTreeMap<PathBuf, PathBuf>, XtaskError> {
    let mut command = Command::new("cargo");
    command.args(["test", "--no-run", "--workspace", "--message-format=json-render-diagnostics"]);
    for name in sources.filter_map(Path::file_stem) {
        command.arg("--test").arg(name);
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
            Some((target.src_path, message.executable?))
        })
        .collect())
}
