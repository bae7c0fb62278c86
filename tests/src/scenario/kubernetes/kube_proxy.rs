//! A real kube-proxy.

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use super::{ADDRESS, ApiServer, KUBE_PROXY, NODE};
use crate::node::{Node, output_of};
use crate::{Failure, Result, wait};

/// What kube-proxy writes rules with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A table of its own in nf_tables.
    Nftables,
    /// iptables.
    Iptables,
    /// IPVS, with IP sets, a link for the services' addresses and few rules.
    Ipvs,
}

impl Mode {
    /// kube-proxy's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
        }
    }

    /// In IPVS mode kube-proxy deletes every service that is not its own, but those it is told not to.
    fn options(self) -> &'static [&'static str] {
        if self == Self::Ipvs { &["--ipvs-exclude-cidrs=192.0.2.0/24"] } else { &[] }
    }

    /// What its first rules hold.
    fn first(self) -> &'static str {
        match self {
            Self::Nftables => "chain service-endpoints-check",
            Self::Iptables => "KUBE-MARK-MASQ",
            Self::Ipvs => "KUBE-CLUSTER-IP",
        }
    }

    /// Lists its rules.
    fn list(self) -> &'static str {
        match self {
            Self::Nftables => "nft list table ip kube-proxy",
            Self::Iptables => "iptables-nft-save",
            Self::Ipvs => "ipvsadm -Sn; ipset save",
        }
    }
}

/// Runs `kube-proxy --cleanup` to its end, as an administrator, and gives what it printed.
///
/// # Errors
/// When it is not built or fails.
pub fn cleanup(node: &Node) -> Result<String> {
    let mut command = node.admin("env");
    command.arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin").arg(KUBE_PROXY.built()?).arg("--cleanup");
    output_of(&mut command, "kube-proxy --cleanup")
}

/// A running kube-proxy.
#[derive(Debug)]
pub struct KubeProxy<'a> {
    node: &'a Node,
    mode: Mode,
    daemon: Child,
}

impl<'a> KubeProxy<'a> {
    /// Starts kube-proxy for what the API server has, and waits until its first rules are in force. The node is in the
    /// cluster: see [`super::attach`] and [`ApiServer::put_node`].
    ///
    /// # Errors
    /// When it is not built or does not come up, with its log and what the API server did not know.
    pub fn start(node: &'a Node, server: &ApiServer, mode: Mode) -> Result<Self> {
        let config = node.scratch().join("kubeconfig");
        std::fs::write(
            &config,
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
                 clusters: [{{name: c, cluster: {{server: \"http://{ADDRESS}\"}}}}]\n\
                 contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
            ),
        )?;
        let log = File::create(node.scratch().join("kube-proxy.log"))?;
        let daemon = node
            .command(KUBE_PROXY.built()?)
            .arg(format!("--proxy-mode={}", mode.word()))
            .arg(format!("--kubeconfig={}", config.display()))
            .arg(format!("--hostname-override={NODE}"))
            .args(["--cluster-cidr=10.244.0.0/16", "--kube-api-content-type=application/json"])
            // the machine's own, not the network namespace's
            .args(["--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0"])
            .arg("--conntrack-tcp-timeout-close-wait=0")
            .args(mode.options())
            .args(["--metrics-bind-address=127.0.0.1:10249", "--healthz-bind-address=127.0.0.1:10256", "--v=2"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `kube-proxy`", error))?;
        let proxy = Self { node, mode, daemon };
        proxy
            .wait_for(mode.first())
            .map_err(|failure| Failure(format!("{failure}\nunknown: {:#?}", server.unknown())))?;
        Ok(proxy)
    }

    /// Waits until its rules have a text.
    ///
    /// # Errors
    /// When they have not in time, with its log.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        self.wait(text, |rules| rules.contains(text))
    }

    /// Waits until its rules do not have a text any more.
    ///
    /// # Errors
    /// When they still have in time, with its log.
    pub fn wait_for_end_of(&self, text: &str) -> Result<()> {
        self.wait(&format!("the end of {text}"), |rules| !rules.contains(text))
    }

    fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> Result<()> {
        wait::until(&format!("{what} in kube-proxy's rules"), Duration::from_secs(90), || {
            self.node.sh(self.mode.list()).ok().filter(|rules| condition(rules)).map(drop)
        })
        .map_err(|failure| Failure(format!("{failure}\n{}", self.log())))
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.node.scratch().join("kube-proxy.log")).unwrap_or_default()
    }
}

impl Drop for KubeProxy<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
