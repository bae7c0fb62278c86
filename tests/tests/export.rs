//! Plans as files: what other programs make of them is what a reset leaves, and a reviewed plan is applied while it fits.

use std::process::Output;

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::{Node, output_of};
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker};

const DIRS: [&str; 3] = ["/etc/cni", "/var/lib/cni", "/run/flannel"];

/// Others' things: sets that take in Kubernetes' elements, rules that Kubernetes makes again, a policy.
const ADMIN: &str = "nft -f - <<'END'
table inet site {
  set office { type ipv4_addr; flags interval; elements = { 10.99.0.0/16 }; }
  set pairs { type ipv4_addr . inet_service; elements = { 10.99.0.1 . 22 }; }
  set names { type ifname; elements = { \"lo\" }; }
  map fates { type ipv4_addr : verdict; elements = { 10.99.0.9 : drop }; }
  chain in { type filter hook input priority 10; ip saddr @office accept; ip saddr vmap @fates; }
}
END
iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment \"office's vpn\" -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT
iptables-legacy -A FORWARD -s 10.99.0.0/16 -j ACCEPT; iptables-legacy -A INPUT -p icmp -j ACCEPT; iptables-legacy -A INPUT -p udp -j ACCEPT
iptables-nft -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE
iptables-nft -t mangle -A FORWARD -p icmp -j ACCEPT; iptables-nft -t mangle -A FORWARD -p udp -j ACCEPT
ipset create office hash:ip; ipset add office 10.99.0.1
ip link add lan type bridge; ip addr add 10.99.0.1/24 dev lan; ip -6 addr add fd99::1/64 dev lan nodad; ip link set lan up
ip link add port type veth peer name far; ip link set port master lan up; tc qdisc add dev far clsact
ip route add 10.98.0.0/16 via 10.99.0.9 metric 50";

/// As kubernetes' node agents; everything that has steps of its own class.
const AGENT: &str = "iptables-nft -P FORWARD DROP
iptables-nft -t mangle -A FORWARD -p icmp -j ACCEPT
iptables-nft -I FORWARD 1 -s 10.244.0.0/16 -p tcp -m multiport --dports 80,443 -m comment --comment 'agent forward' -j ACCEPT
ip6tables-nft -N AGENT6; ip6tables-nft -A AGENT6 -s fd01::/64 -j DROP; ip6tables-nft -A FORWARD -j AGENT6
nft add element inet site office '{ 10.5.0.0/24, 10.7.0.1, 10.8.0.1-10.8.0.9 }'
nft add element inet site pairs '{ 10.0.0.1 . 80 }'; nft add element inet site names '{ \"cni0\" }'
nft add element inet site fates '{ 10.0.0.3 : drop }'
ipset create AGENT hash:ip,port; ipset add AGENT 10.0.0.1,tcp:80; ipset add office 10.99.0.2
ipset create AGENTS list:set; ipset add AGENTS AGENT
iptables-nft -A INPUT -m set --match-set AGENT src,src -j DROP
ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip link add veth0 type veth peer name veth1; ip link set veth0 master cni0 up
ip addr add 10.97.0.1/32 dev lan; ip addr add 10.97.1.1 peer 10.97.1.2/32 dev lan
ip route add 10.244.7.0/24 via 10.99.0.7 dev lan onlink; ip route add 10.98.0.0/16 via 10.99.0.8
ip route add blackhole 10.244.9.0/24; ip route add default dev lan table 100; ip route add 10.244.8.0/24 nexthop via 10.99.0.7 nexthop via 10.99.0.8
ip -6 route add fd01::/64 dev lan; ip -6 route add fd01:1::/64 via fd99::7 dev lan
tc qdisc add dev port clsact; tc qdisc add dev lan root handle 1: htb; tc class add dev lan parent 1: classid 1:1 htb rate 100mbit
tc filter add dev far ingress protocol ip pref 7 u32 match ip src 10.0.0.0/24 classid 1:1
tc filter add dev far egress protocol ip pref 8 u32 match ip src 10.0.0.0/24 classid 1:1
ip neigh add 10.99.0.77 lladdr 02:00:00:00:00:77 nud permanent dev lan
bridge fdb add 02:00:00:00:00:78 dev port master static
ip rule add from 10.244.0.0/16 lookup 100 priority 1000; ip rule add not fwmark 0x1/0x1 lookup 100 priority 1001
ip -6 rule add from fd01::/48 lookup 100
sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.ip_forward=1
mkdir -p /etc/cni/net.d /run/flannel; echo '{}' > /etc/cni/net.d/10-agent.conflist
echo x > \"/run/flannel/it's \\$(here)\"; ln -s subnet.env /run/flannel/current
nft -f - <<'END'
table inet agent {
  set nodes { type ipv4_addr; flags interval; elements = { 10.1.0.0/24 }; }
  counter hits { }
  chain web { counter name hits; accept; }
  map verdicts { type inet_service : verdict; elements = { 80 : goto web }; }
  chain forward { type filter hook forward priority 0; policy drop; ip saddr @nodes accept; tcp dport vmap @verdicts; }
}
END";

/// As kubernetes' node agents, on tables of the other backend.
const LEGACY: &str =
    "iptables-legacy -N AGENTL; iptables-legacy -A AGENTL -s 10.244.0.0/16 -m comment --comment 'agent rule' -j ACCEPT
iptables-legacy -I FORWARD -j AGENTL; iptables-legacy -A INPUT -p icmp -j ACCEPT; iptables-legacy -P FORWARD DROP";

/// Sysctls are read before the agent sets them.
const CONFIG: &str = "[capture]\nsysctls = [\"net.ipv4.conf.all.route_localnet\", \"net.ipv4.ip_forward\"]\n";

const NFT_CLASSES: &str = "table,chain,rule,set,element,object,flowtable";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn arrange(node: &Node) {
    node.admin_sh(ADMIN).expect("an administrator's things");
    kube_proxy::sync(node, 5).expect("kube-proxy's rules");
    node.run_as("kubelet", AGENT).expect("an agent's things");
}

/// Routes in an order of their own: that of the dump is by the time they were made, and means nothing.
fn dump(node: &Node) -> Canonical {
    let mut dump = Canonical::of(node, &DIRS).expect("dumps").neutral();
    if let Some(routes) = dump.0.get_mut("ip route") {
        let mut lines: Vec<&str> = routes.lines().collect();
        lines.sort_unstable();
        *routes = lines.join("\n");
    }
    let more = "ipset save | sed 's/ initval 0x[0-9a-f]*//' | sort; sysctl net.ipv4.ip_forward net.ipv4.conf.all.route_localnet";
    dump.0.insert("ipset and sysctl", node.sh(more).expect("a dump"));
    let legacy = "iptables-legacy-save | sed -E '/^#/d; s/\\[[0-9]+:[0-9]+\\]/[0:0]/'";
    dump.0.insert("iptables-legacy-save", node.sh(legacy).expect("a dump"));
    dump
}

/// What a reset of an equal node leaves.
fn after_reset(more: &[&str], legacy: &str) -> Canonical {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), CONFIG).expect("a tracker");
    arrange(&node);
    node.run_as("kubelet", legacy).expect("legacy rules");
    let reset = tracker.cli(&[&["reset", "--owner", "kubernetes", "--yes"], more].concat()).expect("run");
    assert_eq!(reset.status.code(), Some(0), "{}\n{}", said(&reset), tracker.log());
    let dump = dump(&node);
    tracker.stop().expect("a clean stop");
    dump
}

#[test]
fn a_script_leaves_what_a_reset_leaves() {
    let expected = after_reset(&[], LEGACY);
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), CONFIG).expect("a tracker");
    arrange(&node);
    node.run_as("kubelet", LEGACY).expect("legacy rules");
    let export = tracker.cli(&["plan", "--owner", "kubernetes", "--export", "iptables-restore"]).expect("run");
    assert_eq!(export.status.code(), Some(0), "{}", said(&export));
    let script = String::from_utf8(export.stdout).expect("text");
    let (head, _) = script.split_once("one transaction\n").expect("a part for nft");
    for (table, is_there) in [("*filter\n", true), ("*nat\n", true), ("*mangle\n", false)] {
        assert_eq!(head.contains(table), is_there, "a rule with an equal one beside it goes by handle: {script}");
    }
    let path = node.scratch().join("reset.sh");
    std::fs::write(&path, &script).expect("writable");
    let mut run = node.admin("sh");
    let ran = run.arg(&path).output().expect("run");
    assert_eq!(ran.status.code(), Some(0), "{}\n{script}", said(&ran));
    let found = dump(&node);
    assert!(expected.diff(&found).is_empty(), "{}\n{script}", expected.diff(&found));

    let mut again = node.admin("sh");
    assert_eq!(again.arg(&path).output().expect("run").status.code(), Some(1), "what it names is gone");
    assert!(found.diff(&dump(&node)).is_empty(), "and nothing else went");
    let plan = tracker.json(&["plan", "--owner", "kubernetes"]).expect("a plan");
    assert_eq!(plan["data"]["steps"].as_array().map(Vec::len), Some(0), "{plan:#}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn libnftables_json_leaves_what_a_reset_of_its_classes_leaves() {
    let expected = after_reset(&["--class", NFT_CLASSES], "");
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), CONFIG).expect("a tracker");
    arrange(&node);
    let args = ["plan", "--owner", "kubernetes", "--export", "nftables"];
    let all = tracker.cli(&args).expect("run");
    assert_eq!(all.status.code(), Some(3), "links and files are not in it");
    assert!(said(&all).contains("not in it: delete link cni0: it is no step of nf_tables"), "{}", said(&all));
    let export = tracker.cli(&[&args[..], &["--class", NFT_CLASSES]].concat()).expect("run");
    assert_eq!(export.status.code(), Some(0), "{}", said(&export));
    let path = node.scratch().join("reset.json");
    std::fs::write(&path, &export.stdout).expect("writable");
    output_of(node.admin("nft").args(["-j", "-f"]).arg(&path), "nft -j -f").expect("nft takes it");
    let found = dump(&node);
    assert!(expected.diff(&found).is_empty(), "{}\n{}", expected.diff(&found), said(&export));
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_reviewed_plan_is_applied_while_it_fits_and_refused_when_it_does_not() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh("iptables-nft -A FORWARD -p icmp -j ACCEPT").expect("a rule");
    node.run_as("kube-proxy", "iptables-nft -N KUBE-A; iptables-nft -A FORWARD -j KUBE-A").expect("a chain");
    let export = |format: &str| {
        let output = tracker.cli(&["plan", "--owner", "kubernetes", "--export", format]).expect("run");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let file = node.scratch().join("plan.json");
    std::fs::write(&file, export("json")).expect("writable");
    let path = file.to_str().expect("text");
    assert!(export("text").contains("- chain ip filter KUBE-A"));

    let edited = node.scratch().join("edited.json");
    let mut document: serde_json::Value = serde_json::from_str(&export("json")).expect("JSON");
    document["data"]["steps"].as_array_mut().expect("steps").remove(0);
    std::fs::write(&edited, document.to_string()).expect("writable");
    let refused = tracker.cli(&["apply", edited.to_str().expect("text"), "--yes"]).expect("run");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));

    node.run_as("kube-proxy", "iptables-nft -A KUBE-A -j RETURN").expect("a rule");
    let refused = tracker.cli(&["apply", path, "--yes"]).expect("run");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("changed since the plan"), "{}", said(&refused));
    assert!(node.sh("nft list chain ip filter KUBE-A").is_ok(), "nothing was removed");

    std::fs::write(&file, export("json")).expect("writable");
    let done = tracker.cli(&["-o", "json", "apply", path, "--yes"]).expect("run");
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let operation: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let others = operation["data"]["others"].as_array().expect("by owner");
    let admin = others.iter().find(|it| it["owner"] == "admin/root").expect("the administrator's");
    assert_eq!(admin["before"], admin["after"], "{admin}");
    assert!(admin["objects"].as_u64() >= Some(3), "table, chain and rule: {admin}");
    assert!(node.sh("nft list chain ip filter KUBE-A").is_err(), "it went");
    tracker.stop().expect("a clean stop");
}
