//! The whole path: real programs act, interleaved; the tracker says who did what; a reset takes back Kubernetes' part
//! and nothing else.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::{admin, cni, docker::Docker, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

const DIRS: [&str; 5] = ["/etc/cni", "/var/lib/cni", "/opt/cni", "/etc/kubernetes", "/var/lib/kubelet"];

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let mut args = vec!["who"];
    args.extend(what);
    let answer = tracker.json(&args).expect("an answer");
    let objects = answer["data"]["objects"].as_array().expect("objects").clone();
    assert_eq!(objects.len(), 1, "one object for {what:?}: {answer:#}");
    objects[0].clone()
}

fn lineage(object: &Value) -> Vec<&str> {
    let lineage = object["created"]["actor"]["lineage"].as_array().unwrap_or_else(|| panic!("no actor: {object:#}"));
    lineage.iter().filter_map(Value::as_str).collect()
}

fn assert_deed(object: &Value, owner: &str, certainty: &[&str], programs: &[&str]) {
    assert_eq!(object["owner"], owner, "{object:#}");
    assert!(certainty.contains(&object["certainty"].as_str().unwrap_or_default()), "{object:#}");
    let lineage = lineage(object);
    let mut rest = lineage.iter();
    for program in programs {
        assert!(rest.any(|name| name == program), "{programs:?} in this order in {lineage:?}: {object:#}");
    }
}

/// Position of the first rule of FORWARD with a text, from 1.
fn position(node: &Node, text: &str) -> String {
    let rules = node.sh("iptables-nft -S FORWARD | tail -n +2").expect("rules");
    let index = rules.lines().position(|rule| rule.contains(text)).unwrap_or_else(|| panic!("no {text} in\n{rules}"));
    (index + 1).to_string()
}

fn owners(tracker: &Tracker<'_>, owner: &str) -> Vec<Value> {
    let list = tracker.json(&["ls", "--owner", owner]).expect("a list");
    list["data"]["objects"].as_array().expect("objects").clone()
}

/// Rules of four owners in one chain; then chains, links and directories. `result` is what the CNI ADD gave.
fn assert_everyone_is_named(node: &Node, tracker: &Tracker<'_>, result: &Value) {
    let rule = |text: &str| who(tracker, &["rule", "filter", "FORWARD", &position(node, text)]);
    assert_deed(&rule(admin::COMMENT), "admin/root", &["exact"], &["iptables-nft", "sh"]);
    assert_deed(&rule("-j DOCKER-USER"), "docker", &["exact"], &["iptables", "dockerd"]);
    assert_deed(
        &rule("kubernetes forwarding rules"),
        "kubernetes/kube-proxy",
        &["exact"],
        &["iptables-nft-restore", "kube-proxy"],
    );
    assert_deed(&rule("CNI firewall plugin rules"), "cni/firewall", &["exact"], &["iptables", "firewall"]);
    // chains, links, directories
    assert_deed(&who(tracker, &["chain", "DOCKER-USER"]), "docker", &["exact"], &["iptables", "dockerd"]);
    assert_deed(&who(tracker, &["link", "docker0"]), "docker", &["exact", "correlated"], &["dockerd"]);
    assert_deed(&who(tracker, &["link", "cni0"]), "cni/bridge", &["exact", "correlated"], &["bridge"]);
    let veth = result["interfaces"][1]["name"].as_str().expect("the veth's name").to_owned();
    let veth = who(tracker, &["link", &veth]);
    assert_deed(&veth, "cni/bridge", &["exact", "correlated"], &["bridge"]);
    assert_eq!(veth["created"]["actor"]["cni"]["pod"], "shop/web-0", "{veth:#}");
    let dir = who(tracker, &["dir", "/etc/cni/net.d"]);
    assert_deed(&dir, "kubernetes/kubelet", &["exact"], &["mkdir", "kubelet"]);
}

#[test]
fn a_reset_leaves_the_node_as_if_kubernetes_had_never_run_on_it() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let docker = Docker::start(&node).expect("dockerd");
    docker.publish().expect("a published port");
    let before = Canonical::of(&node, &DIRS).expect("dumps");

    cni::install(&node).expect("CNI configuration");
    let result = cni::add(&node, &cni::Pod::new("web-0", &[(30080, 80)])).expect("CNI ADD");
    cni::add(&node, &cni::Pod::new("web-1", &[(30081, 80)])).expect("CNI ADD");
    kube_proxy::sync(&node, 200).expect("kube-proxy's ruleset");
    admin::allow_vpn(&node, 3).expect("the administrator's rule");

    assert_everyone_is_named(&node, &tracker, &result);

    // the reset
    assert!(docker.answers());
    let with_admin = Canonical::of(&node, &DIRS).expect("dumps");
    let admins_lines = |dump: &Canonical| {
        let lines = dump.0["iptables-save"].lines().filter(|line| line.contains(admin::COMMENT));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", tracker.log());
    let after = Canonical::of(&node, &DIRS).expect("dumps");
    assert_eq!(admins_lines(&with_admin), admins_lines(&after), "the administrator's rule is untouched");
    assert!(docker.answers(), "the published port still answers");

    // the counterfactual: without the administrator's rule the node is what it was before Kubernetes came
    node.admin_sh("iptables-nft -D FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT").expect("gone");
    let without_admin = Canonical::of(&node, &DIRS).expect("dumps");
    let diff = before.diff(&without_admin);
    assert!(diff.is_empty(), "{diff}\n{said}\n{}", tracker.log());
    let left = owners(&tracker, "kubernetes");
    assert!(left.is_empty(), "{left:#?}");
    assert!(!owners(&tracker, "docker").is_empty());

    // planning again finds nothing to do
    let plan = tracker.json(&["plan", "--owner", "kubernetes"]).expect("a plan");
    assert_eq!(plan["data"]["steps"].as_array().map(Vec::len), Some(0), "{plan:#}");
    drop(docker);
    tracker.stop().expect("a clean stop");
}

#[test]
fn rules_rewritten_by_somebody_else_keep_their_creator() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy::sync(&node, 3).expect("kube-proxy's ruleset");
    admin::allow_vpn(&node, 1).expect("the administrator's rule");
    let dump = node.sh("iptables-nft-save -c").expect("a dump");
    std::fs::write(node.scratch().join("dump"), dump).expect("written");
    let path = node.scratch().join("dump").display().to_string();
    node.admin_sh(&format!("iptables-nft-restore -c < {path}")).expect("restored");
    let rule = who(&tracker, &["rule", "filter", "FORWARD", &position(&node, "kubernetes forwarding rules")]);
    assert_eq!(rule["owner"], "kubernetes/kube-proxy", "{rule:#}");
    assert_eq!(rule["rewritten"]["owner"], "admin/root", "{rule:#}");
    let chain = who(&tracker, &["chain", "--table", "nat", "KUBE-SERVICES"]);
    assert_eq!(chain["owner"], "kubernetes/kube-proxy", "{chain:#}");
    // the dump also made base chains that were not there before: no reason to doubt what was seen
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{status:#}");
    assert_eq!((&rule["certainty"], &chain["certainty"]), (&"exact".into(), &"exact".into()), "{rule:#} {chain:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn the_journal_follows_its_own_rollback() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy::sync(&node, 1).expect("kube-proxy's ruleset");
    let dry = tracker.text(&["reset", "--owner", "kubernetes", "--dry-run"]).expect("a dry run");
    assert!(dry.contains("2 tables") && dry.contains("nothing was changed"), "{dry}");
    assert!(tracker.text(&["plan", "--owner", "kubernetes", "--long"]).expect("a plan").contains("KUBE-"));
    assert!(node.sh("iptables-nft-save").expect("rules").contains("KUBE-SERVICES"), "a dry run changes nothing");
    tracker.text(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    assert!(!node.sh("iptables-nft-save; nft list ruleset").expect("rules").contains("KUBE-"));
    let log = tracker.json(&["log", "--owner", "kubernetes"]).expect("a log");
    let removals: Vec<&Value> = log["data"]["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["change"] == "removed" || event["detail"]["change"] == "removed")
        .collect();
    assert!(!removals.is_empty(), "{log:#}");
    assert!(removals.iter().all(|event| event.to_string().contains("\"operation\":1")), "{removals:#?}");
    tracker.stop().expect("a clean stop");
}
