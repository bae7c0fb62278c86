//! The reference CNI plugins, called as a container runtime calls them.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::node::Node;
use crate::{Failure, Result};

/// Where Debian puts the plugins.
const PLUGINS: &str = "/usr/lib/cni";

/// A pod to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name; also names its network namespace.
    pub name: String,
    /// Published ports, host to container.
    pub ports: Vec<(u16, u16)>,
    /// Whether it gets an IPv6 address beside its IPv4 one.
    pub is_dual_stack: bool,
    /// Whether its link is routed by the plugin `ptp`, of a network of its own, and on no bridge.
    pub is_routed: bool,
    /// Whether its bandwidth is limited, which takes qdiscs and filters on its link.
    pub is_shaped: bool,
}

impl Pod {
    /// A pod of the namespace `shop`.
    pub fn new(name: &str, ports: &[(u16, u16)]) -> Self {
        Self {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            ports: ports.to_vec(),
            is_dual_stack: false,
            is_routed: false,
            is_shaped: false,
        }
    }

    /// The same pod with an IPv6 address as well.
    pub fn dual_stack(self) -> Self {
        Self { is_dual_stack: true, ..self }
    }

    /// The same pod with a routed link.
    pub fn routed(self) -> Self {
        Self { is_routed: true, ..self }
    }

    /// The same pod with limits to its bandwidth.
    pub fn shaped(self) -> Self {
        Self { is_shaped: true, ..self }
    }

    /// Its container id, as the runtime would give.
    pub fn container(&self) -> String {
        // 64 hexadecimal digits that differ from pod to pod
        let mix = |seed: u64| {
            self.name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        [0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb]
            .map(|seed| format!("{:016x}", mix(seed)))
            .concat()
    }
}

/// The plugin chain, as `/etc/cni/net.d/10-cni0.conflist` would have it.
fn chain(is_dual_stack: bool, is_shaped: bool) -> Vec<Value> {
    let (mut ranges, mut routes) = (vec![json!([{"subnet": "10.244.0.0/24"}])], vec![json!({"dst": "0.0.0.0/0"})]);
    if is_dual_stack {
        ranges.push(json!([{"subnet": "fd00:10:244::/64"}]));
        routes.push(json!({"dst": "::/0"}));
    }
    let mut chain = vec![
        json!({
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
            "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
        }),
        json!({"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}),
        json!({"type": "firewall", "backend": "iptables"}),
    ];
    if is_shaped {
        let (rate, burst) = (8_000_000, 8_000_000);
        chain.push(json!({"type": "bandwidth", "ingressRate": rate, "ingressBurst": burst,
            "egressRate": rate, "egressBurst": burst}));
    }
    chain
}

/// The chain of another CNI, as `/etc/cni/net.d/10-ptp.conflist` would have it.
fn routed_chain() -> Vec<Value> {
    vec![
        json!({
            "type": "ptp", "ipMasq": true,
            "ipam": {
                "type": "host-local", "ranges": [[{"subnet": "10.245.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
            },
        }),
        json!({"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}),
    ]
}

fn chain_of(pod: &Pod) -> Vec<Value> {
    if pod.is_routed { routed_chain() } else { chain(pod.is_dual_stack, pod.is_shaped) }
}

/// Writes the configuration of the network with routed links, beside or in place of the other one.
///
/// # Errors
/// When it cannot be written.
pub fn install_routed(node: &Node) -> Result<()> {
    let list = json!({"cniVersion": "1.0.0", "name": "ptpnet", "plugins": routed_chain()});
    let script = format!("mkdir -p /etc/cni/net.d; printf '%s' '{list}' > /etc/cni/net.d/10-ptp.conflist");
    node.run_as("kubelet", &script).map(drop)
}

/// Writes the network's configuration, as an installer running as a pod's init container does.
///
/// # Errors
/// When it cannot be written.
pub fn install(node: &Node) -> Result<()> {
    // called kubelet because on such a node everything below /etc/cni comes from it or from a pod
    let program = node.program("kubelet")?;
    let list = json!({"cniVersion": "1.0.0", "name": "podnet", "plugins": chain(false, false)});
    let script = format!("mkdir -p /etc/cni/net.d && printf '%s' '{list}' > /etc/cni/net.d/10-podnet.conflist && true");
    let output = node.command(&program).args(["-ec", &script]).output()?;
    if output.status.success() { Ok(()) } else { Err(Failure::of_program("kubelet", &output)) }
}

/// Attaches a pod: makes its network namespace and runs the chain with `ADD`.
///
/// # Errors
/// When a plugin fails, with its answer.
pub fn add(node: &Node, pod: &Pod) -> Result<Value> {
    if !Path::new(PLUGINS).join("bridge").exists() {
        return Err(Failure(format!("no CNI plugins in {PLUGINS}: install `containernetworking-plugins`")));
    }
    node.sh(&format!("ip netns add {}", pod.name))?;
    let mut result = Value::Null;
    for plugin in chain_of(pod) {
        result = call(node, pod, "ADD", plugin, &result)?;
    }
    Ok(result)
}

/// Detaches a pod: runs the chain backwards with `DEL` and removes its network namespace.
///
/// # Errors
/// When a plugin fails, with its answer.
pub fn del(node: &Node, pod: &Pod, result: &Value) -> Result<()> {
    for plugin in chain_of(pod).into_iter().rev() {
        call(node, pod, "DEL", plugin, result)?;
    }
    node.sh(&format!("ip netns del {}", pod.name)).map(drop)
}

fn call(node: &Node, pod: &Pod, command: &str, mut plugin: Value, previous: &Value) -> Result<Value> {
    let kind = plugin["type"].as_str().unwrap_or_default().to_owned();
    plugin["cniVersion"] = json!("1.0.0");
    plugin["name"] = json!(if pod.is_routed { "ptpnet" } else { "podnet" });
    if !previous.is_null() {
        plugin["prevResult"] = previous.clone();
    }
    if kind == "portmap" {
        let mapping =
            |(host, container): &(u16, u16)| json!({"hostPort": host, "containerPort": container, "protocol": "tcp"});
        plugin["runtimeConfig"] = json!({"portMappings": pod.ports.iter().map(mapping).collect::<Vec<_>>()});
    }
    let mut child = node
        .command(format!("{PLUGINS}/{kind}"))
        .env("CNI_COMMAND", command)
        .env("CNI_CONTAINERID", pod.container())
        .env("CNI_NETNS", format!("/run/netns/{}", pod.name))
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", PLUGINS)
        .env("CNI_ARGS", format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={}", pod.namespace, pod.name))
        // Debian's default `iptables` is the nft one; the plugins find it by the path
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("cannot run the plugin `{kind}`"), error))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(plugin.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(Failure::of_program(&format!("{kind} {command}"), &output));
    }
    if output.stdout.is_empty() {
        return Ok(previous.clone());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(format!("no result of `{kind}`"), error))
}
