//! A whole node's cleanup by lists of directories and of links' names, as Rancher's users run it.

use netdeed_tests::oracle::Step;

use super::kubeadm::{CLIENT, answers_outside};
use super::twins::Case;
use super::{admin, kubernetes};

const SCRIPT: &str = r"for mounted in $(mount -t tmpfs | awk '$3 ~ /^\/var\/lib\/(kubelet|rancher)/ { print $3 }'); do umount $mounted; done
rm -rf /etc/ceph /etc/cni /etc/kubernetes /opt/cni /opt/rke /run/calico /run/flannel \
  /var/lib/calico /var/lib/weave /var/lib/etcd /var/lib/cni /var/lib/kubelet
for link in flannel.1 cni0 tunl0 $(ip -o link show | sed -nE 's/^[0-9]+: ((cali|veth)[^:@]*).*/\1/p'); do
  ip link delete $link
done
iptables-save | grep -v -e KUBE- -e cali- -e cali: | iptables-restore";

/// VPNs, a bond where the kernel has them, links for a lab, and files of others in the directories of the list.
const OWN: &str = "ip tuntap add dev tun0 mode tun; ip addr add 10.8.0.1/24 dev tun0; ip link set tun0 up
ip link add wg0 type wireguard 2>/dev/null || :; ip link add bond9 type bond 2>/dev/null || :
ip link add vethlab type veth peer name lab0; ip addr add 10.98.0.1/24 dev vethlab; ip link set vethlab up; ip link set lab0 up
iptables-nft -A FORWARD -i tun0 -m comment --comment 'vpn beside KUBE- chains' -j ACCEPT
mkdir -p /etc/ceph /opt/cni/bin; echo key > /etc/ceph/ceph.keyring; echo mine > /opt/cni/bin/own-plugin";

const CALICO: &str = "mkdir -p /run/calico /var/lib/calico /var/log/calico; echo node1 > /var/lib/calico/nodename
mkdir -p /opt/cni/bin /etc/cni/net.d; echo plugin > /opt/cni/bin/calico; chmod 755 /opt/cni/bin/calico
umask 077; echo conf > /etc/cni/net.d/calico-kubeconfig
ip link add tunl0 type ipip 2>/dev/null || :
ip link add cali1f00 type veth peer name tmp1; ip link set cali1f00 up; ip link set tmp1 up
ip route add 10.244.7.2/32 dev cali1f00 proto 80 scope link; ip route add blackhole 10.244.7.0/26 proto 80
ipset create cali40masq-ipam-pools hash:net; ipset add cali40masq-ipam-pools 10.244.0.0/16
iptables-nft-restore --noflush <<'END'
*filter
:cali-FORWARD - [0:0]
-I FORWARD 1 -m comment --comment \"cali:wUHhoiAYhphO9Mso\" -j cali-FORWARD
-A cali-FORWARD -i cali+ -j ACCEPT
COMMIT
*nat
:cali-POSTROUTING - [0:0]
-I POSTROUTING 1 -m comment --comment \"cali:O3lYWMrLQYEMJtB5\" -j cali-POSTROUTING
-A cali-POSTROUTING -m set --match-set cali40masq-ipam-pools src -j MASQUERADE
COMMIT
END";

const FLANNEL: &str = "mkdir -p /run/flannel; echo FLANNEL_MTU=1450 > /run/flannel/subnet.env
ip link add flannel.1 type vxlan id 1 local 127.0.0.1 dstport 8472 nolearning; ip addr add 10.244.0.0/32 dev flannel.1
ip link set flannel.1 up; ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink";

const KUBELET: &str = "mkdir -p /var/lib/kubelet/pods/uid/volumes /etc/kubernetes/ssl /var/lib/etcd/member /opt/rke/etcd-snapshots
echo state > /var/lib/kubelet/cpu_manager_state; echo wal > /var/lib/etcd/member/wal; echo snap > /opt/rke/etcd-snapshots/one
mkdir /var/lib/kubelet/pods/uid/volumes/token; mount -t tmpfs tmpfs /var/lib/kubelet/pods/uid/volumes/token
chmod 700 /var/lib/etcd; umask 077; echo key > /etc/kubernetes/ssl/kube-ca-key.pem; ln -s ../ssl /etc/kubernetes/ssl/self";

const DIRS: [&str; 12] = [
    "/etc/ceph",
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/rke",
    "/run/calico",
    "/run/flannel",
    "/var/lib/calico",
    "/var/lib/etcd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/calico",
];

#[test]
fn a_list_of_names_takes_dockers_link_and_others_files_and_a_reset_takes_neither() {
    let twins = Case {
        steps: &[
            admin(CLIENT),
            admin(OWN),
            Step::Docker,
            kubernetes("kubelet", KUBELET),
            Step::InstallCni,
            kubernetes("flanneld", FLANNEL),
            Step::Attach("web-0", 30080),
            kubernetes("calico-node", CALICO),
            Step::KubeProxy(20),
            admin("iptables-nft -A FORWARD -s 10.99.0.0/16 -j ACCEPT"),
        ],
        script: SCRIPT,
        config: "",
        dirs: &DIRS,
        works: answers_outside,
    }
    .run();
    twins.assert_reset();
    assert!(!twins.cleaned.works, "Docker's end of a pair is named like a pod's");
    twins.assert_cleanup(
        &["vethlab", "10.98.0.1/24", "own-plugin", "ceph.keyring", "vpn beside KUBE- chains"],
        &[":CNI-HOSTPORT-DNAT", "cali40masq-ipam-pools", "blackhole 10.244.7.0/26", "/var/log/calico"],
    );
}
