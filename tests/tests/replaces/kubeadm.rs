//! `kubeadm reset`, and the flush that people run after it because it tells them to see to the rules themselves.

use netdeed_tests::node::Node;
use netdeed_tests::oracle::Step;
use netdeed_tests::scenario::docker::{ANSWER, PORT};

use super::twins::Case;
use super::{admin, kubernetes};

/// What `kubeadm reset --force` does to files and what it asks to be done by hand.
const SCRIPT: &str =
    "rm -rf /etc/kubernetes/manifests/* /etc/kubernetes/pki /etc/kubernetes/*.conf /var/lib/kubelet/* /var/lib/etcd
rm -rf /etc/cni/net.d /var/lib/cni $HOME/.kube
iptables -F && iptables -t nat -F && iptables -t mangle -F && iptables -X
ipvsadm -C";

pub(crate) const CLIENT: &str = "ip netns add client; ip link add vc type veth peer name eth0 netns client
ip addr add 10.50.0.1/24 dev vc; ip link set vc up
ip -n client addr add 10.50.0.2/24 dev eth0; ip -n client link set eth0 up; ip -n client route add default via 10.50.0.1";

/// An administrator's own: a rule, a network for containers of another runtime, the access to another cluster.
const OWN: &str = "iptables-nft -A FORWARD -s 10.99.0.0/16 -m comment --comment 'office vpn' -j ACCEPT
mkdir -p /etc/cni/net.d /srv/op/.kube; echo '{}' > /etc/cni/net.d/87-own-bridge.conflist
echo token > /srv/op/.kube/office";

const KUBEADM: &str = "mkdir -p /etc/kubernetes/manifests /etc/kubernetes/pki /var/lib/etcd/member
echo pod > /etc/kubernetes/manifests/etcd.yaml; echo wal > /var/lib/etcd/member/wal
umask 077; echo key > /etc/kubernetes/pki/ca.key; echo conf > /etc/kubernetes/admin.conf
cp /etc/kubernetes/admin.conf /srv/op/.kube/config";

const KUBELET: &str =
    "mkdir -p /var/lib/kubelet/pods /var/lib/cni/cache/results; echo state > /var/lib/kubelet/cpu_manager_state
umask 077; echo '{}' > /var/lib/cni/cache/results/podnet-web-0-eth0
iptables-nft -t mangle -N KUBE-KUBELET-CANARY
iptables-nft -N KUBE-FIREWALL; iptables-nft -I OUTPUT -j KUBE-FIREWALL; iptables-nft -I INPUT -j KUBE-FIREWALL";

/// Home directories other than root's are not among the built-in ones.
const CONFIG: &str =
    "[[root]]\npath = '/etc/kubernetes'\n[[root]]\npath = '/var/lib/kubelet'\n[[root]]\npath = '/var/lib/etcd'
[[root]]\npath = '/etc/cni'\n[[root]]\npath = '/var/lib/cni'\n[[root]]\npath = '/srv/op/.kube'\n";

/// Whether the port that Docker publishes answers somebody outside of the node.
pub(crate) fn answers_outside(node: &Node) -> bool {
    let ask = format!("nsenter --net=/run/netns/client timeout 5 busybox wget -q -O- http://10.50.0.1:{PORT}/");
    node.sh(&ask).is_ok_and(|answer| answer.trim() == ANSWER)
}

#[test]
fn a_flush_after_kubeadm_reset_ends_docker_and_a_reset_does_not() {
    let twins = Case {
        steps: &[
            admin("mount -t tmpfs -o mode=755 srv /srv; mkdir /srv/op"),
            admin(CLIENT),
            Step::DockerWithoutProxy,
            admin(OWN),
            kubernetes("kubeadm", KUBEADM),
            kubernetes("kubelet", KUBELET),
            Step::InstallCni,
            Step::KubeProxy(20),
            Step::Attach("web-0", 30080),
        ],
        script: &format!("HOME=/srv/op\n{SCRIPT}"),
        config: CONFIG,
        dirs: &["/etc/cni", "/var/lib/cni", "/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd", "/srv/op"],
        works: answers_outside,
    }
    .run();
    twins.assert_reset();
    assert!(!twins.cleaned.works, "the published port is gone with Docker's rules");
    twins.assert_cleanup(
        &[
            "--to-destination 172.17.0.2:80",
            "-j DOCKER",
            "office vpn",
            "87-own-bridge.conflist",
            "/srv/op/.kube/office",
        ],
        // `-X` is for the filter table only; links and directories stay
        &[":KUBE-SERVICES", ":CNI-HOSTPORT-DNAT", "cni0", "/var/lib/kubelet", "/etc/kubernetes"],
    );
}
