//! Directories and files.

use super::{NameRow, Sign, first};
use crate::attribution::pattern::fits;
use crate::model::path::AbsPath;

const fn path(pattern: &'static str, owner: &'static str) -> NameRow {
    NameRow { sign: Sign::Path(pattern), owner }
}

/// The rows, special ones before general ones. Without one, because several programs share them: `/etc/cni/net.d`,
/// `/opt/cni/bin` and `/var/lib/cni` themselves, `/var/lib/etcd`, `/var/lib/containers`, `/run/netns`,
/// `/run/openvswitch`.
pub(super) const ROWS: &[NameRow] = &[
    path("/etc/cni/net.d/*flannel*", "cni/flannel"),
    path("/etc/cni/net.d/*cilium*", "cni/cilium"),
    path("/etc/cni/net.d/*canal*", "cni/canal"),
    path("/etc/cni/net.d/*calico*", "cni/calico"),
    path("/etc/cni/net.d/*weave*", "cni/weave"),
    path("/etc/cni/net.d/*kuberouter*", "cni/kube-router"),
    path("/etc/cni/net.d/*kube-router*", "cni/kube-router"),
    path("/etc/cni/net.d/*antrea*", "cni/antrea"),
    path("/etc/cni/net.d/*kube-ovn*", "cni/kube-ovn"),
    path("/etc/cni/net.d/*ovn-kubernetes*", "cni/ovn-kubernetes"),
    path("/etc/cni/net.d/*kindnet*", "cni/kindnet"),
    path("/etc/cni/net.d/*multus*", "cni/multus"),
    path("/etc/cni/net.d/*podman*", "podman"),
    path("/etc/cni/net.d/nerdctl-*", "nerdctl"),
    path("/opt/cni/bin/flannel", "cni/flannel"),
    path("/opt/cni/bin/cilium-cni", "cni/cilium"),
    path("/opt/cni/bin/calico", "cni/calico"),
    path("/opt/cni/bin/calico-ipam", "cni/calico"),
    path("/opt/cni/bin/weave-*", "cni/weave"),
    path("/opt/cni/bin/antrea", "cni/antrea"),
    path("/opt/cni/bin/kube-ovn", "cni/kube-ovn"),
    path("/opt/cni/bin/multus*", "cni/multus"),
    path("/var/lib/cni/flannel", "cni/flannel"),
    path("/run/flannel", "cni/flannel"),
    path("/run/cilium", "cni/cilium"),
    path("/var/lib/cilium", "cni/cilium"),
    path("/sys/fs/bpf/cilium", "cni/cilium"),
    path("/sys/fs/bpf/tc/globals/cilium_*", "cni/cilium"),
    path("/run/calico", "cni/calico"),
    path("/var/lib/calico", "cni/calico"),
    path("/var/log/calico", "cni/calico"),
    path("/sys/fs/bpf/calico", "cni/calico"),
    path("/sys/fs/bpf/tc/globals/cali_*", "cni/calico"),
    path("/sys/fs/bpf/tc/globals/calico_*", "cni/calico"),
    path("/sys/fs/bpf/tc/globals/xdp_cali_*", "cni/calico"),
    path("/var/lib/weave", "cni/weave"),
    path("/var/lib/kube-router", "cni/kube-router"),
    path("/run/antrea", "cni/antrea"),
    path("/var/log/antrea", "cni/antrea"),
    path("/etc/kubernetes", "kubernetes"),
    path("/usr/libexec/kubernetes", "kubernetes"),
    path("/var/lib/kubelet", "kubernetes/kubelet"),
    path("/var/log/pods", "kubernetes/kubelet"),
    path("/var/log/containers", "kubernetes/kubelet"),
    path("/etc/rancher/k3s", "kubernetes/k3s"),
    path("/var/lib/rancher/k3s", "kubernetes/k3s"),
    path("/run/k3s", "kubernetes/k3s"),
    path("/etc/rancher/rke2", "kubernetes/rke2"),
    path("/var/lib/rancher/rke2", "kubernetes/rke2"),
    path("/var/lib/k0s", "kubernetes/k0s"),
    path("/var/lib/containerd", "containerd"),
    path("/run/containerd", "containerd"),
    path("/run/crio", "cri-o"),
    path("/var/lib/docker", "docker"),
    path("/run/docker", "docker"),
    path("/run/podman", "podman"),
    path("/run/libvirt", "libvirt"),
    path("/var/lib/libvirt", "libvirt"),
];

/// Row of a path or of a directory above it.
pub(super) fn of_path(path: &AbsPath) -> Option<&'static NameRow> {
    let text = path.to_string();
    // on every distribution of the last decade, /var/run is a symbolic link to /run
    let text = text.strip_prefix("/var/run/").map_or(text.clone(), |rest| format!("/run/{rest}"));
    let above = || text.match_indices('/').map(|(at, _)| &text[..at]).skip(1).chain([text.as_str()]);
    first(
        |sign| matches!(sign, Sign::Path(pattern) if above().any(|part| same_depth(pattern, part) && fits(pattern, part))),
    )
}

/// A `*` stays within one directory's name.
fn same_depth(pattern: &str, path: &str) -> bool {
    pattern.matches('/').count() == path.matches('/').count()
}
