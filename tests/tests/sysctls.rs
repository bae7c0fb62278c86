//! Sysctls: who gave one another value, and setting it back.

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

fn run(node: &Node, program: &str, script: &str) {
    node.run_as(program, script).expect("a script that works");
}

/// Living sysctls: name, owner and certainty, sorted.
fn set(tracker: &Tracker<'_>) -> Vec<String> {
    let list = tracker.json(&["ls", "--class", "sysctl"]).expect("a list");
    let row = |it: &Value| {
        let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("name"), text("owner"), text("certainty"))
    };
    let mut rows: Vec<String> = list["data"]["objects"].as_array().expect("objects").iter().map(row).collect();
    rows.sort();
    rows
}

fn values(node: &Node) -> String {
    node.sh("sysctl net.ipv4.ip_forward net.ipv4.conf.lo.rp_filter net.ipv4.conf.lo.route_localnet net.ipv4.conf.all.rp_filter")
        .expect("values")
}

#[test]
fn a_value_has_the_one_who_set_it() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("sysctl -w net.ipv4.ip_forward=0 net.ipv4.conf.lo.rp_filter=0").expect("values to begin with");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    run(&node, "kube-proxy", "sysctl -w net.ipv4.conf.all.forwarding=1");
    run(&node, "dockerd", "echo 1 > /proc/sys/net/ipv4/conf/lo/route_localnet");
    // what is the same as before is nobody's, and so is what is set in another network namespace
    run(
        &node,
        "firewalld",
        "sysctl -w net.ipv4.conf.lo.rp_filter=0; unshare --net sysctl -w net.ipv4.conf.lo.rp_filter=2",
    );
    assert_eq!(
        set(&tracker),
        [
            "sysctl net.ipv4.conf.lo.route_localnet docker exact",
            "sysctl net.ipv4.ip_forward kubernetes/kube-proxy exact"
        ]
    );
    let who = tracker.json(&["who", "sysctl", "net.ipv4.ip_forward"]).expect("an answer");
    let sysctl = &who["data"]["objects"][0];
    assert_eq!((&sysctl["content"]["value"], &sysctl["content"]["before"]), (&"1".into(), &"0".into()), "{sysctl}");
    assert_eq!(sysctl["created"]["actor"]["program"], "sysctl");
    run(&node, "firewalld", "sysctl -w net.ipv4.ip_forward=0");
    assert_eq!(set(&tracker), ["sysctl net.ipv4.conf.lo.route_localnet docker exact"]);
    let gone = tracker.json(&["who", "sysctl", "net.ipv4.ip_forward"]).expect("an answer");
    assert_eq!(gone["data"]["objects"][0]["removed"]["owner"], "firewalld");
    tracker.stop().expect("a clean stop");
    // nobody sees this one, and nobody is named; what was known is known still
    run(&node, "dockerd", "sysctl -w net.ipv4.conf.all.rp_filter=2; sysctl -w net.ipv4.conf.lo.route_localnet=0");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    assert_eq!(set(&tracker), Vec::<String>::new());
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_reset_sets_back_what_nobody_else_set_since() {
    let admins = "sysctl -w net.ipv4.conf.lo.rp_filter=2";
    let without = Node::new().expect("a node");
    run(&without, "firewalld", admins);
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    run(&node, "firewalld", admins);
    let other = if values(&node).contains("net.ipv4.ip_forward = 0") { 1 } else { 0 };
    run(
        &node,
        "kube-proxy",
        &format!("sysctl -w net.ipv4.ip_forward={other}; sysctl -w net.ipv4.conf.lo.route_localnet=1"),
    );
    run(&node, "kube-proxy", "sysctl -w net.ipv4.conf.all.rp_filter=2");
    let reset = tracker.text(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    assert_eq!(values(&node), values(&without), "{reset}");
    assert_eq!(set(&tracker), ["sysctl net.ipv4.conf.lo.rp_filter firewalld exact"]);
    let undo = tracker.cli(&["undo", "--yes"]).expect("run");
    assert_eq!(undo.status.code(), Some(0), "{}", String::from_utf8_lossy(&undo.stdout));
    assert!(values(&node).contains(&format!("net.ipv4.ip_forward = {other}")), "{}", values(&node));
    assert!(
        set(&tracker).contains(&"sysctl net.ipv4.ip_forward kubernetes/kube-proxy exact".to_owned()),
        "{:?}",
        set(&tracker)
    );
    tracker.text(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    assert_eq!(values(&node), values(&without));
    // set by one, then by another: it is not known what either would have wanted
    run(&node, "kube-proxy", "sysctl -w net.ipv4.conf.lo.route_localnet=1");
    run(&node, "firewalld", "sysctl -w net.ipv4.conf.all.rp_filter=1");
    run(&node, "kube-proxy", "sysctl -w net.ipv4.conf.all.rp_filter=2");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(values(&node).contains("net.ipv4.conf.all.rp_filter = 2"));
    assert!(values(&node).contains("net.ipv4.conf.lo.route_localnet = 0"));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_node_goes_on_forwarding_when_others_rely_on_it() {
    let reset = |others: &str| {
        let node = Node::new().expect("a node");
        let files = Files::named(&node, "tracker");
        node.sh("sysctl -w net.ipv4.ip_forward=0").expect("a value to begin with");
        let tracker = Tracker::start(&node, &files, "").expect("a tracker");
        run(&node, "kube-proxy", "sysctl -w net.ipv4.ip_forward=1");
        run(&node, "dockerd", others);
        let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        tracker.stop().expect("a clean stop");
        (output.status.code(), node.sh("sysctl -n net.ipv4.ip_forward").expect("a value").trim() == "1", said)
    };
    let (exit, forwards, said) = reset("ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0");
    assert!(exit == Some(3) && forwards && said.contains("172.17.0.1/16"), "{said}");
    let (exit, forwards, said) = reset("sysctl -w net.ipv4.ip_forward=1");
    assert!(exit == Some(3) && forwards && said.contains("changed by docker"), "{said}");
    let (exit, forwards, said) = reset("ip link add docker0 type bridge");
    assert!(exit == Some(0) && !forwards, "{said}");
}

#[test]
fn writers_at_once_are_told_apart_or_not_named() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("for i in 1 2 3 4 5 6 7 8; do ip link add kp$i type bridge; ip link add dk$i type bridge; done; ip link add both type bridge")
        .expect("links");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    std::thread::scope(|scope| {
        for (program, tag, value) in [("kube-proxy", "kp", 1), ("dockerd", "dk", 2)] {
            let node = &node;
            scope.spawn(move || {
                let script = format!(
                    "for i in 1 2 3 4 5 6 7 8; do sysctl -w net.ipv4.conf.{tag}$i.rp_filter={value} net.ipv4.conf.both.rp_filter=$((i % 3)); done"
                );
                run(node, program, &script);
            });
        }
    });
    for row in set(&tracker) {
        let truth = if row.contains(".kp") { "kubernetes/kube-proxy" } else { "docker" };
        assert!(row.contains(".both") || row.contains("unknown") || row.contains(truth), "{row}");
    }
    let right = set(&tracker).iter().filter(|row| row.ends_with("exact") && !row.contains(".both")).count();
    assert_eq!(right, 16, "{:#?}", set(&tracker));
    tracker.stop().expect("a clean stop");
}
