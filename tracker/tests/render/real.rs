//! What real programs put in, in nodes of their own: as iptables-nft-save and `nft list` print it.

use std::collections::HashMap;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::docker::Docker;
use netdeed_tests::scenario::firewalld::{Backend, Firewalld};
use netdeed_tests::scenario::podman::Podman;
use netdeed_tests::scenario::proxier::{self, KubeProxy, Mode};
use netdeed_tests::wait;
use netdeed_tracker::decode::nft::expr::{self, Kind};
use netdeed_tracker::model::nft::Family;
use netdeed_tracker::render::{Handles, Ruleset, Surroundings, Table, iptables_save, nft_table};

use crate::harness::{everything, objects_of, run, same_lines, saved};

/// Names as the node has them.
struct Names {
    links: HashMap<u32, String>,
    ip_sets: Vec<String>,
}

impl Names {
    fn read() -> Self {
        let links = run(&["ip", "-o", "link"], "").expect("links");
        let links = links.lines().filter_map(|line| {
            let (index, rest) = line.split_once(": ")?;
            let name = rest.split([':', '@']).next()?;
            Some((index.parse().ok()?, name.to_owned()))
        });
        // the kernel numbers sets from 0; one set at most is made here
        let ip_sets = run(&["ipset", "list", "-name"], "").expect("sets").lines().map(str::to_owned).collect();
        Self { links: links.collect(), ip_sets }
    }
}

impl Surroundings for Names {
    fn link(&self, ifindex: u32) -> Option<String> {
        self.links.get(&ifindex).cloned()
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.ip_sets.get(usize::from(index)).cloned()
    }
}

/// Whether xt matches or targets are in a table: then nft only shows what it would be in nft's words.
fn is_of_iptables(table: &Table<'_>) -> bool {
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    let mut expressions = rules.flat_map(|(_, rule)| expr::decode(&rule.expressions));
    expressions.any(|one| matches!(one.kind, Kind::Match(_) | Kind::Target(_)))
}

/// Compares all there is, and gives how many rules of iptables and how many lines of nft that were.
fn assert_as_printed() -> (usize, usize) {
    let names = Names::read();
    let dump = everything();
    let ruleset = Ruleset::new(objects_of(&dump));
    let (mut rules, mut lines) = (0, 0);
    for (tool, family) in [("iptables", Family::Ip), ("ip6tables", Family::Ip6)] {
        let ours = iptables_save(&ruleset, family, &names);
        same_lines(tool, &saved(tool), &ours.text);
        assert!(ours.is_exact, "{}", ours.text);
        rules += ours.text.lines().filter(|line| line.starts_with("-A ")).count();
    }
    for table in ruleset.tables().iter().filter(|table| !is_of_iptables(table)) {
        let (family, name) = (table.table.family.as_str(), table.table.name.as_str());
        let theirs = run(&["nft", "-s", "-a", "list", "table", family, name], "").expect("lists");
        let ours = nft_table(table, Handles::Shown, &names);
        same_lines(&format!("nft {family} {name}"), &theirs, &ours.text);
        assert!(ours.is_exact, "{}", ours.text);
        lines += ours.text.lines().count();
    }
    (rules, lines)
}

#[test]
fn dockers_rules() {
    let node = Node::new().expect("node");
    let docker = Docker::start(&node).expect("dockerd");
    docker.publish().expect("a container");
    node.on_its_network(|| {
        let (rules, _) = assert_as_printed();
        assert!(rules >= 15, "{rules}");
    });
}

#[test]
fn firewallds_rules_in_nftables() {
    let node = Node::new().expect("node");
    let _firewalld = Firewalld::start(&node, Backend::Nftables).expect("firewalld");
    node.on_its_network(|| {
        let (_, lines) = assert_as_printed();
        assert!(lines >= 200, "{lines}");
    });
}

#[test]
fn firewallds_rules_in_iptables() {
    let node = Node::new().expect("node");
    let _firewalld = Firewalld::start(&node, Backend::Iptables).expect("firewalld");
    node.on_its_network(|| {
        let (rules, _) = assert_as_printed();
        assert!(rules >= 100, "{rules}");
    });
}

#[test]
fn podmans_rules() {
    let node = Node::new().expect("node");
    let _podman = Podman::publish(&node).expect("podman");
    node.on_its_network(|| {
        let (rules, _) = assert_as_printed();
        assert!(rules >= 10, "{rules}");
    });
}

/// A node with an address that node ports are for.
fn node_of_a_cluster() -> Node {
    let node = Node::new().expect("node");
    node.sh("ip link add eth7 type veth peer name eth8; ip addr add 192.168.77.5/24 dev eth7; ip link set eth7 up")
        .expect("address");
    node
}

fn kube_proxy() -> std::path::PathBuf {
    let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    proxier::build(&target.canonicalize().expect("tests are built into it")).expect("kube-proxy, built by Go")
}

#[test]
fn kube_proxys_rules_in_iptables() {
    let (program, node) = (kube_proxy(), node_of_a_cluster());
    let _proxy = KubeProxy::start(&node, &program, Mode::Iptables).expect("kube-proxy");
    node.on_its_network(|| {
        let (rules, _) = assert_as_printed();
        assert!(rules >= 60, "{rules}");
    });
}

#[test]
fn kube_proxys_rules_in_nftables() {
    let (program, node) = (kube_proxy(), node_of_a_cluster());
    let proxy = KubeProxy::start(&node, &program, Mode::Nftables).expect("kube-proxy");
    node.on_its_network(|| {
        let (_, lines) = assert_as_printed();
        assert!(lines >= 200, "{lines}");
    });
    proxy.server().delete("services", "dns");
    let is_gone = || node.sh("! nft list table ip kube-proxy | grep -q shop/dns").ok();
    wait::until("the service's end", std::time::Duration::from_secs(60), is_gone).expect("watched");
    node.on_its_network(|| drop(assert_as_printed()));
}
