//! What became of each source, for the board.

use tracing::warn;

use crate::capture::bpf::{self, BpfOptions, BpfReport, BpfSource, ProgramState, SelfTest};
use crate::capture::fanotify::{Limits, RootReport, SysctlSource, Watch};
use crate::capture::mountinfo::MountSource;
use crate::capture::{self, CaptureError, RawSource};
use crate::causes::causes;
use crate::config::CaptureConfig;
use crate::control::api::{BpfProgramView, SelfTestView, SourceState};
use crate::model::gap::Source;

use super::status::Board;

/// Loads BPF, tests it, and says what came of it; without BPF the tracker goes on with less certainty.
pub(super) fn bpf(config: &CaptureConfig, board: &Board) -> Option<BpfSource> {
    if !config.bpf {
        let remedy = "set `capture.bpf = true` in the configuration".to_owned();
        off(board, "switched off by configuration", Some(remedy));
        return None;
    }
    let options = BpfOptions { ring_bytes: config.ring_bytes, ..BpfOptions::default() };
    match bpf::load(&options) {
        Ok((mut source, _)) => {
            test_and_say(&mut source, board);
            Some(source)
        }
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "BPF is not to be had, going on without");
            off(board, &causes(&error), remedy(&error));
            None
        }
    }
}

/// Makes the self-test and says what came of it.
pub(super) fn test_and_say(source: &mut BpfSource, board: &Board) {
    let tests = bpf::self_test(source);
    if let Some(why) = tests.notifications_failure() {
        source.distrust_notifications(why);
    }
    say(board, source.report(), &tests);
}

fn off(board: &Board, why: &str, remedy: Option<String>) {
    board.source("processes", SourceState::Off, format!("no BPF: {why}; looked up in /proc"), remedy.clone());
    board.source("requests", SourceState::Off, format!("no BPF: {why}; links and routes have no actor"), remedy);
}

fn say(board: &Board, report: &BpfReport, tests: &SelfTest) {
    let remedy = report.unavailable().find_map(|program| match &program.state {
        ProgramState::Unavailable { remedy, .. } => remedy.clone(),
        ProgramState::Attached { .. } => None,
    });
    let missing = report.missing_offsets.len();
    let tell = |name: &str, sees: bool, passed: bool, with: &str, without: &str| {
        let mut detail = if sees { with } else { without }.to_owned();
        if sees && !passed {
            detail.push_str("; the self-test failed");
        }
        if missing > 0 {
            detail.push_str(&format!("; {missing} kernel structure members not found"));
        }
        let state = match (sees, passed && missing == 0) {
            (true, true) => SourceState::Ok,
            (true, false) => SourceState::Degraded,
            (false, _) => SourceState::Off,
        };
        board.source(name, state, detail, remedy.clone().filter(|_| !sees));
    };
    tell(
        "processes",
        report.sees_processes(),
        tests.processes_passed(),
        "BPF on fork, exec and exit",
        "BPF programs did not attach; looked up in /proc",
    );
    tell(
        "requests",
        report.sees_requests(),
        tests.requests_passed(),
        if report.sees_notifications() {
            "BPF on netlink requests, and on notifications where they are caused"
        } else {
            "BPF on netlink requests; links are matched by what requests name"
        },
        "BPF programs did not attach; links and routes have no actor",
    );
    tell(
        "legacy tables",
        report.sees_tables(),
        tests.tables_passed(),
        "BPF on replacements of legacy tables",
        "BPF programs did not attach; replacements are not seen",
    );
    tell(
        "ioctls",
        report.sees_ioctls(),
        tests.ioctls_passed(),
        "BPF on ioctls about links",
        "BPF programs did not attach; links made by ioctl have no actor",
    );
    tell(
        "mount calls",
        report.sees_mounts(),
        true,
        "BPF on mount, umount and move_mount",
        "BPF programs did not attach; mounts have no actor",
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
    let tests = tests.checks.iter().map(|check| SelfTestView {
        name: check.name.to_owned(),
        passed: check.result.is_ok(),
        detail: check.result.clone().err().unwrap_or_else(|| "recorded as it was".to_owned()),
    });
    board.bpf(programs.collect(), tests.collect());
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

/// Watches writes to sysctls; without, a value that changed is found by comparing, and nobody is named.
pub(super) fn sysctls(board: &Board) -> Option<(Source, Box<dyn RawSource>)> {
    match SysctlSource::open() {
        Ok(source) => {
            board.source("sysctls", SourceState::Ok, "writes through this /proc".to_owned(), None);
            Some((Source::Sysctls, Box::new(source)))
        }
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "writes to sysctls are not watched");
            board.source("sysctls", SourceState::Off, causes(&error), remedy(&error));
            None
        }
    }
}

/// Watches the mount table; without, it is compared when everything else is.
pub(super) fn mounts(board: &Board) -> Option<(Source, Box<dyn RawSource>)> {
    match MountSource::open() {
        Ok(source) => {
            board.source("mounts", SourceState::Ok, "the table of this mount namespace".to_owned(), None);
            Some((Source::Mounts, Box::new(source)))
        }
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "mounts are not watched");
            board.source("mounts", SourceState::Off, causes(&error), remedy(&error));
            None
        }
    }
}

/// Says whether IP sets can be looked at.
pub(super) fn ip_sets(board: &Board) {
    let detail = if capture::ipset::is_loaded() {
        "looked at after each request to change them"
    } else {
        "the ip_set subsystem is not loaded; looked at once a request loads it"
    };
    board.source("ip sets", SourceState::Ok, detail.to_owned(), None);
}

/// Says whether IPVS services can be looked at.
pub(super) fn ipvs(board: &Board) {
    let detail = if capture::ipvs::is_loaded() {
        "services looked at after each request to change them"
    } else {
        "IPVS is not loaded; looked at once it is"
    };
    board.source("ipvs", SourceState::Ok, detail.to_owned(), None);
}

/// Bounds of the watcher.
pub(super) fn fanotify_limits(max_paths: usize) -> Limits {
    Limits { objects: max_paths, ..Limits::default() }
}

/// Says which roots are watched.
pub(super) fn watched(board: &Board, reports: &[RootReport]) {
    let mut not: Vec<String> = Vec::new();
    let mut scanned = 0;
    for report in reports {
        match &report.watch {
            // the kernel's own filesystems cannot be watched anywhere: nothing is wrong with this node
            Watch::NotWatched { .. } if report.path.as_path().starts_with("/sys") => scanned += 1,
            Watch::NotWatched { reason } => not.push(format!("{} ({reason})", report.path)),
            Watch::Watched { .. } => {}
        }
        not.extend(report.holes.iter().map(|(path, reason)| format!("{path} ({reason})")));
    }
    let roots = reports.iter().filter(|report| matches!(report.watch, Watch::Watched { .. })).count();
    let mut detail = format!("{roots} directories watched");
    if scanned > 0 {
        detail.push_str(&format!(", {scanned} below /sys only scanned"));
    }
    if not.is_empty() {
        board.source("fanotify", SourceState::Ok, detail, None);
    } else {
        detail.push_str(&format!(", not watched: {}", not.join(", ")));
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
