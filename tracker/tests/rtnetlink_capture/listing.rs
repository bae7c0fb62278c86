//! What `ip` lists, and what the library lists.

use std::collections::BTreeMap;
use std::time::Duration;

use netdeed_tests::namespace::{output_of, run};
use netdeed_tests::wait::until;
use netdeed_tracker::model::subject::{Snapshot, Subject};

/// How long to wait for the kernel's own workers.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `ip` with the words of `arguments`; it has to succeed.
#[track_caller]
pub(crate) fn ip(arguments: &str) {
    run(&format!("ip {arguments}"));
}

/// What `ip` prints.
#[track_caller]
pub(crate) fn ip_output(arguments: &str) -> String {
    output_of(&format!("ip {arguments}"))
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
    until("it", DEADLINE, || check().then_some(())).is_ok()
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
