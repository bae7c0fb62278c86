//! A real `firewalld` with a D-Bus of its own, with zones that use most of what zones have.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::node::Node;
use crate::{Failure, Result, wait};

/// What firewalld writes rules with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A table of its own in nf_tables.
    Nftables,
    /// iptables, ip6tables, ebtables and ipset.
    Iptables,
}

const PUBLIC: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Public</short>
  <interface name="eth7"/>
  <service name="ssh"/>
  <service name="http"/>
  <port port="8080-8090" protocol="tcp"/>
  <port port="53" protocol="udp"/>
  <protocol value="gre"/>
  <source-port port="67" protocol="udp"/>
  <icmp-block name="echo-request"/>
  <masquerade/>
  <forward-port port="80" protocol="tcp" to-port="8080" to-addr="10.0.0.5"/>
  <rule family="ipv4"><source address="10.0.0.0/8"/><service name="ssh"/><log prefix="ssh " level="info"><limit value="3/m"/></log><reject/></rule>
  <rule family="ipv6"><source address="fd00::/8"/><port port="443" protocol="tcp"/><accept/></rule>
  <rule priority="-5"><service name="dns"/><drop/></rule>
  <forward/>
</zone>
"#;
const WORK: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Work</short>
  <source address="192.168.7.0/24"/>
  <source ipset="hosts"/>
  <service name="ipp-client"/>
</zone>
"#;
const HOSTS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<ipset type="hash:ip"><entry>10.1.1.1</entry><entry>10.1.1.9</entry></ipset>
"#;

/// A running firewalld.
#[derive(Debug)]
pub struct Firewalld {
    bus: Child,
    daemon: Child,
}

impl Firewalld {
    /// Starts D-Bus and firewalld, and waits until its rules are in force.
    ///
    /// # Errors
    /// When one of them is missing or does not come up, with what firewalld logged.
    pub fn start(node: &Node, backend: Backend) -> Result<Self> {
        let word = if backend == Backend::Nftables { "nftables" } else { "iptables" };
        node.sh(&format!(
            "ip link show eth7 2>/dev/null || ip link add eth7 type veth peer name eth8
             mkdir -p /run/dbus /etc/firewalld/zones /etc/firewalld/ipsets
             sed -i 's/^FirewallBackend=.*/FirewallBackend={word}/' /etc/firewalld/firewalld.conf"
        ))?;
        for (path, text) in [("zones/public", PUBLIC), ("zones/work", WORK), ("ipsets/hosts", HOSTS)] {
            std::fs::write(node.outside(&format!("/etc/firewalld/{path}.xml")), text)?;
        }
        let bus = node
            .command("dbus-daemon")
            .args(["--system", "--nofork", "--nopidfile", "--address=unix:path=/run/dbus/system_bus_socket"])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Failure::new("cannot run `dbus-daemon`", error))?;
        let mut bus = Ended(Some(bus));
        wait::until("the bus", Duration::from_secs(30), || node.sh("test -S /run/dbus/system_bus_socket").ok())?;
        let log = std::fs::File::create(node.scratch().join("firewalld.log"))?;
        let daemon = node
            .command("firewalld")
            .args(["--nofork", "--nopid"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `firewalld`", error))?;
        let mut daemon = Ended(Some(daemon));
        // it answers when it has put its rules in
        wait::until("an answer of firewalld", Duration::from_secs(120), || node.sh("firewall-cmd --state").ok())
            .map_err(|failure| {
                let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
                let logs = [read(node.scratch().join("firewalld.log")), read(node.outside("/var/log/firewalld"))];
                Failure(format!("{failure}\n{}", logs.join("\n")))
            })?;
        match (bus.0.take(), daemon.0.take()) {
            (Some(bus), Some(daemon)) => Ok(Self { bus, daemon }),
            _ => Err(Failure("firewalld is gone".to_owned())),
        }
    }
}

/// Ends a process that is not handed on.
struct Ended(Option<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
