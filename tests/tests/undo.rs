//! Undo against the real kernel: a reset and its undo leave the node as it was, also when the tracker is killed in
//! between, and touch nothing outside of what was removed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker, binary};

const DIRS: [&str; 3] = ["/etc/cni", "/var/lib/cni", "/run/flannel"];

const FLANNEL: &str = "
ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dstport 8472 nolearning
ip addr add 10.244.0.0/32 dev flannel.1; ip link set flannel.1 mtu 1450 up
ip link add cni0 type bridge ageing_time 12300; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip link add veth0 type veth peer name veth1; ip link set veth0 master cni0 up; ip link set veth1 up
ip link property add dev veth1 altname pod-end
ip route add 10.244.7.0/24 via 10.244.7.0 dev flannel.1 onlink
ip route add 10.98.0.0/16 dev cni0 metric 7 table 100
ip rule add from 10.244.0.0/16 lookup 100 priority 1000
ip rule add not fwmark 0x1/0x1 lookup 100 priority 1001
mkdir -p /etc/cni/net.d /run/flannel; (umask 077; echo '{}' > /etc/cni/net.d/10-flannel.conflist)
echo FLANNEL_MTU=1450 > /run/flannel/subnet.env; ln -s subnet.env /run/flannel/current
nft -f - <<'END'
table inet flannel {
  set nodes { type ipv4_addr; flags interval; elements = { 10.1.0.0/24, 10.2.0.0-10.2.0.9 }; }
  map peers { type ipv4_addr : ipv4_addr; elements = { 10.1.0.1 : 10.2.0.1 }; }
  counter hits { }
  quota daily { 100 mbytes }
  map counted { type inet_service : counter; elements = { 80 : \"hits\" }; }
  chain web { counter name hits; accept; }
  map verdicts { type inet_service : verdict; elements = { 80 : goto web, 443 : jump web }; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ip saddr @nodes accept comment \"nodes\"
    tcp dport vmap @verdicts
    tcp dport { 22, 8080 } accept
    ip saddr . tcp dport { 10.3.0.1 . 80, 10.4.0.1 . 443 } drop
    quota name \"daily\" drop
    counter name tcp dport map @counted
    limit rate 5/second burst 7 packets log prefix \"x \" drop
  }
}
END
iptables-nft -I FORWARD 1 -s 10.244.0.0/16 -p tcp -m multiport --dports 80,443 -m comment --comment 'flanneld forward' -j ACCEPT
iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
iptables-nft -t nat -A POSTROUTING -j FLANNEL-POSTRTG";

const ADMIN: &str = "iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT
iptables-nft -A FORWARD -p icmp -j ACCEPT";

fn arrange(node: &Node) {
    node.admin_sh(ADMIN).expect("an administrator's rules");
    kube_proxy::sync(node, 10).expect("kube-proxy's rules");
    node.run_as("flanneld", FLANNEL).expect("flannel's things");
    node.admin_sh("iptables-nft -A FORWARD -s 10.98.0.0/16 -j DROP").expect("a rule behind");
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn dump(node: &Node) -> Canonical {
    Canonical::of(node, &DIRS).expect("dumps").neutral()
}

#[test]
fn a_reset_and_its_undo_leave_the_node_as_it_was_and_everything_its_first_owners() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    arrange(&node);
    let before = dump(&node);
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    assert_eq!(reset.status.code(), Some(0), "{}", said(&reset));
    let after_reset = dump(&node);
    assert!(!before.diff(&after_reset).is_empty(), "something went");

    let dry = tracker.cli(&["undo", "--dry-run"]).expect("run");
    assert_eq!(dry.status.code(), Some(0), "{}", said(&dry));
    assert!(after_reset.diff(&dump(&node)).is_empty(), "a dry run changes nothing");
    let undo = tracker.cli(&["undo", "--yes"]).expect("run");
    let diff = before.diff(&dump(&node));
    assert!(diff.is_empty(), "{diff}\n{}\n{}", said(&undo), tracker.log());
    assert_eq!(undo.status.code(), Some(0), "{}\n{}", said(&undo), tracker.log());

    let who = tracker.text(&["who", "rule", "filter", "FORWARD", "1"]).expect("an answer");
    assert!(who.contains("cni/flannel") && who.contains("put back by operation 2"), "{who}");
    let log = tracker.text(&["log"]).expect("a log");
    assert!(log.contains("undo of operation 1"), "{log}");
    let twice = tracker.cli(&["undo", "--yes"]).expect("run");
    assert_eq!(twice.status.code(), Some(1), "{}", said(&twice));

    let again = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    let diff = after_reset.diff(&dump(&node));
    assert!(diff.is_empty(), "{diff}\n{}\n{}", said(&again), tracker.log());
    tracker.stop().expect("a clean stop");
}

#[test]
fn a_tracker_killed_in_a_reset_can_finish_it_or_undo_it() {
    // how long a reset takes on this machine, to kill at moments spread over it
    let mut whole = Duration::from_millis(300);
    for (round, finishes) in [(0, true), (1, false), (2, true), (3, false), (4, false)] {
        let node = Node::new().expect("a node");
        let files = Files::named(&node, "tracker");
        let tracker = Tracker::start(&node, &files, "").expect("a tracker");
        arrange(&node);
        let before = dump(&node);
        if round == 0 {
            let begun = Instant::now();
            tracker.text(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
            whole = begun.elapsed();
            tracker.text(&["undo", "--yes"]).expect("an undo");
            assert!(before.diff(&dump(&node)).is_empty());
        }
        let mut cli = node.command(binary("netdeed").expect("built"));
        cli.arg("--socket").arg(&files.socket).args(["reset", "--owner", "kubernetes", "--yes"]);
        let mut cli = cli.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run");
        let deadline = Instant::now() + whole * (round + 2) / 7;
        while Instant::now() < deadline && matches!(cli.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        tracker.kill();
        let _ = cli.wait();
        let tracker = Tracker::start(&node, &files, "").expect("a tracker");
        if finishes {
            let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
            let plan = tracker.json(&["plan", "--owner", "kubernetes"]).expect("a plan");
            assert_eq!(plan["data"]["steps"].as_array().map(Vec::len), Some(0), "{}", said(&reset));
        } else {
            let undo = tracker.cli(&["undo", "--yes"]).expect("run");
            let diff = before.diff(&dump(&node));
            assert!(diff.is_empty(), "round {round}: {diff}\n{}\n{}", said(&undo), tracker.log());
        }
        tracker.stop().expect("a clean stop");
    }
}

#[test]
fn a_full_disk_or_too_small_an_archive_leaves_everything_where_it_is() {
    let node = Node::new().expect("a node");
    let tracker =
        Tracker::start(&node, &Files::named(&node, "tracker"), "[archive]\nmax_bytes = 64\n").expect("a tracker");
    arrange(&node);
    let before = dump(&node);
    let reset = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("run");
    let text = said(&reset);
    assert_eq!(reset.status.code(), Some(1), "{text}");
    assert!(text.contains("exceeds 64 bytes"), "{text}");
    assert!(before.diff(&dump(&node)).is_empty(), "nothing was removed");
    tracker.stop().expect("a clean stop");
}
