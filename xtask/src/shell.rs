//! Running programs, aloud.

use std::path::PathBuf;
use std::process::Command;

use crate::error::XtaskError;

/// The workspace's directory.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where compiled things and caches go.
pub(crate) fn target() -> PathBuf {
    workspace().join("target")
}

/// Runs a program in the workspace's directory, its output on ours.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<(), XtaskError> {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace());
    run_command(&mut command)
}

/// Runs a prepared command, its output on ours.
pub(crate) fn run_command(command: &mut Command) -> Result<(), XtaskError> {
    let text = describe(command);
    eprintln!("+ {text}");
    let status = command.status().map_err(|source| XtaskError::Spawn {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if status.success() { Ok(()) } else { Err(XtaskError::Failed { command: text, status }) }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Builds the workspace's programs where [`netdeed_tests::tracker::binary`] looks for them.
pub(crate) fn build_programs(release: bool) -> Result<(), XtaskError> {
    let mut args = vec!["build", "--workspace", "--bins"];
    if release {
        args.push("--release");
    }
    run("cargo", &args)
}
