//! What Kubernetes and its network plugins do.

use super::scenario::Maker;
use super::{Step, Timeline};
use crate::accuracy::Random;
use crate::scenario::kubernetes::{Backend, Firewall, Mode};

pub(super) const TIMELINES: [Maker; 8] =
    [kube_proxy, pods, flannel, flannel_nft, calico, kubelet, ipvs, point_to_point];

fn kubernetes(program: &'static str, script: impl Into<super::Script>) -> Step {
    Step::Kubernetes(program, script.into())
}

/// kube-proxy, with more and fewer services: a real one, or what it writes in iptables mode.
fn kube_proxy(random: &mut Random, _: usize) -> Timeline {
    let (first, more) = (1 + random.below(20), 1 + random.below(20));
    if let Some(mode) = [None, Some(Mode::Iptables), Some(Mode::Nftables)][random.below(3)] {
        let [first, more] = [first, first + more].map(|count| u16::try_from(count).unwrap_or(1));
        let steps = vec![
            Step::RealKubeProxy(mode),
            Step::Services(first),
            Step::Services(more),
            Step::Services(first),
            Step::Services(0),
            Step::Services(first),
        ];
        return Timeline { name: "real kube-proxy", boot: vec![Step::Network], steps };
    }
    let mut steps = vec![Step::KubeProxy(first), Step::KubeProxy(first)];
    if random.below(2) == 0 {
        steps.push(Step::KubeProxy(first + more));
        steps.push(Step::KubeProxyShrinks(first + more, first));
    }
    steps.push(kubernetes(
        "kube-proxy",
        "for table in filter nat mangle; do iptables-nft -t $table -N KUBE-PROXY-CANARY; done
         ip6tables-nft -t nat -N KUBE-SERVICES; ip6tables-nft -t nat -I PREROUTING -j KUBE-SERVICES",
    ));
    steps.push(Step::KubeProxy(first));
    Timeline::new("kube-proxy", steps)
}

/// Pods by the reference plugins bridge, portmap and firewall.
fn pods(random: &mut Random, _: usize) -> Timeline {
    let second: fn(&'static str, u16) -> Step =
        [Step::Attach, Step::AttachDualStack, Step::AttachShaped][random.below(3)];
    let mut steps = vec![Step::InstallCni, Step::Attach("web-0", 30080), second("web-1", 30081)];
    if random.below(2) == 0 {
        steps.extend([Step::Detach("web-0"), Step::Attach("web-2", 30082)]);
    }
    if random.below(3) == 0 {
        steps.push(Step::Detach("web-1"));
    }
    Timeline::new("pods", steps)
}

/// flannel: a real one with a backend and a firewall of its four, or VXLAN and iptables as it wrote its rules before it had a chain of its own and since.
fn flannel(random: &mut Random, _: usize) -> Timeline {
    if random.below(2) == 0 {
        let backend = [Backend::Vxlan, Backend::HostGateway][random.below(2)];
        let firewall = [Firewall::Iptables, Firewall::Nftables][random.below(2)];
        let steps = vec![Step::RealFlanneld(backend, firewall)];
        return Timeline { name: "real flanneld", boot: vec![Step::Network], steps };
    }
    let peers = 1 + random.below(5);
    let mut steps = vec![kubernetes(
        "flanneld",
        "mkdir -p /var/lib/cni /etc/cni/net.d
         ip link add flannel.1 type vxlan id 1 dstport 8472 local 127.0.0.1 nolearning
         ip addr add 10.244.0.0/32 dev flannel.1; ip link set flannel.1 up
         iptables-nft-restore --noflush <<'END'
*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment \"flanneld masq\" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT
-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT
COMMIT
END",
    )];
    steps.extend((1..=peers).map(|peer| {
        kubernetes("flanneld", format!("ip route replace 10.244.{peer}.0/24 via 10.244.{peer}.0 dev flannel.1 onlink"))
    }));
    if random.below(2) == 0 {
        steps.push(kubernetes("flanneld", format!("ip route del 10.244.{peers}.0/24 dev flannel.1")));
    }
    Timeline::new("flannel", steps)
}

/// flannel in its nftables mode.
fn flannel_nft(random: &mut Random, _: usize) -> Timeline {
    let rewrite = "flush chain inet flannel forward
         add rule inet flannel forward ip saddr 10.244.0.0/16 accept
         add rule inet flannel forward ip daddr 10.244.0.0/16 accept";
    let mut steps = vec![kubernetes(
        "flanneld",
        format!(
            "nft -f - <<'END'
         table inet flannel {{
           chain forward {{ type filter hook forward priority 0; policy accept; }}
           chain postrtg {{ type nat hook postrouting priority 100; policy accept; }}
           set nodes {{ type ipv4_addr; flags interval; }}
         }}
         {rewrite}
         add rule inet flannel postrtg ip saddr @nodes ip daddr @nodes return
         add rule inet flannel postrtg ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
END"
        ),
    )];
    for node in 0..=random.below(4) {
        steps.push(kubernetes("flanneld", format!("nft add element inet flannel nodes '{{ 10.244.{node}.0/24 }}'")));
    }
    steps.push(kubernetes("flanneld", format!("nft -f - <<'END'\n{rewrite}\nEND")));
    Timeline::new("flannel-nft", steps)
}

/// Calico's felix: chains rewritten by `iptables-restore`, ipsets, links and routes of its workloads.
fn calico(random: &mut Random, _: usize) -> Timeline {
    let mut steps = vec![
        kubernetes(
            "calico-node",
            "ipset create cali40s:masq hash:net; ipset add cali40s:masq 10.244.0.0/16; ipset create cali40s:all hash:net
             iptables-nft-restore --noflush <<'END'
*filter
:cali-FORWARD - [0:0]
:cali-INPUT - [0:0]
-I FORWARD 1 -m comment --comment \"cali:wUHhoiAYhphO9Mso\" -j cali-FORWARD
-I INPUT 1 -m comment --comment \"cali:Cz_u1IQiXIMmKD4c\" -j cali-INPUT
-A cali-FORWARD -m comment --comment \"cali:vjrMJCRpqwy5oRoX\" -j MARK --set-xmark 0x0/0xe0000
-A cali-FORWARD -i cali+ -j ACCEPT
-A cali-INPUT -p udp -m set --match-set cali40s:all src -m multiport --dports 4789 -j ACCEPT
COMMIT
*nat
:cali-POSTROUTING - [0:0]
-I POSTROUTING 1 -m comment --comment \"cali:O3lYWMrLQYEMJtB5\" -j cali-POSTROUTING
-A cali-POSTROUTING -m set --match-set cali40s:masq src -m set ! --match-set cali40s:all dst -j MASQUERADE
COMMIT
END",
        ),
        kubernetes(
            "calico-node",
            "ip rule add from 10.244.7.0/24 lookup 1337 priority 99; ip route add blackhole 10.244.7.0/26 proto 80",
        ),
    ];
    for workload in 0..=random.below(3) {
        steps.push(kubernetes(
            "calico-node",
            format!(
                "ip link add cali{workload}f00 type veth peer name tmp{workload}; ip link set cali{workload}f00 up
                 ip route add 10.244.7.{}/32 dev cali{workload}f00 proto 80 scope link
                 ipset add cali40s:all 10.244.7.{}",
                workload + 2,
                workload + 2
            ),
        ));
    }
    steps.push(kubernetes(
        "calico-node",
        "iptables-nft-restore --noflush <<'END'
*filter
:cali-FORWARD - [0:0]
-A cali-FORWARD -m comment --comment \"cali:vjrMJCRpqwy5oRoX\" -j MARK --set-xmark 0x0/0xe0000
-A cali-FORWARD -m comment --comment \"cali:A_sPAO0mcxbT9mOV\" -i cali+ -j ACCEPT
-A cali-FORWARD -o cali+ -j ACCEPT
COMMIT
END",
    ));
    Timeline::new("calico", steps)
}

/// kubelet: its chains, its directories with the files of pods, its sysctls.
fn kubelet(random: &mut Random, number: usize) -> Timeline {
    let pod = format!("/var/lib/kubelet/pods/{number}-{}", random.below(1_000));
    let mut steps = vec![
        kubernetes(
            "kubelet",
            "mkdir -p /var/lib/kubelet/pods /etc/kubernetes/manifests; chmod 700 /var/lib/kubelet
             echo state > /var/lib/kubelet/.new; mv /var/lib/kubelet/.new /var/lib/kubelet/cpu_manager_state
             iptables-nft -t mangle -N KUBE-KUBELET-CANARY; iptables-nft -t nat -N KUBE-MARK-DROP
             iptables-nft -t nat -A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
             iptables-nft -N KUBE-FIREWALL; iptables-nft -I OUTPUT -j KUBE-FIREWALL; iptables-nft -I INPUT -j KUBE-FIREWALL
             iptables-nft -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        ),
        kubernetes("kubelet", format!("mkdir -p {pod}/volumes; echo token > {pod}/volumes/token; ln -s token {pod}/volumes/now")),
        kubernetes("kubelet", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"),
        kubernetes(
            "kubelet",
            format!(
                "mkdir -p {pod}/volumes/plugin/memory {pod}/volumes/plugin/bound; mount -t tmpfs -o size=1m tmpfs {pod}/volumes/plugin/memory
                 echo secret > {pod}/volumes/plugin/memory/key; mkdir {pod}/volumes/plugin/memory/deep
                 echo deep > {pod}/volumes/plugin/memory/deep/key; mount --bind /usr/share {pod}/volumes/plugin/bound"
            ),
        ),
    ];
    if random.below(2) == 0 {
        steps.push(kubernetes(
            "kubelet",
            format!("umount {pod}/volumes/plugin/memory {pod}/volumes/plugin/bound; rm -r {pod}"),
        ));
    }
    steps.push(kubernetes(
        "kubelet",
        "echo again > /var/lib/kubelet/cpu_manager_state; touch /etc/kubernetes/manifests/a.yaml",
    ));
    Timeline::new("kubelet", steps)
}

/// kube-proxy in IPVS mode, without IPVS itself: ipsets, the rules that ask them, a link with the services' addresses.
fn ipvs(random: &mut Random, _: usize) -> Timeline {
    let mut steps = vec![kubernetes(
        "kube-proxy",
        "ipset create KUBE-CLUSTER-IP hash:ip,port; ipset create KUBE-LOOP-BACK hash:ip,port,ip
         ip link add kube-ipvs0 type ifb
         iptables-nft -t nat -N KUBE-IPVS; iptables-nft -t nat -A PREROUTING -j KUBE-IPVS
         iptables-nft -t nat -A KUBE-IPVS -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
         iptables-nft -t nat -A POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE",
    )];
    for service in 1..=1 + random.below(5) {
        steps.push(kubernetes(
            "kube-proxy",
            format!(
                "ipset add KUBE-CLUSTER-IP 10.96.1.{service},tcp:80; ip addr add 10.96.1.{service}/32 dev kube-ipvs0"
            ),
        ));
    }
    steps.push(kubernetes(
        "kube-proxy",
        "ipset del KUBE-CLUSTER-IP 10.96.1.1,tcp:80; ip addr del 10.96.1.1/32 dev kube-ipvs0",
    ));
    Timeline::new("kube-proxy-ipvs", steps)
}

/// A plugin of its own that gives every pod a point-to-point link.
fn point_to_point(random: &mut Random, _: usize) -> Timeline {
    let mut steps = Vec::new();
    for pod in 0..=random.below(3) {
        steps.push(kubernetes(
            "calico-node",
            format!(
                "ip netns add ptp-{pod}; ip link add ptp{pod} type veth peer name eth0 netns ptp-{pod}
                 ip addr add 10.243.0.1/32 dev ptp{pod}; ip link set ptp{pod} up; ip -n ptp-{pod} link set eth0 up
                 ip route add 10.243.0.{}/32 dev ptp{pod}; echo 1 > /proc/sys/net/ipv4/conf/ptp{pod}/proxy_arp",
                pod + 2
            ),
        ));
    }
    if random.below(2) == 0 {
        steps.push(kubernetes("calico-node", "ip netns del ptp-0"));
    }
    Timeline::new("point-to-point", steps)
}
