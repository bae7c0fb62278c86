//! A reset while packets pass: of a published port's, an administrator's and Docker's, and of established connections
//! through the node, none is lost. Everything of nf_tables is one transaction: there is no moment without rules.

mod flows;

use std::path::PathBuf;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::docker::Docker;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker};

use flows::{Conversation, Datagrams, Passed, Route, while_passing};

/// A client and a server, each behind the node, which forwards only what somebody allows.
const NETWORKS: &str = "ip netns add client; ip netns add server
ip link add vc type veth peer name eth0 netns client; ip addr add 10.50.0.1/24 dev vc; ip link set vc up
ip link add vs type veth peer name eth0 netns server; ip addr add 10.60.0.1/24 dev vs; ip link set vs up
ip -n client addr add 10.50.0.2/24 dev eth0; ip -n client link set eth0 up; ip -n client route add default via 10.50.0.1
ip -n server addr add 10.60.0.2/24 dev eth0; ip -n server link set eth0 up; ip -n server route add default via 10.60.0.1
sysctl -qw net.ipv4.ip_forward=1; iptables-nft -P FORWARD DROP";

/// Ports that an administrator publishes, and a service behind the node that clients reach by its own address.
const PUBLISH: &str =
    "iptables-nft -t nat -A PREROUTING -i vc -p udp --dport 5353 -j DNAT --to-destination 10.60.0.2:5353
iptables-nft -A FORWARD -d 10.60.0.2 -p udp --dport 5353 -j ACCEPT
iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A FORWARD -d 10.60.0.2 -p tcp --dport 9100 -m conntrack --ctstate NEW -j ACCEPT";

const FLANNEL: &str = "ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip route add 10.244.1.0/24 via 10.60.0.9 dev vs onlink
iptables-nft -I FORWARD 1 -s 10.244.0.0/16 -j ACCEPT; iptables-nft -t nat -I PREROUTING 1 -s 10.244.0.0/16 -j RETURN";

/// A container with a network of its own, whose programs are this test's.
const CONTAINER: &str = "docker run --detach --name flows --publish 9000:9000/tcp --publish 9001:9001/udp \
    --publish 9002:9002/udp web:1 /bin/busybox sleep 86400 > /dev/null; docker inspect --format '{{.State.Pid}}' flows";

fn named(node: &Node, name: &str) -> PathBuf {
    node.outside(&format!("/run/netns/{name}"))
}

/// From the client, to the server by an address of the node or its own.
fn routed(node: &Node, asked: &str, bound: &str) -> Route {
    let (client, server) = (named(node, "client"), named(node, "server"));
    Route { client, asked: asked.to_owned(), server, bound: bound.to_owned() }
}

/// Takes Kubernetes back and fails when anything of what passed meanwhile was lost.
fn reset(node: &Node, tracker: &Tracker<'_>, datagrams: &[&Datagrams], conversations: &[&Conversation]) {
    let (output, Passed { during, losses }) = while_passing(datagrams, conversations, || {
        tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", tracker.log());
    println!("sent during the reset: {during:?}");
    assert!(during.iter().all(|(_, sent)| *sent > 0), "the reset took no time in which packets were sent: {during:?}");
    assert!(losses.is_empty(), "of {during:?} sent during the reset: {losses:#?}");
    assert!(!node.sh("iptables-nft-save").expect("rules").contains("KUBE-"));
}

#[test]
fn no_packet_of_a_published_port_or_of_an_established_connection_is_lost_while_a_reset_runs() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh(NETWORKS).expect("networks");
    node.admin_sh(PUBLISH).expect("a published port");
    kube_proxy::sync(&node, 1000).expect("kube-proxy's rules");
    node.run_as("flanneld", FLANNEL).expect("flannel's things");
    let published = Datagrams::new("published", routed(&node, "10.50.0.1:5353", "10.60.0.2:5353"), true);
    let established = Conversation::new("routed", routed(&node, "10.60.0.2:9100", "10.60.0.2:9100"));
    reset(&node, &tracker, &[&published], &[&established]);
    tracker.stop().expect("a clean stop");
}

#[test]
fn nothing_is_lost_of_what_docker_publishes_by_its_rules_and_by_its_proxy() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh(NETWORKS).expect("networks");
    let docker = Docker::start(&node).expect("dockerd");
    docker.publish().expect("a web server");
    let pid = docker.run(CONTAINER).expect("a container");
    kube_proxy::sync(&node, 1000).expect("kube-proxy's rules");
    node.run_as("flanneld", FLANNEL).expect("flannel's things");

    let container = PathBuf::from(format!("/proc/{}/ns/net", pid.trim()));
    let to_container = |client: PathBuf, asked: &str, port: u16| Route {
        client,
        asked: asked.to_owned(),
        server: container.clone(),
        bound: format!("0.0.0.0:{port}"),
    };
    let client = || named(&node, "client");
    let each = Datagrams::new("new connections", to_container(client(), "10.50.0.1:9001", 9001), true);
    let stream = Datagrams::new("one stream", to_container(client(), "10.50.0.1:9002", 9002), false);
    let translated = Conversation::new("translated", to_container(client(), "10.50.0.1:9000", 9000));
    reset(&node, &tracker, &[&each, &stream], &[&translated]);
    assert!(docker.answers(), "the web server, by the proxy");

    // packets of the node itself to 127.0.0.1 are not translated: the proxy takes them
    kube_proxy::sync(&node, 1000).expect("kube-proxy's rules");
    let own = PathBuf::from(format!("/proc/{}/ns/net", tracker.pid()));
    let proxied = Conversation::new("by the proxy", to_container(own, "127.0.0.1:9000", 9000));
    reset(&node, &tracker, &[], &[&proxied]);
    drop(docker);
    tracker.stop().expect("a clean stop");
}
