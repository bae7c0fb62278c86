//! A reset while its owner runs, of a part of what an owner did, and of policies.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use netdeed_tests::node::Node;
use netdeed_tests::scenario::cni::{self, Pod};
use netdeed_tests::tracker::{Files, Tracker};

/// A program of a name of its own that runs a script and then waits; ends when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(node: &Node, program: &str, script: &str) -> Self {
        let path = node.program(program).expect("a shell under another name");
        let mut child = node
            .command(&path)
            .args(["-ec", &format!("{script}\necho ready\nread line")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says so");
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_reset_refuses_while_its_owner_runs_and_names_what_stops_it() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let daemon = Daemon::start(&node, "kube-proxy", "iptables-nft -N KUBE-SERVICES");
    let reset = ["reset", "--owner", "kubernetes", "--yes"];
    let refused = tracker.cli(&reset).expect("run");
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains("kube-proxy (process ") && text.contains("kill "), "{text}");
    assert!(node.sh("nft list chain ip filter KUBE-SERVICES").is_ok(), "nothing was removed");

    let plan = tracker.cli(&["-o", "json", "plan", "--owner", "kubernetes"]).expect("run");
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    let running = &plan["data"]["running"];
    assert_eq!((running[0]["program"].as_str(), running[0]["blocks"].as_bool()), (Some("kube-proxy"), Some(true)));

    let forced = tracker.cli(&["reset", "--owner", "kubernetes", "--yes", "--force"]).expect("run");
    assert_eq!(forced.status.code(), Some(0), "{}", said(&forced));
    assert!(node.sh("nft list chain ip filter KUBE-SERVICES").is_err(), "it went");
    daemon.end();
    node.run_as("kube-proxy", "iptables-nft -N KUBE-SERVICES").expect("a chain");
    let done = tracker.cli(&reset).expect("run");
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_policy_goes_back_unless_somebody_else_set_it_since() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh("iptables-nft -A FORWARD -j ACCEPT; iptables-nft -A INPUT -j ACCEPT").expect("chains");
    node.run_as("kube-proxy", "iptables-nft -P FORWARD DROP; iptables-nft -P INPUT DROP").expect("policies");
    node.admin_sh("iptables-nft -P INPUT ACCEPT; iptables-nft -P INPUT DROP").expect("a policy");
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(reset.status.code(), Some(0), "{}", said(&reset));
    let rules = node.sh("iptables-nft-save").expect("a dump");
    assert!(rules.contains(":FORWARD ACCEPT") && rules.contains(":INPUT DROP"), "{rules}\n{}", said(&reset));
    tracker.stop().expect("a clean stop");
}

#[test]
fn one_pods_things_can_be_taken_back_alone_and_classes_and_times_narrow_it() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    cni::install(&node).expect("the CNI");
    for (name, port) in [("web-0", 30080), ("web-1", 30081)] {
        cni::add(&node, &Pod::new(name, &[(port, 80)])).expect("a pod");
    }
    let names = |args: &[&str]| -> Vec<String> {
        let all = [&["-o", "json", "plan", "--owner", "kubernetes"], args].concat();
        let plan: serde_json::Value = serde_json::from_slice(&tracker.cli(&all).expect("a plan").stdout).expect("JSON");
        let steps = plan["data"]["steps"].as_array().expect("steps");
        steps.iter().map(|step| format!("{} {}", step["name"], step["text"])).collect()
    };
    let of_pod = names(&["--pod", "shop/web-1"]);
    assert!(of_pod.iter().any(|step| step.contains("30081")), "{of_pod:#?}");
    assert!(!of_pod.iter().any(|step| step.contains("30080")), "{of_pod:#?}");
    let links = names(&["--class", "link"]);
    assert!(!links.is_empty() && links.iter().all(|step| step.contains("link ")), "{links:#?}");
    assert_eq!(names(&["--until", "2020-01-01"]), Vec::<String>::new());
    assert_eq!(names(&["--unit", "no-such.service"]), Vec::<String>::new());
    tracker.stop().expect("a clean stop");
}
