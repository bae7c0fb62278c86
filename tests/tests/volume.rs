//! Volume: large batches arrive whole, and what does not arrive is told.

use std::fmt::Write as _;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

/// One batch of rules in one chain.
fn batch(rules: usize) -> String {
    let mut script = "add table ip big\nadd chain ip big many\n".to_owned();
    for rule in 0..rules {
        // writing to a string cannot fail
        let _ = writeln!(
            script,
            "add rule ip big many ip saddr 10.{}.{}.{} counter accept",
            rule >> 16 & 255,
            rule >> 8 & 255,
            rule & 255
        );
    }
    script
}

fn put(node: &Node, rules: usize) {
    let path = node.scratch().join("batch.nft");
    std::fs::write(&path, batch(rules)).expect("written");
    node.admin_sh(&format!("nft -f {}", path.display())).expect("the batch");
}

fn certainties(tracker: &Tracker<'_>, owner: &str) -> Value {
    let list = tracker.json(&["ls", "--summary"]).expect("a summary");
    let owners = list["data"]["owners"].as_array().expect("owners").clone();
    owners.into_iter().find(|summary| summary["owner"] == owner).unwrap_or_else(|| panic!("no {owner} in {list:#}"))
}

#[test]
fn thirty_thousand_rules_in_one_batch_arrive_without_loss() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    put(&node, 30_000);
    let admin = certainties(&tracker, "admin/root");
    assert_eq!(admin["classes"]["rule"], 30_000, "{admin:#}");
    assert_eq!(admin["certainties"]["exact"], 30_002, "{admin:#}");
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{status:#}");
    assert_eq!(status["data"]["losses"].as_array().map(Vec::len), Some(0), "{status:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn an_overrun_is_detected_resynchronised_and_recorded_as_a_gap() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let config = "[capture]\nnftables_receive_buffer = 8192\n";
    let tracker = Tracker::start(&node, &files, config).expect("a tracker");
    // a fast reader could keep up even with the smallest buffer
    tracker.while_paused(|| put(&node, 3_000));
    let list = tracker.json(&["ls", "--class", "rule"]).expect("a list");
    let rules = list["data"]["objects"].as_array().expect("objects");
    assert_eq!(rules.len(), 3_000, "every rule is known after the resync");
    assert!(
        rules.iter().all(|rule| rule["owner"] == "admin/root" || rule["certainty"] != "exact"),
        "nobody else is named"
    );
    let status = tracker.json(&["status"]).expect("a status");
    assert!(status["data"]["gaps"].as_u64().is_some_and(|gaps| gaps >= 1), "{status:#}");
    let losses = status["data"]["losses"].to_string();
    assert!(losses.contains("nftables"), "{status:#}");
    let gap = &status["data"]["last_gap"];
    assert!(gap["appeared"].as_u64().is_some_and(|appeared| appeared > 0) || status["data"]["gaps"] != 1, "{gap:#}");
    tracker.stop().expect("a clean stop");
}
