//! kube-proxy's own state, while its DaemonSet is made anew; and `kube-proxy --cleanup`, the real one.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::kubernetes::{self, ApiServer, KubeProxy, Mode};
use netdeed_tests::tracker::{Files, Tracker};

use super::said;
use super::twins::dump;

const RESET: [&str; 4] = ["reset", "--owner", "kubernetes/kube-proxy", "--yes"];

/// The kubelet's chains, which kube-proxy's rules stand beside. One of them kube-proxy writes anew with the same rule.
const KUBELET: &str = "iptables-nft -t mangle -N KUBE-IPTABLES-HINT; iptables-nft -t mangle -N KUBE-KUBELET-CANARY
iptables-nft -N KUBE-FIREWALL; iptables-nft -I OUTPUT -j KUBE-FIREWALL; iptables-nft -I INPUT -j KUBE-FIREWALL
iptables-nft -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment 'block incoming localnet connections' \
    -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";
const OWN: &str = "iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT
iptables-nft -t nat -A PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22; ip6tables-nft -A INPUT -p tcp --dport 22 -j ACCEPT";

/// A node in a cluster, with everybody else's rules.
fn cluster() -> (Node, ApiServer) {
    let node = Node::new().expect("a node");
    kubernetes::attach(&node).expect("an address");
    let server = ApiServer::start(&node).expect("an API server");
    server.put_node();
    server.put_services_of_all_kinds();
    (node, server)
}

fn others(node: &Node) {
    node.admin_sh(OWN).expect("an administrator's rules");
    node.run_as("kubelet", KUBELET).expect("the kubelet's chains");
}

fn start<'a>(node: &'a Node, server: &ApiServer, mode: Mode) -> (KubeProxy<'a>, Canonical) {
    let proxy = KubeProxy::start(node, server, mode).expect("kube-proxy");
    proxy.wait_for("shop/sticky").expect("all services");
    (proxy, dump(node, &[]))
}

fn assert_same(what: &str, expected: &Canonical, node: &Node, text: &str) {
    let diff = expected.diff(&dump(node, &[]));
    assert!(diff.is_empty(), "{what}: {diff}\n{text}");
}

#[test]
fn a_kube_proxy_that_is_made_anew_after_a_reset_makes_what_the_first_one_made() {
    for mode in [Mode::Iptables, Mode::Nftables] {
        let (node, server) = cluster();
        let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
        others(&node);
        let before = dump(&node, &[]);
        let (proxy, fresh) = start(&node, &server, mode);
        let refused = tracker.cli(&RESET).expect("run");
        let text = said(&refused);
        assert_eq!(refused.status.code(), Some(3), "{text}");
        assert!(text.contains("kube-proxy (process ") && text.contains("--force"), "{text}");
        assert_same("nothing was removed", &fresh, &node, &text);

        drop(proxy);
        let reset = tracker.cli(&RESET).expect("run");
        assert_eq!(reset.status.code(), Some(0), "{}\n{}", said(&reset), tracker.log());
        assert_same("as before kube-proxy", &before, &node, &said(&reset));

        let (proxy, again) = start(&node, &server, mode);
        let diff = fresh.diff(&again);
        // kube-proxy writes services in no order
        let is_sign = |line: &str| line.starts_with(['+', '-']) && !line.starts_with("---") && !line.starts_with("+++");
        assert!(!diff.lines().any(is_sign), "made anew: {diff}");
        let forced = tracker.cli(&[&RESET[..], &["--force"]].concat()).expect("run");
        let text = said(&forced);
        assert_eq!(forced.status.code(), Some(0), "{text}");
        // it may have begun to add its rules again by now: what was asked for was done
        assert!(text.contains("kube-proxy (process "), "{text}");
        drop(proxy);
        let reset = tracker.cli(&RESET).expect("run");
        assert_eq!(reset.status.code(), Some(0), "{}", said(&reset));
        assert_same("as before kube-proxy", &before, &node, &said(&reset));
        tracker.stop().expect("a clean stop");
    }
}

#[test]
fn kube_proxys_own_cleanup_leaves_what_a_reset_does_not() {
    let (node, server) = cluster();
    others(&node);
    let before = dump(&node, &[]);
    let (proxy, _) = start(&node, &server, Mode::Iptables);
    drop(proxy);
    let text = kubernetes::cleanup(&node).expect("kube-proxy --cleanup");
    let diff = before.diff(&dump(&node, &[]));
    assert!(
        !node.sh("iptables-nft-save").expect("rules").contains("KUBE-SVC-"),
        "it takes its services' chains: {text}"
    );
    let left: Vec<&str> = diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).collect();
    assert!(left.iter().any(|line| line.contains("route_localnet")), "{diff}\n{text}");
    assert!(left.contains(&"+-A INPUT -j KUBE-FIREWALL"), "of ip6tables: {diff}\n{text}");
}
