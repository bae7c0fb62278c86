//! Keys of members as text, and whether a request's words mean one of them.

use std::fmt::Write;
use std::net::IpAddr;

use super::{IpSetHeader, MemberMention, MemberParts};

impl MemberParts {
    /// What `ipset list` prints of a member's key, in the order the type's name gives; `None` when a part is missing.
    pub fn key(&self, kind: &str) -> Option<String> {
        let (_, dimensions) = kind.split_once(':')?;
        let has_protocol = kind.starts_with("hash:");
        let mut key = String::new();
        let mut addresses = [(self.ip, self.cidr), (self.ip2, self.cidr2)].into_iter();
        for (index, dimension) in dimensions.split(',').enumerate() {
            if index > 0 {
                key.push(',');
            }
            let written = match dimension {
                "ip" | "net" => {
                    let (address, cidr) = addresses.next()?;
                    let address = address?;
                    match cidr.filter(|cidr| dimension == "net" && *cidr != longest(address)) {
                        Some(cidr) => write!(key, "{address}/{cidr}"),
                        None => write!(key, "{address}"),
                    }
                }
                "port" => self.port(&mut key, has_protocol)?,
                "iface" => {
                    let prefix = if self.is_physical { "physdev:" } else { "" };
                    write!(key, "{prefix}{}", self.interface.as_deref()?)
                }
                // a bitmap:ip,mac member can be without one
                "mac" => match self.mac {
                    Some([a, b, c, d, e, f]) => write!(key, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}"),
                    None if index > 0 => {
                        key.pop();
                        Ok(())
                    }
                    None => return None,
                },
                "mark" => write!(key, "{:#010x}", self.mark?),
                "set" => write!(key, "{}", self.name.as_ref()?),
                _ => return None,
            };
            written.ok()?;
        }
        Some(key)
    }

    fn port(&self, key: &mut String, has_protocol: bool) -> Option<std::fmt::Result> {
        let port = self.port?;
        Some(match self.protocol.filter(|_| has_protocol) {
            None => write!(key, "{port}"),
            // type and code, in place of a port
            Some(1) => write!(key, "icmp:{}/{}", port >> 8, port & 0xff),
            Some(58) => write!(key, "icmpv6:{}/{}", port >> 8, port & 0xff),
            Some(6) => write!(key, "tcp:{port}"),
            Some(17) => write!(key, "udp:{port}"),
            Some(132) => write!(key, "sctp:{port}"),
            Some(136) => write!(key, "udplite:{port}"),
            Some(protocol) => write!(key, "{protocol}:{port}"),
        })
    }
}

impl MemberMention {
    /// Whether it means a member of a set: certainly, certainly not, or (`None`) perhaps.
    pub fn means(&self, header: &IpSetHeader, member: &str) -> Option<bool> {
        let mut parts = self.parts.clone()?;
        let (_, dimensions) = header.kind.split_once(':')?;
        // addresses are cut to what the set keeps of them
        if ["netmask ", "bitmask ", "markmask "].iter().any(|word| header.options.contains(word)) {
            return None;
        }
        let mut dimensions = dimensions.split(',').filter(|dimension| matches!(*dimension, "ip" | "net"));
        for (address, cidr) in [(&mut parts.ip, parts.cidr), (&mut parts.ip2, parts.cidr2)] {
            let dimension = dimensions.next();
            let (Some(its), Some(length)) = (*address, cidr) else { continue };
            match dimension {
                Some("net") => *address = network(its, length),
                // one word for all the addresses of a network
                _ if length != longest(its) => return None,
                _ => {}
            }
        }
        Some(parts.key(&header.kind)? == member)
    }
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn network(address: IpAddr, length: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length.into())?).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length.into())?).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: &str, options: &str) -> IpSetHeader {
        let (kind, options) = (kind.to_owned(), options.to_owned());
        let (index, seed, references, has_timeout) = (None, None, 0, false);
        IpSetHeader { kind, family: 2, revision: 0, index, seed, options, references, has_timeout }
    }

    fn mention(ip: &str, cidr: Option<u8>) -> MemberMention {
        let parts = MemberParts { ip: Some(ip.parse().expect("an address")), cidr, ..MemberParts::default() };
        MemberMention { parts: Some(parts) }
    }

    #[test]
    fn a_mention_means_one_member_or_leaves_it_open() {
        let ip = header("hash:ip", "family inet");
        assert_eq!(mention("10.0.0.1", None).means(&ip, "10.0.0.1"), Some(true));
        assert_eq!(mention("10.0.0.1", None).means(&ip, "10.0.0.2"), Some(false));
        assert_eq!(mention("10.0.0.1", Some(32)).means(&ip, "10.0.0.1"), Some(true));
        assert_eq!(mention("10.0.0.0", Some(30)).means(&ip, "10.0.0.2"), None, "four members in one word");
        assert_eq!(MemberMention::default().means(&ip, "10.0.0.2"), None);
        let masked = header("hash:ip", "family inet netmask 24");
        assert_eq!(mention("10.0.0.1", None).means(&masked, "10.0.0.0"), None);
        let net = header("hash:net", "family inet");
        assert_eq!(mention("10.0.0.9", Some(24)).means(&net, "10.0.0.0/24"), Some(true));
        assert_eq!(mention("10.0.0.9", None).means(&net, "10.0.0.9"), Some(true));
    }

    #[test]
    fn keys_are_written_in_the_order_of_the_type() {
        let parts = MemberParts {
            ip: Some("10.0.0.1".parse().expect("an address")),
            port: Some(80),
            protocol: Some(6),
            ip2: Some("10.1.0.0".parse().expect("an address")),
            cidr2: Some(16),
            ..MemberParts::default()
        };
        assert_eq!(parts.key("hash:ip,port,net").as_deref(), Some("10.0.0.1,tcp:80,10.1.0.0/16"));
        assert_eq!(parts.key("hash:ip,port,ip").as_deref(), Some("10.0.0.1,tcp:80,10.1.0.0"));
        assert_eq!(parts.key("bitmap:ip,mac").as_deref(), Some("10.0.0.1"));
        assert_eq!(parts.key("hash:mac"), None);
        assert_eq!(parts.key("hash:net,iface"), None);
    }
}
