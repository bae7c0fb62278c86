//! The scenario itself: what the other tests rely on really happens on the node.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::{admin, cni, docker::Docker, kube_proxy};

#[test]
fn the_real_programs_act_on_a_node_of_their_own() {
    let node = Node::new().expect("a node");
    let docker = Docker::start(&node).expect("dockerd");
    docker.publish().expect("a published port");
    cni::install(&node).expect("CNI configuration");
    let pod = cni::Pod::new("web-0", &[(30080, 80)]);
    let result = cni::add(&node, &pod).expect("CNI ADD");
    kube_proxy::sync(&node, 3).expect("kube-proxy's ruleset");
    admin::allow_vpn(&node, 3).expect("the administrator's rule");
    let dump = Canonical::of(&node, &["/etc/cni", "/var/lib/cni"]).expect("dumps");
    println!("{}", dump.0["iptables-save"]);
    println!("{}", dump.0["ip route"]);
    println!("{}", dump.0["directories"]);
    for part in ["DOCKER-USER", "CNI-DN-", "CNI-FORWARD", "KUBE-SVC-", admin::COMMENT] {
        assert!(dump.0["iptables-save"].contains(part), "no {part} in\n{}", dump.0["iptables-save"]);
    }
    assert!(dump.0["ip link"].contains("cni0"));
    assert!(dump.0["directories"].contains("/etc/cni/net.d/10-podnet.conflist"));
    cni::del(&node, &pod, &result).expect("CNI DEL");
    assert!(docker.answers());
}

#[test]
fn a_dropped_node_leaves_no_process_behind() {
    let node = Node::new().expect("a node");
    let netns = node.netns();
    let mut child = node.command("sleep").arg("infinity").spawn().expect("sleep");
    drop(node);
    // the node has reaped it already
    let _ = child.wait();
    let left = std::fs::read_dir("/proc").expect("proc").flatten().any(|entry| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(entry.path().join("ns/net")).is_ok_and(|meta| meta.ino() == netns)
    });
    assert!(!left, "a process still lives in network namespace {netns}");
}
