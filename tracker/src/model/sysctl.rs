//! Sysctls that somebody set to another value than they had.
//!
//! What is recorded is not the parameter, which is always there, but that it was set: made by whoever gave it another
//! value than the one found, gone when it has that value again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};

/// Name of a sysctl: its path below `/proc/sys`.
///
/// Two paths of one variable have one name: `net/ipv4/conf/all/forwarding` is `net/ipv4/ip_forward`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SysctlName(String);

/// Paths that lead to the variable of another one.
const ALIASES: [(&str, &str); 2] = [
    ("net/ipv4/conf/all/forwarding", "net/ipv4/ip_forward"),
    ("net/nf_conntrack_max", "net/netfilter/nf_conntrack_max"),
];

impl SysctlName {
    /// The name of a path below `/proc/sys`; `None` when it is no such path.
    pub fn of_path(path: &str) -> Option<Self> {
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        if !path.contains('/') || !path.split('/').all(is_part) {
            return None;
        }
        let alias = ALIASES.iter().find(|(other, _)| *other == path);
        Some(Self(alias.map_or(path, |(_, name)| *name).to_owned()))
    }

    /// Parses what sysctl(8) takes: parts with dots or slashes between them, whichever comes first; in the first form a
    /// slash stands for a dot within a part (`net.ipv4.conf.eth0/100.rp_filter`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("/proc/sys/").unwrap_or(text);
        match text.find(['.', '/']) {
            Some(at) if text[at..].starts_with('.') => Self::of_path(&swapped(text)),
            _ => Self::of_path(text),
        }
    }

    /// The path below `/proc/sys`.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The address family that the whole node forwards by it: 2 for IPv4, 10 for IPv6.
    pub fn forwards(&self) -> Option<u8> {
        match self.0.as_str() {
            "net/ipv4/ip_forward" => Some(2),
            "net/ipv6/conf/all/forwarding" => Some(10),
            _ => None,
        }
    }

    /// Whether it makes the node forward IPv6.
    pub fn is_ipv6_forwarding(&self) -> bool {
        self.0.strip_prefix("net/ipv6/conf/").is_some_and(|rest| rest.ends_with("/forwarding"))
    }

    /// The link it is a setting of, if it is one's: it comes and goes with the link.
    pub fn link(&self) -> Option<&str> {
        let mut parts = self.0.split('/');
        match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()) {
            ("net", "ipv4" | "ipv6" | "mpls", "conf" | "neigh", link, Some(_)) => {
                Some(link).filter(|link| !matches!(*link, "all" | "default"))
            }
            _ => None,
        }
    }
}

fn swapped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

impl fmt::Display for SysctlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&swapped(&self.0))
    }
}

/// A sysctl that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlSnapshot {
    /// Its value, as read.
    pub value: String,
    /// The value it had before anybody was seen setting it; `None` when that was not read in time.
    pub before: Option<String>,
}

impl SysctlSnapshot {
    /// Digest of the value.
    pub fn digest(&self) -> Digest {
        let Self { value, before: _ } = self;
        DigestBuilder::new("sysctl").field(value.as_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_sysctl_writes_them() {
        let name = |text| SysctlName::parse(text).map(|name| (name.path().to_owned(), name.to_string()));
        let forward = Some(("net/ipv4/ip_forward".to_owned(), "net.ipv4.ip_forward".to_owned()));
        assert_eq!(name("net.ipv4.ip_forward"), forward);
        assert_eq!(name("/proc/sys/net/ipv4/ip_forward"), forward);
        assert_eq!(name("net.ipv4.conf.all.forwarding"), forward, "one variable");
        let vlan = "net.ipv4.conf.eth0/100.rp_filter";
        assert_eq!(name(vlan), Some(("net/ipv4/conf/eth0.100/rp_filter".to_owned(), vlan.to_owned())));
        assert_eq!(name("net/ipv4/conf/eth0.100/rp_filter").map(|(_, shown)| shown).as_deref(), Some(vlan));
        let link = |text| SysctlName::parse(text).and_then(|name| name.link().map(str::to_owned));
        assert_eq!(link(vlan).as_deref(), Some("eth0.100"));
        assert_eq!((link("net.ipv4.conf.all.rp_filter"), link("net.ipv4.ip_forward")), (None, None));
        for bad in ["", "net", "/net/ipv4", "net..ipv4", "net/../kernel/x"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
