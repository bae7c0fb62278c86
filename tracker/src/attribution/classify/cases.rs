//! Recorded lineages, and what is to become of them.

use super::*;
use crate::lineage::parse_cgroup;
use crate::model::ids::{NetnsId, Tgid};
use crate::model::process::{CniCall, ExecId, PodName, ProcessKey, ProcessSource};
use crate::model::time::BootTime;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "8a1e3a52-9c0d-4b6e-8f11-0123456789ab";
const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";

pub(super) fn key(tgid: u32) -> ProcessKey {
    ProcessKey { tgid: Tgid(tgid), start: BootTime(0) }
}

/// An image that executed this path; a name without a slash is only a task name.
pub(super) fn ran(path: &str) -> Image {
    let comm: String = path.rsplit('/').next().expect("a part").chars().take(15).collect();
    Image {
        id: ExecId { process: key(100), exec: 1 },
        parent: None,
        exe: path.contains('/').then(|| path.to_owned()),
        comm,
        argv: vec![path.to_owned()],
        argv_truncated: false,
        uid: 0,
        login_uid: None,
        netns: NetnsId(0),
        placement: Default::default(),
        seat: Default::default(),
        cni: None,
        source: ProcessSource::Kernel,
    }
}

pub(super) fn with_argv(path: &str, argv: &[&str]) -> Image {
    Image { argv: argv.iter().map(|arg| (*arg).to_owned()).collect(), ..ran(path) }
}

pub(super) fn within(path: &str, cgroup: &str) -> Image {
    Image { placement: parse_cgroup(&format!("0::{cgroup}")), ..ran(path) }
}

pub(super) fn in_unit(path: &str, unit: &str) -> Image {
    within(path, &format!("/system.slice/{unit}"))
}

pub(super) fn in_pod(path: &str, pod: &str) -> Image {
    let mut image =
        within(path, &format!("/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{ID}.scope", UID.replace('-', "_")));
    image.placement.pod =
        pod.split_once('/').map(|(namespace, name)| PodName { namespace: namespace.to_owned(), name: name.to_owned() });
    image
}

pub(super) fn login(path: &str, uid: u32) -> Image {
    Image { login_uid: Some(uid), ..within(path, SESSION) }
}

pub(super) fn plugin(path: &str, pod: Option<&str>) -> Image {
    let pod = pod.map(|name| PodName { namespace: "default".to_owned(), name: name.to_owned() });
    Image { cni: Some(CniCall { command: "ADD".to_owned(), pod, ..CniCall::default() }), ..ran(path) }
}

pub(super) fn kthreadd() -> Image {
    Image { id: ExecId { process: key(2), exec: 0 }, ..ran("kthreadd") }
}

pub(super) fn shim(namespace: &str) -> Image {
    let argv = ["/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-id", ID];
    Image {
        placement: parse_cgroup("0::/system.slice/containerd.service"),
        ..with_argv("/usr/bin/containerd-shim-runc-v2", &argv)
    }
}

pub(super) fn containerd() -> Image {
    in_unit("/usr/bin/containerd", "containerd.service")
}

pub(super) fn systemd() -> Image {
    within("/usr/lib/systemd/systemd", "/init.scope")
}

pub(super) fn iptables() -> Image {
    ran("/usr/sbin/iptables")
}

pub(super) fn actor(lineage: Vec<Image>) -> Actor {
    let mut images = lineage.into_iter();
    Actor { image: images.next().expect("an image"), ancestry: images.collect(), is_truncated: false }
}

pub(super) fn users(uid: u32) -> Option<String> {
    match uid {
        0 => Some("root".to_owned()),
        1000 => Some("alice".to_owned()),
        _ => None,
    }
}

/// Lineage, the rule that decides, its owner, and the later rules of other owners' classes that match as well: whoever
/// changes the order or a condition sees here what it decides.
pub(super) type Case = (Vec<Image>, &'static str, &'static str, &'static [&'static str]);

pub(super) fn kubernetes_cases() -> Vec<Case> {
    let bash = || login("/bin/bash", 1000);
    let cp = |pod| vec![in_pod("/bin/cp", pod), shim("k8s.io"), systemd()];
    let below = |path: &str| vec![iptables(), ran(path), systemd()];
    let in_kube_pod = |path: &str, pod: &str| vec![iptables(), in_pod(path, pod), shim("k8s.io"), systemd()];
    vec![
        (vec![ran("kworker/0:1"), kthreadd()], "kernel-thread", "kernel", &[]),
        (vec![ran("/usr/sbin/modprobe"), ran("kworker/u8:2"), kthreadd()], "kernel-thread", "kernel", &[]),
        (below("/usr/sbin/netdeedd"), "netdeed", "netdeed", &[]),
        (vec![ran("/opt/bin/flanneld"), systemd()], "flanneld", "cni/flannel", &[]),
        (in_kube_pod("/usr/bin/calico-node", "calico-system/calico-node-x"), "calico-node", "cni/calico", &[]),
        (in_kube_pod("/usr/bin/cilium-agent", "kube-system/cilium-x"), "cilium-agent", "cni/cilium", &[]),
        (below("/home/weave/weaver"), "weaver", "cni/weave", &[]),
        (below("/usr/local/bin/antrea-agent"), "antrea-agent", "cni/antrea", &[]),
        (below("/kube-ovn/kube-ovn-daemon"), "kube-ovn-daemon", "cni/kube-ovn", &[]),
        (below("/usr/bin/ovnkube-node"), "ovnkube", "cni/ovn-kubernetes", &[]),
        (below("/bin/kindnetd"), "kindnetd", "cni/kindnet", &[]),
        (below("/usr/local/bin/kube-router"), "kube-router", "cni/kube-router", &[]),
        (below("/app/aws-k8s-agent"), "aws-vpc-cni", "cni/aws-vpc", &[]),
        (below("/opt/cni/bin/azure-vnet-ipam"), "azure-cni", "cni/azure", &[]),
        (
            vec![with_argv("/usr/bin/bird", &["bird", "-c", "/etc/calico/confd/config/bird.cfg"])],
            "calico-bird",
            "cni/calico",
            &["bird"],
        ),
        // plugins: the runner tells whose they are, the outermost named plugin whose their helpers are
        (
            vec![
                plugin("/opt/cni/bin/bridge", Some("web")),
                plugin("/opt/cni/bin/flannel", Some("web")),
                containerd(),
                systemd(),
            ],
            "flannel-plugin",
            "cni/flannel",
            &["containerd"],
        ),
        (vec![plugin("/opt/cni/bin/calico-ipam", None), containerd()], "calico-plugin", "cni/calico", &["containerd"]),
        (vec![plugin("/opt/cni/bin/antrea", None), ran("/usr/bin/crio")], "antrea-plugin", "cni/antrea", &["crio"]),
        (
            vec![iptables(), plugin("/opt/cni/bin/portmap", None), containerd(), systemd()],
            "cni-plugin",
            "cni/portmap",
            &["containerd"],
        ),
        (
            vec![plugin("/opt/cni/bin/host-local", None), plugin("/opt/cni/bin/bridge", None), ran("/usr/bin/crio")],
            "cni-plugin",
            "cni/host-local",
            &["crio"],
        ),
        (
            vec![plugin("/opt/cni/bin/macvlan", Some("web")), ran("/usr/local/bin/newruntime")],
            "cni-plugin-for-pod",
            "cni/macvlan",
            &[],
        ),
        (vec![ran("/usr/src/multus-cni/bin/multus-daemon")], "multus", "cni/multus", &[]),
        (
            in_kube_pod("/usr/local/bin/kube-proxy", "kube-system/kube-proxy-x"),
            "kube-proxy",
            "kubernetes/kube-proxy",
            &[],
        ),
        (below("/node-cache"), "node-local-dns", "kubernetes/node-local-dns", &[]),
        (below("/ip-masq-agent"), "ip-masq-agent", "kubernetes/ip-masq-agent", &[]),
        (below("/kube-vip"), "kube-vip", "kubernetes/kube-vip", &[]),
        (below("/usr/local/bin/kube-scheduler"), "control-plane", "kubernetes/kube-scheduler", &[]),
        (cp("kube-flannel/kube-flannel-ds-x"), "pod-flannel", "cni/flannel", &[]),
        (cp("kube-system/canal-x"), "pod-canal", "cni/canal", &[]),
        (cp("calico-system/calico-node-x"), "pod-calico", "cni/calico", &[]),
        (cp("kube-system/cilium-x"), "pod-cilium", "cni/cilium", &[]),
        (cp("kube-system/weave-net-x"), "pod-weave", "cni/weave", &[]),
        (cp("kube-system/antrea-agent-x"), "pod-antrea", "cni/antrea", &[]),
        (cp("kube-system/ovs-ovn-x"), "pod-kube-ovn", "cni/kube-ovn", &[]),
        (cp("ovn-kubernetes/ovnkube-node-x"), "pod-ovn-kubernetes", "cni/ovn-kubernetes", &[]),
        (cp("kube-system/kindnet-x"), "pod-kindnet", "cni/kindnet", &[]),
        (cp("kube-system/kube-router-x"), "pod-kube-router", "cni/kube-router", &[]),
        (cp("kube-system/kube-multus-ds-x"), "pod-multus", "cni/multus", &[]),
        (cp("kube-system/kube-proxy-x"), "pod-kube-proxy", "kubernetes/kube-proxy", &[]),
        (cp("kube-system/node-local-dns-x"), "pod-node-local-dns", "kubernetes/node-local-dns", &[]),
        // a shell in a pod, also one an administrator has by `kubectl exec`, is the pod's; so are daemons in pods
        (
            vec![iptables(), in_pod("/bin/sh", "default/web-0"), shim("k8s.io")],
            "pod",
            "kubernetes/pod/default/web-0",
            &[],
        ),
        (vec![iptables(), in_pod("/usr/bin/tailscaled", "")], "pod", "kubernetes/pod", &["tailscale"]),
        (vec![iptables(), in_pod("/usr/bin/dockerd", "ci/runner-0")], "pod", "kubernetes/pod/ci/runner-0", &["docker"]),
        (vec![within("/bin/sh", &format!("/crio-{ID}.scope"))], "cri-container", "kubernetes/pod", &[]),
        (vec![ran("/bin/sh"), shim("k8s.io"), containerd()], "pod-shim", "kubernetes/pod", &[]),
        (
            vec![iptables(), in_unit("/usr/bin/kubelet", "kubelet.service"), systemd()],
            "kubelet",
            "kubernetes/kubelet",
            &[],
        ),
        (
            vec![ran("/usr/bin/mkdir"), ran("/usr/bin/kubeadm"), bash()],
            "kubeadm",
            "kubernetes/kubeadm",
            &["admin-login", "admin-session"],
        ),
        (below("/usr/bin/cri-dockerd"), "cri-dockerd", "kubernetes/cri-dockerd", &[]),
        (below("/hyperkube"), "hyperkube", "kubernetes/hyperkube", &[]),
        (vec![iptables(), in_unit("/usr/local/bin/k3s", "k3s.service"), systemd()], "k3s", "kubernetes/k3s", &[]),
        (below("/usr/local/bin/rke2"), "rke2", "kubernetes/rke2", &[]),
        (below("/usr/local/bin/k0s"), "k0s", "kubernetes/k0s", &[]),
        (below("/snap/microk8s/1/kubelite"), "microk8s", "kubernetes/microk8s", &[]),
        (vec![in_unit("/bin/sh", "kubelet.service"), systemd()], "kubelet-unit", "kubernetes/kubelet", &["unit"]),
        (vec![in_unit("/bin/sh", "k3s-agent.service")], "k3s-unit", "kubernetes/k3s", &["unit"]),
        (vec![in_unit("/bin/sh", "rke2-server.service")], "rke2-unit", "kubernetes/rke2", &["unit"]),
        (vec![in_unit("/bin/sh", "k0sworker.service")], "k0s-unit", "kubernetes/k0s", &["unit"]),
        (
            vec![in_unit("/bin/sh", "snap.microk8s.daemon-containerd.service")],
            "microk8s-unit",
            "kubernetes/microk8s",
            &["unit"],
        ),
        // Kubernetes inside of a container of Docker
        (
            vec![
                iptables(),
                within("/usr/bin/kubelet", &format!("/system.slice/docker-{ID}.scope/kubelet.slice/kubelet.service")),
                shim("moby"),
            ],
            "kubelet",
            "kubernetes/kubelet",
            &["docker-container", "docker-shim"],
        ),
    ]
}

pub(super) fn daemon_cases() -> Vec<Case> {
    let bash = || login("/bin/bash", 1000);
    let below = |path: &str| vec![iptables(), ran(path), systemd()];
    let of_unit = |unit: &str| vec![in_unit("/bin/sh", unit), systemd()];
    let mut cases: Vec<Case> = [
        ("/usr/local/bin/nerdctl", "nerdctl"),
        ("/usr/bin/nomad", "nomad"),
        ("/usr/sbin/libvirtd", "libvirt"),
        ("/snap/lxd/1/bin/lxd", "lxd"),
        ("/opt/incus/bin/incusd", "incus"),
        ("/usr/libexec/lxc/lxc-net", "lxc"),
        ("/usr/sbin/firewalld", "firewalld"),
        ("/usr/sbin/ufw", "ufw"),
        ("/usr/bin/fail2ban-server", "fail2ban"),
        ("/usr/sbin/tailscaled", "tailscale"),
        ("/usr/sbin/zerotier-one", "zerotier"),
        ("/usr/bin/wg-quick", "wireguard"),
        ("/usr/sbin/openvpn", "openvpn"),
        ("/usr/lib/ipsec/charon", "strongswan"),
        ("/usr/sbin/keepalived", "keepalived"),
        ("/usr/lib/frr/zebra", "frr"),
        ("/usr/sbin/bird", "bird"),
        ("/usr/sbin/ovs-vswitchd", "openvswitch"),
        ("/usr/sbin/NetworkManager", "network-manager"),
        ("/usr/lib/systemd/systemd-networkd", "systemd-networkd"),
        ("/usr/sbin/ifup", "ifupdown"),
        ("/usr/sbin/dhclient", "dhcp"),
        ("/usr/bin/containerd", "containerd"),
    ]
    .into_iter()
    .map(|(path, owner)| (below(path), owner, owner, &[] as &[&str]))
    .collect();
    cases.extend([
        (below("/usr/bin/buildkitd"), "buildkit", "buildkit", &[] as &[&str]),
        (below("/usr/bin/crio"), "crio", "cri-o", &[]),
        (of_unit("podman.service"), "podman-unit", "podman", &["unit"]),
        (of_unit("libvirtd.service"), "libvirt-unit", "libvirt", &["unit"]),
        (of_unit("lxc-net.service"), "lxc-unit", "lxc", &["unit"]),
        (of_unit("firewalld.service"), "firewalld-unit", "firewalld", &["unit"]),
        (of_unit("ufw.service"), "ufw-unit", "ufw", &["unit"]),
        (of_unit("wg-quick@wg0.service"), "wireguard-unit", "wireguard", &["unit"]),
        (of_unit("openvpn@home.service"), "openvpn-unit", "openvpn", &["unit"]),
        (of_unit("networking.service"), "ifupdown-unit", "ifupdown", &["unit"]),
        // the same plugin run by others, made-up pod arguments included
        (
            vec![iptables(), plugin("/opt/cni/bin/portmap", Some("web")), ran("/usr/bin/podman"), bash()],
            "podman",
            "podman",
            &["admin-login", "admin-session"],
        ),
        (
            vec![
                plugin("/opt/cni/bin/bridge", Some("web")),
                ran("/usr/local/bin/nerdctl"),
                ran("/usr/bin/runc"),
                shim("default"),
                containerd(),
            ],
            "nerdctl",
            "nerdctl",
            &["containerd-shim"],
        ),
        (
            vec![plugin("/opt/cni/bin/flannel", None), ran("/usr/bin/cnitool"), bash()],
            "admin-login",
            "admin/alice",
            &[],
        ),
        // Docker, also where an administrator started it by hand
        (vec![iptables(), in_unit("/usr/bin/dockerd", "docker.service"), systemd()], "docker", "docker", &[]),
        (
            vec![ran("/usr/bin/docker-proxy"), ran("/usr/bin/dockerd"), bash(), ran("/usr/sbin/sshd"), systemd()],
            "docker",
            "docker",
            &["admin-login", "admin-session", "admin-shell"],
        ),
        (of_unit("docker.service"), "docker-unit", "docker", &["unit"]),
        (
            vec![
                iptables(),
                within("/bin/sh", &format!("/docker/{ID}")),
                shim("moby"),
                containerd(),
                ran("/usr/bin/dockerd"),
                bash(),
            ],
            "docker-container",
            "docker/container",
            &["admin-login", "admin-session"],
        ),
        (vec![iptables(), ran("/bin/sh"), shim("moby"), containerd()], "docker-shim", "docker/container", &[]),
        (
            vec![within("/bin/sh", &format!("/machine.slice/libpod-{ID}.scope"))],
            "podman-container",
            "podman/container",
            &[],
        ),
        (
            vec![within("/bin/sh", &format!("/x.slice/nerdctl-{ID}.scope"))],
            "nerdctl-container",
            "nerdctl/container",
            &[],
        ),
        (vec![ran("/bin/sh"), shim("default"), containerd()], "containerd-shim", "containerd/container", &[]),
        (
            vec![within("/bin/sh", "/lxc.payload.web/system.slice/x.service")],
            "lxc-container",
            "lxc/container",
            &["unit"],
        ),
    ]);
    cases
}

pub(super) fn people_cases() -> Vec<Case> {
    let sshd = || in_unit("/usr/sbin/sshd", "ssh.service");
    vec![
        (
            vec![iptables(), login("/usr/bin/sudo", 1000), login("/bin/bash", 1000), sshd()],
            "admin-login",
            "admin/alice",
            &[],
        ),
        (vec![login("/bin/ip", 4242), login("/bin/bash", 4242)], "admin-login", "admin/4242", &[]),
        (vec![within("/sbin/ip", SESSION), within("/bin/bash", SESSION)], "admin-session", "admin/alice", &[]),
        // where no login manager moves sessions out of the unit
        (
            vec![in_unit("/sbin/ip", "ssh.service"), in_unit("/bin/bash", "ssh.service"), sshd()],
            "admin-shell",
            "admin/root",
            &["unit"],
        ),
        (
            vec![iptables(), Image { uid: 1000, ..ran("/usr/bin/sudo") }, Image { uid: 1000, ..ran("/bin/bash") }],
            "admin-sudo",
            "admin/alice",
            &[],
        ),
        // a service that calls sudo is no administrator
        (
            vec![
                in_unit("/usr/sbin/nft", "agent.service"),
                in_unit("/usr/bin/sudo", "agent.service"),
                in_unit("/usr/bin/agent", "agent.service"),
            ],
            "unit",
            "unit/agent.service",
            &[],
        ),
        // Docker's client only talks to the daemon
        (vec![login("/usr/bin/docker", 0)], "admin-login", "admin/root", &[]),
        (vec![in_unit("/usr/sbin/nft", "nftables.service"), systemd()], "unit", "unit/nftables.service", &[]),
        (vec![systemd()], "systemd", "systemd", &[]),
    ]
}
