//! Exit codes and what standard error says.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::Ordering;

use crate::support::{Ran, Tracker, run_alone};

fn ended(code: i32, stderr: &str) -> Ran {
    Ran { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() }
}

#[test]
fn without_a_tracker_and_a_journal_there_is_nothing_to_read() {
    let nothing = "error: no tracker is running, and there is no journal at `/nonexistent/journal`: cannot connect to the \
                   tracker at `/nonexistent/netdeed.sock`: No such file or directory (os error 2)\nhint: start it with \
                   `systemctl start netdeedd`, or name its socket with --socket; another journal can be named with \
                   --journal\n";
    for verb in [&["ls"][..], &["ls", "--summary"], &["log"], &["status"], &["who", "link", "cni0"]] {
        assert_eq!(run_alone(verb), ended(4, nothing), "{verb:?}");
    }
}

#[test]
fn what_needs_a_tracker_says_so() {
    for (verb, what) in [
        (&["plan", "--owner", "kubernetes"][..], "planning"),
        (&["reset", "--owner", "kubernetes", "--yes"], "a reset"),
        (&["log", "-f"], "following the log"),
    ] {
        let ran = run_alone(verb);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
        assert!(
            ran.stderr.starts_with(&format!("error: {what} needs a running tracker: cannot connect")),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("\nhint: start it with `systemctl start netdeedd`"), "{}", ran.stderr);
    }
}

#[test]
fn usage_errors_end_with_two() {
    for arguments in [
        &[][..],
        &["who"],
        &["who", "rule", "filter", "FORWARD"],
        &["who", "rule", "filter", "FORWARD", "0"],
        &["who", "rule", "filter", "FORWARD", "1", "--handle", "2"],
        &["who", "rule", "-f", "ipx", "filter", "FORWARD", "1"],
        &["ls", "--class", "rules"],
        &["ls", "--owner", "a//b"],
        &["log", "--since", "yesterday"],
        &["plan"],
        &["frobnicate"],
        &["who", "route", "10.0.0.0/33"],
        &["who", "dir", "/etc/../root"],
        &["who", "address", "10.0.0"],
        &["reset", "--owner", "kubernetes"],
    ] {
        let ran = run_alone(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
    let reset = "error: nobody can be asked here: say --yes to remove, or --dry-run to only check\n";
    assert_eq!(run_alone(&["reset", "--owner", "kubernetes"]), ended(2, reset));
}

#[test]
fn what_is_not_there_ends_with_one() {
    let tracker = Tracker::start();
    assert_eq!(
        tracker.run(&["who", "rule", "filter", "FORWARD", "9"]),
        ended(1, "error: chain ip filter FORWARD has 3 rules, so there is none at position 9\n")
    );
    assert_eq!(
        tracker.run(&["who", "rule", "-f", "ip6", "filter", "FORWARD", "1"]),
        ended(
            1,
            "error: the ruleset has no chain `FORWARD` in table `ip6 filter`\n\
             hint: name the family with --family; `nft list ruleset` shows every chain\n"
        )
    );
    let link = tracker.run(&["who", "link", "eth7"]);
    assert_eq!(link.code, Some(1));
    assert!(link.stderr.starts_with("error: the journal knows no link eth7\nhint: "), "{}", link.stderr);
    assert_eq!(tracker.run(&["ls", "--owner", "podman"]), ended(0, "note: nothing recorded fits\n"));
}

#[test]
fn a_user_the_socket_does_not_let_in_is_told_how_to_get_in() {
    let tracker = Tracker::start();
    let directory = tracker.directory.path();
    std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    // the build directory need not be readable to that user, a copy in the open one is
    let binary = directory.join("netdeed");
    std::fs::copy(env!("CARGO_BIN_EXE_netdeed"), &binary).expect("copied");
    let mut command = std::process::Command::new(&binary);
    command.arg("--socket").arg(tracker.socket()).arg("ls").uid(65_534).gid(65_534).current_dir("/");
    let output = command.output().expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(
        stderr.contains("Permission denied") && stderr.contains("hint: run it with sudo, or become a member"),
        "{stderr}"
    );

    std::fs::set_permissions(tracker.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("mode");
    let mut command = std::process::Command::new(&binary);
    command.arg("--socket").arg(tracker.socket()).args(["reset", "--owner", "kubernetes", "--yes"]).uid(65_534);
    let output = command.gid(65_534).current_dir("/").output().expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        (output.status.code(), stderr.as_str()),
        (Some(1), "error: only root may change things\nhint: run it with sudo\n")
    );
}

#[test]
fn waiting_ends_when_the_tracker_is_ready_or_time_is_up() {
    let tracker = Tracker::start();
    assert_eq!(tracker.run(&["status", "--wait"]).code, Some(0));
    tracker.node.is_ready.store(false, Ordering::SeqCst);
    let starting =
        "error: the tracker is still starting after 0 s\nhint: `netdeed status` shows what it is waiting for\n";
    assert_eq!(tracker.run(&["status", "--wait=0"]), ended(1, starting));
    assert_eq!(tracker.run(&["status"]).code, Some(0), "without --wait it only tells");

    let mut waiting = tracker.command(&["status", "--wait=60"]);
    let child = waiting.stdout(Stdio::piped()).spawn().expect("runs");
    tracker.node.is_ready.store(true, Ordering::SeqCst);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("tracker   degraded"));
    assert_eq!(run_alone(&["status", "--wait=0"]).code, Some(4));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let tracker = Tracker::start();
    let mut command = tracker.command(&["log", "-f"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut [0]).expect("the first byte");
    drop(stdout);
    // the pipe has room, so only an entry written after its reader left shows that it broke
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let status = loop {
        tracker.node.append(crate::journal::Entry::Started {
            scope: crate::fixture::world::scope(),
            time: crate::fixture::world::at(90),
        });
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "it goes on without a reader");
        std::thread::yield_now();
    };
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}
