//! A real kube-proxy, built from the Go module, with services of all kinds from an API server of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};

use super::api_server::{ADDRESS, ApiServer};
use crate::node::{Node, output_of};
use crate::{Failure, Result, wait};

/// The version that is built.
pub const VERSION: &str = "1.34.2";
/// The node's name.
const NODE: &str = "node1";

/// What kube-proxy writes rules with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A table of its own in nf_tables.
    Nftables,
    /// iptables.
    Iptables,
}

/// Builds kube-proxy below `target`, once; the Go client fetches its modules.
///
/// # Errors
/// Without Go, or when it fails.
pub fn build(target: &Path) -> Result<PathBuf> {
    let program = target.join(format!("go/bin/kube-proxy-{VERSION}"));
    if program.exists() {
        return Ok(program);
    }
    let folder = target.join("go/kube-proxy");
    std::fs::create_dir_all(&folder)?;
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(&folder).env("GOFLAGS", "-mod=mod -buildvcs=false").env("CGO_ENABLED", "0");
        command.env("GOMODCACHE", target.join("go/mod")).env("GOCACHE", target.join("go/cache"));
        output_of(&mut command, &format!("go {}", arguments.join(" ")))
    };
    let module = format!("k8s.io/kubernetes@v{VERSION}");
    let answer: Value = serde_json::from_str(&go(&["mod", "download", "-json", &module])?)
        .map_err(|error| Failure::new("no answer of `go mod download`", error))?;
    let requirements = std::fs::read_to_string(answer["GoMod"].as_str().unwrap_or_default())?;
    // the module takes its own parts from its tree, which is not there for others: they are published beside it
    let parts = requirements.lines().filter_map(|line| line.trim().strip_suffix(" v0.0.0")).map(str::to_owned);
    let part_version = VERSION.replacen("1.", "v0.", 1);
    let replacements: String = parts.map(|part| format!("replace {part} => {part} {part_version}\n")).collect();
    let text = format!(
        "module netdeed.test/kube-proxy\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v{VERSION}\n\n{replacements}"
    );
    std::fs::write(folder.join("go.mod"), text)?;
    std::fs::write(
        folder.join("main.go"),
        "package main\n\nimport _ \"k8s.io/kubernetes/cmd/kube-proxy/app\"\n\nfunc main() {}\n",
    )?;
    let built = program.with_extension("new");
    go(&["build", "-ldflags", "-s -w", "-o", &built.to_string_lossy(), "k8s.io/kubernetes/cmd/kube-proxy"])?;
    std::fs::rename(&built, &program)?;
    Ok(program)
}

/// A running kube-proxy.
#[derive(Debug)]
pub struct KubeProxy {
    daemon: Child,
    server: ApiServer,
}

impl KubeProxy {
    /// Starts the API server with services, and kube-proxy; waits until its rules name a service.
    ///
    /// # Errors
    /// When it does not come up, with its log.
    pub fn start(node: &Node, program: &Path, mode: Mode) -> Result<Self> {
        let server = ApiServer::start(node)?;
        objects(&server);
        let config = node.scratch().join("kubeconfig");
        std::fs::write(
            &config,
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{ADDRESS}\"}}}}]\n\
                 contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
            ),
        )?;
        let log_path = node.scratch().join("kube-proxy.log");
        let log = std::fs::File::create(&log_path)?;
        let (word, shows) = match mode {
            Mode::Nftables => ("nftables", "nft list table ip kube-proxy | grep -q shop/web"),
            Mode::Iptables => ("iptables", "iptables-nft-save -t nat | grep -q shop/web"),
        };
        let daemon = node
            .command(program)
            .arg(format!("--proxy-mode={word}"))
            .arg(format!("--kubeconfig={}", config.display()))
            .arg(format!("--hostname-override={NODE}"))
            .args(["--cluster-cidr=10.244.0.0/16", "--kube-api-content-type=application/json"])
            .args([
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ])
            .args(["--metrics-bind-address=127.0.0.1:0", "--healthz-bind-address=127.0.0.1:10256", "--v=2"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `kube-proxy`", error))?;
        let proxy = Self { daemon, server };
        wait::until("kube-proxy's rules", Duration::from_secs(90), || node.sh(shows).ok()).map_err(|failure| {
            Failure(format!("{failure}\n{}", std::fs::read_to_string(&log_path).unwrap_or_default()))
        })?;
        Ok(proxy)
    }

    /// The API server it asks.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        self.server.end();
    }
}

/// A node, and services: a plain one, one with affinity and a node port, one of a load balancer with allowed sources and
/// local traffic only, one without endpoints, one over UDP.
fn objects(server: &ApiServer) {
    server.put(
        "nodes",
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": NODE, "uid": "n1"},
            "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.77.5"}]},
        }),
    );
    let service = |name: &str, address: &str, ports: Value, more: Value| {
        let mut spec = json!({
            "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ports": ports,
            "selector": {"app": name},
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        let status = if name == "balanced" {
            json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.9", "ipMode": "VIP"}]}})
        } else {
            json!({})
        };
        server.put(
            "services",
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": spec, "status": status,
            }),
        );
    };
    let port = |name: &str, protocol: &str, port: u16, node_port: u16| {
        let mut value = json!({"name": name, "protocol": protocol, "port": port, "targetPort": 8080});
        if node_port != 0 {
            value["nodePort"] = json!(node_port);
        }
        value
    };
    service("web", "10.96.0.10", json!([port("http", "TCP", 80, 0), port("metrics", "TCP", 9090, 0)]), json!({}));
    service(
        "sticky",
        "10.96.0.11",
        json!([port("http", "TCP", 80, 30080)]),
        json!({"type": "NodePort", "externalTrafficPolicy": "Cluster", "sessionAffinity": "ClientIP",
               "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}}),
    );
    service(
        "balanced",
        "10.96.0.12",
        json!([port("https", "TCP", 443, 30443)]),
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
               "loadBalancerSourceRanges": ["198.51.100.0/24"], "externalIPs": ["192.0.2.7"]}),
    );
    service(
        "empty",
        "10.96.0.13",
        json!([port("http", "TCP", 80, 30081)]),
        json!({"type": "NodePort", "externalTrafficPolicy": "Cluster"}),
    );
    service("dns", "10.96.0.53", json!([port("dns", "UDP", 53, 0)]), json!({}));
    for (name, ports) in [
        (
            "web",
            json!([{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "metrics", "protocol": "TCP", "port": 9090}]),
        ),
        ("sticky", json!([{"name": "http", "protocol": "TCP", "port": 8080}])),
        ("balanced", json!([{"name": "https", "protocol": "TCP", "port": 8443}])),
        ("dns", json!([{"name": "dns", "protocol": "UDP", "port": 53}])),
    ] {
        let endpoints: Vec<Value> = (2..5)
            .map(|last| {
                json!({"addresses": [format!("10.244.0.{last}")], "nodeName": NODE,
                               "conditions": {"ready": true, "serving": true, "terminating": false}})
            })
            .collect();
        server.put(
            "endpointslices",
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": format!("{name}-1"), "namespace": "shop", "uid": format!("{name}-1"),
                             "labels": {"kubernetes.io/service-name": name}},
                "endpoints": endpoints, "ports": ports,
            }),
        );
    }
}
