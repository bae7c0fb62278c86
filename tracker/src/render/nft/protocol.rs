//! Headers and their fields.

use super::datatype::Datatype;

/// A protocol whose header nft knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Ether,
    Vlan,
    Arp,
    Ip,
    Ip6,
    Icmp,
    Icmpv6,
    Igmp,
    Tcp,
    Udp,
    Udplite,
    Sctp,
    Dccp,
    Esp,
    Ah,
    Comp,
}

/// Which ICMP type a field exists for; of several at one place the first that fits is meant.
pub(super) type Only = Option<u8>;

/// Offset and length in bits, name, type, whether it tells the protocol inside, ICMP type it is for.
pub(super) type Field = (u32, u32, &'static str, Datatype, bool, Only);

use Datatype::*;

const ETHER: &[Field] = &[
    (0, 48, "daddr", Ether, false, None),
    (48, 48, "saddr", Ether, false, None),
    (96, 16, "type", EtherType, true, None),
];
const VLAN: &[Field] = &[
    (112, 3, "pcp", Integer, false, None),
    (115, 1, "dei", Integer, false, None),
    (116, 12, "id", Integer, false, None),
    (128, 16, "type", EtherType, true, None),
];
const ARP: &[Field] = &[
    (0, 16, "htype", Integer, false, None),
    (16, 16, "ptype", EtherType, false, None),
    (32, 8, "hlen", Integer, false, None),
    (40, 8, "plen", Integer, false, None),
    (48, 16, "operation", ArpOperation, false, None),
    (64, 48, "saddr ether", Ether, false, None),
    (112, 32, "saddr ip", Ipv4, false, None),
    (144, 48, "daddr ether", Ether, false, None),
    (192, 32, "daddr ip", Ipv4, false, None),
];
const IP: &[Field] = &[
    (0, 4, "version", Integer, false, None),
    (4, 4, "hdrlength", Integer, false, None),
    (8, 6, "dscp", Dscp, false, None),
    (14, 2, "ecn", Ecn, false, None),
    (16, 16, "length", Integer, false, None),
    (32, 16, "id", Integer, false, None),
    (48, 16, "frag-off", Integer, false, None),
    (64, 8, "ttl", Integer, false, None),
    (72, 8, "protocol", Datatype::Protocol, true, None),
    (80, 16, "checksum", Integer, false, None),
    (96, 32, "saddr", Ipv4, false, None),
    (128, 32, "daddr", Ipv4, false, None),
];
const IP6: &[Field] = &[
    (0, 4, "version", Integer, false, None),
    (4, 6, "dscp", Dscp, false, None),
    (10, 2, "ecn", Ecn, false, None),
    (12, 20, "flowlabel", Integer, false, None),
    (32, 16, "length", Integer, false, None),
    (48, 8, "nexthdr", Datatype::Protocol, true, None),
    (56, 8, "hoplimit", Integer, false, None),
    (64, 128, "saddr", Ipv6, false, None),
    (192, 128, "daddr", Ipv6, false, None),
];
const ICMP: &[Field] = &[
    (0, 8, "type", IcmpType, true, None),
    (8, 8, "code", IcmpCode, false, None),
    (16, 16, "checksum", Integer, false, None),
    (32, 16, "id", Integer, false, Some(8)),
    (48, 16, "sequence", Integer, false, Some(8)),
    (32, 32, "gateway", Integer, false, Some(5)),
    (48, 16, "mtu", Integer, false, Some(3)),
];
const ICMPV6: &[Field] = &[
    (0, 8, "type", Icmpv6Type, true, None),
    (8, 8, "code", Icmpv6Code, false, None),
    (16, 16, "checksum", Integer, false, None),
    (32, 32, "parameter-problem", Integer, false, Some(4)),
    (32, 32, "mtu", Integer, false, Some(2)),
    (32, 16, "id", Integer, false, Some(128)),
    (48, 16, "sequence", Integer, false, Some(128)),
    (32, 16, "max-delay", Integer, false, Some(130)),
];
const IGMP: &[Field] = &[
    (0, 8, "type", IgmpType, false, None),
    (8, 8, "mrt", Integer, false, None),
    (16, 16, "checksum", Integer, false, None),
    (32, 32, "group", Integer, false, None),
];
const TCP: &[Field] = &[
    (0, 16, "sport", Service, false, None),
    (16, 16, "dport", Service, false, None),
    (32, 32, "sequence", Integer, false, None),
    (64, 32, "ackseq", Integer, false, None),
    (96, 4, "doff", Integer, false, None),
    (100, 4, "reserved", Integer, false, None),
    (104, 8, "flags", TcpFlags, false, None),
    (112, 16, "window", Integer, false, None),
    (128, 16, "checksum", Integer, false, None),
    (144, 16, "urgptr", Integer, false, None),
];
const UDP: &[Field] = &[
    (0, 16, "sport", Service, false, None),
    (16, 16, "dport", Service, false, None),
    (32, 16, "length", Integer, false, None),
    (48, 16, "checksum", Integer, false, None),
];
const UDPLITE: &[Field] = &[
    (0, 16, "sport", Service, false, None),
    (16, 16, "dport", Service, false, None),
    (32, 16, "csumcov", Integer, false, None),
    (48, 16, "checksum", Integer, false, None),
];
const SCTP: &[Field] = &[
    (0, 16, "sport", Service, false, None),
    (16, 16, "dport", Service, false, None),
    (32, 32, "vtag", Integer, false, None),
    (64, 32, "checksum", Integer, false, None),
];
const DCCP: &[Field] = &[
    (0, 16, "sport", Service, false, None),
    (16, 16, "dport", Service, false, None),
    (67, 4, "type", DccpType, false, None),
];
const ESP: &[Field] = &[(0, 32, "spi", Integer, false, None), (32, 32, "sequence", Integer, false, None)];
const AH: &[Field] = &[
    (0, 8, "nexthdr", Datatype::Protocol, false, None),
    (8, 8, "hdrlength", Integer, false, None),
    (16, 16, "reserved", Integer, false, None),
    (32, 32, "spi", Integer, false, None),
    (64, 32, "sequence", Integer, false, None),
];
const COMP: &[Field] = &[
    (0, 8, "nexthdr", Datatype::Protocol, false, None),
    (8, 8, "flags", Raw, false, None),
    (16, 16, "cpi", Integer, false, None),
];

impl Protocol {
    /// By ethertype.
    pub(super) fn of_ether_type(number: u128) -> Option<Self> {
        Some(match number {
            0x0800 => Self::Ip,
            0x86dd => Self::Ip6,
            0x0806 => Self::Arp,
            0x8100 | 0x88a8 => Self::Vlan,
            _ => return None,
        })
    }

    /// By the number the IP header has.
    pub(super) fn of_ip(number: u128) -> Option<Self> {
        Some(match number {
            1 => Self::Icmp,
            2 => Self::Igmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            50 => Self::Esp,
            51 => Self::Ah,
            58 => Self::Icmpv6,
            108 => Self::Comp,
            132 => Self::Sctp,
            136 => Self::Udplite,
            _ => return None,
        })
    }

    /// Name and fields.
    pub(super) fn header(self) -> (&'static str, &'static [Field]) {
        match self {
            Self::Ether => ("ether", ETHER),
            Self::Vlan => ("vlan", VLAN),
            Self::Arp => ("arp", ARP),
            Self::Ip => ("ip", IP),
            Self::Ip6 => ("ip6", IP6),
            Self::Icmp => ("icmp", ICMP),
            Self::Icmpv6 => ("icmpv6", ICMPV6),
            Self::Igmp => ("igmp", IGMP),
            Self::Tcp => ("tcp", TCP),
            Self::Udp => ("udp", UDP),
            Self::Udplite => ("udplite", UDPLITE),
            Self::Sctp => ("sctp", SCTP),
            Self::Dccp => ("dccp", DCCP),
            Self::Esp => ("esp", ESP),
            Self::Ah => ("ah", AH),
            Self::Comp => ("comp", COMP),
        }
    }

    /// The field at a place, for the ICMP type known so far.
    pub(super) fn field(self, offset: u32, icmp: Option<u8>, fits: impl Fn(u32) -> bool) -> Option<&'static Field> {
        self.header().1.iter().find(|(at, length, _, _, _, only)| {
            *at == offset && fits(*length) && (only.is_none() || icmp.is_none() || *only == icmp)
        })
    }
}
