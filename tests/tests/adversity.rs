//! Adversity: no root, no BPF, no tracefs, no journal, a second tracker, an unknown object, no tracker. Each is a clear
//! error or a clear degraded mode.

use std::process::Output;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker, binary, cli};
use serde_json::Value;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source<'a>(status: &'a Value, name: &str) -> &'a Value {
    let sources = status["data"]["sources"].as_array().expect("sources");
    sources.iter().find(|source| source["name"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))
}

#[test]
fn without_root_it_says_so() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let place = node.scratch().join("mine");
    std::fs::create_dir(&place).expect("made");
    std::os::unix::fs::chown(&place, Some(65534), Some(65534)).expect("given");
    // the scratch directory is root's own; let others through
    std::fs::set_permissions(node.scratch(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("opened");
    let program = place.join("netdeedd");
    std::fs::copy(binary("netdeedd").expect("built"), &program).expect("copied");
    let mut command = node.command("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
    let files = Files { journal: place.join("journal"), socket: place.join("sock"), ..files };
    let tracker = Tracker::spawn(&node, &files, "", command).expect("spawned");
    let (code, log) = tracker.wait_end().expect("an end");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("run netdeedd as root"), "{log}");
    assert!(log.contains("nf_tables"), "it names what it cannot do: {log}");
}

#[test]
fn without_bpf_it_goes_on_and_says_what_is_weaker() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let mut command = node.command("setpriv");
    // without these three the kernel refuses to load BPF programs, and fanotify marks on filesystems
    command.args(["--bounding-set", "-sys_admin,-bpf,-perfmon", "--inh-caps", "-sys_admin,-bpf,-perfmon"]);
    command.arg(binary("netdeedd").expect("built"));
    let tracker = Tracker::spawn(&node, &files, "", command).expect("spawned");
    let status = tracker.json(&["status", "--wait"]).unwrap_or_else(|error| panic!("{error}\n{}", tracker.log()));
    assert_eq!(status["data"]["state"], "degraded", "{status:#}");
    let requests = source(&status, "requests");
    assert_eq!(requests["state"], "off", "{status:#}");
    assert!(requests["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{status:#}");
    kube_proxy::sync(&node, 1).expect("kube-proxy's ruleset");
    let answer = tracker.json(&["who", "chain", "--table", "nat", "KUBE-SERVICES"]).expect("an answer");
    let chain = &answer["data"]["objects"][0];
    assert_ne!(chain["certainty"], "exact", "nobody was seen by two witnesses: {chain:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn without_tracefs_requests_are_not_seen_and_it_says_how_to_mend_that() {
    let node = Node::new().expect("a node");
    node.sh("umount /sys/kernel/tracing").expect("unmounted");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["state"], "degraded", "{status:#}");
    assert_eq!(source(&status, "processes")["state"], "ok", "raw tracepoints need no tracefs: {status:#}");
    let requests = source(&status, "requests");
    assert_ne!(requests["state"], "ok", "{status:#}");
    assert!(requests["remedy"].as_str().is_some_and(|remedy| remedy.contains("mount -t tracefs")), "{status:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_journal_directory_that_cannot_be_written_is_a_clear_error() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("mkdir /run/frozen; mount -t tmpfs -o ro frozen /run/frozen").expect("a read-only filesystem");
    let files = Files { journal: "/run/frozen/journal".into(), ..files };
    let command = node.command(binary("netdeedd").expect("built"));
    let (code, log) = Tracker::spawn(&node, &files, "", command).expect("spawned").wait_end().expect("an end");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("/run/frozen/journal"), "{log}");
    assert!(log.to_lowercase().contains("read-only"), "{log}");
}

#[test]
fn a_second_tracker_steps_back() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let first = Tracker::start(&node, &files, "").expect("a tracker");
    let program = || node.command(binary("netdeedd").expect("built"));
    let (code, log) = Tracker::spawn(&node, &files, "", program()).expect("spawned").wait_end().expect("an end");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("socket") && log.contains(&files.socket.display().to_string()), "{log}");
    let other_socket =
        Files { socket: node.scratch().join("other.sock"), log: node.scratch().join("other.log"), ..files };
    let (code, log) = Tracker::spawn(&node, &other_socket, "", program()).expect("spawned").wait_end().expect("an end");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("in use"), "{log}");
    first.text(&["status"]).expect("the first one is unharmed");
    first.stop().expect("a clean stop");
}

#[test]
fn an_unknown_object_a_bad_word_and_a_stopped_tracker_have_their_exit_codes() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let nothing = cli(&node, &files, &["ls"]).expect("run");
    assert_eq!(nothing.status.code(), Some(4), "no tracker, no journal: {}", stderr(&nothing));
    assert!(stderr(&nothing).contains("hint:"), "{}", stderr(&nothing));
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let unknown = tracker.cli(&["who", "link", "nosuchlink"]).expect("run");
    assert_eq!(unknown.status.code(), Some(1), "{}", stderr(&unknown));
    assert!(stderr(&unknown).contains("nosuchlink"), "{}", stderr(&unknown));
    let position = tracker.cli(&["who", "rule", "filter", "FORWARD", "99"]).expect("run");
    assert_eq!(position.status.code(), Some(1), "{}", stderr(&position));
    assert!(stderr(&position).contains("FORWARD"), "{}", stderr(&position));
    let bad = tracker.cli(&["who", "nonsense"]).expect("run");
    assert_eq!(bad.status.code(), Some(2), "{}", stderr(&bad));
    tracker.stop().expect("a clean stop");
    let reset = cli(&node, &files, &["plan", "--owner", "kubernetes"]).expect("run");
    assert_eq!(reset.status.code(), Some(4), "{}", stderr(&reset));
}

#[test]
fn a_broken_configuration_names_the_file_and_the_key() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let command = node.command(binary("netdeedd").expect("built"));
    let tracker = Tracker::spawn(&node, &files, "[capture]\nring = 1\n", command).expect("spawned");
    let (code, log) = tracker.wait_end().expect("an end");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("tracker.toml") && log.contains("ring"), "{log}");
}
