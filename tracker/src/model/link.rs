//! Links (network devices as rtnetlink sees them) and their addresses.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::ids::{Ifindex, Ifname};

/// A link's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSnapshot {
    /// Current name.
    pub name: Ifname,
    /// `IFLA_INFO_KIND`: `veth`, `bridge`, `vxlan` and so on; `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Hardware address.
    pub mac: Vec<u8>,
    /// The link this one is a port of.
    pub controller: Option<Ifindex>,
    /// `IFLA_LINK`: veth peer (in `peer_netns` if set) or lower link.
    pub lower: Option<Ifindex>,
    /// Local number of the peer's or lower link's network namespace, when it is another one.
    pub peer_netns: Option<i32>,
    /// Maximum transmission unit, bytes.
    pub mtu: u32,
    /// `IFLA_ALT_IFNAME` names.
    pub altnames: Vec<String>,
    /// `IFLA_INFO_DATA` payload as sent (kind-specific settings; bridges put timers in it).
    pub info_data: Vec<u8>,
    /// Whether the link is administratively up (`IFF_UP`).
    pub is_up: bool,
}

/// Links that appear in every network namespace when their module is loaded, with their kinds. Nobody asks for them,
/// and `RTM_DELLINK` is refused for them.
const FALLBACK: [(&str, Option<&str>); 10] = [
    ("lo", None),
    ("tunl0", Some("ipip")),
    ("gre0", Some("gre")),
    ("gretap0", Some("gretap")),
    ("erspan0", Some("erspan")),
    ("ip_vti0", Some("vti")),
    ("sit0", Some("sit")),
    ("ip6tnl0", Some("ip6tnl")),
    ("ip6gre0", Some("ip6gre")),
    ("ip6_vti0", Some("vti6")),
];

/// The kind of the links that a fallback link of this name stands for; `None` when there is no such fallback link.
pub fn kind_of_fallback(name: &str) -> Option<&'static str> {
    FALLBACK.iter().find(|(fallback, _)| *fallback == name).and_then(|(_, kind)| *kind)
}

impl LinkSnapshot {
    /// Whether it is the loopback link, or one that a module makes for itself: the kernel's, never to be deleted.
    pub fn is_fallback(&self) -> bool {
        FALLBACK.iter().any(|(name, kind)| *name == self.name.as_str() && *kind == self.kind.as_deref())
    }

    /// Digest of what its creator chose: name, kind, hardware address. A bridge's hardware address is left out: unless
    /// it was set by hand it follows the bridge's ports.
    pub fn digest(&self) -> Digest {
        let mac: &[u8] = if self.kind.as_deref() == Some("bridge") { &[] } else { &self.mac };
        DigestBuilder::new("link")
            .field(self.name.as_str().as_bytes())
            .field(self.kind.as_deref().unwrap_or_default().as_bytes())
            .field(mac)
            .finish()
    }
}

/// Which address of which link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressSubject {
    /// The link that carries it.
    pub ifindex: Ifindex,
    /// The local address.
    pub address: IpAddr,
    /// Prefix length, 0 to 128.
    pub prefix: u8,
}

/// An address's content: the notification's payload as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSnapshot {
    /// Name of the link at the time, for people.
    pub ifname: Option<Ifname>,
    /// The `ifaddrmsg` and its attributes as sent.
    pub message: Vec<u8>,
    /// Scope and flags that matter (the tentative flag does not).
    pub content: Digest,
    /// `IFA_F_PERMANENT` is unset: router advertisements and DHCP renew it.
    pub is_dynamic: bool,
}
