//! Links. The kind is part of the sign: an administrator's bridge called `flannel.1` is not flannel's.

use super::{NameRow, Sign, first};
use crate::attribution::pattern::fits;

const fn link(pattern: &'static str, kinds: &'static [&'static str], owner: &'static str) -> NameRow {
    NameRow { sign: Sign::Link(pattern, kinds), owner }
}

/// The rows. Without one, because others use them too or a module makes them: `veth*`, `dummy0`, `tunl0`, `gre0`, `sit0`,
/// `vnet<n>`, `wg0`, `br-int`, `ovs-system`, `datapath`.
pub(super) const ROWS: &[NameRow] = &[
    link("flannel.<n>", &["vxlan"], "cni/flannel"),
    link("flannel-v6.<n>", &["vxlan"], "cni/flannel"),
    link("flannel-wg", &["wireguard"], "cni/flannel"),
    link("flannel-wg-v6", &["wireguard"], "cni/flannel"),
    link("flannel.ipip", &["ipip"], "cni/flannel"),
    link("flannel<n>", &["tun"], "cni/flannel"),
    link("cni0", &["bridge"], "cni/bridge"),
    link("bwp<hex:12>", &["ifb"], "cni/bandwidth"),
    link("cali<hex:11>", &["veth"], "cni/calico"),
    link("vxlan.calico", &["vxlan"], "cni/calico"),
    link("vxlan-v6.calico", &["vxlan"], "cni/calico"),
    link("wireguard.cali", &["wireguard"], "cni/calico"),
    link("wg-v6.cali", &["wireguard"], "cni/calico"),
    link("bpfin.cali", &["veth"], "cni/calico"),
    link("bpfout.cali", &["veth"], "cni/calico"),
    link("cilium_host", &["veth"], "cni/cilium"),
    link("cilium_net", &["veth"], "cni/cilium"),
    link("cilium_vxlan", &["vxlan"], "cni/cilium"),
    link("cilium_geneve", &["geneve"], "cni/cilium"),
    link("cilium_wg0", &["wireguard"], "cni/cilium"),
    link("cilium_ipip4", &["ipip"], "cni/cilium"),
    link("cilium_ipip6", &["ip6tnl"], "cni/cilium"),
    link("lxc_health", &["veth", "netkit"], "cni/cilium"),
    link("lxc<hex:12>", &["veth", "netkit"], "cni/cilium"),
    link("weave", &["bridge"], "cni/weave"),
    link("vethwe-*", &["veth"], "cni/weave"),
    link("vethwedu", &["veth", "dummy"], "cni/weave"),
    link("vethwepl*", &["veth"], "cni/weave"),
    link("kube-bridge", &["bridge"], "cni/kube-router"),
    link("kube-dummy-if", &["dummy"], "cni/kube-router"),
    link("kube-tunnel-if", &["ipip", "ip6tnl"], "cni/kube-router"),
    link("kube-tunnel-v6", &["ip6tnl"], "cni/kube-router"),
    link("tun-<hex:11>", &["ipip", "ip6tnl"], "cni/kube-router"),
    link("antrea-*", &[], "cni/antrea"),
    link("ovn0", &["openvswitch", "veth", "dummy"], "cni/kube-ovn"),
    link("ovn-k8s-mp<n>", &[], "cni/ovn-kubernetes"),
    link("kube-ipvs0", &["dummy"], "kubernetes/kube-proxy"),
    link("nodelocaldns", &["dummy"], "kubernetes/node-local-dns"),
    link("docker0", &["bridge"], "docker"),
    link("docker_gwbridge", &["bridge"], "docker"),
    link("br-<hex:12>", &["bridge"], "docker"),
    link("vx-<hex:6>-*", &["vxlan"], "docker"),
    link("ov-<hex:6>-*", &["bridge"], "docker"),
    link("podman<n>", &["bridge"], "podman"),
    link("virbr<n>", &["bridge"], "libvirt"),
    link("lxdbr<n>", &["bridge"], "lxd"),
    link("incusbr<n>", &["bridge"], "incus"),
    link("lxcbr<n>", &["bridge"], "lxc"),
    link("tailscale<n>", &["tun"], "tailscale"),
];

/// Row of a link. `kind` is `None` where only the name is known (of an address or a route), otherwise the link's kind.
pub(super) fn of_link(name: &str, kind: Option<Option<&str>>) -> Option<&'static NameRow> {
    first(|sign| match sign {
        Sign::Link(pattern, kinds) => {
            let is_kind = kind.is_none_or(|kind| kinds.is_empty() || kind.is_some_and(|kind| kinds.contains(&kind)));
            is_kind && fits(pattern, name)
        }
        _ => false,
    })
}
