//! Real podman with netavark: a network, and a container with published ports.

use crate::Result;
use crate::node::Node;

/// All state is below `/var/lib` and `/run`, which are the node's own.
const PODMAN: &str =
    "podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --network-backend netavark";

/// A running container.
#[derive(Debug)]
pub struct Podman<'a> {
    node: &'a Node,
}

impl<'a> Podman<'a> {
    /// Runs a container on a network with both protocols, with published ports of both kinds.
    ///
    /// # Errors
    /// When podman is missing or refuses.
    pub fn publish(node: &'a Node) -> Result<Self> {
        Self::run(node, "--ipv6 --subnet fd00:5::/64", "--publish 8081:80 --publish 127.0.0.1:9000-9002:9000-9002/udp")
    }

    /// Runs a container with one published port. The rules of several come in an order that differs from run to run.
    ///
    /// # Errors
    /// When podman is missing or refuses.
    pub fn publish_one(node: &'a Node) -> Result<Self> {
        Self::run(node, "", "--publish 8081:80")
    }

    /// Makes an image of the static busybox and a network, and runs a container on it.
    fn run(node: &'a Node, network: &str, ports: &str) -> Result<Self> {
        node.sh(&format!(
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
             mkdir -p /run/image/bin /run/image/www
             cp /bin/busybox /run/image/bin/
             tar -C /run/image -c . | {PODMAN} import - web:1
             {PODMAN} network create --subnet 10.89.5.0/24 {network} net5"
        ))?;
        let podman = Self { node };
        node.sh(&format!(
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
             {PODMAN} run --security-opt seccomp=unconfined --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --detach --name web --network net5 \
                 {ports} web:1 /bin/busybox httpd -f -p 80 -h /www"
        ))?;
        Ok(podman)
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let _ = self.node.sh(&format!("{PODMAN} rm --force --time 0 web"));
    }
}
