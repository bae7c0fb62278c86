//! A thread in a new network namespace, with `ip` at hand.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use netdeed_tracker::model::subject::{Snapshot, Subject};

/// How long to wait for the kernel's own workers.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `test` on a thread in a new network namespace.
pub(crate) fn within(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: `CLONE_NEWNET` takes nothing from the thread that it shares with others, descriptors included
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
            .expect("these tests need root: cannot unshare the network namespace");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with the words of `arguments`; it has to succeed.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("`ip` is needed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `ip` prints.
pub(crate) fn ip_output(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("`ip` is needed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("`ip` prints text")
}

/// Routes of both families and all tables, ip rules and addresses, line by line.
pub(crate) fn state() -> BTreeMap<&'static str, Vec<String>> {
    ["-4 -d -o route show table all", "-6 -d route show table all", "-4 -d rule", "-6 -d rule", "-d -o addr"]
        .into_iter()
        .map(|arguments| {
            // a second line that repeats what a nexthop object holds
            let output = ip_output(arguments);
            (arguments, output.lines().filter(|line| !line.contains("nh_info")).map(str::to_owned).collect())
        })
        .collect()
}

/// `state` without the one line that holds `needle` (at its end, when `needle` ends in `$`).
pub(crate) fn without(
    state: &BTreeMap<&'static str, Vec<String>>,
    needle: &str,
) -> BTreeMap<&'static str, Vec<String>> {
    let is_it = |line: &String| match needle.strip_suffix('$') {
        Some(end) => line.trim_end().ends_with(end),
        None => line.contains(needle),
    };
    let lines: Vec<&String> = state.values().flatten().filter(|line| is_it(line)).collect();
    assert_eq!(lines.len(), 1, "`{needle}` is in {lines:#?}");
    state.iter().map(|(kind, lines)| (*kind, lines.iter().filter(|line| !is_it(line)).cloned().collect())).collect()
}

/// Repeats `check` until it returns `true`; returns whether it did before the deadline.
pub(crate) fn wait_for(mut check: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !check() {
        if start.elapsed() > DEADLINE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// The one live object that `matches`.
pub(crate) fn only(
    objects: Vec<(Subject, Snapshot)>,
    matches: impl Fn(&Subject, &Snapshot) -> bool,
) -> (Subject, Snapshot) {
    let all = format!("{objects:#?}");
    let mut found: Vec<_> = objects.into_iter().filter(|(subject, snapshot)| matches(subject, snapshot)).collect();
    assert_eq!(found.len(), 1, "{found:#?} of {all}");
    found.remove(0)
}
