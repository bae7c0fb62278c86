//! A real flanneld, which gets its subnets of the API server.

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use super::{ADDRESS, ApiServer, FLANNELD, NODE, NODE_LINK};
use crate::node::Node;
use crate::{Failure, Result, wait};

/// How flannel reaches other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// By a link of its own, `flannel.1`.
    Vxlan,
    /// By routes.
    HostGateway,
}

impl Backend {
    /// Its name in flannel's configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::HostGateway => "host-gw",
        }
    }
}

/// What flannel writes rules with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firewall {
    /// Tables of its own in nf_tables.
    Nftables,
    /// iptables.
    Iptables,
}

/// A running flanneld.
#[derive(Debug)]
pub struct Flanneld<'a> {
    node: &'a Node,
    daemon: Child,
}

impl<'a> Flanneld<'a> {
    /// Starts flanneld and waits until it has told others of itself, its rules are in force, and it has a route to every
    /// node in `others` (the ranges of their pods). The node is in the cluster: see [`super::attach`] and
    /// [`ApiServer::put_node`].
    ///
    /// # Errors
    /// When it is not built or does not come up, with its log and what the API server did not know.
    pub fn start(
        node: &'a Node,
        server: &ApiServer,
        (backend, firewall): (Backend, Firewall),
        others: &[&str],
    ) -> Result<Self> {
        let is_nftables = firewall == Firewall::Nftables;
        let config = node.scratch().join("net-conf.json");
        let word = backend.word();
        std::fs::write(
            &config,
            format!(
                r#"{{"Network": "10.244.0.0/16", "EnableNFTables": {is_nftables}, "Backend": {{"Type": "{word}"}}}}"#
            ),
        )?;
        let log = File::create(node.scratch().join("flanneld.log"))?;
        let daemon = node
            .command(FLANNELD.built()?)
            .args(["--kube-subnet-mgr", "--ip-masq", "--ip-blackhole-route=false"])
            .arg(format!("--kube-api-url=http://{ADDRESS}"))
            .arg(format!("--net-config-path={}", config.display()))
            .arg(format!("--iface={NODE_LINK}"))
            .env("NODE_NAME", NODE)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `flanneld`", error))?;
        let flanneld = Self { node, daemon };
        flanneld
            .wait_up(server, firewall, others)
            .map_err(|failure| Failure(format!("{failure}\n{}\nunknown: {:#?}", flanneld.log(), server.unknown())))?;
        Ok(flanneld)
    }

    fn wait_up(&self, server: &ApiServer, firewall: Firewall, others: &[&str]) -> Result<()> {
        let until = |what: &str, script: &str| {
            wait::until(what, Duration::from_secs(60), || self.node.sh(script).ok()).map(drop)
        };
        wait::until("flannel's lease", Duration::from_secs(60), || {
            let node = server.object("Node", "", NODE)?;
            node["status"]["conditions"].as_array()?.iter().find(|one| one["reason"] == "FlannelIsUp").map(drop)
        })?;
        match firewall {
            Firewall::Iptables => until(
                "flannel's rules",
                "iptables-save -t nat | grep -q MASQUERADE
                 iptables-save -t filter | grep -q -- '-A FLANNEL-FWD -d'",
            )?,
            Firewall::Nftables => until(
                "flannel's rules",
                "nft list table ip flannel-ipv4 | grep -q masquerade
                 nft list table ip flannel-ipv4 | grep -q 'ip daddr 10.244.0.0/16 accept'",
            )?,
        }
        others.iter().try_for_each(|range| {
            until(&format!("flannel's route to {range}"), &format!("ip route show {range} | grep -q ."))
        })
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.node.scratch().join("flanneld.log")).unwrap_or_default()
    }
}

impl Drop for Flanneld<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
