//! A reset that is killed, its companion or its tracker, at random moments: finished or undone, it leads to one of two
//! exact states.
//!
//! `NETDEED_CRASH_POINTS` says how many moments (6), `NETDEED_CRASH_SEED` which.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use netdeed_tests::accuracy::Random;
use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kube_proxy;
use netdeed_tests::tracker::{Files, Tracker, binary};

const DIRS: [&str; 3] = ["/etc/cni", "/var/lib/cni", "/run/flannel"];

const ADMIN: &str = "iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT
ip link add lan type bridge; ip addr add 10.99.0.1/24 dev lan; ip link set lan up";

const FLANNEL: &str = "ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dstport 8472 nolearning
ip addr add 10.244.0.0/32 dev flannel.1; ip link set flannel.1 mtu 1450 up
ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
ip link add veth0 type veth peer name veth1; ip link set veth0 master cni0 up; ip link set veth1 up
for i in 1 2 3 4 5 6 7 8; do ip route add 10.244.$i.0/24 via 10.99.0.$((i + 10)) dev lan onlink; done
ip rule add from 10.244.0.0/16 lookup 100 priority 1000
mkdir -p /etc/cni/net.d /run/flannel; echo '{}' > /etc/cni/net.d/10-flannel.conflist
for i in 1 2 3 4 5 6 7 8; do mkdir /run/flannel/$i; echo $i > /run/flannel/$i/env; done
iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A FLANNEL-POSTRTG -s 10.244.0.0/16 -j MASQUERADE
iptables-nft -t nat -A POSTROUTING -j FLANNEL-POSTRTG";

const RESET: [&str; 4] = ["reset", "--owner", "kubernetes", "--yes"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is chosen by its caller")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn dump(node: &Node) -> Canonical {
    Canonical::of(node, &DIRS).expect("dumps").neutral()
}

/// Undoes operations, the newest first, until the node is as it was.
fn undo_all(node: &Node, tracker: &Tracker<'_>, before: &Canonical, round: &str) {
    let mut texts = String::new();
    for _ in 0..4 {
        if before.diff(&dump(node)).is_empty() {
            return;
        }
        texts += &said(&tracker.cli(&["undo", "--yes"]).expect("run"));
    }
    let diff = before.diff(&dump(node));
    assert!(diff.is_empty(), "{round}: not as it was:\n{diff}\n{texts}\n{}", tracker.log());
}

#[test]
fn a_reset_killed_at_any_moment_leads_to_one_of_two_states() {
    let (points, seed) = (number("NETDEED_CRASH_POINTS", 6), number("NETDEED_CRASH_SEED", 7));
    let mut random = Random::new(seed);
    let node = Node::new().expect("a node");
    let files = Files::named(&node, "tracker");
    let mut tracker = Tracker::start(&node, &files, "").expect("a tracker");
    node.admin_sh(ADMIN).expect("an administrator's things");
    kube_proxy::sync(&node, 20).expect("kube-proxy's rules");
    node.run_as("flanneld", FLANNEL).expect("flannel's things");
    let before = dump(&node);
    let begun = Instant::now();
    tracker.text(&RESET).expect("a reset");
    let whole = begun.elapsed();
    let after = dump(&node);
    assert!(!before.diff(&after).is_empty());
    undo_all(&node, &tracker, &before, "at first");

    for point in 0..points {
        let (kills_tracker, finishes) = (random.below(3) != 0, random.below(2) == 0);
        let share = u32::try_from(random.below(1200)).expect("a few");
        let round = format!("point {point} of seed {seed}: {share}/1000 of {whole:?}, tracker {kills_tracker}");
        let mut cli = node.command(binary("netdeed").expect("built"));
        cli.arg("--socket").arg(&files.socket).args(RESET);
        let mut cli = cli.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run");
        let moment = Instant::now() + whole / 1000 * share;
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        if kills_tracker {
            tracker.kill();
            let _ = cli.wait();
            tracker = Tracker::start(&node, &files, "").expect("a tracker");
        } else {
            let _ = cli.kill();
            let _ = cli.wait();
        }
        if finishes {
            // one that was begun goes on without its companion: it is waited for
            let deadline = Instant::now() + Duration::from_secs(60);
            let reset = loop {
                let reset = tracker.cli(&RESET).expect("run");
                if !said(&reset).contains("another reset is under way") || Instant::now() > deadline {
                    break reset;
                }
            };
            let diff = after.diff(&dump(&node));
            assert!(diff.is_empty(), "{round}: not as after a reset:\n{diff}\n{}\n{}", said(&reset), tracker.log());
        }
        undo_all(&node, &tracker, &before, &round);
    }
    tracker.stop().expect("a clean stop");
}
