//! Whose a thing stays through what others do to it: dumps restored, reloads, resyncs, pipelines, renames; and what happens
//! without anybody being told.

use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::{admin, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::wait;
use serde_json::Value;

fn objects(tracker: &Tracker<'_>, args: &[&str]) -> Vec<Value> {
    let list = tracker.json(&[&["ls"], args].concat()).expect("a list");
    list["data"]["objects"].as_array().expect("objects").clone()
}

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    tracker.json(&[&["who"], what].concat()).expect("an answer")["data"]["objects"][0].clone()
}

/// The living rules whose name or text holds a text.
fn rules(tracker: &Tracker<'_>, text: &str) -> Vec<Value> {
    let is_it = |object: &Value| format!("{} {}", object["name"], object["text"]).contains(text);
    objects(tracker, &["--class", "rule"]).into_iter().filter(is_it).collect()
}

fn owners(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|object| object["owner"].as_str()).collect()
}

#[test]
fn a_grep_pipeline_removes_what_it_greps_and_nothing_changes_hands() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy::sync(&node, 5).expect("kube-proxy's ruleset");
    let docker =
        "iptables-nft -N DOCKER; iptables-nft -A DOCKER -s 172.17.0.2 -j ACCEPT; iptables-nft -A FORWARD -j DOCKER";
    node.run_as("dockerd", docker).expect("docker's rules");
    admin::allow_vpn(&node, 1).expect("the administrator's rule");
    assert!(!rules(&tracker, "KUBE-").is_empty());
    // what k3s-killall does, run by hand
    node.admin_sh("iptables-nft-save | grep -v KUBE- | grep -v CNI- | iptables-nft-restore").expect("the pipeline");
    assert!(rules(&tracker, "KUBE-").is_empty(), "{:#?}", rules(&tracker, "KUBE-"));
    let chain = who(&tracker, &["chain", "DOCKER"]);
    assert_eq!((&chain["owner"], &chain["rewritten"]["owner"]), (&"docker".into(), &"admin/root".into()), "{chain:#}");
    assert_eq!(owners(&rules(&tracker, "172.17.0.2")), ["docker"]);
    assert_eq!(owners(&rules(&tracker, "DOCKER handle")), ["docker"]);
    assert_eq!(owners(&rules(&tracker, admin::COMMENT)), ["admin/root"]);
    let gone = who(&tracker, &["chain", "--table", "nat", "KUBE-SERVICES"]);
    assert_eq!((&gone["owner"], &gone["live"]), (&"kubernetes/kube-proxy".into(), &false.into()), "{gone:#}");
    assert_eq!(gone["removed"]["owner"], "admin/root", "{gone:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_reload_and_a_resync_leave_every_object_the_one_it_was() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let ruleset = "table inet firewalld\ndelete table inet firewalld\ntable inet firewalld {\n\
        chain filter_INPUT { type filter hook input priority 10; ct state established accept; jump zone_public; };\n\
        chain zone_public { tcp dport 22 accept comment \"ssh\"; udp dport 5353 accept; }; };\n";
    std::fs::write(node.scratch().join("firewalld.nft"), ruleset).expect("written");
    let reload = || node.run_as("firewalld", &format!("nft -f {}/firewalld.nft", node.scratch().display()));
    reload().expect("a start");
    kube_proxy::sync(&node, 5).expect("kube-proxy's ruleset");
    let ids = |objects: Vec<Value>| -> Vec<u64> { objects.iter().filter_map(|object| object["id"].as_u64()).collect() };
    let before = ids(objects(&tracker, &[]));
    reload().expect("a reload");
    // kube-proxy adds the jumps into its chains once, and writes its chains anew every time
    let is_jump_in = |line: &&str| {
        ["INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING"]
            .iter()
            .any(|chain| line.starts_with(&format!("-A {chain} ")))
    };
    let again: Vec<String> =
        kube_proxy::ruleset(5).lines().filter(|line| !is_jump_in(line)).map(|line| format!("{line}\n")).collect();
    kube_proxy::sync_text(&node, &again.concat()).expect("a resync");
    // somebody else's restore of all of it
    node.admin_sh("iptables-nft-save > /run/save; iptables-nft-restore < /run/save").expect("a restore");
    let after = ids(objects(&tracker, &[]));
    let new: Vec<&u64> = after.iter().filter(|id| !before.contains(id)).collect();
    let of_admin = ids(objects(&tracker, &["--owner", "admin/root"]));
    // a restore makes the base chains that were not there
    assert!(new.iter().all(|id| of_admin.contains(id)), "{new:?} {of_admin:?}");
    assert!(before.iter().all(|id| after.contains(id)), "{before:?} {after:?}");
    let kube: Vec<Value> = objects(&tracker, &["--owner", "kubernetes"]);
    assert!(kube.len() > 50, "{kube:#?}");
    let rule = rules(&tracker, "ssh");
    assert_eq!(owners(&rule), ["firewalld"]);
    tracker.stop().expect("a clean stop");
}

/// A default mask fills bytes that the same mask leaves empty when it is given, as in a dump.
#[test]
fn what_a_dump_writes_out_in_full_is_the_same_rule() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let sticky = "iptables-nft -t nat -N KUBE-SEP; iptables-nft -t nat -A KUBE-SEP -m recent --name KUBE-SEP --set
        iptables-nft -t nat -A KUBE-SEP -m recent --name KUBE-SEP --rcheck --seconds 600 --reap -j RETURN
        iptables-nft -A FORWARD -p tcp -m connlimit --connlimit-above 10 -j DROP";
    node.run_as("kube-proxy", sticky).expect("rules");
    node.admin_sh("iptables-nft-save | iptables-nft-restore").expect("a dump restored");
    let rules = objects(&tracker, &["--class", "rule"]);
    assert_eq!(owners(&rules), ["kubernetes/kube-proxy"; 3], "{rules:#?}");
    assert!(rules.iter().all(|rule| rule["rewritten"].is_string()), "{rules:#?}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_rule_that_somebody_changes_shows_who() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("flanneld", "nft 'table ip t { chain c { }; }'; nft add rule ip t c tcp dport 80 accept")
        .expect("a rule");
    let handle =
        rules(&tracker, "rule ip t c")[0]["name"].as_str().and_then(|name| name.rsplit(' ').next().map(str::to_owned));
    let handle = handle.expect("a handle");
    node.admin_sh(&format!("nft replace rule ip t c handle {handle} tcp dport 81 drop")).expect("replaced");
    let now = rules(&tracker, "rule ip t c");
    assert_eq!(now.len(), 1, "{now:#?}");
    let full = who(&tracker, &["rule", "t", "c", "1"]);
    let by_admin = full["owner"] == "admin/root" || full["changed"]["owner"] == "admin/root";
    assert!(by_admin, "{full:#}");
    // its policy is somebody else's, the chain is not
    node.run_as("flanneld", "nft 'add chain ip t base { type filter hook input priority 0; policy accept; }'")
        .expect("a chain");
    node.admin_sh("nft 'add chain ip t base { policy drop; }'").expect("a policy");
    let chain = who(&tracker, &["chain", "--table", "t", "base"]);
    assert_eq!(
        (&chain["owner"], &chain["changed"]["owner"]),
        (&"cni/flannel".into(), &"admin/root".into()),
        "{chain:#}"
    );
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_renamed_chain_keeps_its_maker_its_rules_and_what_leads_to_it() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as(
        "flanneld",
        "nft 'table ip t { chain old { tcp dport 80 accept; }; chain c { jump old; }; }'; nft add table ip other",
    )
    .expect("chains");
    let ids =
        |text: &str| -> Vec<u64> { rules(&tracker, text).iter().filter_map(|rule| rule["id"].as_u64()).collect() };
    let before = (ids("rule ip t old"), ids("rule ip t c"));
    node.admin_sh("nft rename chain ip t old new").expect("renamed");
    let chain = who(&tracker, &["chain", "--table", "t", "new"]);
    assert_eq!((&chain["owner"], &chain["certainty"]), (&"cni/flannel".into(), &"exact".into()), "{chain:#}");
    assert_eq!(chain["rewritten"]["owner"], "admin/root", "{chain:#}");
    assert_eq!((ids("rule ip t new"), ids("rule ip t c")), before);
    let jump = who(&tracker, &["rule", "t", "c", "1"]);
    assert_eq!((&jump["owner"], &jump["changed"]["owner"]), (&"cni/flannel".into(), &"admin/root".into()), "{jump:#}");
    assert!(jump["text"].as_str().is_some_and(|text| text.contains("new")), "{jump:#}");
    let old = who(&tracker, &["chain", "--table", "t", "new"]);
    assert_eq!(old["live"], true);
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{status:#}");
    // the record is what lives: nothing is left of the old name
    assert!(objects(&tracker, &[]).iter().all(|object| object["name"] != "chain ip t old"));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_name_that_contradicts_who_was_seen_is_disputed_and_not_rolled_back() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.admin_sh(
        "printf '*nat\\n:KUBE-SERVICES - [0:0]\\nCOMMIT\\n' | iptables-nft-restore --noflush; nft add table ip mine",
    )
    .expect("restored");
    let chain = who(&tracker, &["chain", "--table", "nat", "KUBE-SERVICES"]);
    assert_eq!((&chain["owner"], &chain["certainty"]), (&"admin/root".into(), &"disputed".into()), "{chain:#}");
    assert!(chain["created"]["evidence"].to_string().contains("kubernetes/kube-proxy"), "{chain:#}");
    let listed = objects(&tracker, &["--certainty", "disputed"]);
    assert_eq!(listed.len(), 1, "{listed:#?}");
    for owner in ["kubernetes", "admin"] {
        // nothing of the sort is taken, whoever asks; what is refused is said
        let plan = tracker.cli(&["-o", "json", "plan", "--owner", owner]).expect("run");
        let plan: Value = serde_json::from_slice(&plan.stdout).expect("a plan");
        let steps = plan["data"]["steps"].to_string();
        assert!(!steps.contains("KUBE-SERVICES"), "{plan:#}");
    }
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_goes_without_a_word_is_noticed() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "reconcile_seconds = 1\n").expect("a tracker");
    node.run_as(
        "flanneld",
        "nft 'table ip t { set s { type ipv4_addr; flags timeout; }; }'; nft 'add element ip t s { 10.1.1.1 timeout 1s }'; \
         nft 'table ip private { flags owner; chain c { }; }'",
    )
    .expect("made");
    let element = objects(&tracker, &["--all", "--class", "element"]);
    assert_eq!(element.len(), 1, "{element:#?}");
    wait::until("the notice of what went silently", Duration::from_secs(30), || {
        let left = objects(&tracker, &[]);
        let names = ["private", "0x0a010101"];
        (!left.iter().any(|object| names.iter().any(|name| object["name"].to_string().contains(name)))).then_some(())
    })
    .expect("noticed");
    let element = objects(&tracker, &["--all", "--class", "element"]);
    let id = &element[0]["id"];
    let log = tracker.json(&["log"]).expect("a log");
    let events = log["data"]["events"].as_array().expect("events");
    let is_removal = |event: &&Value| event["change"] == "removed";
    let of_element = events.iter().filter(is_removal).find(|event| event["object"] == *id).expect("removed");
    assert_eq!(
        (&of_element["owner"], &of_element["certainty"]),
        (&"kernel".into(), &"correlated".into()),
        "{of_element:#}"
    );
    let of_table = events.iter().filter(is_removal).find(|event| event["name"] == "table ip private").expect("removed");
    assert_eq!(of_table["certainty"], "unknown", "{of_table:#}");
    assert!(of_table["evidence"].to_string().contains("nobody was seen"), "{of_table:#}");
    // what is as recorded stays as recorded, and is no gap
    let status = tracker.json(&["status"]).expect("a status");
    assert_eq!(status["data"]["gaps"], 0, "{status:#}\n{log:#}");
    tracker.stop().expect("a clean stop");
}
