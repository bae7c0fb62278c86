//! Inside of a machine: what the programs do on its kernel, then the steps, each with its deadline.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use clap::Args;
use netdeed_tests::wait;
use netdeed_tracker::capture::bpf::{BpfOptions, ProgramState, load, self_test};

use crate::error::XtaskError;
use crate::shell;

use super::kernel::file_error;
use super::outcome::{CheckOutcome, Orders, Outcome, ProgramOutcome, Step, StepOutcome};

/// Most that is kept of what a failed step printed, bytes.
const KEPT: usize = 4_000;

/// How many times slower than a machine an emulated one may be: what the deadlines of tests are multiplied by.
const EMULATION: &str = "10";

/// Where the orders are.
#[derive(Debug, Args)]
pub(crate) struct GuestArguments {
    /// Directory of `orders.json`, and of the results.
    folder: PathBuf,
}

/// Does what the orders say.
pub(crate) fn run(arguments: &GuestArguments) -> Result<(), XtaskError> {
    let folder = &arguments.folder;
    let path = folder.join("orders.json");
    let orders = std::fs::read(&path).map_err(|source| file_error("read", &path, source))?;
    let orders: Orders = serde_json::from_slice(&orders)
        .map_err(|error| XtaskError::Wrong(format!("`{}` is not understood: {error}", path.display())))?;
    let mut outcome = look();
    write(folder, &outcome)?;
    for (index, step) in orders.steps.iter().enumerate() {
        let began = Instant::now();
        let result = run_step(step, &folder.join(format!("step-{index}.log")));
        println!("{}: {result:?}", step.name);
        outcome.steps.push(StepOutcome { name: step.name.clone(), result, seconds: began.elapsed().as_secs_f64() });
        write(folder, &outcome)?;
    }
    Ok(())
}

/// What the programs do on the kernel of the machine that runs the virtual ones.
pub(super) fn look_at_own(folder: &Path) -> Result<Outcome, XtaskError> {
    let orders = serde_json::to_vec(&Orders { steps: Vec::new() })
        .map_err(|error| XtaskError::Wrong(format!("the orders cannot be written: {error}")))?;
    let path = folder.join("orders.json");
    std::fs::create_dir_all(folder).map_err(|source| file_error("make", folder, source))?;
    std::fs::write(&path, orders).map_err(|source| file_error("write", &path, source))?;
    // with a tracefs of its own: not every machine has it mounted
    let script = "test -e /sys/kernel/tracing/events || mount -t tracefs tracefs /sys/kernel/tracing; exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(shell::target().join("debug/xtask"))
        .arg("vm-guest")
        .arg(folder);
    shell::run_command(&mut command)?;
    read(folder)
}

/// What came of the orders in a folder.
pub(super) fn read(folder: &Path) -> Result<Outcome, XtaskError> {
    let path = folder.join("outcome.json");
    let bytes = std::fs::read(&path).map_err(|source| file_error("read", &path, source))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| XtaskError::Wrong(format!("`{}` is not understood: {error}", path.display())))
}

/// What the programs do on this kernel.
fn look() -> Outcome {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut outcome = Outcome {
        release,
        programs: Ok(Vec::new()),
        missing: Vec::new(),
        checks: Vec::new(),
        steps: Vec::new(),
        seconds: 0,
    };
    match load(&BpfOptions::default()) {
        Ok((mut source, report)) => {
            let several = |hook: &str| report.programs.iter().filter(|program| program.hook == hook).count() > 1;
            let programs = report.programs.iter().map(|program| ProgramOutcome {
                hook: match several(program.hook) {
                    true => format!("{} ({})", program.hook, program.name),
                    false => program.hook.to_owned(),
                },
                state: match &program.state {
                    ProgramState::Attached { verified_instructions } => Ok(*verified_instructions),
                    ProgramState::Unavailable { reason, .. } => Err(reason.clone()),
                },
            });
            outcome.programs = Ok(programs.collect());
            outcome.missing = report.missing_offsets.iter().map(|missing| missing.member.clone()).collect();
            let checks = self_test(&mut source).checks.into_iter();
            outcome.checks =
                checks.map(|check| CheckOutcome { name: check.name.to_owned(), result: check.result }).collect();
        }
        Err(error) => outcome.programs = Err(error.to_string()),
    }
    outcome
}

fn write(folder: &Path, outcome: &Outcome) -> Result<(), XtaskError> {
    let path = folder.join("outcome.json");
    let text = serde_json::to_vec_pretty(outcome)
        .map_err(|error| XtaskError::Wrong(format!("the outcome cannot be written: {error}")))?;
    std::fs::write(&path, text).map_err(|source| file_error("write", &path, source))
}

/// Runs one step and gives how many of its tests passed.
fn run_step(step: &Step, log: &Path) -> Result<usize, String> {
    step.modules.iter().try_for_each(|module| load_module(module))?;
    let status = run_program(step, log).map_err(|error| error.to_string())?;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let passed = passed(&text);
    match status {
        None => Err(format!("not done within {} s: {}", step.seconds, last(&text))),
        Some(status) if !status.success() => Err(format!("{status}: {}", last(&text))),
        // names that no test has any more would pass for ever
        Some(_) if passed == 0 => Err("it ran no test".to_owned()),
        Some(_) => Ok(passed),
    }
}

/// Loads a module of this machine's kernel and those it needs.
fn load_module(name: &str) -> Result<(), String> {
    // what the machine's PATH has first looks among this kernel's modules
    let output = Command::new("modprobe").arg(name).output();
    let output = output.map_err(|error| format!("cannot run `modprobe {name}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`modprobe {name}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Runs a program with its output in a file; `None` when it had to be ended.
fn run_program(step: &Step, log: &Path) -> Result<Option<ExitStatus>, XtaskError> {
    let output = File::create(log).map_err(|source| file_error("make", log, source))?;
    let errors = output.try_clone().map_err(|source| file_error("write", log, source))?;
    let mut child = Command::new(&step.program)
        .args(&step.args)
        .env("RUST_BACKTRACE", "0")
        .env(wait::FACTOR, EMULATION)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|source| XtaskError::Spawn { program: step.program.display().to_string(), source })?;
    let ended = wait::until(&step.name, step.deadline(), || child.try_wait().ok().flatten());
    if ended.is_err() {
        if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
            // gone already is as good
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.wait();
    }
    Ok(ended.ok())
}

/// The number of tests that passed: `test result: ok. 3 passed; ...`.
fn passed(text: &str) -> usize {
    let mut counts = text.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
        rest.split_once(" passed")?.0.parse::<usize>().ok()
    });
    // the tests run themselves again inside of namespaces and say so: theirs come first
    counts.next_back().unwrap_or_default()
}

fn last(text: &str) -> String {
    let from = text.len().saturating_sub(KEPT);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outer_runs_count() {
        let text = "running 2 tests\ntest result: ok. 1 passed; 0 failed\nok\n\ntest result: ok. 2 passed; 0 failed; 0";
        assert_eq!(passed(text), 2);
        assert_eq!(passed("test result: FAILED. 3 passed; 1 failed"), 3);
        assert_eq!(passed("nothing"), 0);
    }

    #[test]
    fn the_end_of_a_long_text_is_kept() {
        let text = format!("{}é{}", "x".repeat(100), "y".repeat(KEPT - 1));
        assert_eq!(last(&text).len(), KEPT - 1);
        assert_eq!(last("short"), "short");
    }
}
