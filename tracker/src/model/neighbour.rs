//! Neighbours that somebody set: ARP and NDP entries, and forwarding entries of bridges and vxlan links.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::Ifindex;

/// Which neighbour of which link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NeighbourSubject {
    /// The link; of a bridge's forwarding entry the port.
    pub ifindex: Ifindex,
    /// What is looked up.
    pub key: NeighbourKey,
}

/// What a neighbour is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NeighbourKey {
    /// An IP address, for its hardware address.
    Address(IpAddr),
    /// A hardware address, for the port or the remote end behind it.
    Forwarding {
        /// The hardware address.
        mac: Vec<u8>,
        /// VLAN it holds for; 0 for none.
        vlan: u16,
        /// Remote end, of vxlan links, which may have several for one address.
        destination: Option<IpAddr>,
        /// In the link's own table (`self`) rather than in its bridge's (`master`).
        is_self: bool,
    },
}

/// A neighbour's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourSnapshot {
    /// Name of the link at the time, for people.
    pub ifname: Option<String>,
    /// `NUD_*`: 0x40 noarp, 0x80 permanent.
    pub state: u16,
    /// `NTF_*`.
    pub flags: u8,
    /// The hardware address an IP address is at.
    pub mac: Vec<u8>,
    /// The bridge a forwarding entry is in.
    pub controller: Option<Ifindex>,
    /// The `ndmsg` and its attributes as sent, without use counts.
    pub message: Vec<u8>,
}

/// `NUD_NOARP`: valid for ever, needs no asking; bridges call it static.
pub const NUD_NOARP: u16 = 0x40;
/// `NUD_PERMANENT`: set by hand, valid for ever.
pub const NUD_PERMANENT: u16 = 0x80;
/// `NTF_EXT_LEARNED`: kept up by a program.
pub const NTF_EXT_LEARNED: u8 = 0x10;

impl NeighbourSnapshot {
    /// Digest of what was chosen: the hardware address and how long it holds.
    pub fn digest(&self) -> Digest {
        DigestBuilder::new("neighbour")
            .field(&self.mac)
            .field(&(self.state & (NUD_NOARP | NUD_PERMANENT)).to_ne_bytes())
            .field(&[self.flags & NTF_EXT_LEARNED])
            .finish()
    }

    /// Whether it is an address of a bridge itself (`local`). The kernel keeps one for each port and VLAN, and so may
    /// anybody else.
    pub fn is_bridges_own(&self) -> bool {
        self.controller.is_some() && self.state & NUD_PERMANENT != 0 && self.flags & NTF_EXT_LEARNED == 0
    }
}

impl NeighbourSubject {
    /// Whether a request about this one can have caused a notification about `told`: asked for without a VLAN, a bridge
    /// makes one entry for each; asked for by its own name (`self`), its entry is in its own table; asked for without a
    /// remote end, vxlan takes its default one.
    pub fn covers(&self, told: &Self) -> bool {
        match (&self.key, &told.key) {
            (
                NeighbourKey::Forwarding { mac, vlan, destination, is_self: _ },
                NeighbourKey::Forwarding { mac: told_mac, vlan: told_vlan, destination: told_destination, is_self: _ },
            ) => {
                self.ifindex == told.ifindex
                    && mac == told_mac
                    && (*vlan == 0 || vlan == told_vlan)
                    && (destination.is_none() || destination == told_destination)
            }
            _ => self == told,
        }
    }

    /// Whether it is a forwarding entry of a bridge or a vxlan link.
    pub fn is_forwarding(&self) -> bool {
        matches!(self.key, NeighbourKey::Forwarding { .. })
    }

    /// What people call it: `10.0.0.9 dev eth0`, `02:42:0a:00:00:09 dev flannel.1 dst 192.0.2.7 self`.
    pub(super) fn describe(&self, content: Option<&NeighbourSnapshot>) -> String {
        let dev = content.and_then(|content| content.ifname.clone()).unwrap_or_else(|| format!("#{}", self.ifindex));
        match &self.key {
            NeighbourKey::Address(address) => format!("{address} dev {dev}"),
            NeighbourKey::Forwarding { mac, vlan, destination, is_self } => {
                let destination = destination.map(|address| format!(" dst {address}")).unwrap_or_default();
                let vlan = if *vlan == 0 { String::new() } else { format!(" vlan {vlan}") };
                let table = if *is_self { "self" } else { "master" };
                format!("{} dev {dev}{destination}{vlan} {table}", Mac(mac))
            }
        }
    }
}

/// A hardware address as ip(8) writes it.
#[derive(Debug, Clone, Copy)]
pub struct Mac<'a>(pub &'a [u8]);

impl fmt::Display for Mac<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}
