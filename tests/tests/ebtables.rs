//! Tables of ebtables-legacy, on a kernel that has them: a step of the VM tier.

use std::collections::BTreeMap;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

const WHERE: &str = "needs a kernel with legacy bridge tables";

/// Each line of the recorded rules of bridge tables with its owner.
fn owners(tracker: &Tracker<'_>) -> BTreeMap<String, String> {
    let list = tracker.json(&["ls", "--class", "rule"]).expect("a list");
    let rules = list["data"]["objects"].as_array().expect("objects").clone();
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let bridge = rules.iter().filter(|it| text(it, "name").starts_with("rule legacy bridge "));
    bridge.map(|rule| (text(rule, "text"), text(rule, "owner"))).collect()
}

/// What `ebtables-legacy` lists of a table, as ebtables-legacy-save writes it.
fn saved(node: &Node, table: &str) -> Vec<String> {
    let text = node.sh(&format!("ebtables-legacy -t {table} -L")).expect("a listing");
    let mut chain = "";
    let mut lines = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match line.strip_prefix("Bridge chain: ").and_then(|rest| rest.split_once(',')) {
            Some((name, _)) => chain = name,
            None => lines.push(format!("-A {chain} {}", line.trim_end())),
        }
    }
    lines.sort();
    lines
}

fn gaps(tracker: &Tracker<'_>) -> Value {
    tracker.json(&["status"]).expect("a status")["data"]["gaps"].clone()
}

#[test]
#[ignore = "needs a kernel with legacy bridge tables: cargo xtask test --tier vm"]
fn rules_of_bridge_tables_have_their_owners() {
    let node = Node::new().expect(WHERE);
    node.sh("ebtables-legacy -A INPUT -p IPv4 -j ACCEPT").expect("a rule before the tracker");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh(
        "ebtables-legacy -A FORWARD -p IPv4 --ip-src 10.0.0.0/8 --ip-proto tcp --ip-dport 80:90 -i eth0 -j DROP
         ebtables-legacy -N OWN -P RETURN; ebtables-legacy -A OWN --log-level info --log-prefix own -j CONTINUE
         ebtables-legacy -A FORWARD -j OWN; ebtables-legacy -P FORWARD DROP",
    )
    .expect("an administrator's rules");
    node.run_as(
        "flanneld",
        "ebtables-legacy -I FORWARD 1 -p ARP --arp-op Request -s 00:11:22:33:44:55 -j ACCEPT
         ebtables-legacy -t nat -A POSTROUTING -o veth+ -j snat --to-source 00:11:22:33:44:66 --snat-target ACCEPT",
    )
    .expect("flannel's rules");
    let owned = owners(&tracker);
    let mut expected = [saved(&node, "filter"), saved(&node, "nat")].concat();
    expected.sort();
    assert_eq!(owned.keys().cloned().collect::<Vec<_>>(), expected, "{}", tracker.log());
    let of = |text: &str| owned.iter().find(|(line, _)| line.contains(text)).unwrap_or_else(|| panic!("no {text}")).1;
    assert_eq!(of("--ip-dport 80:90"), "admin/root");
    assert_eq!(of("-j OWN"), "admin/root");
    assert_eq!(of("--arp-op Request"), "cni/flannel");
    assert_eq!(of("snat --to-src"), "cni/flannel");
    assert_eq!(of("-A INPUT -p IPv4"), "unknown");
    assert_eq!(gaps(&tracker), 0, "{}", tracker.log());

    let rule =
        tracker.json(&["who", "rule", "filter", "FORWARD", "1", "--legacy", "--family", "bridge"]).expect("an answer");
    assert_eq!(rule["data"]["objects"][0]["owner"], "cni/flannel", "{rule:#}");
    assert_eq!(rule["data"]["objects"][0]["certainty"], "exact", "{rule:#}");
    let blame = tracker.text(&["blame", "--legacy", "--family", "bridge"]).expect("a listing");
    assert!(
        blame.contains("*filter") && blame.contains("-A FORWARD -j OWN") && blame.contains(":OWN RETURN"),
        "{blame}"
    );

    // what is removed goes on for nobody, what stays is everybody's own
    node.admin_sh("ebtables-legacy -D FORWARD -j OWN; ebtables-legacy -P OWN DROP").expect("changes");
    let after = owners(&tracker);
    assert_eq!(after.len() + 1, owned.len(), "{after:#?}");
    assert!(after.iter().all(|(line, owner)| owned.get(line) == Some(owner)), "{after:#?}");
    let blame = tracker.text(&["blame", "--legacy", "--family", "bridge"]).expect("a listing");
    assert!(blame.contains(":OWN DROP"), "{blame}");

    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    let said = String::from_utf8_lossy(&reset.stdout).into_owned() + &String::from_utf8_lossy(&reset.stderr);
    assert_eq!(reset.status.code(), Some(3), "{said}");
    assert!(said.contains("ebtables-legacy"), "{said}");
    assert_eq!(owners(&tracker), after, "nothing was removed");
    tracker.stop().expect("a clean stop");
}

#[test]
#[ignore = "needs a kernel with legacy bridge tables: cargo xtask test --tier vm"]
fn what_bridge_tables_held_before_is_found_and_kept() {
    let node = Node::new().expect(WHERE);
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("flanneld", "ebtables-legacy -A FORWARD -p IPv6 -j DROP").expect("a rule");
    tracker.stop().expect("a clean stop");
    node.admin_sh("ebtables-legacy -A FORWARD -p ARP -j DROP").expect("a rule");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let owned = owners(&tracker);
    assert_eq!(owned.get("-A FORWARD -p IPv6 -j DROP").map(String::as_str), Some("cni/flannel"), "{owned:#?}");
    assert_eq!(owned.get("-A FORWARD -p ARP -j DROP").map(String::as_str), Some("unknown"), "{owned:#?}");
    tracker.stop().expect("a clean stop");
}
