//! Routes and ip rules.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::ids::Ifindex;

/// Which route: what the kernel's own uniqueness check looks at, plus the next hop (IPv6 keeps siblings apart by it).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteSubject {
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// Destination; `None` is the default route.
    pub destination: Option<IpAddr>,
    /// Destination prefix length, 0 to 128.
    pub prefix: u8,
    /// Routing table number (254 main, 255 local).
    pub table: u32,
    /// Type of service, 0 to 255.
    pub tos: u8,
    /// Metric; lower wins.
    pub priority: u32,
    /// Outgoing link of a route with one next hop.
    pub oif: Option<Ifindex>,
    /// Gateway of a route with one next hop.
    pub gateway: Option<IpAddr>,
}

/// A route's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSnapshot {
    /// `RTPROT_*`: 2 kernel, 3 boot, 4 static and so on.
    pub protocol: u8,
    /// `RTN_*`: 1 unicast, 2 local, 3 broadcast, 6 blackhole and so on.
    pub kind: u8,
    /// Name of the outgoing link at the time, for people.
    pub ifname: Option<String>,
    /// The `rtmsg` and its attributes as sent.
    pub message: Vec<u8>,
    /// Digest without cache information and use counts.
    pub content: Digest,
}

impl RouteSnapshot {
    /// Whether the kernel made the route itself, as the consequence of an address or a link.
    pub fn is_kernel_made(&self) -> bool {
        self.protocol == 2
    }

    /// Whether it is one that the kernel keeps for each IPv6 prefix of a node that forwards (`RTN_ANYCAST`): it comes and
    /// goes with the `forwarding` sysctls.
    pub fn comes_with_forwarding(&self) -> bool {
        self.is_kernel_made() && self.kind == 4
    }
}

/// Which ip rule: the kernel allows several with one priority, so the whole selector is the identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IpRuleSubject {
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// Order; lower comes first.
    pub priority: u32,
    /// Digest of selector and action.
    pub selector: Digest,
}

/// An ip rule's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpRuleSnapshot {
    /// The `fib_rule_hdr` and its attributes as sent.
    pub message: Vec<u8>,
    /// What people read: `from 10.0.0.0/8 lookup 100`.
    pub text: String,
}

impl fmt::Display for RouteSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(destination) => write!(f, "{destination}/{}", self.prefix)?,
            None => f.write_str(if self.family == 10 { "default6" } else { "default" })?,
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        match self.table {
            254 => f.write_str(" table main")?,
            255 => f.write_str(" table local")?,
            number => write!(f, " table {number}")?,
        }
        if self.priority != 0 {
            write!(f, " metric {}", self.priority)?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        Ok(())
    }
}
