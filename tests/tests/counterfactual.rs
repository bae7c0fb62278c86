//! Counterfactual exactness: the same script of real tools runs on two nodes, on one without Kubernetes' part, on the
//! other with it and a reset at the end. The nodes must be equal.

use netdeed_tests::node::Node;
use netdeed_tests::oracle::{Outcome, Scenario, Stage, Step};
use netdeed_tests::tracker::{Files, Tracker};

/// Runs a script on both nodes and compares them. `exit` is the reset's exit code.
fn compare(steps: &[Step], exit: i32) {
    let Outcome { diff, exit: found, said, docker_answers } = Outcome::of(steps).expect("a script");
    assert!(diff.is_empty(), "{diff}\n{said}");
    assert_eq!(found, Some(exit), "{said}");
    assert!(docker_answers, "the published port still answers");
}

fn admin(script: &'static str) -> Step {
    Step::Admin(script.into())
}

fn kubernetes(program: &'static str, script: &'static str) -> Step {
    Step::Kubernetes(program, script.into())
}

const VPN: &str = "iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT";

#[test]
fn tables_and_base_chains_that_kubernetes_made_first_and_docker_came_to_use_stay() {
    compare(
        &[
            Step::KubeProxy(20),
            Step::InstallCni,
            Step::Docker,
            Step::Attach("web-0", 30080),
            admin(VPN),
            Step::KubeProxy(20),
        ],
        0,
    );
}

#[test]
fn pods_that_came_and_went_leave_nothing() {
    compare(
        &[
            admin(VPN),
            Step::InstallCni,
            Step::Attach("web-0", 30080),
            admin("iptables-nft -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE"),
            Step::Attach("web-1", 30081),
            Step::Detach("web-0"),
            Step::Attach("web-2", 30082),
            Step::Detach("web-2"),
        ],
        0,
    );
}

#[test]
fn however_often_kube_proxy_wrote_its_ruleset_all_of_it_goes() {
    compare(
        &[
            admin("iptables-nft -P FORWARD DROP"),
            Step::KubeProxy(30),
            Step::KubeProxy(30),
            admin("iptables-nft -I INPUT -p tcp --dport 22 -j ACCEPT"),
            Step::KubeProxyShrinks(30, 10),
            Step::KubeProxy(15),
            admin("iptables-nft -t nat -I PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22"),
            Step::KubeProxy(15),
        ],
        0,
    );
}

#[test]
fn a_dump_restored_by_an_administrator_changes_nobody_into_somebody_else() {
    // what a dump holds counts as its restorer's, empty base chains too: they are there from the start here
    let dump = "iptables-nft-restore <<'END'
*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT
*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT
END
";
    compare(
        &[
            admin(dump),
            admin(VPN),
            Step::KubeProxy(10),
            admin("iptables-nft-save | iptables-nft-restore"),
            admin("iptables-nft -A OUTPUT -d 192.0.2.1 -j REJECT"),
            Step::KubeProxy(10),
            admin("iptables-nft-save -c | iptables-nft-restore -c"),
        ],
        0,
    );
}

#[test]
fn native_tables_go_with_all_they_hold() {
    let site = "nft -f - <<'END'
table inet site {
  set office {
    type ipv4_addr; flags interval
    elements = { 10.99.0.0/16 }
  }
  chain in { type filter hook input priority 10; ip saddr @office accept; }
}
END
";
    let flannel = "nft -f - <<'END'
table inet flannel {
  set nodes {
    type ipv4_addr; flags interval
    elements = { 10.1.0.0/24, 10.2.0.0-10.2.0.9 }
  }
  map peers {
    type ipv4_addr : ipv4_addr
    elements = { 10.1.0.1 : 10.2.0.1 }
  }
  set seen {
    type ipv4_addr; flags dynamic,timeout; timeout 1h; size 128
    elements = { 10.9.9.9 }
  }
  counter hits { }
  quota daily { 100 mbytes }
  map counted {
    type inet_service : counter
    elements = { 80 : \"hits\" }
  }
  chain web { counter name hits; accept; }
  map verdicts {
    type inet_service : verdict
    elements = { 80 : goto web, 443 : jump web }
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip saddr @nodes accept
    tcp dport vmap @verdicts
    ip saddr { 10.3.0.0/16, 10.4.0.0/16 } jump { counter; drop; }
    tcp dport vmap { 22 : accept, 8080 : jump web }
    quota name \"daily\" drop
    counter name tcp dport map @counted
  }
}
END
";
    compare(
        &[
            admin(site),
            kubernetes("flanneld", flannel),
            admin("nft add element inet site office '{ 10.98.0.0/16 }'"),
            kubernetes(
                "flanneld",
                "nft add element inet flannel nodes '{ 10.5.0.0/24 }'
                nft delete element inet flannel verdicts '{ 443 }'; nft insert rule inet flannel web drop",
            ),
            kubernetes("flanneld", "nft flush chain inet flannel web; nft add rule inet flannel web accept"),
        ],
        0,
    );
}

#[test]
fn the_same_holds_for_ipv6() {
    let proxy = "ip6tables-nft-restore --noflush <<'END'
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d fd00::1/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd01::2]:8080
COMMIT
END
";
    compare(
        &[
            kubernetes("kube-proxy", proxy),
            admin("ip6tables-nft -A FORWARD -s fd99::/64 -j ACCEPT; ip6tables-nft -P INPUT DROP"),
            kubernetes("kube-proxy", "ip6tables-nft -A INPUT -p tcp --dport 10250 -j ACCEPT"),
            admin("ip link add lan type bridge; ip addr add fd99::1/64 dev lan nodad; ip link set lan up"),
            kubernetes(
                "flanneld",
                "ip link add flannel.1 type bridge; ip link set flannel.1 up;
              ip -6 route add fd01::/64 dev flannel.1; ip -6 route add fd01:1::/64 via fd01::2 dev flannel.1;
              ip -6 route add fd01:2::/64 via fd99::7 dev lan; ip -6 rule add from fd01::/48 lookup 100",
            ),
            admin("ip -6 route add fd98::/64 via fd99::7 dev lan"),
        ],
        0,
    );
}

#[test]
fn a_bridge_with_addresses_of_both_families_is_taken_back() {
    compare(
        &[
            admin(VPN),
            // the bridge plugin would switch it on, and sysctls are not taken back
            admin("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"),
            Step::InstallCni,
            Step::AttachDualStack("web-0", 30080),
            admin("ip link add lan type bridge; ip link set lan up; ip addr add fd99::1/64 dev lan nodad"),
            Step::AttachDualStack("web-1", 30081),
            kubernetes(
                "flanneld",
                "ip addr add fd98::1/64 dev lan nodad; ip addr add fd97::1/64 dev lan; ip addr add fd96::1/64 dev lan
                ip addr del fd96::1/64 dev lan; ip addr add fd98::2/64 dev lan nodad",
            ),
        ],
        0,
    );
}

#[test]
fn what_a_pods_bandwidth_takes_goes_with_its_link() {
    compare(&[admin(VPN), Step::InstallCni, Step::AttachShaped("web-0", 30080), Step::AttachShaped("web-1", 30081)], 0);
}

const LAN: &str = "ip link add lan type bridge; ip link add up0 type veth peer name up1
    for link in lan up0 up1; do ip link set $link addrgenmode none; done
    ip link set up0 master lan up; ip link set lan up; ip link set up1 up; ip addr add 10.99.0.1/24 dev lan";

#[test]
fn traffic_control_and_neighbours_go_from_links_that_stay() {
    compare(
        &[
            admin(LAN),
            admin(
                "tc qdisc add dev up1 clsact
                tc filter add dev up1 egress protocol ip pref 10 u32 match ip src 10.99.0.7/32 classid 1:1",
            ),
            kubernetes(
                "flanneld",
                "tc filter add dev up1 ingress protocol all pref 1 u32 match u32 0 0 action mirred egress redirect dev lan
                tc filter add dev up1 egress protocol ip pref 10 u32 match ip src 10.99.0.8/32 classid 1:1
                tc qdisc add dev up0 root handle 1: htb default 10
                tc class add dev up0 parent 1: classid 1:10 htb rate 1mbit
                tc class add dev up0 parent 1:10 classid 1:20 htb rate 512kbit
                tc qdisc add dev up0 parent 1:20 handle 20: pfifo limit 5
                tc filter add dev up0 parent 1: protocol ip pref 3 u32 match ip dst 10.1.0.0/16 flowid 1:20
                tc qdisc add dev lan root tbf rate 1mbit burst 10k latency 50ms
                ip neigh add 10.99.0.50 lladdr 02:00:00:00:00:50 nud permanent dev lan
                ip neigh add fd99::50 lladdr 02:00:00:00:00:50 nud permanent dev lan
                bridge fdb add 02:00:00:00:00:51 dev up0 master static
                bridge fdb add 02:00:00:00:00:52 dev up0 master permanent",
            ),
            admin(
                "tc filter add dev up1 ingress protocol ip pref 20 u32 match ip src 10.99.0.9/32 classid 1:1
                ip neigh add 10.99.0.60 lladdr 02:00:00:00:00:60 nud permanent dev lan
                bridge fdb add 02:00:00:00:00:61 dev up0 master static",
            ),
        ],
        0,
    );
}

#[test]
fn a_qdisc_with_somebody_elses_filter_is_refused() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let filter = |number: u8| {
        format!(
            "tc filter add dev up1 ingress protocol ip pref {number} u32 match ip src 10.9.0.{number}/32 classid 1:1"
        )
    };
    let steps = [admin(LAN), kubernetes("flanneld", "tc qdisc add dev up1 clsact")];
    let _stage = Stage::run(&node, steps.iter()).expect("a script");
    node.run_as("flanneld", &filter(7)).expect("a filter");
    node.admin_sh(&filter(8)).expect("a filter");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}\n{}", tracker.log());
    let filters = node.sh("tc filter show dev up1 ingress").expect("filters");
    assert!(filters.contains("pref 8") && !filters.contains("pref 7"), "{filters}\n{said}");
    tracker.stop().expect("a clean stop");
}

#[test]
fn whoever_changes_a_mode_changes_the_thing() {
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let script =
        "mkdir -p /var/lib/kubelet/a /var/lib/kubelet/b; echo x > /var/lib/kubelet/a/f; echo x > /var/lib/kubelet/b/f";
    let changes = "chmod 700 /var/lib/kubelet/a; chmod 600 /var/lib/kubelet/a/f; chown 7:8 /var/lib/kubelet/a";
    let steps = [
        kubernetes("kubelet", script),
        kubernetes("kubelet", changes),
        admin("chmod 711 /var/lib/kubelet/b; chown 7 /var/lib/kubelet/b/f"),
    ];
    let _stage = Stage::run(&node, steps.iter()).expect("a script");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}\n{}", tracker.log());
    let left = node.sh("cd /var/lib/kubelet; find . -printf '%m %U %p\\n' | sort -k3").expect("a listing");
    assert_eq!(left, "755 0 .\n711 0 ./b\n644 7 ./b/f\n", "{said}\n{}", tracker.log());
    tracker.stop().expect("a clean stop");
}

#[test]
fn routes_and_ip_rules_that_look_alike_are_told_apart() {
    compare(
        &[
            admin("ip link add lan type bridge; ip addr add 10.99.0.1/24 dev lan; ip link set lan up
              ip rule add from 10.244.0.0/16 lookup 101; ip route add 10.98.0.0/16 via 10.99.0.9 metric 50"),
            kubernetes("flanneld", "ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
              ip rule add from 10.244.0.0/16 lookup 100; ip rule add from 10.244.0.0/16 lookup 101 priority 500
              ip route add 10.98.0.0/16 via 10.99.0.9 metric 60; ip route add 10.98.0.0/16 via 10.99.0.8
              ip route add 10.244.1.0/24 via 10.99.0.7 dev lan onlink; ip route add default dev lan table 100
              ip addr add 10.99.0.5/24 dev lan; ip addr add 10.97.0.1/32 dev lo"),
            admin("ip rule add from 10.244.0.0/16 iif lan lookup 100 priority 400; ip route add 10.96.0.0/16 via 10.99.0.3
              ip route append 10.98.0.0/16 via 10.99.0.6 metric 70; ip route add unreachable 10.95.0.0/16"),
            kubernetes("flanneld", "ip route replace 10.244.1.0/24 via 10.99.0.6 dev lan onlink
              ip route add blackhole 10.244.9.0/24; ip link set cni0 down; ip link set cni0 up"),
        ],
        0,
    );
}

/// The reference CNI plugins put their rules into chains they share, whoever calls them first makes these.
#[test]
fn podmans_rules_in_chains_that_kubernetes_made_are_still_met() {
    let podman = r#"ip netns add pod; export CNI_COMMAND=ADD CNI_CONTAINERID=0a1b CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0
      export CNI_PATH=/usr/lib/cni PATH=/usr/sbin:/usr/bin:/sbin:/bin
      result=$(echo '{"cniVersion":"1.0.0","name":"pnet","type":"bridge","bridge":"cni-podman0","isGateway":true,"ipam":
        {"type":"host-local","dataDir":"/run/podman","ranges":[[{"subnet":"10.88.0.0/24"}]]}}' | /usr/lib/cni/bridge)
      echo '{"cniVersion":"1.0.0","name":"pnet","type":"firewall","backend":"iptables","prevResult":'"$result"'}' |
        /usr/lib/cni/firewall
      echo '{"cniVersion":"1.0.0","name":"pnet","type":"portmap","snat":true,"runtimeConfig":{"portMappings":
        [{"hostPort":8081,"containerPort":80,"protocol":"tcp"}]},"prevResult":'"$result"'}' | /usr/lib/cni/portmap"#;
    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let steps = [
        Step::InstallCni,
        Step::Attach("web-0", 30080),
        Step::Other("podman", podman.into()),
        Step::Attach("web-1", 30081),
        Step::KubeProxy(2),
    ];
    let _stage = Stage::run(&node, steps.iter()).expect("a script");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "shared chains are refused: {said}\n{}", tracker.log());
    let rules = node.sh("iptables-nft-save").expect("rules");
    for rule in [
        "-A FORWARD -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD",
        "-A CNI-FORWARD -s 10.88.0.2/32 -j ACCEPT",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-j DNAT --to-destination 10.88.0.2:80",
    ] {
        assert!(rules.contains(rule), "{rule} is gone:\n{rules}\n{said}");
    }
    for gone in ["KUBE-", "10.244.", "30080", "30081"] {
        assert!(!rules.contains(gone), "{gone} is left:\n{rules}\n{said}");
    }
    assert!(said.contains("it leads to a rule of somebody else"), "{said}");
    tracker.stop().expect("a clean stop");
}

#[expect(clippy::disallowed_methods, reason = "which scenarios run comes from outside, to repeat what failed")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Runs the scenarios of neighbouring seeds; fails with the smallest part of each that ends unequal.
fn run_scenarios(first: u64, count: u64) {
    let mut failures = Vec::new();
    for seed in first..first + count {
        let scenario = Scenario::of(seed);
        let outcome = match scenario.run() {
            Ok(outcome) => outcome,
            // one that could not be played says nothing about a reset; it fails all the same, after the others
            Err(failure) => {
                println!("NOT PLAYED: seed {seed}");
                failures.push(format!("{scenario}{failure}"));
                continue;
            }
        };
        let word = if outcome.is_equal() { "equal" } else { "DIFFERENT" };
        println!("{word}, exit {:?}: {}", outcome.exit, scenario.to_string().lines().next().unwrap_or_default());
        if !outcome.is_equal() {
            let (smallest, outcome) = scenario.shrink(outcome).expect("a part of the scenario");
            println!("{smallest}{}", outcome.diff);
            failures.push(format!("{smallest}{}\n{}", outcome.diff, outcome.said));
        }
    }
    let again = "replay one with NETDEED_SEED=its seed NETDEED_SCENARIOS=1";
    assert!(
        failures.is_empty(),
        "{} of {count} differ or were not played; {again}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn random_scenarios_end_as_if_kubernetes_had_never_run() {
    run_scenarios(1, 6);
}

#[test]
#[ignore = "takes long: cargo xtask test --tier counterfactual"]
fn two_hundred_random_scenarios_end_as_if_kubernetes_had_never_run() {
    run_scenarios(number("NETDEED_SEED", 1), number("NETDEED_SCENARIOS", 200));
}
