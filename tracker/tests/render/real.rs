//! What real programs put in, in nodes of their own: as iptables-nft-save and `nft list` print it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use netdeed_tests::node::Node;
use netdeed_tests::scenario::docker::Docker;
use netdeed_tests::scenario::firewalld::{Backend, Firewalld};
use netdeed_tests::scenario::kubernetes::objects::{NAMESPACE, flannel_node};
use netdeed_tests::scenario::kubernetes::{self, ApiServer, Backend as Overlay, Firewall, Flanneld, KubeProxy, Mode};
use netdeed_tests::scenario::libvirt::Libvirt;
use netdeed_tests::scenario::podman::Podman;
use netdeed_tests::wait;
use netdeed_tracker::decode::nft::expr::{self, Kind};
use netdeed_tracker::model::ids::Generation;
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

/// Waits until nobody has changed the rules for a while, and gives their generation's number.
fn settled() -> Generation {
    let mut last = (everything().generation, Instant::now());
    wait::until("rules that nobody changes", Duration::from_secs(60), || {
        let generation = everything().generation;
        if generation != last.0 {
            last = (generation, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .expect("settled");
    last.0
}

/// Compares all there is, and gives how many rules of iptables and how many lines of nft that were.
fn assert_as_printed() -> (usize, usize) {
    let generation = settled();
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
    assert_eq!(everything().generation, generation, "somebody changed the rules meanwhile");
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

#[test]
fn libvirts_rules() {
    let node = Node::new().expect("node");
    let _libvirt = Libvirt::start(&node).expect("libvirtd");
    node.on_its_network(|| {
        let (rules, lines) = assert_as_printed();
        assert!(rules + lines >= 15, "{rules} {lines}");
    });
}

/// A node in a cluster with services of all kinds.
fn cluster() -> (Node, ApiServer) {
    let node = Node::new().expect("node");
    kubernetes::attach(&node).expect("address");
    let server = ApiServer::start(&node).expect("API server");
    server.put_node();
    server.put_services_of_all_kinds();
    (node, server)
}

#[test]
fn kube_proxys_rules_in_iptables() {
    let (node, server) = cluster();
    let proxy = KubeProxy::start(&node, &server, Mode::Iptables).expect("kube-proxy");
    proxy.wait_for("shop/dns:dns").expect("all services");
    node.on_its_network(|| {
        let (rules, _) = assert_as_printed();
        assert!(rules >= 60, "{rules}");
    });
}

#[test]
fn kube_proxys_rules_in_nftables() {
    let (node, server) = cluster();
    let proxy = KubeProxy::start(&node, &server, Mode::Nftables).expect("kube-proxy");
    proxy.wait_for("shop/dns/udp/dns").expect("all services");
    node.on_its_network(|| {
        let (_, lines) = assert_as_printed();
        assert!(lines >= 200, "{lines}");
    });
    // its changes are additions to and removals from sets and maps
    (0..20).for_each(|number| server.put_service(number, 4));
    assert!(server.delete("Service", NAMESPACE, "dns"));
    proxy.wait_for("shop/web-19/tcp/http").expect("watched");
    // its chains go with a later change, what leads to them goes now
    proxy.wait_for_end_of("10.96.0.53 . udp").expect("watched");
    node.on_its_network(|| {
        let (_, lines) = assert_as_printed();
        assert!(lines >= 500, "{lines}");
    });
}

fn assert_flannels(backend: Overlay, firewall: Firewall) {
    let (node, server) = cluster();
    server.put(flannel_node("node2", "192.168.77.6", "10.244.1.0/24", backend.word()));
    let _flanneld = Flanneld::start(&node, &server, (backend, firewall), &["10.244.1.0/24"]).expect("flanneld");
    node.on_its_network(|| {
        let (rules, lines) = assert_as_printed();
        assert!(if firewall == Firewall::Iptables { rules >= 10 } else { lines >= 15 }, "{rules} {lines}");
    });
}

#[test]
fn flannels_rules_in_iptables() {
    assert_flannels(Overlay::Vxlan, Firewall::Iptables);
}

#[test]
fn flannels_rules_in_nftables() {
    assert_flannels(Overlay::HostGateway, Firewall::Nftables);
}
