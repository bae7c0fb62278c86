//! Swapping flannel, the real one, for another CNI: what stands in the way, what goes, and what is told of leftovers.

use std::process::Output;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::scenario::kubernetes::objects::flannel_node;
use netdeed_tests::scenario::kubernetes::{self, ApiServer, Backend, Firewall, Flanneld};
use netdeed_tests::tracker::{Files, Tracker};

/// As the plugin and the installer in flannel's pods: a pod's link, the bridge, the configuration.
const ATTACH: &str = "ip netns add web-0; ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip link add vethab type veth peer name eth0 netns web-0; ip link set vethab master cni0 up
mkdir -p /etc/cni/net.d
echo '{\"name\":\"cbr0\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"flannel\"},{\"type\":\"portmap\"}]}' > /etc/cni/net.d/10-flannel.conflist";

/// As calico's agent.
const CALICO: &str = "ip link add vxlan.calico type vxlan id 4096 dstport 4789 local 192.168.77.5 nolearning; ip link set vxlan.calico up
iptables-nft -N cali-FORWARD; iptables-nft -I FORWARD -j cali-FORWARD
mkdir -p /etc/cni/net.d
echo '{\"name\":\"k8s-pod-network\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"calico\"}]}' > /etc/cni/net.d/10-calico.conflist";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Rules and chains of kube-proxy and of the administrator, in their order.
fn others(node: &Node) -> Vec<String> {
    let rules = node.sh("iptables-nft-save").expect("rules");
    rules.lines().filter(|line| line.contains("KUBE-") || line.contains("10.99.")).map(str::to_owned).collect()
}

#[test]
fn flannel_goes_alone_when_nothing_stands_in_the_way_and_leftovers_are_told() {
    let node = Node::new().expect("a node");
    kubernetes::attach(&node).expect("an address");
    let server = ApiServer::start(&node).expect("an API server");
    server.put_node();
    server.put(flannel_node("node2", "192.168.77.6", "10.244.1.0/24", Backend::Vxlan.word()));
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh("iptables-nft -A FORWARD -s 10.99.0.0/16 -j ACCEPT").expect("a rule");
    let flanneld = Flanneld::start(&node, &server, (Backend::Vxlan, Firewall::Iptables), &["10.244.1.0/24"]);
    let flanneld = flanneld.expect("flanneld");
    kube_proxy::sync(&node, 10).expect("kube-proxy's rules");
    node.run_as("flanneld", ATTACH).expect("a pod");
    let before = others(&node);
    let swap = ["swap", "--from", "flannel", "--to", "calico"];
    let run = |more: &[&str]| tracker.cli(&[&swap[..], more].concat()).expect("run");

    let refused = run(&["--yes"]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains("flanneld (process ") && text.contains("1 pod is attached by flannel"), "{text}");
    assert!(text.contains("vethab") && text.contains("holds no other configuration"), "{text}");
    assert!(node.sh("ip link show flannel.1").is_ok(), "nothing was removed");

    drop(flanneld);
    node.run_as("flanneld", "ip link del vethab; ip netns del web-0").expect("the pod goes");
    let dry = run(&["--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", said(&dry));
    let done = run(&["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}\n{}", said(&done), tracker.log());
    assert_eq!(others(&node), before, "kube-proxy's and the administrator's stay");
    let rules =
        node.sh("iptables-nft-save; ip link show; ip route show; ls /etc/cni/net.d 2>&1 || true").expect("dumps");
    for gone in ["FLANNEL", "flannel", "cni0", "10.244.1.0/24"] {
        assert!(!rules.contains(gone), "{gone} is left:\n{rules}");
    }

    node.run_as("calico-node", CALICO).expect("the new one");
    let clean = run(&["--verify"]);
    assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));
    assert!(said(&clean).contains("0 problems"), "{}", said(&clean));

    // what is known to break clusters, by whomever it comes back
    let leftovers =
        "iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A FLANNEL-POSTRTG -s 10.244.0.0/16 -j MASQUERADE
        ip link add flannel.1 type vxlan id 1 dstport 8472
        echo '{\"type\":\"flannel\"}' > /etc/cni/net.d/05-flannel.conf";
    node.run_as("flanneld", leftovers).expect("leftovers");
    let found = run(&["--verify"]);
    let text = said(&found);
    assert_eq!(found.status.code(), Some(3), "{text}");
    for expected in [
        "FLANNEL-POSTRTG masquerades what pods send to other nodes",
        "`/etc/cni/net.d/05-flannel.conf`, comes first",
        "of cni/flannel left: link flannel.1",
    ] {
        assert!(text.replace("\n      ", " ").contains(expected), "{expected}: {text}");
    }
    let json = tracker.cli(&[&["-o", "json"], &swap[..], &["--verify"]].concat()).expect("run");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&json["kind"], &json["data"]["findings"][0]["severity"]), (&"swap".into(), &"problem".into()));

    let undo = tracker.cli(&["undo", "--yes"]).expect("run");
    assert_eq!(undo.status.code(), Some(3), "what is there again stays as it is: {}", said(&undo));
    assert!(node.sh("ip link show cni0").is_ok(), "a bridge without ports comes back");
    tracker.stop().expect("a clean stop");
}
