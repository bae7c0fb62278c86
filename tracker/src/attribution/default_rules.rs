//! The owner rules that come with netdeed.
//!
//! Order is policy, section by section:
//! 1. the kernel and ourselves;
//! 2. Kubernetes' network programs and CNI plugins, then whatever else runs in a pod: had Kubernetes never run, none of
//!    it would have, be it a pod with `dockerd` in it or a cluster inside of containers;
//! 3. the kubelet and the distributions, which also are ancestors of what their runtimes run, hence after the pods;
//! 4. other runtimes and network daemons, before administrators who start them by hand;
//! 5. containers, before administrators whose login they inherited;
//! 6. administrators, before the units their login came by;
//! 7. units, by name and without further knowledge.

use super::rules::{Condition, OwnerTemplate, Position, Rule};

/// A rule that goes by program names alone: label, owner, programs.
type ProgramRow = (&'static str, &'static str, &'static [&'static str]);

/// A rule that goes by a pod's `namespace/name`: label, owner, patterns.
type PodRow = (&'static str, &'static str, &'static [&'static str]);

/// Who runs CNI plugins for the kubelet.
const KUBERNETES_RUNNERS: &[&str] = &[
    "containerd",
    "crio",
    "cri-o",
    "kubelet",
    "kubelite",
    "hyperkube",
    "cri-dockerd",
    "k3s",
    "k3s-server",
    "k3s-agent",
    "k0s",
    "rke2",
    "multus-daemon",
];

/// Who runs CNI plugins for others, some of them with made-up `K8S_POD_*` arguments.
const OTHER_RUNNERS: &[&str] =
    &["podman", "buildah", "nerdctl", "buildkitd", "ctr", "cnitool", "nomad", "garden", "singularity", "apptainer"];

const CNI_DAEMONS: &[ProgramRow] = &[
    ("flanneld", "cni/flannel", &["flanneld"]),
    ("calico-node", "cni/calico", &["calico-node", "calico-felix", "calico-typha", "calico-kube-controllers"]),
    (
        "cilium-agent",
        "cni/cilium",
        &[
            "cilium-agent",
            "cilium-operator*",
            "cilium-health*",
            "cilium-envoy*",
            "cilium-cni",
            "cilium-mount",
            "cilium-sysctlfix",
            "cilium-dbg",
        ],
    ),
    ("weaver", "cni/weave", &["weaver", "weave-npc", "weaveutil", "weave-net", "weave-ipam"]),
    ("antrea-agent", "cni/antrea", &["antrea-agent", "antrea-controller"]),
    ("kube-ovn-daemon", "cni/kube-ovn", &["kube-ovn-daemon", "kube-ovn-controller", "kube-ovn-cmd", "kube-ovn"]),
    ("ovnkube", "cni/ovn-kubernetes", &["ovnkube*", "ovn-k8s-cni-overlay"]),
    ("kindnetd", "cni/kindnet", &["kindnetd", "cni-kindnet", "kube-network-policies"]),
    ("kube-router", "cni/kube-router", &["kube-router"]),
    ("aws-vpc-cni", "cni/aws-vpc", &["aws-k8s-agent", "aws-vpc-cni*", "aws-cni", "egress-cni"]),
    ("azure-cni", "cni/azure", &["azure-vnet*", "azure-cns"]),
];

/// Plugins whose own rule must come before that of the plugins they run: `bridge` run by `flannel` is flannel's.
const CNI_PLUGINS: &[ProgramRow] = &[
    ("flannel-plugin", "cni/flannel", &["flannel"]),
    ("calico-plugin", "cni/calico", &["calico", "calico-ipam"]),
    ("antrea-plugin", "cni/antrea", &["antrea"]),
];

const COMPONENTS: &[ProgramRow] = &[
    ("kube-proxy", "kubernetes/kube-proxy", &["kube-proxy"]),
    ("node-local-dns", "kubernetes/node-local-dns", &["node-cache"]),
    ("ip-masq-agent", "kubernetes/ip-masq-agent", &["ip-masq-agent"]),
    ("kube-vip", "kubernetes/kube-vip", &["kube-vip"]),
    (
        "control-plane",
        "kubernetes/{program}",
        &["kube-apiserver", "kube-controller-manager", "kube-scheduler", "cloud-controller-manager"],
    ),
];

/// Pods of network add-ons: their installers and helpers are `cp`, `sh` and `install`.
const ADDON_PODS: &[PodRow] = &[
    ("pod-flannel", "cni/flannel", &["kube-flannel/*", "kube-system/kube-flannel-*"]),
    ("pod-canal", "cni/canal", &["kube-system/canal-*", "kube-system/rke2-canal-*"]),
    (
        "pod-calico",
        "cni/calico",
        &["calico-system/*", "calico-apiserver/*", "tigera-operator/*", "kube-system/calico-*"],
    ),
    ("pod-cilium", "cni/cilium", &["kube-system/cilium-*", "cilium/cilium-*"]),
    ("pod-weave", "cni/weave", &["kube-system/weave-net-*"]),
    ("pod-antrea", "cni/antrea", &["kube-system/antrea-*"]),
    ("pod-kube-ovn", "cni/kube-ovn", &["kube-system/kube-ovn-*", "kube-system/ovn-central-*", "kube-system/ovs-ovn-*"]),
    ("pod-ovn-kubernetes", "cni/ovn-kubernetes", &["ovn-kubernetes/*", "openshift-ovn-kubernetes/*"]),
    ("pod-kindnet", "cni/kindnet", &["kube-system/kindnet-*"]),
    ("pod-kube-router", "cni/kube-router", &["kube-system/kube-router-*"]),
    ("pod-multus", "cni/multus", &["kube-system/kube-multus-*", "kube-system/multus-*"]),
    ("pod-kube-proxy", "kubernetes/kube-proxy", &["kube-system/kube-proxy-*"]),
    ("pod-node-local-dns", "kubernetes/node-local-dns", &["kube-system/node-local-dns-*"]),
];

const DISTRIBUTIONS: &[ProgramRow] = &[
    ("kubelet", "kubernetes/kubelet", &["kubelet"]),
    ("kubeadm", "kubernetes/kubeadm", &["kubeadm"]),
    ("cri-dockerd", "kubernetes/cri-dockerd", &["cri-dockerd"]),
    ("hyperkube", "kubernetes/hyperkube", &["hyperkube"]),
    ("k3s", "kubernetes/k3s", &["k3s", "k3s-server", "k3s-agent"]),
    ("rke2", "kubernetes/rke2", &["rke2"]),
    ("k0s", "kubernetes/k0s", &["k0s"]),
    ("microk8s", "kubernetes/microk8s", &["kubelite", "microk8s", "microk8s-cluster-agent"]),
];

/// Units whose scripts and helpers are the component's: label, owner, unit patterns.
const DISTRIBUTION_UNITS: &[ProgramRow] = &[
    ("kubelet-unit", "kubernetes/kubelet", &["kubelet.service"]),
    ("k3s-unit", "kubernetes/k3s", &["k3s.service", "k3s-agent.service"]),
    ("rke2-unit", "kubernetes/rke2", &["rke2-server.service", "rke2-agent.service"]),
    ("k0s-unit", "kubernetes/k0s", &["k0scontroller.service", "k0sworker.service"]),
    ("microk8s-unit", "kubernetes/microk8s", &["snap.microk8s.*"]),
];

const DAEMONS: &[ProgramRow] = &[
    ("nerdctl", "nerdctl", &["nerdctl"]),
    ("buildkit", "buildkit", &["buildkitd"]),
    ("nomad", "nomad", &["nomad"]),
    ("podman", "podman", &["podman", "netavark", "aardvark-dns", "buildah", "rootlessport"]),
    ("libvirt", "libvirt", &["libvirtd", "virtnetworkd", "virtqemud", "virtlxcd", "libvirt_leaseshelper"]),
    ("lxd", "lxd", &["lxd", "lxd-*"]),
    ("incus", "incus", &["incusd", "incus-*"]),
    ("lxc", "lxc", &["lxc-start", "lxc-net", "lxc-monitord"]),
    ("firewalld", "firewalld", &["firewalld"]),
    ("ufw", "ufw", &["ufw", "ufw-init"]),
    ("fail2ban", "fail2ban", &["fail2ban-server"]),
    ("tailscale", "tailscale", &["tailscaled"]),
    ("zerotier", "zerotier", &["zerotier-one"]),
    ("wireguard", "wireguard", &["wg-quick"]),
    ("openvpn", "openvpn", &["openvpn"]),
    ("strongswan", "strongswan", &["charon", "charon-systemd"]),
    ("keepalived", "keepalived", &["keepalived"]),
    ("frr", "frr", &["zebra", "bgpd", "ospfd", "ospf6d", "staticd"]),
    ("bird", "bird", &["bird", "bird6"]),
    ("openvswitch", "openvswitch", &["ovs-vswitchd", "ovsdb-server"]),
    ("network-manager", "network-manager", &["NetworkManager", "nm-dispatcher"]),
    ("systemd-networkd", "systemd-networkd", &["systemd-networkd"]),
    ("ifupdown", "ifupdown", &["ifup", "ifdown"]),
    ("dhcp", "dhcp", &["dhclient", "dhcpcd"]),
];

/// Units whose scripts and helpers are the daemon's.
const DAEMON_UNITS: &[ProgramRow] = &[
    ("podman-unit", "podman", &["podman.service", "podman-restart.service"]),
    ("libvirt-unit", "libvirt", &["libvirtd.service", "virtnetworkd.service"]),
    ("lxc-unit", "lxc", &["lxc-net.service"]),
    ("firewalld-unit", "firewalld", &["firewalld.service"]),
    ("ufw-unit", "ufw", &["ufw.service"]),
    ("wireguard-unit", "wireguard", &["wg-quick@*.service"]),
    ("openvpn-unit", "openvpn", &["openvpn@*.service", "openvpn-client@*.service", "openvpn-server@*.service"]),
    ("ifupdown-unit", "ifupdown", &["networking.service", "ifup@*.service"]),
];

/// All rules, in the order they are tried.
pub(super) fn default_rules() -> Vec<Rule> {
    let mut rules = vec![
        rule("kernel-thread", "kernel", Condition { kthreadd: Some(true), ..any() }),
        rule("netdeed", "netdeed", programs(&["netdeedd", "netdeed"])),
    ];
    rules.extend(CNI_DAEMONS.iter().map(by_program));
    rules.push(rule(
        "calico-bird",
        "cni/calico",
        Condition { argv: texts(&["*/calico/*"]), ..programs(&["bird", "bird6"]) },
    ));
    rules.extend(cni_plugins());
    rules.extend(COMPONENTS.iter().map(by_program));
    rules.extend(pods());
    rules.extend(DISTRIBUTIONS.iter().map(by_program));
    rules.extend(DISTRIBUTION_UNITS.iter().map(by_unit));
    rules.extend(DAEMONS.iter().map(by_program));
    rules.extend(DAEMON_UNITS.iter().map(by_unit));
    rules.extend(runtimes());
    rules.extend(containers());
    rules.extend(administrators());
    rules.push(rule("unit", "unit/{unit}", Condition { at: Position::Itself, unit: texts(&["*"]), ..any() }));
    rules.push(rule("systemd", "systemd", Condition { at: Position::Itself, ..programs(&["systemd"]) }));
    rules
}

fn cni_plugins() -> Vec<Rule> {
    let others = || vec![Condition { cni: Some(true), cni_runner: texts(OTHER_RUNNERS), ..any() }];
    let plugin = || Condition { cni: Some(true), ..any() };
    let mut rules: Vec<Rule> = CNI_PLUGINS
        .iter()
        .map(|(label, owner, names)| {
            let when = Condition { program: texts(names), ..plugin() };
            Rule { unless: others(), ..rule(label, owner, when) }
        })
        .collect();
    // owner: the nearest plugin, so that `iptables` run by `portmap` is portmap's
    let for_kubelet = Condition { cni_runner: texts(KUBERNETES_RUNNERS), ..plugin() };
    rules.push(Rule { unless: others(), ..rule("cni-plugin", "cni/{program}", for_kubelet) });
    let for_pod = Condition { cni_pod: Some(true), ..plugin() };
    rules.push(Rule { unless: others(), ..rule("cni-plugin-for-pod", "cni/{program}", for_pod) });
    rules.push(rule("multus", "cni/multus", programs(&["multus", "multus-shim", "multus-daemon", "thin_entrypoint"])));
    rules
}

fn pods() -> Vec<Rule> {
    let mut rules: Vec<Rule> = ADDON_PODS
        .iter()
        .map(|(label, owner, names)| rule(label, owner, Condition { pod_name: texts(names), ..any() }))
        .collect();
    rules.push(rule("pod", "kubernetes/pod/{pod}", Condition { pod: Some(true), ..any() }));
    // these name cgroups for the kubelet only, even below no pod's
    let cri = Condition { runtime: texts(&["containerd", "crio"]), ..any() };
    rules.push(rule("cri-container", "kubernetes/pod", cri));
    // a process that was gone before its cgroup could be read
    let shim = Condition { argv: texts(&["k8s.io"]), ..programs(&["containerd-shim*"]) };
    rules.push(rule("pod-shim", "kubernetes/pod", shim));
    rules
}

/// Daemons whose descendants are mostly containers, which are not theirs.
fn runtimes() -> Vec<Rule> {
    let in_container = || vec![programs(&["containerd-shim*", "conmon*"])];
    let without_containers = |label, owner, when| Rule { unless: in_container(), ..rule(label, owner, when) };
    let units = |names: &[&str]| Condition { unit: texts(names), ..any() };
    vec![
        without_containers("docker", "docker", programs(&["dockerd", "docker-proxy"])),
        without_containers("docker-unit", "docker", units(&["docker.service"])),
        without_containers("containerd", "containerd", programs(&["containerd"])),
        without_containers("crio", "cri-o", programs(&["crio"])),
    ]
}

fn containers() -> Vec<Rule> {
    let placed = |runtime: &str| Condition { runtime: vec![runtime.to_owned()], ..any() };
    let shim = |argv| Condition { argv: texts(argv), ..programs(&["containerd-shim*"]) };
    vec![
        rule("docker-container", "docker/container", placed("docker")),
        rule("docker-shim", "docker/container", shim(&["moby"])),
        rule("podman-container", "podman/container", placed("podman")),
        rule("nerdctl-container", "nerdctl/container", placed("nerdctl")),
        Rule {
            unless: vec![shim(&["moby"]), shim(&["k8s.io"])],
            ..rule("containerd-shim", "containerd/container", shim(&["-namespace"]))
        },
        rule("lxc-container", "lxc/container", placed("lxc")),
    ]
}

fn administrators() -> Vec<Rule> {
    let below = |names| Condition { at: Position::Ancestor, ..programs(names) };
    let in_service = Condition { unit: texts(&["*.service"]), ..any() };
    vec![
        rule("admin-login", "admin/{user}", Condition { login: Some(true), ..any() }),
        rule("admin-session", "admin/{user}", Condition { session: Some(true), ..any() }),
        rule(
            "admin-shell",
            "admin/{user}",
            below(&["sshd", "sshd-session", "login", "dropbear", "telnetd", "in.telnetd", "mosh-server"]),
        ),
        // services call sudo, too
        Rule {
            unless: vec![in_service],
            ..rule("admin-sudo", "admin/{user}", below(&["sudo", "su", "doas", "pkexec", "run0"]))
        },
    ]
}

fn any() -> Condition {
    Condition::default()
}

fn programs(names: &[&str]) -> Condition {
    Condition { program: texts(names), ..any() }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn by_program((label, owner, names): &ProgramRow) -> Rule {
    rule(label, owner, programs(names))
}

fn by_unit((label, owner, names): &ProgramRow) -> Rule {
    rule(label, owner, Condition { unit: texts(names), ..any() })
}

fn rule(label: &str, owner: &'static str, when: Condition) -> Rule {
    Rule { label: label.to_owned(), owner: OwnerTemplate::of_default(owner), when, unless: Vec::new() }
}
