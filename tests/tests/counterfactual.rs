//! Counterfactual exactness: the same script of real tools runs on two nodes, on one without Kubernetes' part, on the
//! other with it and a reset at the end. The nodes must be equal.

use netdeed_tests::canonical::Canonical;
use netdeed_tests::node::Node;
use netdeed_tests::scenario::cni::Pod;
use netdeed_tests::scenario::{cni, docker::Docker, kube_proxy};
use netdeed_tests::tracker::{Files, Tracker};
use netdeed_tests::{Failure, Result};
use serde_json::Value;

const DIRS: [&str; 5] = ["/etc/cni", "/var/lib/cni", "/opt/cni", "/etc/kubernetes", "/var/lib/kubelet"];

/// One step of a script. `&'static str`s are shell scripts.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// kube-proxy writes its ruleset for a number of services.
    KubeProxy(usize),
    /// kube-proxy removes what it no longer needs: services above a number, as its next synchronisation does.
    KubeProxyShrinks(usize, usize),
    /// The container runtime attaches a pod with a published port.
    Attach(&'static str, u16),
    /// The same with an IPv6 address as well.
    AttachDualStack(&'static str, u16),
    /// The same with limits to its bandwidth.
    AttachShaped(&'static str, u16),
    /// The container runtime detaches it.
    Detach(&'static str),
    /// The CNI's configuration and directories are installed.
    InstallCni,
    /// Something by a Kubernetes program: its name and what it does.
    Kubernetes(&'static str, &'static str),
    /// Something by somebody else's program.
    Other(&'static str, &'static str),
    /// Something by a logged-in administrator.
    Admin(&'static str),
    /// A real Docker daemon with a published port.
    Docker,
}

impl Step {
    fn is_kubernetes(self) -> bool {
        match self {
            Self::KubeProxy(_) | Self::KubeProxyShrinks(..) | Self::Attach(..) | Self::Detach(_) => true,
            Self::AttachDualStack(..) | Self::AttachShaped(..) => true,
            Self::InstallCni | Self::Kubernetes(..) => true,
            Self::Other(..) | Self::Admin(_) | Self::Docker => false,
        }
    }
}

/// A node with what its script keeps running.
struct Stage<'a> {
    node: &'a Node,
    docker: Option<Docker<'a>>,
    pods: Vec<(Pod, Value)>,
}

impl<'a> Stage<'a> {
    fn run(node: &'a Node, steps: impl Iterator<Item = Step>) -> Result<Self> {
        let mut stage = Self { node, docker: None, pods: Vec::new() };
        for step in steps {
            stage.step(step).map_err(|failure| Failure(format!("{step:?}: {failure}")))?;
        }
        Ok(stage)
    }

    fn attach(&mut self, pod: Pod) -> Result<()> {
        let result = cni::add(self.node, &pod)?;
        self.pods.push((pod, result));
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<()> {
        let node = self.node;
        match step {
            Step::KubeProxy(services) => kube_proxy::sync(node, services),
            Step::KubeProxyShrinks(from, to) => kube_proxy::shrink(node, from, to),
            Step::InstallCni => cni::install(node),
            Step::Attach(name, port) => self.attach(Pod::new(name, &[(port, 80)])),
            Step::AttachDualStack(name, port) => self.attach(Pod::new(name, &[(port, 80)]).dual_stack()),
            Step::AttachShaped(name, port) => self.attach(Pod::new(name, &[(port, 80)]).shaped()),
            Step::Detach(name) => {
                let position = self.pods.iter().position(|(pod, _)| pod.name == name);
                let (pod, result) = self.pods.remove(position.ok_or_else(|| Failure(format!("no pod {name}")))?);
                cni::del(node, &pod, &result)
            }
            Step::Kubernetes(program, script) | Step::Other(program, script) => node.run_as(program, script).map(drop),
            Step::Admin(script) => node.admin_sh(script).map(drop),
            Step::Docker => {
                let docker = Docker::start(node)?;
                docker.publish()?;
                self.docker = Some(docker);
                Ok(())
            }
        }
    }
}

/// Runs a script on both nodes and compares them. `exit` is the reset's exit code.
fn compare(steps: &[Step], exit: i32) -> String {
    let without = Node::new().expect("a node");
    let stage = Stage::run(&without, steps.iter().copied().filter(|step| !step.is_kubernetes())).expect("a script");
    let expected = Canonical::of(&without, &DIRS).expect("dumps").neutral();
    drop(stage);
    drop(without);

    let node = Node::new().expect("a node");
    let tracker = Tracker::start(&node, &Files::named(&node, "tracker"), "").expect("a tracker");
    let stage = Stage::run(&node, steps.iter().copied()).expect("a script");
    let output = tracker.cli(&["reset", "--owner", "kubernetes", "--yes"]).expect("a reset");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let found = Canonical::of(&node, &DIRS).expect("dumps").neutral();
    let diff = expected.diff(&found);
    assert!(diff.is_empty(), "{diff}\n{said}\n{}", tracker.log());
    assert_eq!(output.status.code(), Some(exit), "{said}\n{}", tracker.log());
    if let Some(docker) = &stage.docker {
        assert!(docker.answers(), "the published port still answers");
    }
    drop(stage);
    tracker.stop().expect("a clean stop");
    said
}

const VPN: Step = Step::Admin("iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT");

#[test]
fn tables_and_base_chains_that_kubernetes_made_first_and_docker_came_to_use_stay() {
    compare(
        &[Step::KubeProxy(20), Step::InstallCni, Step::Docker, Step::Attach("web-0", 30080), VPN, Step::KubeProxy(20)],
        0,
    );
}

#[test]
fn pods_that_came_and_went_leave_nothing() {
    compare(
        &[
            VPN,
            Step::InstallCni,
            Step::Attach("web-0", 30080),
            Step::Admin("iptables-nft -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE"),
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
            Step::Admin("iptables-nft -P FORWARD DROP"),
            Step::KubeProxy(30),
            Step::KubeProxy(30),
            Step::Admin("iptables-nft -I INPUT -p tcp --dport 22 -j ACCEPT"),
            Step::KubeProxyShrinks(30, 10),
            Step::KubeProxy(15),
            Step::Admin("iptables-nft -t nat -I PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22"),
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
            Step::Admin(dump),
            VPN,
            Step::KubeProxy(10),
            Step::Admin("iptables-nft-save | iptables-nft-restore"),
            Step::Admin("iptables-nft -A OUTPUT -d 192.0.2.1 -j REJECT"),
            Step::KubeProxy(10),
            Step::Admin("iptables-nft-save -c | iptables-nft-restore -c"),
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
            Step::Admin(site),
            Step::Kubernetes("flanneld", flannel),
            Step::Admin("nft add element inet site office '{ 10.98.0.0/16 }'"),
            Step::Kubernetes(
                "flanneld",
                "nft add element inet flannel nodes '{ 10.5.0.0/24 }'
                nft delete element inet flannel verdicts '{ 443 }'; nft insert rule inet flannel web drop",
            ),
            Step::Kubernetes("flanneld", "nft flush chain inet flannel web; nft add rule inet flannel web accept"),
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
            Step::Kubernetes("kube-proxy", proxy),
            Step::Admin("ip6tables-nft -A FORWARD -s fd99::/64 -j ACCEPT; ip6tables-nft -P INPUT DROP"),
            Step::Kubernetes("kube-proxy", "ip6tables-nft -A INPUT -p tcp --dport 10250 -j ACCEPT"),
            Step::Admin("ip link add lan type bridge; ip addr add fd99::1/64 dev lan nodad; ip link set lan up"),
            Step::Kubernetes(
                "flanneld",
                "ip link add flannel.1 type bridge; ip link set flannel.1 up;
              ip -6 route add fd01::/64 dev flannel.1; ip -6 route add fd01:1::/64 via fd01::2 dev flannel.1;
              ip -6 route add fd01:2::/64 via fd99::7 dev lan; ip -6 rule add from fd01::/48 lookup 100",
            ),
            Step::Admin("ip -6 route add fd98::/64 via fd99::7 dev lan"),
        ],
        0,
    );
}

#[test]
fn a_bridge_with_addresses_of_both_families_is_taken_back() {
    compare(
        &[
            VPN,
            // the bridge plugin would switch it on, and sysctls are not taken back
            Step::Admin("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"),
            Step::InstallCni,
            Step::AttachDualStack("web-0", 30080),
            Step::Admin("ip link add lan type bridge; ip link set lan up; ip addr add fd99::1/64 dev lan nodad"),
            Step::AttachDualStack("web-1", 30081),
            Step::Kubernetes(
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
    compare(&[VPN, Step::InstallCni, Step::AttachShaped("web-0", 30080), Step::AttachShaped("web-1", 30081)], 0);
}

const LAN: Step = Step::Admin(
    "ip link add lan type bridge; ip link add up0 type veth peer name up1
    for link in lan up0 up1; do ip link set $link addrgenmode none; done
    ip link set up0 master lan up; ip link set lan up; ip link set up1 up; ip addr add 10.99.0.1/24 dev lan",
);

#[test]
fn traffic_control_and_neighbours_go_from_links_that_stay() {
    compare(
        &[
            LAN,
            Step::Admin(
                "tc qdisc add dev up1 clsact
                tc filter add dev up1 egress protocol ip pref 10 u32 match ip src 10.99.0.7/32 classid 1:1",
            ),
            Step::Kubernetes(
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
            Step::Admin(
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
    let steps = [LAN, Step::Kubernetes("flanneld", "tc qdisc add dev up1 clsact")];
    let _stage = Stage::run(&node, steps.into_iter()).expect("a script");
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
fn routes_and_ip_rules_that_look_alike_are_told_apart() {
    compare(
        &[
            Step::Admin("ip link add lan type bridge; ip addr add 10.99.0.1/24 dev lan; ip link set lan up
              ip rule add from 10.244.0.0/16 lookup 101; ip route add 10.98.0.0/16 via 10.99.0.9 metric 50"),
            Step::Kubernetes("flanneld", "ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up
              ip rule add from 10.244.0.0/16 lookup 100; ip rule add from 10.244.0.0/16 lookup 101 priority 500
              ip route add 10.98.0.0/16 via 10.99.0.9 metric 60; ip route add 10.98.0.0/16 via 10.99.0.8
              ip route add 10.244.1.0/24 via 10.99.0.7 dev lan onlink; ip route add default dev lan table 100
              ip addr add 10.99.0.5/24 dev lan; ip addr add 10.97.0.1/32 dev lo"),
            Step::Admin("ip rule add from 10.244.0.0/16 iif lan lookup 100 priority 400; ip route add 10.96.0.0/16 via 10.99.0.3
              ip route append 10.98.0.0/16 via 10.99.0.6 metric 70; ip route add unreachable 10.95.0.0/16"),
            Step::Kubernetes("flanneld", "ip route replace 10.244.1.0/24 via 10.99.0.6 dev lan onlink
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
        Step::Other("podman", podman),
        Step::Attach("web-1", 30081),
        Step::KubeProxy(2),
    ];
    let _stage = Stage::run(&node, steps.into_iter()).expect("a script");
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
