//! Plans and resets.

use serde_json::Value;

use crate::journal::Read;
use crate::support::{Tracker, golden, on_a_terminal};

fn live(tracker: &Tracker) -> u64 {
    tracker.node.memory.stats().expect("memory").live_objects
}

#[test]
fn a_plan_with_refusals_ends_with_three() {
    let tracker = Tracker::start();
    let plan = tracker.run(&["plan", "--owner", "kubernetes"]);
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(3), ""));
    golden("plan", &plan.stdout);
    assert_eq!(tracker.run(&["plan", "--owner", "admin"]).code, Some(0));
    let inferred = tracker.run(&["plan", "--owner", "docker", "--include-inferred"]);
    assert_eq!(inferred.code, Some(0), "what is kept is not refused");
    golden("plan-inferred", &inferred.stdout);
    let proven = tracker.run(&["plan", "--owner", "docker"]).stdout;
    assert!(
        proven.starts_with("to take back what docker added: 0 removals, 0 refusals, 0 without a step\n"),
        "{proven}"
    );
}

#[test]
fn a_reset_without_questions_removes_and_says_what_it_refused() {
    let tracker = Tracker::start();
    let before = live(&tracker);
    let dry = tracker.run(&["reset", "--owner", "kubernetes", "--dry-run"]);
    assert_eq!((dry.code, live(&tracker)), (Some(3), before));
    golden("reset-dry-run", &dry.stdout);

    let reset = tracker.run(&["reset", "--owner", "kubernetes", "--yes"]);
    assert_eq!((reset.code, live(&tracker)), (Some(3), before - 4));
    golden("reset", &reset.stdout);

    let again = tracker.run(&["reset", "--owner", "kubernetes/kube-proxy", "--yes"]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    assert!(again.stdout.starts_with("to take back what kubernetes/kube-proxy added: 0 removals"), "{}", again.stdout);
}

#[test]
fn programs_get_one_document_and_people_the_plan() {
    let tracker = Tracker::start();
    let reset = tracker.run(&["reset", "--owner", "admin", "--yes", "-o", "json"]);
    assert_eq!(reset.code, Some(0));
    let document: Value = serde_json::from_str(&reset.stdout).expect("JSON");
    assert_eq!((&document["kind"], &document["data"]["done"]), (&"operation".into(), &1.into()));
    assert!(reset.stderr.starts_with("to take back what admin added: 1 removal"), "{}", reset.stderr);
}

#[test]
fn only_a_yes_removes() {
    let tracker = Tracker::start();
    let before = live(&tracker);
    for typed in ["n\n", "\n", "nyes\n"] {
        let ran = on_a_terminal(&tracker, &["reset", "--owner", "kubernetes"], typed);
        assert_eq!((ran.code, live(&tracker)), (Some(1), before), "{typed:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("Remove 4 things of kubernetes? [y/N]"), "{}", ran.stdout);
        assert!(ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
    }
    let ran = on_a_terminal(&tracker, &["reset", "--owner", "kubernetes"], "y\n");
    assert_eq!((ran.code, live(&tracker)), (Some(3), before - 4), "{}", ran.stdout);
    assert!(ran.stdout.contains("removed 4 of 4 things of kubernetes"), "{}", ran.stdout);
}

#[test]
fn what_the_tracker_refuses_to_begin_is_told_with_its_remedy() {
    let tracker = Tracker::start();
    let ran = tracker.run(&["reset", "--owner", "docker", "--include-inferred", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "error: docker is still running and would add its rules again\nhint: systemctl stop docker\n"
    );
}

#[test]
fn a_swap_shows_what_stands_in_the_way_and_begins_only_when_it_is_forced() {
    let tracker = Tracker::start();
    let before = live(&tracker);
    let refused = tracker.run(&["swap", "--from", "flannel", "--to", "cni/calico", "--yes"]);
    assert_eq!((refused.code, live(&tracker)), (Some(3), before));
    golden("swap", &refused.stdout);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    let verify = tracker.run(&["swap", "--from", "flannel", "--verify"]);
    assert_eq!(verify.code, Some(3));
    assert!(verify.stdout.starts_with("after the swap from cni/flannel: 1 problem, 0 warnings\n"), "{}", verify.stdout);
    assert_eq!(tracker.run(&["swap", "--from", "a/b", "--verify"]).code, Some(2));
    let forced = tracker.run(&["swap", "--from", "flannel", "--yes", "--force"]);
    assert!(forced.stdout.contains("of cni/flannel (operation 1)"), "{}", forced.stdout);
    assert!(live(&tracker) < before);
}

#[test]
fn a_plan_as_a_file_is_carried_out_whole_or_not_at_all() {
    let tracker = Tracker::start();
    let before = live(&tracker);
    let script = tracker.run(&["plan", "--owner", "admin", "--export", "iptables-restore"]);
    assert_eq!((script.code, script.stdout.as_str()), (Some(3), "#!/bin/sh\n"));
    assert_eq!(script.stderr, "not in it: delete link cni0: a test\n");
    let json = tracker.run(&["plan", "--owner", "admin", "--export", "json"]);
    assert_eq!(json.code, Some(0));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("plan.json");
    let path = file.to_str().expect("text");
    std::fs::write(&file, json.stdout.replace("\"fingerprint\": \"", "\"fingerprint\": \"00")).expect("writable");
    let edited = tracker.run(&["apply", path, "--yes"]);
    assert_eq!((edited.code, live(&tracker)), (Some(2), before), "{}", edited.stderr);
    std::fs::write(&file, &json.stdout).expect("writable");
    let done = tracker.run(&["apply", path, "--yes"]);
    assert_eq!((done.code, live(&tracker)), (Some(0), before - 1), "{}", done.stderr);
    let again = tracker.run(&["apply", path, "--yes"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("changed since the plan was shown"), "{}", again.stderr);
}
