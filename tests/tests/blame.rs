//! `netdeed blame`: the tools' own listings, each line with who made it.

use std::fs;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker, cli};
use serde_json::Value;

/// Lines of `iptables-save` without comments, counters at zero.
fn saved(node: &Node, tool: &str) -> Vec<String> {
    let text = node.sh(&format!("{tool}-nft-save")).expect("saved");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| if line.starts_with(':') { format!("{} [0:0]", without_counters(line)) } else { line.to_owned() })
        .collect()
}

/// Fails with the first line that differs.
fn assert_same(ours: &[String], theirs: &[String]) {
    for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours, theirs, "line {number}");
    }
    assert_eq!(ours.len(), theirs.len());
}

fn without_counters(line: &str) -> &str {
    line.rsplit_once(" [").map_or(line, |(head, _)| head)
}

fn listing(tracker: &Tracker<'_>, args: &[&str]) -> Value {
    let mut all = vec!["blame"];
    all.extend(args);
    tracker.json(&all).expect("a listing")["data"].clone()
}

fn texts(listing: &Value) -> Vec<String> {
    let lines = listing["lines"].as_array().expect("lines").iter();
    lines.map(|line| line["text"].as_str().expect("text").to_owned()).collect()
}

/// Owner and certainty of the one line that has this text.
fn owner(listing: &Value, part: &str) -> String {
    let lines = listing["lines"].as_array().expect("lines");
    let found: Vec<&Value> =
        lines.iter().filter(|line| line["text"].as_str().is_some_and(|text| text.contains(part))).collect();
    let [line] = found[..] else { panic!("one line with `{part}`: {found:#?}") };
    let Some(deed) = line["deed"].as_u64() else { return "not recorded".to_owned() };
    let deed = &listing["deeds"][usize::try_from(deed).expect("an index")];
    format!("{} {}", deed["owner"].as_str().expect("owner"), deed["certainty"].as_str().expect("certainty"))
}

#[test]
fn every_line_of_iptables_save_has_its_owner() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    node.sh("iptables-nft -A INPUT -i lo -j ACCEPT").expect("a rule from before");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as(
        "dockerd",
        "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-USER",
    )
    .expect("docker's rules");
    kube_proxy::sync(&node, 30).expect("kube-proxy's rules");
    node.run_as("firewalld", "iptables-nft -A FORWARD -j REJECT --reject-with icmp-host-prohibited").expect("a rule");
    node.admin_sh("iptables-nft -I FORWARD 3 -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT; ip6tables-nft -A INPUT -p tcp --dport 22 -j ACCEPT")
        .expect("an administrator's rules");

    let live = listing(&tracker, &[]);
    assert_eq!(live["syntax"], "iptables");
    assert_same(&texts(&live), &saved(&node, "iptables"));
    assert!(live["lines"].as_array().expect("lines").iter().all(|line| line["exact"] == true), "{live:#}");
    assert_same(&texts(&listing(&tracker, &["-6"])), &saved(&node, "ip6tables"));
    for (part, expected) in [
        ("-A INPUT -i lo", "unknown unknown"),
        ("-A FORWARD -j DOCKER-USER", "docker exact"),
        (":DOCKER-USER ", "docker exact"),
        ("-A FORWARD -s 10.99.0.0/16", "admin/root exact"),
        ("-j REJECT", "firewalld exact"),
        (":KUBE-FORWARD ", "kubernetes/kube-proxy exact"),
    ] {
        assert_eq!(owner(&live, part), expected, "{part}");
    }

    // what an owner has, and the heads of where it stands
    let text = tracker.text(&["blame", "--owner", "kubernetes", "--chain", "FORWARD"]).expect("a listing");
    let shown: Vec<&str> = text.lines().collect();
    assert_eq!(shown.len(), 3, "{text}");
    assert!(shown[0].ends_with("  *filter") && shown[1].starts_with("kubernetes/kube-proxy"), "{text}");
    let grouped = tracker.text(&["blame", "--group", "-t", "filter", "--chain", "FORWARD"]).expect("a listing");
    let heads: Vec<&str> = grouped.lines().filter_map(|line| line.strip_prefix("# ")?.split(',').next()).collect();
    assert!(heads.ends_with(&["kubernetes/kube-proxy", "firewalld"]), "{grouped}");
    // comments and all, it can be put back
    let restored = node.scratch().join("grouped");
    fs::write(&restored, &grouped).expect("written");
    node.sh(&format!("iptables-nft-restore --test < {}", restored.display())).expect("understood");
    tracker.stop().expect("a clean stop");
}

#[test]
fn every_line_of_nft_has_its_owner() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as(
        "firewalld",
        r#"nft -f - <<'E'
table inet firewalld {
	set allowed {
		type ipv4_addr . inet_service
		elements = { 10.0.0.1 . 80 }
	}

	set nets {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.0.2.1-192.0.2.9 }
	}

	map marks {
		type inet_service : mark
		elements = { 53 : 0x00000001 }
	}

	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy drop;
		ct state established,related accept
		ip saddr @nets tcp dport { 22, 80 } accept
		jump zones
	}

	chain zones {
		reject with icmpx admin-prohibited
	}
}
E"#,
    )
    .expect("firewalld's ruleset");
    node.admin_sh("nft add element inet firewalld nets '{ 203.0.113.0/24 }'; nft insert rule inet firewalld zones udp dport 53 accept")
        .expect("an administrator's changes");
    let live = listing(&tracker, &[]);
    assert_eq!(live["syntax"], "nft", "there is no table of iptables");
    // nft puts the elements of a set into one line, here each has its own
    let without_elements = |lines: Vec<String>| {
        let mut is_inside = false;
        let mut kept = Vec::new();
        for line in lines {
            is_inside |= line.trim_start().starts_with("elements = {");
            if !is_inside {
                kept.push(line.clone());
            }
            is_inside &= !line.trim_end().ends_with('}');
        }
        kept
    };
    let nft = node.sh("nft -s list ruleset").expect("listed").lines().map(str::to_owned).collect();
    assert_same(&without_elements(texts(&live)), &without_elements(nft));
    for (part, expected) in [
        ("table inet firewalld", "firewalld exact"),
        ("10.0.0.0/8,", "firewalld exact"),
        ("192.0.2.1-192.0.2.9,", "firewalld exact"),
        ("203.0.113.0/24,", "admin/root exact"),
        ("10.0.0.1 . 80,", "firewalld exact"),
        ("53 : 0x00000001,", "firewalld exact"),
        ("udp dport 53 accept", "admin/root exact"),
        ("tcp dport { 22, 80 } accept", "firewalld exact"),
    ] {
        // what an administrator puts under another's name is disputed
        let found = owner(&live, part).replace("disputed", "exact");
        assert_eq!(found, expected, "{part}");
    }
    // the same words elsewhere, also for what is gone
    let rule = "ip saddr @nets tcp dport { 22, 80 } accept";
    let text_in = |args: &[&str]| tracker.text(args).expect("an answer").contains(rule);
    assert!(text_in(&["ls", "--class", "rule", "--long"]));
    assert!(text_in(&["who", "rule", "-f", "inet", "firewalld", "filter_FORWARD", "2"]));
    node.admin_sh("nft delete table inet firewalld; nft add table inet firewalld; nft add chain inet firewalld c; nft add rule inet firewalld c tcp dport { 1, 2 } drop").expect("gone");
    assert!(text_in(&["ls", "--class", "rule", "--long", "--all"]));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_saved_dump_is_annotated_with_what_lives_and_what_is_gone() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("dockerd", "iptables-nft -N DOCKER; iptables-nft -A FORWARD -o docker0 -j DOCKER").expect("docker's");
    node.admin_sh("iptables-nft -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT").expect("an administrator's");
    let dump = node.scratch().join("rules.v4");
    node.sh(&format!("iptables-nft-save -c > {}; echo '-A INPUT -s 192.0.2.77 -j DROP' >> {0}", dump.display()))
        .expect("saved");
    node.sh("iptables-nft -D FORWARD -o docker0 -j DOCKER").expect("removed");

    let path = dump.to_str().expect("text");
    let view = listing(&tracker, &["--file", path]);
    assert_eq!(
        texts(&view),
        fs::read_to_string(&dump).expect("the dump").lines().map(str::to_owned).collect::<Vec<_>>()
    );
    assert_eq!(owner(&view, "-o docker0"), "docker exact");
    assert_eq!(owner(&view, "--dport 22"), "admin/root exact");
    assert_eq!(owner(&view, "192.0.2.77"), "not recorded");
    assert_eq!(view["notes"][0], "1 line shows what is not in the ruleset any more");
    let fed = node.sh(&format!(
        "{} --socket {} blame < {path}",
        netdeed_tests::tracker::binary("netdeed").expect("built").display(),
        files.socket.display()
    ));
    assert!(fed.expect("annotated").lines().any(|line| line.starts_with("docker") && line.contains("-o docker0")));
    tracker.stop().expect("a clean stop");
}

#[test]
fn both_backends_are_shown_side_by_side_with_a_warning() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let stderr = |args: &[&str]| {
        let output = tracker.cli(args).expect("run");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    node.run_as("dockerd", "iptables-legacy -N DOCKER; iptables-legacy -A FORWARD -o docker0 -j DOCKER")
        .expect("docker's");
    node.admin_sh("iptables-legacy -P INPUT DROP").expect("a policy");
    let legacy_alone = |tool: &str| {
        let text = node.sh(&format!("{tool}-legacy-save | grep -v '^#'")).expect("saved");
        text.lines()
            .map(
                |line| {
                    if line.starts_with(':') { format!("{} [0:0]", without_counters(line)) } else { line.to_owned() }
                },
            )
            .collect::<Vec<_>>()
    };
    // one backend: its own listing, and nothing to warn of
    let live = listing(&tracker, &[]);
    assert_same(&texts(&live), &legacy_alone("iptables"));
    assert_eq!((owner(&live, "-o docker0"), owner(&live, ":DOCKER ")), ("docker exact".into(), "docker exact".into()));
    let policy = live["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .find(|line| line["text"] == ":INPUT DROP [0:0]")
        .expect("INPUT");
    let changed = usize::try_from(policy["changed"].as_u64().expect("a change")).expect("an index");
    assert_eq!(live["deeds"][changed]["owner"], "admin/root");
    assert_eq!(live["notes"], serde_json::json!([]));

    node.admin_sh("iptables-nft -A FORWARD -o docker0 -j ACCEPT").expect("a rule");
    node.run_as("firewalld", "iptables-nft -N DOCKER; iptables-nft -A FORWARD -o docker0 -j DOCKER").expect("a twin");
    let live = listing(&tracker, &[]);
    let mut both = vec!["# nf_tables, as iptables-nft-save prints it".to_owned()];
    both.extend(saved(&node, "iptables"));
    both.push("# legacy, as iptables-legacy-save prints it".to_owned());
    both.extend(legacy_alone("iptables"));
    assert_same(&texts(&live), &both);
    let of_legacy = live["lines"].as_array().expect("lines").iter().filter(|line| line["legacy"] == true).count();
    assert_eq!(of_legacy, legacy_alone("iptables").len() + 1);
    let warned = stderr(&["blame"]);
    assert!(warned.contains("both backends hold rules (2 rules of nf_tables, 1 legacy rule)"), "{warned}");
    assert!(warned.contains("1 rule stands in both backends in the same words"), "{warned}");
    // each of the twins is its own maker's
    let twins: Vec<String> = live["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .filter(|line| line["text"] == "-A FORWARD -o docker0 -j DOCKER")
        .map(|line| {
            live["deeds"][usize::try_from(line["deed"].as_u64().expect("a deed")).expect("an index")]["owner"]
                .to_string()
        })
        .collect();
    assert_eq!(twins, ["\"firewalld\"", "\"docker\""]);

    assert_same(&texts(&listing(&tracker, &["--legacy"])), &legacy_alone("iptables"));
    let nft = listing(&tracker, &["nft"]);
    assert!(nft["lines"].as_array().expect("lines").iter().all(|line| line["legacy"] == false), "{nft:#}");
    assert!(stderr(&["blame", "nft"]).contains("`netdeed blame --legacy` lists the legacy ones"));
    let one = listing(&tracker, &["--nft"]);
    assert_same(&texts(&one), &saved(&node, "iptables"));
    assert!(stderr(&["blame", "--nft"]).contains("`netdeed blame --legacy` lists the legacy ones"));
    let refused = tracker.cli(&["blame", "nft", "--legacy"]).expect("run");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nft does not list legacy tables"));
    assert!(!stderr(&["blame", "-6"]).contains("both backends"), "no rules of IPv6 there");
    let only = tracker.text(&["blame", "--owner", "docker"]).expect("a listing");
    let lines: Vec<&str> = only.lines().map(str::trim_start).collect();
    assert!(lines[0].starts_with("# legacy") && lines.len() == 4, "{only}");

    // a dump says which backend wrote it
    for (tool, its) in [("iptables-legacy-save", "docker exact"), ("iptables-nft-save", "firewalld exact")] {
        let dump = node.scratch().join(tool);
        node.sh(&format!("{tool} > {}", dump.display())).expect("saved");
        let view = listing(&tracker, &["--file", dump.to_str().expect("text")]);
        assert_eq!(owner(&view, "-A FORWARD -o docker0 -j DOCKER"), its, "{tool}");
        // without its comments it can be either's
        node.sh(&format!("sed -i '/^#/d' {}", dump.display())).expect("cut");
        let view = listing(&tracker, &["--file", dump.to_str().expect("text")]);
        assert_eq!(owner(&view, "-A FORWARD -o docker0 -j DOCKER"), "not recorded", "{tool}");
    }
    tracker.stop().expect("a clean stop");
}

#[test]
fn without_a_tracker_what_is_new_has_nobodys_name() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.run_as("dockerd", "iptables-nft -A FORWARD -o docker0 -j ACCEPT").expect("docker's");
    assert_eq!(owner(&listing(&tracker, &[]), "-o docker0"), "docker exact");
    tracker.stop().expect("a clean stop");
    node.sh("iptables-nft -A FORWARD -o docker1 -j ACCEPT").expect("added");
    let output = cli(&node, &files, &["blame", "iptables"]).expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = |part: &str| text.lines().find(|line| line.contains(part)).expect("a line").to_owned();
    assert!(line("-o docker0").starts_with("docker "), "{text}");
    assert!(line("-o docker1").starts_with("not recorded "), "{text}");
}
