//! A tracker that was killed: what it recorded is there, what happened meanwhile is a gap.

use netdeed_tests::node::Node;
use netdeed_tests::scenario::{admin, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker, cli};
use serde_json::Value;

fn chain(tracker: &Tracker<'_>, name: &str) -> Value {
    let answer = tracker.json(&["who", "chain", "--table", "nat", name]).expect("an answer");
    answer["data"]["objects"][0].clone()
}

#[test]
fn after_a_kill_the_record_is_there_and_the_meantime_is_a_gap() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy::sync(&node, 2).expect("kube-proxy's ruleset");
    let seen = chain(&tracker, "KUBE-SERVICES");
    assert_eq!(seen["certainty"], "exact", "{seen:#}");
    tracker.kill();

    node.admin_sh("iptables-nft -t nat -N KUBE-SVC-AAAAAAAAAAAAAAAA; iptables-nft -t nat -N SOMETHING")
        .expect("chains");
    node.admin_sh("iptables-nft -t nat -D PREROUTING 1").expect("a rule less");

    let tracker = Tracker::start(&node, &files, "").expect("a tracker again");
    let still = chain(&tracker, "KUBE-SERVICES");
    assert_eq!(still["id"], seen["id"], "the same object: {still:#}");
    assert_eq!(still["owner"], "kubernetes/kube-proxy");
    assert_eq!(still["certainty"], "exact");
    let meanwhile = chain(&tracker, "KUBE-SVC-AAAAAAAAAAAAAAAA");
    assert_eq!(meanwhile["certainty"], "inferred", "{meanwhile:#}");
    assert_eq!(meanwhile["owner"], "kubernetes/kube-proxy", "{meanwhile:#}");
    assert!(meanwhile["created"]["evidence"].to_string().contains("gap"), "{meanwhile:#}");
    let unknown = chain(&tracker, "SOMETHING");
    assert_eq!(unknown["certainty"], "unknown", "{unknown:#}");

    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 1, "{status:#}");
    assert_eq!(status["data"]["last_gap"]["reason"], "tracker-down", "{status:#}");
    assert_eq!(status["data"]["last_gap"]["appeared"], 2, "{status:#}");
    assert_eq!(status["data"]["last_gap"]["vanished"], 1, "{status:#}");

    // what is only inferred is not taken without being told to
    let plan = tracker.cli(&["-o", "json", "plan", "--owner", "kubernetes"]).expect("a plan");
    assert_eq!(plan.status.code(), Some(3), "something was refused");
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    let refused = plan["data"]["refusals"].to_string();
    assert!(refused.contains("KUBE-SVC-AAAAAAAAAAAAAAAA"), "{plan:#}");
    tracker.stop().expect("a clean stop");

    // with the tracker stopped, reading works from the journal
    let output = cli(&node, &files, &["who", "chain", "--table", "nat", "KUBE-SERVICES"]).expect("run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("kubernetes/kube-proxy"), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not running"));
    let output = cli(&node, &files, &["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_tracker_started_late_says_that_it_only_found_things() {
    let node = Node::new().expect("a node");
    kube_proxy::sync(&node, 1).expect("kube-proxy's ruleset");
    admin::allow_vpn(&node, 1).expect("the administrator's rule");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let found = chain(&tracker, "KUBE-SERVICES");
    assert_eq!(found["certainty"], "inferred", "{found:#}");
    assert!(found["created"]["evidence"].to_string().contains("tracker started"), "{found:#}");
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "a first start is no gap: {status:#}");
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(reset.status.code(), Some(3), "everything was refused");
    assert!(node.sh("iptables-nft-save").expect("rules").contains("KUBE-SERVICES"));
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--include-inferred", "--yes"]).expect("run");
    let said = String::from_utf8_lossy(&reset.stdout).into_owned() + &String::from_utf8_lossy(&reset.stderr);
    assert_eq!(reset.status.code(), Some(0), "{said}");
    let rules = node.sh("iptables-nft-save").expect("rules");
    assert!(!rules.contains("KUBE-") && rules.contains(admin::COMMENT), "{rules}");
    tracker.stop().expect("a clean stop");
}
