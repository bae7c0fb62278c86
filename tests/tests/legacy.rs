//! Tables of iptables-legacy: every rule has its owner, although every change replaces the whole table.

use std::collections::BTreeMap;

use netdeed_tests::node::Node;
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

fn objects(tracker: &Tracker<'_>, class: &str) -> Vec<Value> {
    let list = tracker.json(&["ls", "--class", class]).expect("a list");
    let objects = list["data"]["objects"].as_array().expect("objects").clone();
    objects.into_iter().filter(|object| object["name"].as_str().is_some_and(|name| name.contains(" legacy "))).collect()
}

/// Each line of the recorded rules with its owner.
fn owners(tracker: &Tracker<'_>) -> BTreeMap<String, String> {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    objects(tracker, "rule").iter().map(|rule| (text(rule, "text"), text(rule, "owner"))).collect()
}

fn who(tracker: &Tracker<'_>, what: &[&str]) -> Value {
    let args: Vec<&str> = std::iter::once("who").chain(what.iter().copied()).collect();
    let answer = tracker.json(&args).expect("an answer");
    let objects = answer["data"]["objects"].as_array().expect("objects").clone();
    assert_eq!(objects.len(), 1, "one object for {what:?}: {answer:#}");
    objects[0].clone()
}

fn saved(node: &Node) -> Vec<String> {
    let text = node.sh("iptables-legacy-save; ip6tables-legacy-save").expect("a dump");
    text.lines().filter(|line| line.starts_with("-A ")).map(str::to_owned).collect()
}

fn gaps(tracker: &Tracker<'_>) -> Value {
    let status = tracker.json(&["status"]).expect("a status");
    status["data"]["gaps"].clone()
}

/// A ruleset as kube-proxy's: chains of its own, and jumps from built-in ones.
fn kube_proxy(node: &Node, services: usize) {
    let mut script = "*filter\n:KUBE-FORWARD - [0:0]\n-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD\n-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n*nat\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n".to_owned();
    for service in 0..services {
        script.push_str(&format!(
            "-A KUBE-SERVICES -d 10.96.{}.{}/32 -p tcp -m comment --comment \"shop/web cluster IP\" -m tcp --dport 80 -j RETURN\n",
            service >> 8 & 255,
            service & 255
        ));
    }
    script.push_str("COMMIT\n");
    let path = node.scratch().join("kube");
    std::fs::write(&path, script).expect("written");
    node.run_as("kube-proxy", &format!("iptables-legacy-restore --noflush < {}", path.display())).expect("rules");
}

#[test]
fn rules_of_many_owners_in_one_table_are_told_apart() {
    let node = Node::new().expect("a node");
    node.sh("iptables-legacy -A INPUT -s 192.0.2.9 -j ACCEPT").expect("a rule before the tracker");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy(&node, 50);
    node.admin_sh("iptables-legacy -I FORWARD 1 -s 10.99.0.0/16 -j ACCEPT; ip6tables-legacy -A INPUT -p tcp -j DROP")
        .expect("rules");
    node.run_as("dockerd", "iptables-legacy -w -N DOCKER-USER; iptables-legacy -w -I FORWARD -j DOCKER-USER")
        .expect("rules");
    node.admin_sh("iptables-legacy -P FORWARD DROP").expect("a policy");
    let owners = owners(&tracker);
    assert_eq!(owners.len(), saved(&node).len(), "{owners:#?}");
    let of = |text: &str| owners.iter().find(|(line, _)| line.contains(text)).unwrap_or_else(|| panic!("no {text}")).1;
    assert_eq!(of("-s 10.99.0.0/16"), "admin/root");
    assert_eq!(of("-A INPUT -p tcp -j DROP"), "admin/root");
    assert_eq!(of("-j DOCKER-USER"), "docker");
    assert_eq!(of("kubernetes forwarding rules"), "kubernetes/kube-proxy");
    assert_eq!(of("10.96.0.49/32"), "kubernetes/kube-proxy");
    assert_eq!(of("192.0.2.9"), "unknown");
    // every recorded line is one that iptables-legacy-save prints
    let saved = saved(&node);
    assert!(owners.keys().all(|line| saved.contains(line)), "{owners:#?}\n{saved:#?}");

    let rule = who(&tracker, &["rule", "filter", "FORWARD", "1", "--legacy"]);
    assert_eq!((&rule["owner"], &rule["certainty"]), (&"docker".into(), &"exact".into()), "{rule:#}");
    assert_eq!(rule["text"], "-A FORWARD -j DOCKER-USER");
    let rule = who(&tracker, &["rule", "filter", "FORWARD", "3", "--legacy"]);
    assert_eq!(rule["owner"], "kubernetes/kube-proxy", "{rule:#}");
    let chain = who(&tracker, &["chain", "DOCKER-USER"]);
    assert_eq!(chain["owner"], "docker", "{chain:#}");
    let chain = who(&tracker, &["chain", "--table", "filter", "--legacy", "--family", "ip", "FORWARD"]);
    assert_eq!(chain["owner"], "kernel", "{chain:#}");
    assert_eq!(chain["changed"]["owner"], "admin/root", "{chain:#}");
    assert_eq!(gaps(&tracker), 0);
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_restored_or_filtered_dump_leaves_everybody_his_rules() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy(&node, 20);
    node.admin_sh("iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");
    node.run_as("dockerd", "iptables-legacy -A FORWARD -s 172.17.0.0/16 -j ACCEPT").expect("a rule");
    node.run_as(
        "dockerd",
        "iptables-legacy -t raw -A PREROUTING -m recent --set --name seen
         iptables-legacy -t raw -A PREROUTING -p tcp -m connlimit --connlimit-above 9",
    )
    .expect("rules that are saved with a mask");
    let before = owners(&tracker);
    let text = |rules: &BTreeMap<String, String>| rules.keys().filter(|line| line.contains("mask")).count();
    assert_eq!(text(&before), 2, "{before:#?}");
    node.admin_sh("iptables-legacy-save | iptables-legacy-restore").expect("restored");
    node.admin_sh("iptables-legacy-save -c | iptables-legacy-restore -c").expect("restored");
    assert_eq!(owners(&tracker), before, "nothing was changed");
    node.admin_sh("iptables-legacy-save | grep -v KUBE- | iptables-legacy-restore").expect("restored");
    let after = owners(&tracker);
    let expected: BTreeMap<_, _> = before.clone().into_iter().filter(|(line, _)| !line.contains("KUBE-")).collect();
    assert_eq!(after, expected);
    assert!(objects(&tracker, "chain").iter().all(|chain| !chain["name"].to_string().contains("KUBE-")));
    // the same rules in another order are the same rules, rewritten
    let path = node.scratch().join("turned");
    let script = "*filter\n-A FORWARD -s 172.17.0.0/16 -j ACCEPT\n-A FORWARD -s 10.99.0.0/16 -j ACCEPT\nCOMMIT\n";
    std::fs::write(&path, script).expect("written");
    node.admin_sh(&format!("iptables-legacy-restore < {}", path.display())).expect("restored");
    assert_eq!(owners(&tracker), expected);
    let rewritten = |position| who(&tracker, &["rule", "filter", "FORWARD", position, "--legacy"])["rewritten"].clone();
    let by = [rewritten("1"), rewritten("2")];
    assert_eq!(by.iter().filter(|deed| deed["owner"] == "admin/root").count(), 1, "{by:#?}");
    assert_eq!(gaps(&tracker), 0);
    tracker.stop().expect("a clean stop");
}

/// Writers at once, without waiting for each other's lock in any order: whatever is certain is right.
fn concurrent(config: &str, rules: usize) -> (BTreeMap<String, String>, Value) {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, config).expect("a tracker");
    let writers = [("dockerd", "172"), ("kube-proxy", "10"), ("flanneld", "11"), ("firewalld", "12")];
    std::thread::scope(|scope| {
        for (program, network) in writers {
            let node = &node;
            scope.spawn(move || {
                let add = format!(
                    "for n in $(seq 1 {rules}); do iptables-legacy -w -A INPUT -s {network}.0.0.$n -j ACCEPT; done"
                );
                node.run_as(program, &add).expect("rules");
            });
        }
    });
    let owners = owners(&tracker);
    assert_eq!(saved(&node).len(), rules * writers.len());
    assert_eq!(owners.len(), rules * writers.len(), "every rule is known");
    let gaps = gaps(&tracker);
    tracker.stop().expect("a clean stop");
    (owners, gaps)
}

fn wrong(owners: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    let expected = [("172.", "docker"), ("10.", "kubernetes/kube-proxy"), ("11.", "cni/flannel"), ("12.", "firewalld")];
    let is_wrong = |(line, owner): &(&String, &String)| {
        let network = line.trim_start_matches("-A INPUT -s ");
        let owners = expected.iter().find(|(prefix, _)| network.starts_with(prefix)).map(|(_, owner)| *owner);
        owner.as_str() != "unknown" && Some(owner.as_str()) != owners
    };
    owners.iter().filter(is_wrong).collect()
}

#[test]
fn concurrent_writers_are_never_confused() {
    let (owners, gaps) = concurrent("", 60);
    assert_eq!(wrong(&owners), [], "{owners:#?}");
    let unknown = owners.values().filter(|owner| *owner == "unknown").count();
    assert_eq!((unknown, gaps), (0, 0.into()), "{owners:#?}");
}

#[test]
fn what_does_not_fit_into_the_ring_is_unknown_rather_than_wrong() {
    // 8 KiB for the pieces of tables: no piece fits
    let (owners, _) = concurrent("[capture]\nring_bytes = 16384\n", 25);
    assert_eq!(wrong(&owners), [], "{owners:#?}");
}

#[test]
fn what_was_not_copied_is_read_and_is_the_only_callers() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    // 64 KiB for the pieces of tables, of which kube-proxy's has seven times as many
    let tracker = Tracker::start(&node, &files, "[capture]\nring_bytes = 131072\n").expect("a tracker");
    kube_proxy(&node, 1000);
    // an answer waits until it is known what a call changed, so the next one finds the table known
    assert_eq!(owners(&tracker).len(), 1003);
    node.admin_sh("iptables-legacy -t nat -I KUBE-SERVICES -s 192.0.2.1 -j RETURN").expect("a rule");
    let rules = objects(&tracker, "rule");
    let of = |owner: &str| rules.iter().filter(|rule| rule["owner"] == owner).count();
    assert_eq!((of("kubernetes/kube-proxy"), of("admin/root")), (1003, 1), "{}", tracker.log());
    let added = who(&tracker, &["rule", "nat", "KUBE-SERVICES", "1", "--legacy"]);
    assert_eq!((&added["owner"], &added["certainty"]), (&"admin/root".into(), &"correlated".into()), "{added:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_tracker_that_was_away_knows_the_rules_it_knew() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy(&node, 3);
    tracker.stop().expect("a clean stop");
    node.admin_sh("iptables-legacy -I FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let owners = owners(&tracker);
    let of = |text: &str| owners.iter().find(|(line, _)| line.contains(text)).unwrap_or_else(|| panic!("no {text}")).1;
    assert_eq!(of("kubernetes forwarding rules"), "kubernetes/kube-proxy");
    assert_eq!(of("10.99.0.0/16"), "unknown");
    tracker.stop().expect("a clean stop");
}

/// What `iptables-legacy-save` prints, without comments and counters.
fn canonical(node: &Node) -> String {
    node.sh("{ iptables-legacy-save; ip6tables-legacy-save; } | sed -E '/^#/d; s/\\[[0-9]+:[0-9]+\\]/[0:0]/'")
        .expect("dumps")
}

fn reset(tracker: &Tracker<'_>, owner: &str) -> String {
    let output = tracker.cli(&["reset", "--owner", owner, "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}\n{}", tracker.log());
    said
}

/// What everybody but Kubernetes does.
fn others(node: &Node) {
    node.admin_sh(
        "iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT
         iptables-legacy -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
         iptables-legacy -P OUTPUT DROP
         ip6tables-legacy -A FORWARD -p tcp -m tcp --dport 22 -j ACCEPT",
    )
    .expect("rules");
    node.run_as("dockerd", "iptables-legacy -N DOCKER-USER; iptables-legacy -I FORWARD -j DOCKER-USER").expect("rules");
}

#[test]
fn a_reset_leaves_everybody_elses_legacy_rules() {
    let plain = Node::new().expect("a node");
    plain.sh("iptables-legacy -L >/dev/null; iptables-legacy -t nat -L >/dev/null").expect("tables");
    others(&plain);
    plain.admin_sh("iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");

    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy(&node, 300);
    others(&node);
    node.run_as("kube-proxy", "iptables-legacy -P FORWARD DROP; iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT")
        .expect("a policy, and a rule equal to the administrator's");
    node.admin_sh("iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");
    let plan = tracker.text(&["plan", "--owner", "kubernetes", "--long"]).expect("a plan");
    assert!(plan.contains("KUBE-SERVICES") && plan.contains("set back to ACCEPT"), "{plan}");
    let said = reset(&tracker, "kubernetes");
    assert_eq!(canonical(&node), canonical(&plain), "{said}\n{}", tracker.log());
    let left = owners(&tracker);
    assert!(left.values().all(|owner| !owner.starts_with("kubernetes")), "{left:#?}");
    // of two equal rules the administrator's stayed
    let equal = left.iter().find(|(line, _)| line.contains("192.0.2.1/32")).expect("the administrator's rule");
    assert_eq!(equal.1, "admin/root");
    let log = tracker.text(&["log", "--limit", "500"]).expect("a log");
    assert!(log.contains("netdeed"), "{log}");
    assert_eq!(gaps(&tracker), 0, "{log}");
    let plan = tracker.json(&["plan", "--owner", "kubernetes"]).expect("a plan");
    assert_eq!(plan["data"]["steps"].as_array().map(Vec::len), Some(0), "{plan:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn counters_of_rules_that_stay_go_on() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.admin_sh("iptables-legacy -A INPUT -s 127.0.0.1 -p udp -j ACCEPT").expect("a rule");
    kube_proxy(&node, 3);
    let mut packets = node.command("bash");
    packets.args(["-ec", "for n in 1 2 3; do echo x > /dev/udp/127.0.0.1/9; done"]);
    assert!(packets.status().expect("bash").success());
    let count = || node.sh("iptables-legacy -nvxL INPUT | awk '/127.0.0.1/ {print $1}'").expect("a listing");
    let before = count();
    assert_eq!(before.trim(), "3");
    reset(&tracker, "kubernetes");
    assert_eq!(count(), before);
    assert!(!canonical(&node).contains("KUBE-"));
    tracker.stop().expect("a clean stop");
}

#[test]
fn what_others_need_is_refused_and_stays() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    kube_proxy(&node, 2);
    node.admin_sh("iptables-legacy -A INPUT -j KUBE-FORWARD; iptables-legacy -t nat -A KUBE-SERVICES -j ACCEPT")
        .expect("rules in and to chains of kube-proxy");
    let said = reset(&tracker, "kubernetes");
    let after = canonical(&node);
    // the administrator jumps to the one chain, and has a rule in the other, to which kube-proxy's jump leads
    for kept in
        ["-A INPUT -j KUBE-FORWARD", ":KUBE-FORWARD", "-A KUBE-SERVICES -j ACCEPT", "kubernetes service portals"]
    {
        assert!(after.contains(kept), "no {kept} in\n{after}\n{said}");
    }
    for gone in ["kubernetes forwarding rules", "--ctstate INVALID", "10.96.0.1"] {
        assert!(!after.contains(gone), "{gone} in\n{after}\n{said}");
    }
    assert!(said.contains("refused"), "{said}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn the_kernels_trace_names_rules_of_legacy_tables() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.admin_sh("iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");
    node.run_as("dockerd", "iptables-legacy -A FORWARD -d 192.0.2.1 -j DROP").expect("a rule");
    // a chain of the same name in the other backend
    node.run_as("firewalld", "iptables-nft -A FORWARD -j ACCEPT; iptables-nft -A FORWARD -j ACCEPT").expect("rules");
    let packet = "IN=a OUT=b SRC=10.50.0.2 DST=192.0.2.1 LEN=34 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=14";
    let netdeed = format!(
        "{} --socket {}",
        netdeed_tests::tracker::binary("netdeed").expect("built").display(),
        files.socket.display()
    );
    let ask = format!("date --utc '+%Y-%m-%dT%H:%M:%S+0000 node kernel: TRACE: filter:FORWARD:rule:2 {packet}'");
    let text = node.sh(&format!("{ask} | {netdeed} who trace")).expect("an answer");
    assert!(text.contains("dropped by rule 2 of FORWARD, added by docker"), "{text}");
    assert!(text.contains("-d 192.0.2.1/32 -j DROP") && !text.contains("firewalld"), "{text}");
    tracker.stop().expect("a clean stop");
}

/// `iptables-legacy-save` of both families and a listing of the ARP table, with counters.
fn counted(node: &Node) -> String {
    node.sh("{ iptables-legacy-save -c; ip6tables-legacy-save -c; arptables-legacy -nvL; } | sed '/^#/d'")
        .expect("dumps")
}

fn undo(tracker: &Tracker<'_>) -> Value {
    let output = tracker.cli(&["-o", "json", "undo", "--yes"]).expect("an undo");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}\n{}", tracker.log());
    let answer: Value = serde_json::from_slice(&output.stdout).expect("a document");
    answer["data"].clone()
}

/// What an owner does in every way a rule can be made, between what others do.
fn interleaved(node: &Node) {
    others(node);
    kube_proxy(node, 20);
    node.run_as(
        "kube-proxy",
        "iptables-legacy -I INPUT 1 -p tcp -m multiport --dports 80,443 -m limit --limit 5/s -j LOG --log-prefix 'k '
         iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT
         iptables-legacy -A INPUT -m comment --comment 'no target at all'
         iptables-legacy -A FORWARD -g KUBE-FORWARD
         iptables-legacy -N KUBE-EMPTY; iptables-legacy -N AAA; iptables-legacy -A AAA -m statistic --mode nth --every 3 --packet 1 -j RETURN
         iptables-legacy -A AAA -m hashlimit --hashlimit-above 5/sec --hashlimit-name k -j DROP
         iptables-legacy -P FORWARD DROP
         ip6tables-legacy -N KUBE-SIX; ip6tables-legacy -I FORWARD -j KUBE-SIX; ip6tables-legacy -A KUBE-SIX -p icmpv6 -j REJECT
         arptables-legacy -N KUBE-ARP; arptables-legacy -A KUBE-ARP -s 192.0.2.7 -j DROP; arptables-legacy -A INPUT -j KUBE-ARP",
    )
    .expect("kube-proxy's rules");
    node.admin_sh(
        "iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT; iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT
         arptables-legacy -A INPUT -s 192.0.2.8 -j ACCEPT",
    )
    .expect("rules behind");
}

#[test]
fn an_undo_gives_legacy_tables_back_with_order_and_counters() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    interleaved(&node);
    node.admin_sh("iptables-legacy -I OUTPUT -o lo -j ACCEPT").expect("a rule");
    node.run_as("kube-proxy", "iptables-legacy -I INPUT 1 -s 127.0.0.1 -p udp -m udp --dport 9").expect("a rule");
    let mut packets = node.command("bash");
    packets.args(["-ec", "for n in 1 2 3; do echo x > /dev/udp/127.0.0.1/9; done"]);
    assert!(packets.status().expect("bash").success());
    let before = counted(&node);
    assert!(before.contains("[3:90] -A INPUT -s 127.0.0.1/32"), "{before}");
    let each = || -> Vec<(String, String)> {
        let rules = objects(&tracker, "rule");
        let mut rules: Vec<_> = rules.iter().map(|it| (it["text"].to_string(), it["owner"].to_string())).collect();
        rules.sort();
        rules
    };
    let owned = each();

    let said = reset(&tracker, "kubernetes");
    let after = counted(&node);
    assert!(!after.contains("KUBE") && !after.contains("multiport") && after.contains(":FORWARD ACCEPT"), "{after}");
    let dry = tracker.text(&["undo", "--dry-run"]).expect("a dry run");
    assert!(dry.contains("KUBE-SERVICES"), "{dry}");
    let undone = undo(&tracker);
    assert_eq!(counted(&node), before, "{said}\n{undone:#}\n{}", tracker.log());
    assert_eq!((&undone["proven"], &undone["refusals"]), (&true.into(), &Value::Array(Vec::new())), "{undone:#}");
    assert_eq!(each(), owned, "everybody has what he had");
    let rule = who(&tracker, &["rule", "filter", "INPUT", "2", "--legacy"]);
    assert_eq!(rule["owner"], "kubernetes/kube-proxy", "{rule:#}");
    assert_eq!(gaps(&tracker), 0);

    // the policy is the owner's again, too
    reset(&tracker, "kubernetes");
    assert_eq!(counted(&node), after);
    tracker.stop().expect("a clean stop");
}

#[test]
fn an_undo_leaves_legacy_tables_alone_where_others_were_since() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.admin_sh("iptables-legacy -A FORWARD -s 192.0.2.1 -j ACCEPT; iptables-legacy -N OWN").expect("rules");
    node.run_as(
        "kube-proxy",
        "iptables-legacy -A FORWARD -s 10.1.0.0/16 -j ACCEPT
         iptables-legacy -A INPUT -s 10.2.0.0/16 -j ACCEPT
         iptables-legacy -A OUTPUT -j OWN
         iptables-legacy -A OWN -s 10.3.0.0/16 -j RETURN
         iptables-legacy -t nat -A POSTROUTING -s 10.4.0.0/16 -j MASQUERADE",
    )
    .expect("rules");
    node.admin_sh("iptables-legacy -A FORWARD -s 192.0.2.2 -j ACCEPT").expect("a rule behind");
    reset(&tracker, "kubernetes");
    node.admin_sh(
        "iptables-legacy -I FORWARD 2 -s 192.0.2.3 -j DROP
         iptables-legacy -A INPUT -s 192.0.2.9 -j ACCEPT; iptables-legacy -A INPUT -s 10.2.0.0/16 -j ACCEPT
         iptables-legacy -X OWN",
    )
    .expect("changes");
    let before = canonical(&node);
    let undone = undo(&tracker);
    let reasons: Vec<_> =
        undone["refusals"].as_array().expect("refusals").iter().map(|it| it["reason"].to_string()).collect();
    let count = |text: &str| reasons.iter().filter(|reason| reason.contains(text)).count();
    let expected = [("others put rules", 1), ("equal content", 1), ("chain legacy ip filter OWN", 2)];
    assert!(expected.iter().all(|(text, times)| count(text) == *times), "{reasons:#?}");
    let restored = "-A POSTROUTING -s 10.4.0.0/16 -j MASQUERADE";
    let now = canonical(&node);
    assert!(now.contains(restored), "{now}");
    assert_eq!(now.replace(&format!("{restored}\n"), ""), before, "nothing else was touched");
    tracker.stop().expect("a clean stop");
}

#[test]
fn the_proof_names_everybodys_legacy_rules_and_files() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let objects_of = |owner: &str, count: &str| -> u64 {
        let operation = tracker.json(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
        let others = operation["data"]["others"].as_array().expect("by owner").clone();
        let of = others.iter().find(|it| it["owner"] == owner).unwrap_or_else(|| panic!("{count}: {operation:#}"));
        assert_eq!(of["before"], of["after"], "{operation:#}");
        assert_eq!(operation["data"]["proven"], true, "{operation:#}");
        of["objects"].as_u64().expect("a number")
    };
    node.run_as("dockerd", "iptables-legacy -A FORWARD -s 172.17.0.0/16 -j ACCEPT").expect("a rule");
    kube_proxy(&node, 3);
    let one = objects_of("docker", "a rule");
    node.run_as(
        "dockerd",
        "iptables-legacy -N DOCKER; mkdir -p /etc/cni/net.d; echo x > /etc/cni/net.d/docker.conflist",
    )
    .expect("a chain and a file");
    kube_proxy(&node, 3);
    let all = objects_of("docker", "with a file");
    assert!(all > one + 1, "a chain and a file more: {one} {all}");
    tracker.stop().expect("a clean stop");
}
