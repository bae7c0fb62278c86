//! A reset while packets pass: of a published port's, each its own connection, none is lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::wait;

/// A client and a server, each behind the node, and a port that an administrator publishes.
const PUBLISH: &str = "ip netns add client; ip netns add server
ip link add vc type veth peer name eth0 netns client; ip addr add 10.50.0.1/24 dev vc; ip link set vc up
ip link add vs type veth peer name eth0 netns server; ip addr add 10.60.0.1/24 dev vs; ip link set vs up
ip -n client addr add 10.50.0.2/24 dev eth0; ip -n client link set eth0 up; ip -n client route add default via 10.50.0.1
ip -n server addr add 10.60.0.2/24 dev eth0; ip -n server link set eth0 up; ip -n server route add default via 10.60.0.1
sysctl -qw net.ipv4.ip_forward=1
iptables-nft -t nat -A PREROUTING -i vc -p udp --dport 5353 -j DNAT --to-destination 10.60.0.2:5353
iptables-nft -A FORWARD -d 10.60.0.2 -p udp --dport 5353 -j ACCEPT; iptables-nft -P FORWARD DROP";

const FLANNEL: &str = "ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip route add 10.244.1.0/24 via 10.60.0.9 dev vs onlink
iptables-nft -I FORWARD 1 -s 10.244.0.0/16 -j ACCEPT; iptables-nft -t nat -I PREROUTING 1 -s 10.244.0.0/16 -j RETURN";

/// Packets that have to arrive before and after the reset.
const ENOUGH: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(60);

/// Moves the calling thread into one of the node's named network namespaces.
fn enter(node: &Node, name: &str) {
    let file = File::open(node.outside(&format!("/run/netns/{name}"))).expect("a namespace");
    let kind = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(kind)).expect("entering needs root");
}

/// Sends numbers, each from a port of its own, so that each meets the rules anew.
fn send(node: &Node, sent: &AtomicU64, is_over: &AtomicBool) {
    enter(node, "client");
    while !is_over.load(Ordering::SeqCst) {
        let number = sent.fetch_add(1, Ordering::SeqCst);
        let socket = UdpSocket::bind("10.50.0.2:0").expect("a port");
        // before the first answer to an ARP request some may not leave
        let _ = socket.send_to(&number.to_ne_bytes(), "10.50.0.1:5353");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn receive(node: &Node, seen: &Mutex<BTreeSet<u64>>, is_over: &AtomicBool) {
    enter(node, "server");
    let socket = UdpSocket::bind("10.60.0.2:5353").expect("the port");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
    let mut number = [0; 8];
    while !is_over.load(Ordering::SeqCst) {
        if matches!(socket.recv(&mut number), Ok(8)) {
            seen.lock().expect("not poisoned").insert(u64::from_ne_bytes(number));
        }
    }
}

#[test]
fn no_packet_of_a_published_port_is_lost_while_a_reset_runs() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    node.admin_sh(PUBLISH).expect("a published port");
    kube_proxy::sync(&node, 300).expect("kube-proxy's rules");
    node.run_as("flanneld", FLANNEL).expect("flannel's things");
    let (sent, seen) = (AtomicU64::new(0), Mutex::new(BTreeSet::new()));
    let (is_over, is_deaf) = (AtomicBool::new(false), AtomicBool::new(false));
    let arrived = || seen.lock().expect("not poisoned").len() as u64;
    let more_than = |count: u64| wait::until("packets", PATIENCE, || (arrived() > count).then_some(()));
    std::thread::scope(|scope| {
        scope.spawn(|| receive(&node, &seen, &is_deaf));
        scope.spawn(|| send(&node, &sent, &is_over));
        let result = more_than(ENOUGH).and_then(|()| {
            let first = sent.load(Ordering::SeqCst);
            let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"])?;
            let during = sent.load(Ordering::SeqCst) - first;
            more_than(arrived() + ENOUGH).map(|()| (output, first, during))
        });
        is_over.store(true, Ordering::SeqCst);
        let all = |first: u64| (first..sent.load(Ordering::SeqCst)).collect::<BTreeSet<u64>>();
        if let Ok((_, first, _)) = &result {
            // the last ones are on their way
            let is_whole = || all(*first).is_subset(&seen.lock().expect("not poisoned"));
            let _ = wait::until("the last packets", Duration::from_secs(2), || is_whole().then_some(()));
        }
        is_deaf.store(true, Ordering::SeqCst);
        let (output, first, during) = result.expect("packets arrive");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", tracker.log());
        assert!(during > 0, "the reset took no time in which packets were sent");
        let lost: Vec<u64> = all(first).difference(&seen.lock().expect("not poisoned")).copied().collect();
        assert!(
            lost.is_empty(),
            "{} of {} lost, {during} were sent during the reset: {lost:?}",
            lost.len(),
            all(first).len()
        );
    });
    assert!(!node.sh("iptables-nft-save").expect("rules").contains("KUBE-"));
    tracker.stop().expect("a clean stop");
}
