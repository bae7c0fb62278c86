//! A real `libvirtd` with its usual network: a bridge with NAT, DHCP and DNS.

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use crate::node::Node;
use crate::{Failure, Result, wait};

/// The network's bridge.
pub const BRIDGE: &str = "virbr0";

/// As Debian's package defines it.
const NETWORK: &str = r#"<network>
  <name>default</name>
  <forward mode="nat"/>
  <bridge name="virbr0" stp="on" delay="0"/>
  <ip address="192.168.122.1" netmask="255.255.255.0">
    <dhcp><range start="192.168.122.2" end="192.168.122.254"/></dhcp>
  </ip>
</network>
"#;

/// The daemon does not start without the user that its packages of systems with machines make; there is no polkit to ask.
const ARRANGE: &str = r#"
mkdir -p /etc/libvirt
printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n' > /etc/libvirt/libvirtd.conf
grep -q ^libvirt-qemu: /etc/group || echo 'libvirt-qemu:x:64055:' >> /etc/group
grep -q ^libvirt-qemu: /etc/passwd ||
    echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >> /etc/passwd
"#;

/// A running libvirtd.
#[derive(Debug)]
pub struct Libvirt<'a> {
    node: &'a Node,
    daemon: Child,
}

impl<'a> Libvirt<'a> {
    /// Starts the daemon and its network.
    ///
    /// # Errors
    /// When it is missing or does not come up, with its log.
    pub fn start(node: &'a Node) -> Result<Self> {
        node.sh(ARRANGE)?;
        let log_path = node.scratch().join("libvirtd.log");
        let log = File::create(&log_path)?;
        let daemon = node
            .command("libvirtd")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::new("cannot run `libvirtd`", error))?;
        let libvirt = Self { node, daemon };
        wait::until("an answer of libvirtd", Duration::from_secs(60), || libvirt.virsh("net-list").ok()).map_err(
            |failure| Failure(format!("{failure}\n{}", std::fs::read_to_string(&log_path).unwrap_or_default())),
        )?;
        let definition = node.scratch().join("network.xml");
        std::fs::write(&definition, NETWORK)?;
        libvirt.virsh(&format!("net-define {}", definition.display()))?;
        libvirt.virsh("net-start default")?;
        Ok(libvirt)
    }

    /// Runs a command of virsh.
    ///
    /// # Errors
    /// When it fails, with all it printed.
    pub fn virsh(&self, command: &str) -> Result<String> {
        self.node.sh(&format!("virsh --quiet --connect qemu:///system {command}"))
    }
}

impl Drop for Libvirt<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
