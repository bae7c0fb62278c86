//! IP sets. Names of kube-router and kube-proxy share a prefix; kube-proxy's are few and known.

use super::{NameRow, Sign};

const fn row(pattern: &'static str, owner: &'static str) -> NameRow {
    NameRow { sign: Sign::IpSet(pattern), owner }
}

const KUBE_PROXY: &str = "kubernetes/kube-proxy";

/// The rows, special ones before general ones.
pub(super) const ROWS: &[NameRow] = &[
    row("KUBE-SRC-*", "cni/kube-router"),
    row("KUBE-DST-*", "cni/kube-router"),
    row("kube-router-*", "cni/kube-router"),
    row("inet6:KUBE-*", "cni/kube-router"),
    row("inet6:kube-router-*", "cni/kube-router"),
    row("KUBE-LOOP-BACK", KUBE_PROXY),
    row("KUBE-CLUSTER-IP", KUBE_PROXY),
    row("KUBE-EXTERNAL-IP*", KUBE_PROXY),
    row("KUBE-LOAD-BALANCER*", KUBE_PROXY),
    row("KUBE-NODE-PORT-*", KUBE_PROXY),
    row("KUBE-HEALTH-CHECK-NODE-PORT", KUBE_PROXY),
    row("KUBE-IPVS-IPS", KUBE_PROXY),
    row("KUBE-6-*", KUBE_PROXY),
    row("cali40*", "cni/calico"),
    row("cali60*", "cni/calico"),
    row("cali4t*", "cni/calico"),
    row("cali6t*", "cni/calico"),
    row("felix-masq-ipam-pools", "cni/calico"),
    row("felix-all-ipam-pools", "cni/calico"),
    row("cilium_node_set_v4", "cni/cilium"),
    row("cilium_node_set_v6", "cni/cilium"),
    row("weave-*", "cni/weave"),
    row("ANTREA-*", "cni/antrea"),
    row("ovn40*", "cni/kube-ovn"),
    row("ovn60*", "cni/kube-ovn"),
    row("docker-ext-bridges-v4", "docker"),
    row("docker-ext-bridges-v6", "docker"),
];
