//! What became of each source, for the board.

use tracing::warn;

use crate::capture::bpf::{self, BpfOptions, BpfReport, ProgramState};
use crate::capture::fanotify::{Limits, RootReport, Watch};
use crate::capture::{CaptureError, RawSource};
use crate::config::CaptureConfig;
use crate::control::api::{BpfProgramView, SelfTestView, SourceState};

use super::status::{self, Board};

/// Loads BPF, tests it, and says what came of it; without BPF the tracker goes on with less certainty.
pub(super) fn bpf(config: &CaptureConfig, board: &Board) -> Option<Box<dyn RawSource>> {
    if !config.bpf {
        let remedy = "set `capture.bpf = true` in the configuration".to_owned();
        off(board, "switched off by configuration", Some(remedy));
        return None;
    }
    let options = BpfOptions { ring_bytes: config.ring_bytes, ..BpfOptions::default() };
    match bpf::load(&options) {
        Ok((mut source, report)) => {
            let tests = bpf::self_test(&mut source);
            let tests: Vec<SelfTestView> = tests
                .checks
                .iter()
                .map(|check| SelfTestView {
                    name: check.name.to_string(),
                    passed: check.result.is_ok(),
                    detail: check.result.clone().err().unwrap_or_else(|| "as it was".to_owned()),
                })
                .collect();
            say(board, &report, tests);
            Some(Box::new(source))
        }
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "BPF is not to be had, going on without");
            off(board, &status::chain(&error), remedy(&error));
            None
        }
    }
}

fn off(board: &Board, why: &str, remedy: Option<String>) {
    board.source("processes", SourceState::Off, format!("no BPF: {why}; looked up in /proc"), remedy.clone());
    board.source("requests", SourceState::Off, format!("no BPF: {why}; links and routes have no actor"), remedy);
}

fn say(board: &Board, report: &BpfReport, tests: Vec<SelfTestView>) {
    let failed: Vec<&str> = tests.iter().filter(|test| !test.passed).map(|test| test.name.as_str()).collect();
    let missing = report.missing_offsets.len();
    let remedy = report.unavailable().find_map(|program| match &program.state {
        ProgramState::Unavailable { remedy, .. } => remedy.clone(),
        ProgramState::Attached { .. } => None,
    });
    let state = |sees: bool| match (sees, failed.is_empty() && missing == 0) {
        (true, true) => SourceState::Ok,
        (true, false) => SourceState::Degraded,
        (false, _) => SourceState::Off,
    };
    let detail = |sees: bool, what: &str, without: &str| {
        let mut detail = if sees { what.to_owned() } else { without.to_owned() };
        if !failed.is_empty() {
            detail.push_str(&format!("; self-test failed: {}", failed.join(", ")));
        }
        if missing > 0 {
            detail.push_str(&format!("; {missing} kernel structure members not found"));
        }
        detail
    };
    let (processes, requests) = (report.sees_processes(), report.sees_requests());
    board.source(
        "processes",
        state(processes),
        detail(processes, "BPF on fork, exec and exit", "BPF programs did not attach; looked up in /proc"),
        remedy.clone().filter(|_| !processes),
    );
    board.source(
        "requests",
        state(requests && report.sees_tables()),
        detail(
            requests,
            "BPF on netlink requests and legacy table replaces",
            "BPF programs did not attach; links and routes have no actor",
        ),
        remedy.filter(|_| !requests),
    );
    let programs = report.programs.iter().map(|program| {
        let (attached, detail) = match &program.state {
            ProgramState::Attached { verified_instructions: Some(count) } => {
                (true, format!("{}, {count} instructions verified", program.hook))
            }
            ProgramState::Attached { verified_instructions: None } => (true, program.hook.to_owned()),
            ProgramState::Unavailable { reason, .. } => (false, format!("{}: {reason}", program.hook)),
        };
        BpfProgramView { name: program.name.to_owned(), attached, detail }
    });
    board.bpf(programs.collect(), tests);
}

/// Says how large a receive buffer became: the kernel gives less without `CAP_NET_ADMIN`.
pub(super) fn buffer(board: &Board, name: &str, size: usize, wanted: usize) {
    let detail = format!("notifications, receive buffer {} KiB", size / 1024);
    if size >= wanted {
        board.source(name, SourceState::Ok, detail, None);
    } else {
        let remedy = "give netdeedd CAP_NET_ADMIN, or raise net.core.rmem_max".to_owned();
        board.source(name, SourceState::Degraded, format!("{detail} of {} wanted", wanted / 1024), Some(remedy));
    }
}

/// Bounds of the watcher.
pub(super) fn fanotify_limits(max_paths: usize) -> Limits {
    Limits { objects: max_paths, ..Limits::default() }
}

/// Says which roots are watched.
pub(super) fn watched(board: &Board, reports: &[RootReport]) {
    let mut not: Vec<String> = Vec::new();
    for report in reports {
        if let Watch::NotWatched { reason } = &report.watch {
            not.push(format!("{} ({reason})", report.path));
        }
        not.extend(report.holes.iter().map(|(path, reason)| format!("{path} ({reason})")));
    }
    let roots = reports.iter().filter(|report| matches!(report.watch, Watch::Watched { .. })).count();
    if not.is_empty() {
        board.source("fanotify", SourceState::Ok, format!("{roots} directories watched"), None);
    } else {
        let detail = format!("{roots} directories watched, not watched: {}", not.join(", "));
        let remedy = "what happens there is found by the next scan, without an actor".to_owned();
        board.source("fanotify", SourceState::Degraded, detail, Some(remedy));
    }
}

/// What an error itself says to do.
pub(super) fn remedy(error: &CaptureError) -> Option<String> {
    match error {
        CaptureError::Unavailable { remedy, .. } => Some(remedy.clone()),
        _ => None,
    }
}
