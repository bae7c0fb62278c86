//! A pod that nothing but containerd's CRI makes: the plugins it runs are named, for which pod they ran, and by whom.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::cni::{self, Pod};
use netdeed_tests::scenario::containerd::Containerd;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

const DIRS: [&str; 2] = ["/etc/cni", "/var/lib/cni"];

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let answer = tracker.json(&[&["who"], what].concat()).expect("an answer");
    let objects = answer["data"]["objects"].as_array().expect("objects").clone();
    assert_eq!(objects.len(), 1, "one object for {what:?}: {answer:#}");
    objects[0].clone()
}

/// The owner, by what the plugin did that containerd ran for the pod.
fn assert_plugins(object: &Value, plugin: &str, programs: &[&str], pod: &str) {
    assert_eq!(object["owner"], format!("cni/{plugin}"), "{object:#}");
    assert!(["exact", "correlated"].map(Value::from).contains(&object["certainty"]), "{object:#}");
    let actor = &object["created"]["actor"];
    let lineage: Vec<&str> = actor["lineage"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(lineage[..programs.len()], *programs, "{object:#}");
    let mut images = std::iter::once(actor).chain(actor["ancestry"].as_array().into_iter().flatten());
    let call = &images.find(|image| image["program"] == plugin).expect("the plugin")["cni"];
    assert_eq!((&call["command"], &call["pod"]), (&"ADD".into(), &pod.into()), "{object:#}");
}

/// Position of the first rule of a chain with a text, from 1.
fn position(node: &Node, table: &str, chain: &str, text: &str) -> String {
    let rules = node.sh(&format!("iptables-nft -t {table} -S {chain}")).expect("rules");
    let mut lines = rules.lines().filter(|line| line.starts_with("-A"));
    let index = lines.position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {rules}"));
    (index + 1).to_string()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The veth of the first pod on the bridge.
fn veth(node: &Node) -> String {
    let links = node.sh("ip -o link show master cni0").expect("links");
    let name = links.split_whitespace().nth(1).and_then(|name| name.split('@').next());
    name.unwrap_or_else(|| panic!("a veth: {links}")).to_owned()
}

#[test]
fn what_a_cri_pods_plugins_make_is_theirs_and_a_reset_leaves_nothing() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let before = Canonical::of(&node, &DIRS).expect("dumps");
    cni::install(&node).expect("CNI configuration");
    let containerd = Containerd::start(&node).expect("containerd");
    let web = containerd.run_pod(&Pod::new("web-0", &[(30080, 80)])).expect("a pod");

    let link = who(&tracker, &["link", &veth(&node)]);
    assert_plugins(&link, "bridge", &["bridge", "containerd"], "shop/web-0");
    let call = &link["created"]["actor"]["cni"];
    assert_eq!((&call["container"], &call["pod_uid"]), (&web.id.as_str().into(), &web.uid.as_str().into()), "{link:#}");
    assert_plugins(&who(&tracker, &["link", "cni0"]), "bridge", &["bridge", "containerd"], "shop/web-0");
    let address = who(&tracker, &["address", "10.244.0.1"]);
    assert_plugins(&address, "bridge", &["bridge", "containerd"], "shop/web-0");
    let masquerade = position(&node, "nat", "POSTROUTING", &web.id);
    let rule = who(&tracker, &["rule", "nat", "POSTROUTING", &masquerade]);
    assert_plugins(&rule, "bridge", &["iptables", "bridge", "containerd"], "shop/web-0");
    let rule = who(&tracker, &["rule", "nat", "CNI-HOSTPORT-DNAT", "1"]);
    assert_plugins(&rule, "portmap", &["iptables", "portmap", "containerd"], "shop/web-0");
    let forward = position(&node, "filter", "FORWARD", "CNI firewall plugin rules");
    let rule = who(&tracker, &["rule", "filter", "FORWARD", &forward]);
    assert_plugins(&rule, "firewall", &["iptables", "firewall", "containerd"], "shop/web-0");
    let lease = who(&tracker, &["file", "/var/lib/cni/networks/podnet/10.244.0.2"]);
    assert_plugins(&lease, "host-local", &["host-local", "bridge", "containerd"], "shop/web-0");
    let text = tracker.text(&["who", "rule", "filter", "FORWARD", &forward]).expect("an answer");
    assert!(text.contains("firewall") && text.contains("containerd") && text.contains("shop/web-0"), "{text}");

    // with a pod running, a reset names what would keep it alive and changes nothing
    let reset = ["reset", "--owner", "kubernetes", "--yes"];
    let refused = said(&tracker.cli(&reset).expect("a reset"));
    assert!(refused.contains("nothing was changed") && refused.contains("crictl stopp"), "{refused}");
    containerd.remove_pod(&web).expect("removed");
    let rules = node.sh("iptables-nft-save").expect("rules");
    assert!(rules.contains("CNI-FORWARD") && !rules.contains(&web.id), "what the plugins leave behind: {rules}");
    let output = tracker.cli(&reset).expect("a reset");
    assert_eq!(output.status.code(), Some(0), "{}\n{}", said(&output), tracker.log());
    let after = Canonical::of(&node, &DIRS).expect("dumps");
    let diff = before.diff(&after);
    assert!(diff.is_empty(), "{diff}\n{}\n{}", said(&output), tracker.log());
    let left = tracker.json(&["ls", "--owner", "kubernetes"]).expect("a list");
    assert_eq!(left["data"]["objects"].as_array().map(Vec::len), Some(0), "{left:#}");
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{status:#}");
    drop(containerd);
    tracker.stop().expect("a clean stop");
}
