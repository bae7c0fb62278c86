//! Swapping flannel, the real one, for another CNI: what stands in the way, what goes, and what is told of leftovers.

use std::process::Output;

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::cni::{self, Pod};
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

/// The state that a swap is about, by names that stay.
fn state(node: &Node) -> Canonical {
    Canonical::of(node, &["/etc/cni", "/var/lib/cni"]).expect("dumps").neutral()
}

#[test]
fn real_plugins_that_route_take_over_from_flannel_and_give_way_to_it_again() {
    let node = Node::new().expect("a node");
    kubernetes::attach(&node).expect("an address");
    let server = ApiServer::start(&node).expect("an API server");
    server.put_node();
    server.put(flannel_node("node2", "192.168.77.6", "10.244.1.0/24", Backend::Vxlan.word()));
    // forwarding was on, and the directory there: else they would be whoever's came first
    node.sh("echo 1 > /proc/sys/net/ipv4/ip_forward; mkdir -p /etc/cni/net.d /var/lib/cni/networks").expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh("iptables-nft -A FORWARD -s 10.99.0.0/16 -j ACCEPT; iptables-nft -t nat -A POSTROUTING -s 10.99.0.0/16 -j ACCEPT")
        .expect("rules");
    let start = || Flanneld::start(&node, &server, (Backend::Vxlan, Firewall::Iptables), &["10.244.1.0/24"]);
    let run = |args: &[&str]| tracker.cli(&[&["swap"], args].concat()).expect("run");
    let before = state(&node);
    drop(start().expect("flanneld"));
    let flannels = state(&node);

    let away = run(&["--from", "flannel", "--to", "ptp", "--yes"]);
    assert_eq!(away.status.code(), Some(0), "{}\n{}", said(&away), tracker.log());
    let diff = before.diff(&state(&node));
    assert!(diff.is_empty(), "{diff}\n{}", said(&away));
    cni::install_routed(&node).expect("a configuration");
    let pod = Pod::new("web-0", &[(30080, 80)]).routed();
    let result = cni::add(&node, &pod).expect("a pod by ptp");
    let clean = run(&["--from", "flannel", "--to", "ptp", "--verify"]);
    assert!(said(&clean).contains("0 problems"), "{}", said(&clean));

    let back = ["--from", "ptp", "--to", "flannel"];
    let refused = run(&[&back[..], &["--yes"]].concat());
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains("1 pod is attached by ptp") && text.contains("shop/web-0 by veth"), "{text}");
    cni::del(&node, &pod, &result).expect("the pod goes");
    let done = run(&[&back[..], &["--yes"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let rules = node.sh("iptables-nft-save; ip route show; ip link show").expect("dumps");
    assert!(!rules.contains("10.245.0") && !rules.contains("ptpnet"), "{rules}");

    // what portmap, host-local and the kubelet made for the pod is theirs
    let rest = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(rest.status.code(), Some(0), "{}", said(&rest));
    let again = start().expect("flanneld");
    let diff = flannels.diff(&state(&node));
    assert!(diff.is_empty(), "{diff}");
    drop(again);
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_program_or_a_link_on_the_new_tunnels_port_keeps_a_swap_from_being_begun() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.run_as("flanneld", ATTACH).expect("flannel's things");
    node.run_as("flanneld", "ip link del vethab; ip netns del web-0").expect("the pod goes");
    let swap = |to: &str, more: &str| tracker.cli(&["swap", "--from", "flannel", "--to", to, more]).expect("run");

    let mut socket = None;
    node.on_its_network(|| socket = Some(std::net::UdpSocket::bind("0.0.0.0:4789").expect("a port")));
    let refused = swap("calico", "--yes");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let told = format!("(process {}) has UDP port 4789 open", std::process::id());
    assert!(said(&refused).replace("\n      ", " ").contains(&told), "{}", said(&refused));
    drop(socket);

    node.admin_sh("ip link add lab type vxlan id 7 dstport 8472 local 127.0.0.1; ip link set lab up").expect("a link");
    // it takes every VNI of its port
    let refused = swap("cilium", "--yes");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("link lab has UDP port 8472 and VNI 7"), "{}", said(&refused));
    assert!(node.sh("ip link show cni0").is_ok(), "nothing was removed");
    let other = swap("calico", "--yes");
    assert_eq!(other.status.code(), Some(0), "another port: {}", said(&other));
    tracker.stop().expect("a clean stop");
}

#[test]
fn canal_is_flannels_network_and_calicos_policies_and_both_are_looked_for() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let flannel = "ip link add flannel.1 type vxlan id 1 dstport 8472 local 127.0.0.1; ip link set flannel.1 up
        iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A FLANNEL-POSTRTG -s 10.244.0.0/16 -j MASQUERADE";
    let calico = "iptables-nft -N cali-FORWARD; iptables-nft -I FORWARD -j cali-FORWARD; mkdir -p /etc/cni/net.d
        echo '{\"plugins\":[{\"type\":\"calico\"},{\"type\":\"portmap\"}]}' > /etc/cni/net.d/10-canal.conflist";
    node.run_as("flanneld", flannel).expect("flannel's part");
    node.run_as("calico-node", calico).expect("calico's part");
    let verify = tracker.cli(&["swap", "--from", "canal", "--to", "cilium", "--verify"]).expect("run");
    let text = said(&verify).replace("\n      ", " ");
    assert_eq!(verify.status.code(), Some(3), "{text}");
    for expected in [
        "FLANNEL-POSTRTG masquerades",
        "cali-FORWARD (of cni/calico)",
        "link flannel.1 (of cni/flannel)",
        "10-canal.conflist`, is the only one",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for owner in ["calico", "flannel"] {
        let swap = tracker.cli(&["swap", "--from", owner, "--yes"]).expect("run");
        assert_eq!(swap.status.code(), Some(0), "{}", said(&swap));
    }
    let left = node.sh("iptables-nft-save; ip link show; ls /etc/cni/net.d 2>&1 || true").expect("dumps");
    assert!(!["FLANNEL", "cali", "flannel", "canal"].iter().any(|name| left.contains(name)), "{left}");
    tracker.stop().expect("a clean stop");
}
