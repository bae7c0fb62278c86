//! Who acted, where it is easily mistaken: threads, daemons whose parents are gone, other process id namespaces, several
//! children at once, secrets on command lines.

use netdeed_tests::cgroup::Cgroup;
use netdeed_tests::node::{Node, output_of};
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    tracker.json(&[&["who"], what].concat()).expect("an answer")["data"]["objects"][0].clone()
}

fn assert_flannels(object: &Value) {
    assert_eq!((&object["owner"], &object["certainty"]), (&"cni/flannel".into(), &"exact".into()), "{object:#}");
}

#[test]
fn threads_act_and_execute_for_their_process() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let thread = |act: &str| {
        format!("python3 -c \"import os, threading; t = threading.Thread(target=lambda: {act}); t.start(); t.join()\"")
    };
    // the thread becomes the process: its number changes to the leader's
    node.run_as("flanneld", &thread("os.execvp('nft', ['nft', 'add table ip executed'])")).expect("nft");
    node.run_as("flanneld", &thread("os.mkdir('/var/lib/cni/made')")).expect("mkdir");
    node.run_as("flanneld", &thread("os.system('nft add table ip forked')")).expect("nft");
    let table = who(&tracker, &["table", "executed"]);
    assert_flannels(&table);
    assert_eq!(table["created"]["actor"]["program"], "nft", "{table:#}");
    assert_flannels(&who(&tracker, &["dir", "/var/lib/cni/made"]));
    assert_flannels(&who(&tracker, &["table", "forked"]));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_daemon_that_forked_twice_is_still_its_makers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    // acts when its parent and the parent's parent are gone, and nobody but the record knows them
    let act = "while kill -0 $P 2> /dev/null; do :; done; nft add table ip late";
    node.run_as("flanneld", &format!("P=$$; ( ( {act} ) > /dev/null 2>&1 & ) &")).expect("a daemon");
    netdeed_tests::wait::until("the daemon's table", std::time::Duration::from_secs(20), || {
        node.sh("nft list tables").expect("tables").contains("late").then_some(())
    })
    .expect("made");
    assert_flannels(&who(&tracker, &["table", "late"]));
    tracker.stop().expect("a clean stop");
}

#[test]
fn numbers_of_another_process_id_namespace_are_not_taken_for_the_hosts() {
    let node = Node::new().expect("a node");
    node.sh("mkdir -p /var/lib/cni").expect("a directory");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    // in there they are 1, 2, 3: on the host those are somebody else's
    let act = "nft add table ip inside; mkdir /var/lib/cni/inside; ip link add inside type bridge; ip addr add 10.1.1.1/32 dev inside; :";
    node.run_as("flanneld", &format!("unshare --pid --fork sh -c '{act}'")).expect("a container of sorts");
    let table = who(&tracker, &["table", "inside"]);
    assert_flannels(&table);
    assert!(table["created"]["actor"]["tgid"].as_u64().is_some_and(|tgid| tgid > 100), "{table:#}");
    let inner = |image: &Value| image["inner_tgid"].as_u64();
    assert!(inner(&table["created"]["actor"]).is_some_and(|number| (2..10).contains(&number)), "{table:#}");
    assert_eq!(inner(&table["created"]["actor"]["ancestry"][0]), Some(1), "the namespace's first: {table:#}");
    assert_eq!(inner(&table["created"]["actor"]["ancestry"][1]), None, "the host's: {table:#}");
    assert_flannels(&who(&tracker, &["dir", "/var/lib/cni/inside"]));
    assert_flannels(&who(&tracker, &["address", "10.1.1.1"]));
    let link = who(&tracker, &["link", "inside"]);
    assert_eq!(link["owner"], "cni/flannel", "{link:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn of_two_children_at_once_the_owner_is_known_and_both_are_named() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let both = "for i in 0 1 2 3 4 5 6 7; do ip link add twin$i type bridge & ip link add twin$i type bridge & wait; done; true";
    node.run_as("flanneld", &format!("{both} 2> /dev/null")).expect("twins");
    let mut shared = 0;
    for number in 0..8 {
        let link = who(&tracker, &["link", &format!("twin{number}")]);
        assert_eq!(link["owner"], "cni/flannel", "{link:#}");
        if link["created"]["evidence"].to_string().contains("one of ip[") {
            shared += 1;
            assert_eq!(link["created"]["actor"]["program"], "flanneld", "what both descend from: {link:#}");
        }
    }
    println!("{shared} of 8 could not be told apart");
    tracker.stop().expect("a clean stop");
}

#[test]
fn secrets_on_command_lines_are_not_recorded_and_who_logged_in_is() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let mut command = node.admin("sh");
    command.args([
        "-ec",
        "nft add table ip t\n:",
        "sh",
        "--token",
        "S3CRET",
        "--password=S3CRET",
        "DB_PASSWORD=S3CRET",
    ]);
    command.args(["Authorization: Bearer S3CRET", "https://me:S3CRET@example.org/", "harmless"]);
    output_of(&mut command, "sh").expect("run");
    let table = who(&tracker, &["table", "t"]);
    assert_eq!(table["owner"], "admin/root", "{table:#}");
    assert_eq!(table["created"]["actor"]["login_uid"], 0, "{table:#}");
    let text = table.to_string();
    assert!(!text.contains("S3CRET") && text.contains("harmless") && text.contains("<redacted>"), "{table:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_login_is_known_by_its_terminal_its_session_and_where_it_came_from() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh(
        "export SSH_CONNECTION='192.0.2.7 50022 192.0.2.1 22'; script -qec 'nft add table ip t; :' /dev/null < /dev/null
         script -qec 'env -u SSH_CONNECTION nft add table ip u; :' /dev/null < /dev/null",
    )
    .expect("a table");
    node.sh("nft add table ip elsewhere").expect("a table");
    let table = who(&tracker, &["table", "t"]);
    let actor = &table["created"]["actor"];
    assert!(actor["tty"].as_str().is_some_and(|tty| tty.starts_with("pts/")), "{actor:#}");
    assert_eq!(actor["ssh"], "192.0.2.7 50022 192.0.2.1 22", "{actor:#}");
    assert!(actor["audit_session"].is_u64(), "{actor:#}");
    assert_eq!((&actor["login_uid"], &actor["inner_tgid"]), (&0.into(), &Value::Null), "{actor:#}");
    assert!(actor["netns_cookie"].as_u64().is_some_and(|cookie| cookie > 0), "{actor:#}");
    let text = tracker.text(&["who", "table", "t"]).expect("an answer");
    assert!(text.contains(" on pts/") && text.contains("by ssh from 192.0.2.7"), "{text}");
    let other = who(&tracker, &["table", "u"])["created"]["actor"].clone();
    assert_eq!(other["ssh"], Value::Null, "{other:#}");
    assert_eq!((&other["audit_session"], &other["netns_cookie"]), (&actor["audit_session"], &actor["netns_cookie"]));
    let elsewhere = who(&tracker, &["table", "elsewhere"])["created"]["actor"].clone();
    let none = [&elsewhere["tty"], &elsewhere["audit_session"]];
    assert_ne!(elsewhere["audit_session"], actor["audit_session"], "{none:?}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_process_and_its_container_gone_before_the_tracker_looks_are_known() {
    const POD: &str = "8a1e3a52-9c0d-4b6e-8f11-0123456789ab";
    let container = "0123456789abcdef".repeat(4);
    let node = Node::new().expect("a node");
    let before = Cgroup::new(&format!("kubepods/pod{POD}/{container}")).expect("a cgroup");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let enter = |cgroup: &Cgroup, table: &str| {
        let script = format!("echo $$ > {}/cgroup.procs; exec nft add table ip {table}", cgroup.dir().display());
        node.sh(&script).expect("a table");
    };
    tracker.while_paused(|| {
        let fresh = Cgroup::new(&format!("docker/{container}")).expect("a cgroup");
        enter(&fresh, "fresh");
        let gone = fresh.dir().to_owned();
        drop(fresh);
        assert!(!gone.exists(), "nobody can look it up any more");
        enter(&before, "before");
        node.sh("nft add table ip elsewhere").expect("a table");
    });
    let actor = |table: &str| who(&tracker, &["table", table])["created"]["actor"].clone();
    let fresh = actor("fresh");
    assert_eq!((&fresh["container"], &fresh["runtime"]), (&container.as_str().into(), &"docker".into()), "{fresh:#}");
    let before = actor("before");
    assert_eq!((&before["container"], &before["pod_uid"]), (&container.as_str().into(), &POD.into()), "{before:#}");
    let elsewhere = actor("elsewhere");
    assert_ne!(elsewhere["container"], container.as_str(), "{elsewhere:#}");
    tracker.stop().expect("a clean stop");
}
