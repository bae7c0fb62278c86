//! The real components of nodes: whose is what they make.

use std::collections::BTreeMap;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kubernetes::objects::flannel_node;
use netdeed_tests::scenario::kubernetes::{self, ApiServer, Backend, Firewall, Flanneld, KubeProxy, Mode};
use netdeed_tests::scenario::libvirt::{self, Libvirt};
use netdeed_tests::tracker::{Files, Tracker};
use serde_json::Value;

/// A node in a cluster.
fn cluster() -> (Node, ApiServer) {
    let node = Node::new().expect("a node");
    kubernetes::attach(&node).expect("an address");
    let server = ApiServer::start(&node).expect("an API server");
    server.put_node();
    (node, server)
}

/// Objects by their names.
fn objects(tracker: &Tracker<'_>) -> BTreeMap<String, Value> {
    let list = tracker.json(&["ls", "--all"]).expect("a list");
    let objects = list["data"]["objects"].as_array().expect("objects").iter();
    objects.map(|object| (object["name"].to_string(), object.clone())).collect()
}

/// Fails unless all that was made is this owner's for sure, and gives how many there are of each class.
fn assert_all(tracker: &Tracker<'_>, before: &BTreeMap<String, Value>, owner: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut others = Vec::new();
    for (name, object) in objects(tracker).iter().filter(|(name, _)| !before.contains_key(*name)) {
        let class = object["class"].as_str().unwrap_or_default();
        println!("{} {} {name} {}", object["owner"], object["certainty"], object["text"]);
        // connected routes and the like
        let is_kernels = object["owner"] == "kernel" && ["route", "address"].contains(&class);
        let is_right = object["owner"] == owner
            && ["exact", "correlated"].contains(&object["certainty"].as_str().unwrap_or_default());
        if !is_right && !is_kernels {
            others.push(object.clone());
        }
        *counts.entry(class.to_owned()).or_default() += usize::from(is_right);
    }
    assert!(others.is_empty(), "{others:#?}");
    counts
}

#[test]
fn what_kube_proxy_makes_is_kube_proxys() {
    for mode in [Mode::Iptables, Mode::Nftables] {
        let (node, server) = cluster();
        let files = Files::named(&node, "tracker");
        let tracker = Tracker::start(&node, &files, "").expect("a tracker");
        let before = objects(&tracker);
        (0..10).for_each(|number| server.put_service(number, 3));
        let proxy = KubeProxy::start(&node, &server, mode).expect("kube-proxy");
        server.put_service(10, 5);
        proxy.wait_for("shop/web-10").expect("watched");
        server.delete_service(3);
        proxy.wait_for_end_of("10.96.0.4").expect("watched");
        let count = assert_all(&tracker, &before, "kubernetes/kube-proxy");
        assert!(count["rule"] > 60, "{}", count["rule"]);
        tracker.stop().expect("a clean stop");
    }
}

#[test]
fn what_flannel_makes_is_flannels() {
    for (backend, firewall) in [(Backend::Vxlan, Firewall::Iptables), (Backend::HostGateway, Firewall::Nftables)] {
        let (node, server) = cluster();
        let files = Files::named(&node, "tracker");
        let tracker = Tracker::start(&node, &files, "").expect("a tracker");
        let before = objects(&tracker);
        server.put(flannel_node("node2", "192.168.77.6", "10.244.1.0/24", backend.word()));
        let _flanneld = Flanneld::start(&node, &server, (backend, firewall), &["10.244.1.0/24"]).expect("flanneld");
        let count = assert_all(&tracker, &before, "cni/flannel");
        assert!(count["rule"] >= 8, "{}", count["rule"]);
        assert!(count["route"] >= 1);
        assert_eq!(count.contains_key("link"), backend == Backend::Vxlan);
        tracker.stop().expect("a clean stop");
    }
}

#[test]
fn what_libvirt_makes_is_libvirts() {
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let tracker = Tracker::start(&node, &files, "").expect("a tracker");
    let before = objects(&tracker);
    let daemon = Libvirt::start(&node).expect("libvirtd");
    let count = assert_all(&tracker, &before, "libvirt");
    assert!(count["rule"] >= 15, "{}", count["rule"]);
    let bridge = tracker.json(&["who", "link", libvirt::BRIDGE]).expect("an answer");
    assert_eq!(bridge["data"]["objects"][0]["owner"], "libvirt", "{bridge:#}");
    // it takes its rules away itself, and they are not its any more
    daemon.virsh("net-destroy default").expect("ended");
    let left = objects(&tracker);
    let bridge = &left["\"link virbr0\""];
    assert_eq!(bridge["live"], false, "{bridge:#}");
    tracker.stop().expect("a clean stop");
}
