//! Two trackers, one record: what the service manager keeps of the first lets the second go on where it ended.

use netdeed_tests::manager::Manager;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker, binary};
use serde_json::Value;

fn start<'a>(node: &'a Node, files: &Files, manager: &Manager) -> Tracker<'a> {
    let command = manager.command(node, &binary("netdeedd").expect("it is built")).expect("a command");
    Tracker::start_by(node, files, "", command).expect("a tracker")
}

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let mut args = vec!["who"];
    args.extend(what);
    let answer = tracker.json(&args).expect("an answer");
    answer["data"]["objects"][0].clone()
}

fn gaps(tracker: &Tracker<'_>) -> Value {
    tracker.json(&["status"]).expect("a status")["data"]["gaps"].clone()
}

fn act(node: &Node) {
    node.run_as("flanneld", "ip link add flannel.7 type bridge; ip addr add 10.77.0.1/24 dev flannel.7")
        .expect("a link");
    node.run_as("dockerd", "nft 'add table ip docker7; add chain ip docker7 c7'").expect("a table");
    node.run_as("kubelet", "mkdir -p /var/lib/cni/seven").expect("a directory");
    kube_proxy::sync(node, 3).expect("kube-proxy's ruleset");
}

/// Everything is in the names of those who did it, as sure as if they had been watched.
fn assert_acts(tracker: &Tracker<'_>) {
    let objects: [(&[&str], &str); 4] = [
        (&["link", "flannel.7"], "cni/flannel"),
        (&["chain", "--table", "docker7", "c7"], "docker"),
        (&["dir", "/var/lib/cni/seven"], "kubernetes/kubelet"),
        (&["chain", "--table", "nat", "KUBE-SERVICES"], "kubernetes/kube-proxy"),
    ];
    for (what, owner) in objects {
        let object = who(tracker, what);
        assert_eq!(object["owner"], owner, "{what:?}: {object:#}\n{}", tracker.log());
        // links only where the kernel lets a program attach to its notifications
        let is_sure = object["certainty"] == "exact" || (what[0] == "link" && object["certainty"] == "correlated");
        assert!(is_sure, "{what:?}: {object:#}\n{}", tracker.log());
    }
}

#[test]
fn what_happens_between_two_trackers_is_recorded_as_if_there_had_been_one() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let files = Files::named(&node, "tracker");
    let manager = Manager::start(&node).expect("a manager");
    let tracker = start(&node, &files, &manager);
    let kept = manager.names();
    assert!(kept.iter().any(|name| name.ends_with("/whole")), "{kept:?}\n{}", tracker.log());
    assert_eq!(gaps(&tracker), 0);
    tracker.kill();

    act(&node);

    let tracker = start(&node, &files, &manager);
    assert_acts(&tracker);
    assert_eq!(gaps(&tracker), 0, "{}", tracker.log());
    assert_eq!(manager.names(), kept, "they stay where they are");
    // and it goes on recording
    node.run_as("dockerd", "ip link add after type bridge").expect("a link");
    assert_eq!(who(&tracker, &["link", "after"])["owner"], "docker");
    tracker.stop().expect("a clean stop");
}

#[test]
fn legacy_rules_between_two_trackers_have_their_makers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let manager = Manager::start(&node).expect("a manager");
    let tracker = start(&node, &files, &manager);
    node.run_as(
        "dockerd",
        "iptables-legacy -N D; iptables-legacy -A D -s 192.0.2.1 -j ACCEPT; iptables-legacy -A FORWARD -j D",
    )
    .expect("rules");
    assert_eq!(who(&tracker, &["chain", "--legacy", "D"])["owner"], "docker");
    tracker.kill();
    node.run_as("kube-proxy", "iptables-legacy -N K; iptables-legacy -I FORWARD -j K").expect("rules");
    node.admin_sh("iptables-legacy -P FORWARD DROP; iptables-legacy -A D -s 192.0.2.2 -j ACCEPT").expect("rules");

    let tracker = start(&node, &files, &manager);
    let owner = |chain: &str, position: &str| {
        let rule = who(&tracker, &["rule", "filter", chain, position, "--legacy"]);
        (
            rule["owner"].as_str().unwrap_or_default().to_owned(),
            rule["certainty"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let expected = [
        ("FORWARD", "1", "kubernetes/kube-proxy"),
        ("FORWARD", "2", "docker"),
        ("D", "1", "docker"),
        ("D", "2", "admin/root"),
    ];
    for (chain, position, its) in expected {
        assert_eq!(
            owner(chain, position),
            (its.to_owned(), "exact".to_owned()),
            "{chain} {position}\n{}",
            tracker.log()
        );
    }
    assert_eq!(who(&tracker, &["chain", "--legacy", "--family", "ip", "FORWARD"])["changed"]["owner"], "admin/root");
    assert_eq!(gaps(&tracker), 0, "{}", tracker.log());
    tracker.stop().expect("a clean stop");
}

#[test]
fn without_what_was_kept_the_time_between_is_a_gap() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let files = Files::named(&node, "tracker");
    let manager = Manager::start(&node).expect("a manager");
    start(&node, &files, &manager).kill();
    act(&node);
    // born meanwhile, and known from /proc when it acts
    let go = node.scratch().join("go");
    let script = format!("until test -e {}; do sleep 0.05; done; nft add table ip later7; :", go.display());
    let firewalld = node.program("firewalld").expect("a shell");
    let mut late = node.command(firewalld).args(["-c", &script]).spawn().expect("spawned");
    manager.discard();
    let tracker = start(&node, &files, &manager);
    std::fs::write(&go, "").expect("written");
    late.wait().expect("an end");
    let later = who(&tracker, &["table", "later7"]);
    assert_eq!((&later["owner"], &later["certainty"]), (&"firewalld".into(), &"exact".into()), "{later:#}");
    assert_eq!(gaps(&tracker), 1, "{}", tracker.log());
    let link = who(&tracker, &["link", "flannel.7"]);
    assert!(["inferred", "unknown"].contains(&link["certainty"].as_str().unwrap_or_default()), "{link:#}");
    assert!(manager.names().iter().any(|name| name.ends_with("/whole")), "handed over again");
    tracker.kill();
    // a set that is not whole is as good as none
    let names = manager.names();
    manager.forget(names.iter().find(|name| name.ends_with("/whole")).expect("it is there"));
    let tracker = start(&node, &files, &manager);
    assert_eq!(gaps(&tracker), 2, "{}", tracker.log());
    assert_eq!(manager.names(), names, "once each");
    tracker.stop().expect("a clean stop");
}
