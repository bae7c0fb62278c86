//! IPVS: virtual services and the destinations that the kernel balances their packets to.
//!
//! A service is known by protocol, address and port, or by a firewall mark; a destination by its service, address and
//! port. Neither has a number: what was deleted and added again with equal content looks the same.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};

/// `IP_VS_SVC_F_PERSISTENT`: a client stays with its destination.
const PERSISTENT: u32 = 1;
/// `IP_VS_SVC_F_HASHED`: the kernel's own note that the service is in its table.
pub const HASHED: u32 = 2;
/// `IP_VS_SVC_F_ONEPACKET`: each datagram is balanced by itself.
const ONE_PACKET: u32 = 4;
/// `IP_VS_SVC_F_SCHED1` to `SCHED3`, whose meaning is the scheduler's.
const SCHEDULER_FLAGS: [(u32, &str); 3] = [(8, "flag-1"), (16, "flag-2"), (32, "flag-3")];
/// Protocols by ipvsadm(8)'s words.
const PROTOCOLS: [(u16, &str); 3] = [(6, "tcp"), (17, "udp"), (132, "sctp")];
/// `AF_INET` and `AF_INET6`.
pub const INET: u16 = 2;
/// See [`INET`].
pub const INET6: u16 = 10;

/// Which virtual service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpvsService {
    /// By what packets are sent to.
    Address {
        /// `IPPROTO_*`: 6 TCP, 17 UDP, 132 SCTP.
        protocol: u16,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port; 0 is every port of the address.
        port: u16,
    },
    /// By the firewall mark of packets.
    Mark {
        /// `AF_INET` or `AF_INET6`.
        family: u16,
        /// The mark, never 0.
        mark: u32,
    },
}

impl IpvsService {
    /// Its address family, `AF_INET` or `AF_INET6`.
    pub fn family(&self) -> u16 {
        match self {
            Self::Address { address: IpAddr::V4(_), .. } => INET,
            Self::Address { address: IpAddr::V6(_), .. } => INET6,
            Self::Mark { family, .. } => *family,
        }
    }

    /// How ipvsadm(8) is told the service: `-t 10.96.0.1:443`, `-f 7`, `-f 7 -6`; `None` for a protocol it has no option
    /// for.
    pub fn ipvsadm(&self) -> Option<Vec<String>> {
        Some(match self {
            Self::Address { protocol, address, port } => {
                let option = match protocol {
                    6 => "-t",
                    17 => "-u",
                    132 => "--sctp-service",
                    _ => return None,
                };
                vec![option.to_owned(), SocketAddr::new(*address, *port).to_string()]
            }
            Self::Mark { family, mark } => {
                let mut words = vec!["-f".to_owned(), mark.to_string()];
                words.extend((*family == INET6).then(|| "-6".to_owned()));
                words
            }
        })
    }
}

impl fmt::Display for IpvsService {
    /// `tcp 10.96.0.1:443`, `fwmark 7`, `fwmark 7/ipv6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address, port } => {
                match PROTOCOLS.into_iter().find(|(number, _)| number == protocol) {
                    Some((_, word)) => f.write_str(word)?,
                    None => write!(f, "{protocol}")?,
                }
                write!(f, " {}", SocketAddr::new(*address, *port))
            }
            Self::Mark { family: INET6, mark } => write!(f, "fwmark {mark}/ipv6"),
            Self::Mark { family: _, mark } => write!(f, "fwmark {mark}"),
        }
    }
}

/// A text that names no virtual service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a virtual service such as `tcp 10.96.0.1:443`, `udp [fd00::a]:53` or `fwmark 7` but found `{0}`")]
pub struct BadService(pub String);

impl FromStr for IpvsService {
    type Err = BadService;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadService(text.to_owned());
        let (word, rest) = text.split_once(' ').ok_or_else(bad)?;
        if word == "fwmark" {
            let (mark, family) = rest.strip_suffix("/ipv6").map_or((rest, INET), |mark| (mark, INET6));
            let mark = match mark.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => mark.parse(),
            };
            let mark = mark.ok().filter(|mark| *mark != 0).ok_or_else(bad)?;
            return Ok(Self::Mark { family, mark });
        }
        let known = PROTOCOLS.into_iter().find(|(_, known)| *known == word).map(|(number, _)| number);
        let protocol = known.or_else(|| word.parse().ok()).ok_or_else(bad)?;
        let place: SocketAddr = rest.parse().map_err(|_| bad())?;
        Ok(Self::Address { protocol, address: place.ip(), port: place.port() })
    }
}

/// A virtual service, or a destination of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IpvsSubject {
    /// The service it is or belongs to.
    pub service: IpvsService,
    /// What of it.
    pub item: IpvsItem,
}

/// A service, or what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpvsItem {
    /// The service itself.
    Service,
    /// One destination.
    Destination {
        /// Its address.
        address: IpAddr,
        /// Its port.
        port: u16,
    },
}

impl IpvsSubject {
    /// The service itself.
    pub fn service(service: IpvsService) -> Self {
        Self { service, item: IpvsItem::Service }
    }

    /// A destination.
    pub fn destination(service: IpvsService, at: SocketAddr) -> Self {
        Self { service, item: IpvsItem::Destination { address: at.ip(), port: at.port() } }
    }
}

impl fmt::Display for IpvsSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, item } = self;
        match item {
            IpvsItem::Service => write!(f, "ipvs {service}"),
            IpvsItem::Destination { address, port } => {
                write!(f, "destination {service} {}", SocketAddr::new(*address, *port))
            }
        }
    }
}

/// Content of a service or of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpvsSnapshot {
    /// Of a service.
    Service(IpvsSettings),
    /// Of a destination.
    Destination(IpvsDestination),
}

/// What a service was made with; no counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpvsSettings {
    /// Scheduler: `rr`, `wlc`, `mh`; `none` for a service whose scheduler was taken away (Linux 4.3).
    pub scheduler: String,
    /// `IP_VS_SVC_F_*`, without the kernel's own.
    pub flags: u32,
    /// How long a client stays with its destination, seconds; means something only with the flag for it.
    pub timeout: u32,
    /// Which clients count as one: of IPv4 a mask in network byte order, of IPv6 a prefix length in host order.
    pub netmask: [u8; 4],
    /// Persistence engine: `sip`.
    pub engine: Option<String>,
}

/// What a destination was made with; no counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpvsDestination {
    /// `IP_VS_CONN_F_FWD_MASK` part of its flags: 0 masquerading, 1 local, 2 tunnel, 3 direct routing, 4 bypass.
    pub forwarding: u32,
    /// Weight; 0 takes no new connections.
    pub weight: u32,
    /// Connections from which on it takes no more; 0 is no limit.
    pub upper: u32,
    /// Connections below which it takes some again; 0 leaves that to the kernel.
    pub lower: u32,
    /// `IP_VS_CONN_F_TUNNEL_TYPE_*` (Linux 5.3): 0 IPIP, 1 GUE, 2 GRE.
    pub tunnel_kind: u8,
    /// Port of a GUE tunnel.
    pub tunnel_port: u16,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
    pub tunnel_flags: u16,
}

impl IpvsSettings {
    /// What `ipvsadm -Sn` prints behind the service: `-s rr -p 300`.
    pub fn options(&self, family: u16) -> String {
        let Self { scheduler, flags, timeout, netmask, engine } = self;
        let mut text = format!("-s {scheduler}");
        if flags & PERSISTENT != 0 {
            let _ = write!(text, " -p {timeout}");
            let mask = Ipv4Addr::from(*netmask);
            let length = u32::from_ne_bytes(*netmask);
            if family == INET6 && length != 128 {
                let _ = write!(text, " -M {length}");
            } else if family == INET && mask != Ipv4Addr::BROADCAST {
                let _ = write!(text, " -M {mask}");
            }
        }
        if let Some(engine) = engine {
            let _ = write!(text, " --pe {engine}");
        }
        if flags & ONE_PACKET != 0 {
            text.push_str(" -o");
        }
        let words: Vec<&str> =
            SCHEDULER_FLAGS.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| word).collect();
        if !words.is_empty() {
            let _ = write!(text, " -b {}", words.join(","));
        }
        text
    }
}

impl IpvsDestination {
    /// What `ipvsadm -Sn` prints behind the destination: `-m -w 1`.
    pub fn options(&self) -> String {
        let Self { forwarding, weight, upper, lower, tunnel_kind, tunnel_port, tunnel_flags } = self;
        let mut text = match forwarding {
            0 => "-m".to_owned(),
            1 | 3 => "-g".to_owned(),
            2 => "-i".to_owned(),
            other => format!("forwarding {other}"),
        };
        if *forwarding == 2 && *tunnel_kind != 0 {
            match tunnel_kind {
                1 => _ = write!(text, " --tun-type gue --tun-port {tunnel_port}"),
                2 => text.push_str(" --tun-type gre"),
                other => _ = write!(text, " --tun-type {other}"),
            }
            match tunnel_flags {
                0 => text.push_str(" --tun-nocsum"),
                1 => text.push_str(" --tun-csum"),
                2 => text.push_str(" --tun-remcsum"),
                other => _ = write!(text, " tunnel flags {other:#x}"),
            }
        }
        let _ = write!(text, " -w {weight}");
        if *upper != 0 {
            let _ = write!(text, " -x {upper}");
        }
        if *lower != 0 {
            let _ = write!(text, " -y {lower}");
        }
        text
    }
}

impl IpvsSnapshot {
    /// Digest of what a creator chose.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Service(IpvsSettings { scheduler, flags, timeout, netmask, engine }) => {
                let mut digest = DigestBuilder::new("ipvs");
                digest.field(scheduler.as_bytes()).field(&flags.to_be_bytes()).field(&timeout.to_be_bytes());
                digest.field(netmask).field(engine.as_deref().unwrap_or_default().as_bytes()).finish()
            }
            Self::Destination(it) => {
                let IpvsDestination { forwarding, weight, upper, lower, tunnel_kind, tunnel_port, tunnel_flags } = it;
                let mut digest = DigestBuilder::new("ipvs-destination");
                for number in [forwarding, weight, upper, lower] {
                    digest.field(&number.to_be_bytes());
                }
                digest.field(&[*tunnel_kind]).field(&tunnel_port.to_be_bytes()).field(&tunnel_flags.to_be_bytes());
                digest.finish()
            }
        }
    }
}

/// What a request asks of IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the subsystem's own words")]
pub enum IpvsVerb {
    NewService,
    SetService,
    DelService,
    NewDestination,
    SetDestination,
    DelDestination,
    /// Deletes every service.
    Flush,
    /// A message that was not captured.
    Anything,
}

impl fmt::Display for IpvsVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewService => "add service",
            Self::SetService => "edit service",
            Self::DelService => "delete service",
            Self::NewDestination => "add destination",
            Self::SetDestination => "edit destination",
            Self::DelDestination => "delete destination",
            Self::Flush => "clear",
            Self::Anything => "something",
        })
    }
}

/// One message of a request to IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpvsOrder {
    /// What.
    pub verb: IpvsVerb,
    /// Which service; `None` is every service.
    pub service: Option<IpvsService>,
    /// Which destination of it.
    pub destination: Option<SocketAddr>,
}

impl fmt::Display for IpvsOrder {
    /// `ipvs add destination tcp 10.96.0.1:443 10.244.0.5:8443`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, service, destination } = self;
        write!(f, "ipvs {verb}")?;
        service.iter().try_for_each(|service| write!(f, " {service}"))?;
        destination.iter().try_for_each(|destination| write!(f, " {destination}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_as_they_are_written() {
        for text in ["tcp 10.96.0.1:443", "udp [fd00::a]:53", "sctp 10.0.0.1:0", "47 10.0.0.1:1", "fwmark 7"] {
            assert_eq!(text.parse::<IpvsService>().expect(text).to_string(), text);
        }
        let mark = "fwmark 0x10/ipv6".parse::<IpvsService>().expect("a mark");
        assert_eq!(mark, IpvsService::Mark { family: INET6, mark: 16 });
        assert_eq!(mark.to_string(), "fwmark 16/ipv6");
        for text in ["tcp", "tcp 10.0.0.1", "fwmark 0", "icmp 10.0.0.1:1", "tcp fd00::1:53", ""] {
            assert!(text.parse::<IpvsService>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_are_those_of_ipvsadm() {
        let mut settings =
            IpvsSettings { scheduler: "rr".to_owned(), flags: 0, timeout: 300, netmask: [255; 4], engine: None };
        assert_eq!(settings.options(INET), "-s rr");
        settings.flags = PERSISTENT | ONE_PACKET | 8 | 32;
        assert_eq!(settings.options(INET), "-s rr -p 300 -o -b flag-1,flag-3");
        settings.netmask = [255, 255, 255, 0];
        settings.engine = Some("sip".to_owned());
        assert_eq!(settings.options(INET), "-s rr -p 300 -M 255.255.255.0 --pe sip -o -b flag-1,flag-3");
        let mut destination = IpvsDestination {
            forwarding: 0,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel_kind: 0,
            tunnel_port: 0,
            tunnel_flags: 0,
        };
        assert_eq!(destination.options(), "-m -w 1");
        let plain = IpvsSnapshot::Destination(destination).digest();
        (destination.forwarding, destination.tunnel_kind, destination.tunnel_port) = (2, 1, 6080);
        (destination.upper, destination.lower) = (9, 3);
        assert_eq!(destination.options(), "-i --tun-type gue --tun-port 6080 --tun-nocsum -w 1 -x 9 -y 3");
        assert_ne!(IpvsSnapshot::Destination(destination).digest(), plain);
    }
}
