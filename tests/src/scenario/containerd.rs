//! A real `containerd` with its CRI plugin: pods without a kubelet, attached by the CNI plugins that containerd runs.

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::cni::Pod;
use super::cri;
use crate::node::Node;
use crate::{Failure, Result, wait};

/// Longest time it may take to answer, and to make or remove a pod.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the pods' first process is made of.
const PAUSE: &str = "netdeed.test/pause:1";
/// Its socket, in the node.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// The daemon's configuration. `native` needs nothing from the filesystem below.
const CONFIG: &str = r#"
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "netdeed.test/pause:1"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"
"#;

/// Makes an image of the static busybox as `docker save` would, and gives it to containerd.
const IMPORT: &str = r#"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /run/pause/root/bin; cd /run/pause
cp /bin/busybox root/bin/; tar -C root -cf layer.tar .
layer=$(sha256sum layer.tar | cut -d' ' -f1)
printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/bin/busybox","sleep","86400"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' ARCHITECTURE "$layer" > config.json
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' IMAGE > manifest.json
tar -cf image.tar config.json manifest.json layer.tar
ctr -n k8s.io images import --snapshotter native image.tar
cd /; rm -r /run/pause
"#;

/// A running containerd.
#[derive(Debug)]
pub struct Containerd<'a> {
    node: &'a Node,
    daemon: Child,
    runtime: tokio::runtime::Runtime,
    channel: Channel,
}

/// A pod that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id, 64 hexadecimal digits.
    pub id: String,
    /// The uid it was made with.
    pub uid: String,
}

impl<'a> Containerd<'a> {
    /// Starts the daemon, waits until it answers and gives it the image that pods start from.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn start(node: &'a Node) -> Result<Self> {
        let at = |name: &str| node.scratch().join(name);
        std::fs::write(at("containerd.toml"), CONFIG)?;
        let log = File::create(at("containerd.log"))?;
        let daemon = node
            .command("containerd")
            .arg("--config")
            .arg(at("containerd.toml"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `containerd`", error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = node.outside(SOCKET);
        let channel = {
            let _guard = runtime.enter();
            Endpoint::from_shared(format!("unix://{}", socket.display()))
                .map_err(|error| Failure::new("no address for containerd", error))?
                .timeout(DEADLINE)
                .connect_lazy()
        };
        let containerd = Self { node, daemon, runtime, channel };
        containerd.arrange().map_err(|failure| containerd.with_log(&failure))?;
        Ok(containerd)
    }

    fn arrange(&self) -> Result<()> {
        wait::until("an answer of containerd's CRI", DEADLINE, || {
            self.call::<_, cri::VersionResponse>("Version", cri::VersionRequest::default()).ok()
        })?;
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        self.node.sh(&IMPORT.replace("ARCHITECTURE", architecture).replace("IMAGE", PAUSE))?;
        Ok(())
    }

    fn with_log(&self, failure: &Failure) -> Failure {
        let log = std::fs::read_to_string(self.node.scratch().join("containerd.log")).unwrap_or_default();
        Failure(format!("{failure}\n{log}"))
    }

    /// One call of the runtime service.
    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))
            .map_err(|error| Failure::new(format!("no path for {method}"), error))?;
        self.runtime.block_on(async {
            let mut client = Grpc::new(self.channel.clone());
            client.ready().await.map_err(|error| Failure::new("containerd does not answer", error))?;
            let answer = client.unary(tonic::Request::new(request), path, ProstCodec::<Q, A>::default()).await;
            answer.map(tonic::Response::into_inner).map_err(|status| Failure::new(format!("{method} failed"), status))
        })
    }

    /// Runs a pod as the kubelet would ask for it.
    ///
    /// # Errors
    /// When containerd or one of its plugins refuses, with the daemon's log.
    pub fn run_pod(&self, pod: &Pod) -> Result<Sandbox> {
        let container = pod.container();
        let uid = format!("{}-0000-4000-8000-{}", &container[..8], &container[8..20]);
        let ports = pod.ports.iter().map(|(host, container)| cri::PortMapping {
            protocol: 0,
            container_port: i32::from(*container),
            host_port: i32::from(*host),
        });
        let config = cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: pod.name.clone(),
                uid: uid.clone(),
                namespace: pod.namespace.clone(),
                attempt: 0,
            }),
            hostname: pod.name.clone(),
            log_directory: format!("/var/log/pods/{}_{}_{uid}", pod.namespace, pod.name),
            port_mappings: ports.collect(),
            linux: Some(cri::LinuxPodSandboxConfig {}),
        };
        let request = cri::RunPodSandboxRequest { config: Some(config) };
        let answer: cri::PodSandbox = self.call("RunPodSandbox", request).map_err(|failure| self.with_log(&failure))?;
        Ok(Sandbox { id: answer.pod_sandbox_id, uid })
    }

    /// Stops and removes a pod.
    ///
    /// # Errors
    /// When containerd or one of its plugins refuses, with the daemon's log.
    pub fn remove_pod(&self, sandbox: &Sandbox) -> Result<()> {
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            let request = cri::PodSandbox { pod_sandbox_id: sandbox.id.clone() };
            self.call::<_, cri::Nothing>(method, request).map_err(|failure| self.with_log(&failure))?;
        }
        Ok(())
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        // shims and pods end with the node
        if let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let daemon = &mut self.daemon;
        let ended = wait::until("containerd's end", Duration::from_secs(20), || daemon.try_wait().ok().flatten());
        if ended.is_err() {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }
}
