//! Fuzzing, guided by coverage: libFuzzer over the targets of `tests/fuzz`, with a stable compiler.

use std::process::Command;

use clap::Args;

use crate::error::XtaskError;
use crate::shell;

/// What to fuzz.
#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    target: Option<String>,
}

/// Names in `tests/fuzz/src/targets.rs`.
const TARGETS: [&str; 11] =
    ["nft", "expressions", "xt", "rtnl", "request", "task", "fanotify", "legacy", "ipset", "ipvs", "ioctl"];

/// Where the program runs; named so that build scripts are not instrumented.
const TRIPLE: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

/// What makes the compiler count which branches are taken; the sanitizers themselves would need a nightly one.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Builds the targets and runs them one after the other. What is found on the way stays in `target/fuzz/corpus`, bytes
/// that fail in `target/fuzz/artifacts`.
pub(crate) fn run(arguments: &FuzzArguments) -> Result<(), XtaskError> {
    let wanted: Vec<&str> = match arguments.target.as_deref() {
        None => TARGETS.to_vec(),
        Some(name) if TARGETS.contains(&name) => vec![name],
        Some(name) => {
            return Err(XtaskError::Wrong(format!("no fuzz target `{name}`; there are {}", TARGETS.join(", "))));
        }
    };
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--manifest-path",
        "tests/fuzz/Cargo.toml",
        "--target",
        TRIPLE,
        "--target-dir",
        "target/fuzz",
    ]);
    shell::run_command(build.env("RUSTFLAGS", FLAGS).current_dir(shell::workspace()))?;
    for name in wanted {
        let found = shell::target().join("fuzz/corpus").join(name);
        let artifacts = shell::target().join("fuzz/artifacts").join(name);
        for folder in [&found, &artifacts] {
            std::fs::create_dir_all(folder).map_err(|source| XtaskError::File {
                operation: "make",
                path: folder.clone(),
                source,
            })?;
        }
        let mut fuzz = Command::new(shell::target().join("fuzz").join(TRIPLE).join("debug/fuzz"));
        fuzz.arg(format!("-max_total_time={}", arguments.seconds))
            .args(["-max_len=8192", "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(&found)
            .arg(shell::workspace().join("tests/fuzz/corpus").join(name))
            .env("NETDEED_FUZZ_TARGET", name);
        shell::run_command(&mut fuzz)?;
    }
    Ok(())
}
