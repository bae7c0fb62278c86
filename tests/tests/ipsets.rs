//! IP sets: nobody is notified of what happens to them, and yet each set and member has its maker.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::wait;
use serde_json::Value;

const KUBE: &str = "kubernetes/kube-proxy";

fn start<'a>(node: &'a Node, files: &Files) -> Tracker<'a> {
    Tracker::start(node, files, "").expect("a tracker")
}

/// What is listed of IP sets: name, owner, certainty, whether it lives.
fn listed(tracker: &Tracker<'_>, all: bool) -> Vec<(String, String, String, bool)> {
    let mut args = vec!["ls", "--class", "ipset,member"];
    args.extend(all.then_some("--all"));
    let list = tracker.json(&args).expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = list["data"]["objects"].as_array().expect("objects").clone();
    let row = |it: &Value| (text(&it["name"]), text(&it["owner"]), text(&it["certainty"]), it["live"] == true);
    objects.iter().map(row).collect()
}

/// Living objects and their owners, sorted; `?` marks an unknown one.
fn owners(tracker: &Tracker<'_>) -> Vec<String> {
    let mut rows: Vec<String> = listed(tracker, false)
        .into_iter()
        .map(|(name, owner, certainty, _)| format!("{name} {}", if certainty == "unknown" { "?" } else { &owner }))
        .collect();
    rows.sort();
    rows
}

fn run(node: &Node, program: &str, script: &str) {
    node.run_as(program, script).expect("a script that works");
}

#[test]
fn sets_and_members_have_their_makers() {
    let node = Node::new().expect("a node");
    node.sh("ipset create KUBE-CLUSTER-IP hash:ip,port; ipset create other bitmap:port range 1-99; ipset add other 7")
        .expect("sets before the tracker");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "kube-proxy", "ipset create kube hash:ip; ipset add kube 10.0.0.1; ipset add kube 10.0.0.2");
    run(&node, "dockerd", "ipset create dock hash:net; ipset add dock 172.17.0.0/16; ipset add kube 10.0.0.9");
    assert_eq!(
        owners(&tracker),
        [
            "ipset KUBE-CLUSTER-IP kubernetes/kube-proxy",
            "ipset dock docker",
            "ipset kube kubernetes/kube-proxy",
            "ipset other ?",
            "member dock 172.17.0.0/16 docker",
            "member kube 10.0.0.1 kubernetes/kube-proxy",
            "member kube 10.0.0.2 kubernetes/kube-proxy",
            "member kube 10.0.0.9 docker",
            "member other 7 ?",
        ]
    );
    run(&node, "firewalld", "ipset del kube 10.0.0.2; ipset rename dock ocean; ipset destroy KUBE-CLUSTER-IP");
    run(&node, "kube-proxy", "ipset flush other");
    assert_eq!(
        owners(&tracker),
        [
            "ipset kube kubernetes/kube-proxy",
            "ipset ocean docker",
            "ipset other ?",
            "member kube 10.0.0.1 kubernetes/kube-proxy",
            "member kube 10.0.0.9 docker",
            "member ocean 172.17.0.0/16 docker",
        ]
    );
    let gone = tracker.json(&["who", "ipset", "kube", "10.0.0.2"]).expect("an answer");
    let member = &gone["data"]["objects"][0];
    assert_eq!(member["live"], false);
    assert_eq!(member["removed"]["owner"], "firewalld", "{member}");
    let text = tracker.text(&["who", "ipset", "ocean"]).expect("an answer");
    assert!(text.contains("docker") && text.contains("rewritten"), "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_swap_moves_members_and_leaves_names_to_their_makers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "dockerd", "ipset create a hash:ip; ipset add a 10.0.0.1; ipset add a 10.0.0.2");
    assert_eq!(owners(&tracker).len(), 3);
    // the way a set is replaced at once, all of it within one look
    run(
        &node,
        "kube-proxy",
        "printf 'create t hash:ip\\nadd t 10.0.0.2\\nadd t 10.0.0.3\\nswap t a\\ndestroy t\\n' | ipset restore",
    );
    assert_eq!(
        owners(&tracker),
        ["ipset a docker", "member a 10.0.0.2 kubernetes/kube-proxy", "member a 10.0.0.3 kubernetes/kube-proxy"]
    );
    // both known, swapped by a third
    run(&node, "kube-proxy", "ipset create b hash:ip; ipset add b 10.0.0.2");
    assert_eq!(owners(&tracker).len(), 5);
    run(&node, "firewalld", "ipset swap a b");
    assert_eq!(
        owners(&tracker),
        [
            "ipset a docker",
            "ipset b kubernetes/kube-proxy",
            "member a 10.0.0.2 kubernetes/kube-proxy",
            "member b 10.0.0.2 kubernetes/kube-proxy",
            "member b 10.0.0.3 kubernetes/kube-proxy",
        ]
    );
    run(&node, "dockerd", "ipset add a 10.9.9.9; ipset destroy b");
    let text = tracker.text(&["who", "ipset", "b", "10.0.0.3"]).expect("an answer");
    assert!(text.contains("removed") && text.contains("docker"), "{text}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_set_made_anew_under_an_old_name_is_its_new_makers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "dockerd", "ipset create s hash:ip; ipset add s 10.0.0.1");
    assert_eq!(owners(&tracker), ["ipset s docker", "member s 10.0.0.1 docker"]);
    run(&node, "kube-proxy", "ipset destroy s; ipset create s hash:ip; ipset add s 10.0.0.1");
    assert_eq!(owners(&tracker), ["ipset s kubernetes/kube-proxy", "member s 10.0.0.1 kubernetes/kube-proxy"]);
    // deleted and added again is another deed, too
    run(&node, "firewalld", "ipset flush s; ipset add s 10.0.0.1");
    assert_eq!(owners(&tracker), ["ipset s kubernetes/kube-proxy", "member s 10.0.0.1 firewalld"]);
    // and adding what is there is none
    run(&node, "dockerd", "ipset -exist add s 10.0.0.1; ipset -exist create s hash:ip");
    assert_eq!(owners(&tracker), ["ipset s kubernetes/kube-proxy", "member s 10.0.0.1 firewalld"]);
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_set_says_which_rules_use_it() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(
        &node,
        "kube-proxy",
        "ipset create first hash:ip; ipset create s hash:ip; ipset create l list:set; ipset add l s",
    );
    run(&node, "kube-proxy", "iptables-nft -A INPUT -m set --match-set s src -j DROP");
    run(&node, "dockerd", "iptables-nft -A FORWARD -m set --match-set first src -j SET --add-set s src,dst");
    run(&node, "firewalld", "iptables-legacy -A INPUT -m set ! --match-set s src -j ACCEPT");
    run(
        &node,
        "firewalld",
        "nft add table ip t; nft add set ip t named '{ type ipv4_addr; }'; nft add chain ip t c; \
         nft add rule ip t c ip saddr @named drop; nft add rule ip t c ip daddr '{ 1.1.1.1, 2.2.2.2 }' drop",
    );
    let used_by = |args: &[&str]| {
        let answer = tracker.json(&[&["who"], args].concat()).expect("an answer");
        let users = answer["data"]["objects"][0]["users"].as_array().cloned().unwrap_or_default();
        let lines = users.iter().map(|user| format!("{} {}", user["owner"], user["text"]).replace('"', ""));
        lines.collect::<BTreeSet<_>>()
    };
    let first = "docker -A FORWARD -m set --match-set first src -j SET --add-set s src,dst".to_owned();
    assert_eq!(used_by(&["ipset", "first"]), BTreeSet::from([first.clone()]));
    assert_eq!(
        used_by(&["ipset", "s"]),
        BTreeSet::from([
            format!("{KUBE} "),
            format!("{KUBE} -A INPUT -m set --match-set s src -j DROP"),
            first,
            "firewalld -A INPUT -m set ! --match-set s src -j ACCEPT".to_owned(),
        ])
    );
    assert_eq!(used_by(&["set", "-t", "t", "named"]), BTreeSet::from(["firewalld ip saddr @named drop".to_owned()]));
    let text = tracker.text(&["who", "ipset", "first"]).expect("an answer");
    assert!(text.contains("used by") && text.contains("(docker)"), "{text}");
    let list = tracker.text(&["ls", "--class", "ipset,set", "--long"]).expect("a list");
    for (name, users) in [("ipset first", "used once"), ("ipset s", "used 4 times"), ("ipset l", "not used")] {
        assert!(list.contains(name) && list.contains(users), "{name} {users}\n{list}");
    }
    run(&node, "dockerd", "iptables-nft -F FORWARD");
    assert_eq!(used_by(&["ipset", "first"]), BTreeSet::new());
    tracker.stop().expect("a clean stop");
}

fn spawn(node: &Node, name: &str, script: &str) -> Child {
    node.run_as(name, ":").expect("the shell");
    let mut command = node.command(node.scratch().join(name));
    command.args(["-c", &format!("{script}\n:")]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("spawned")
}

#[test]
fn writers_at_once_are_told_apart_or_not_named() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "dockerd", "ipset create shared hash:ip");
    let writers = [("kube-proxy", KUBE, 1), ("flanneld", "cni/flannel", 2), ("dockerd", "docker", 3)];
    let work = |number: usize| {
        format!(
            "i=0; while [ $i -lt 12 ]; do
               ipset create s{number}-$i hash:net; ipset add s{number}-$i 10.{number}.$i.0/24
               ipset add shared 10.{number}.0.$i; ipset -exist add shared 10.9.9.9
               printf 'create t{number} hash:net\\nadd t{number} 10.{number}.$i.0/25\\nswap t{number} s{number}-$i\\ndestroy t{number}\\n' | ipset restore
               i=$((i+1)); done"
        )
    };
    let children: Vec<Child> = writers.iter().map(|(name, _, number)| spawn(&node, name, &work(*number))).collect();
    for mut child in children {
        child.wait().expect("an end");
    }
    let rows = listed(&tracker, true);
    let (mut right, mut unknown) = (0, 0);
    for (name, owner, certainty, _) in &rows {
        let tag = |number: usize| {
            [format!(" s{number}-"), format!(" t{number}"), format!(" 10.{number}.")]
                .iter()
                .any(|tag| name.contains(tag))
        };
        let Some((_, truth, _)) = writers.iter().find(|(_, _, number)| tag(*number)) else { continue };
        match certainty.as_str() {
            "unknown" => unknown += 1,
            _ => {
                assert_eq!(owner, truth, "{name} {certainty}");
                right += 1;
            }
        }
    }
    assert!(right >= 3 * 12 * 3, "{right} right, {unknown} unknown: {rows:#?}");
    assert!(unknown * 20 <= right, "{right} right, {unknown} unknown: {rows:#?}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn members_that_time_out_are_gone_and_nobody_is_blamed() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "dockerd", "ipset create s hash:ip timeout 1; ipset add s 10.0.0.1; ipset add s 10.0.0.2 timeout 0");
    let gone = wait::until("the end of a member", Duration::from_secs(40), || {
        let gone = listed(&tracker, true).into_iter().find(|(name, .., live)| name == "member s 10.0.0.1" && !live);
        gone.map(|_| ())
    });
    gone.expect("timed out");
    let who = tracker.json(&["who", "ipset", "s", "10.0.0.1"]).expect("an answer");
    let member = &who["data"]["objects"][0];
    assert_eq!((&member["owner"], &member["removed"]["owner"]), (&"docker".into(), &"kernel".into()), "{member}");
    assert!(owners(&tracker).contains(&"member s 10.0.0.2 docker".to_owned()));
    tracker.stop().expect("a clean stop");
}

/// `ipset save` without what is random or counts.
fn saved(node: &Node) -> String {
    let text = node.sh("ipset save").expect("a listing");
    let plain = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let seed = words.iter().position(|word| *word == "initval");
        let skip = |at: usize| seed.is_some_and(|seed| at == seed || at == seed + 1);
        words.iter().enumerate().filter(|(at, _)| !skip(*at)).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = text.lines().map(plain).collect();
    lines.sort();
    lines.join("\n")
}

const ADMINS: &str = "ipset create blocked hash:net; ipset add blocked 192.0.2.0/24; ipset create ours hash:ip;
    iptables -A INPUT -m set --match-set blocked src -j DROP";
const KUBES: &str = "ipset create KUBE-CLUSTER-IP hash:ip,port; ipset add KUBE-CLUSTER-IP 10.96.0.1,tcp:443
    ipset create KUBE-ALL list:set; ipset add KUBE-ALL KUBE-CLUSTER-IP; ipset add blocked 198.51.100.0/24
    iptables -N KUBE-SERVICES; iptables -A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
    iptables -A INPUT -j KUBE-SERVICES";

#[test]
fn a_reset_takes_the_owners_sets_and_members_and_nothing_else() {
    let without = Node::new().expect("a node");
    run(&without, "firewalld", ADMINS);
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(&node, "firewalld", ADMINS);
    run(&node, "kube-proxy", KUBES);
    let reset = tracker.text(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    assert_eq!(saved(&node), saved(&without), "{reset}");
    assert_eq!(
        node.sh("iptables-save -t filter | grep -v '^[#:]'").expect("rules"),
        without.sh("iptables-save -t filter | grep -v '^[#:]'").expect("rules")
    );
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_reset_leaves_sets_that_others_use() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = start(&node, &files);
    run(
        &node,
        "kube-proxy",
        "ipset create used hash:ip; ipset add used 10.0.0.1; ipset create filled hash:ip; ipset add filled 10.0.0.2",
    );
    run(&node, "firewalld", "iptables -A INPUT -m set --match-set used src -j DROP; ipset add filled 10.0.0.3");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(output.status.code(), Some(3), "refused");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("ipset used") && text.contains("ipset filled"), "{text}");
    let left = saved(&node);
    assert!(left.contains("create used") && left.contains("create filled") && left.contains("add filled 10.0.0.3"));
    assert!(!left.contains("10.0.0.2"), "its own member goes out of a set that stays: {left}");
    tracker.stop().expect("a clean stop");
}
