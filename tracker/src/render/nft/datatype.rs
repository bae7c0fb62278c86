//! nft's data types: how the bytes of a value are read and written.

use super::symbols as names;

/// A data type, by nft's name of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    /// Network byte order, decimal.
    Integer,
    /// Machine byte order, decimal.
    HostInteger,
    /// Network byte order, hexadecimal: bytes of no known field.
    Raw,
    String,
    Ifname,
    Ifindex,
    Ipv4,
    Ipv6,
    Ether,
    EtherType,
    ArpOperation,
    Protocol,
    Service,
    NfProto,
    Mark,
    Realm,
    ClassId,
    Id,
    DevGroup,
    PacketType,
    Arphrd,
    CtState,
    CtDirection,
    CtStatus,
    CtEvent,
    CtLabel,
    Time,
    Day,
    /// Depends on the machine's time zone.
    Local,
    TcpFlags,
    DccpType,
    MhType,
    IcmpType,
    IcmpCode,
    Icmpv6Type,
    Icmpv6Code,
    IgmpType,
    Dscp,
    Ecn,
    FibAddress,
    Boolean,
}

/// How a number without a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Decimal,
    /// With this many digits at least.
    Hex(usize),
}

/// What is known of a type.
pub(super) struct Description {
    /// Whether values are in the machine's byte order.
    pub(super) is_host: bool,
    /// Whether values are sets of bits.
    pub(super) is_bitmask: bool,
    pub(super) base: Base,
    pub(super) names: &'static [(u32, &'static str)],
}

const fn plain(is_host: bool, base: Base, names: &'static [(u32, &'static str)]) -> Description {
    Description { is_host, is_bitmask: false, base, names }
}

const fn bitmask(is_host: bool, base: Base, names: &'static [(u32, &'static str)]) -> Description {
    Description { is_host, is_bitmask: true, base, names }
}

use Base::{Decimal, Hex};

impl Datatype {
    pub(super) fn description(self) -> Description {
        match self {
            Self::Raw => plain(false, Hex(0), &[]),
            Self::HostInteger | Self::Id | Self::Ifindex | Self::Realm | Self::Local => plain(true, Decimal, &[]),
            Self::Ifname | Self::String | Self::ClassId | Self::Time => plain(true, Decimal, &[]),
            Self::Mark => plain(true, Hex(8), &[]),
            Self::DevGroup => plain(true, Decimal, &[]),
            Self::PacketType => plain(true, Decimal, names::PACKET_TYPES),
            Self::Arphrd => plain(true, Decimal, names::ARPHRD),
            Self::CtDirection => plain(true, Decimal, names::CT_DIRECTIONS),
            Self::Day => plain(true, Decimal, names::DAYS),
            Self::FibAddress => plain(true, Decimal, names::ADDRESS_TYPES),
            Self::CtState => bitmask(true, Hex(0), names::CT_STATES),
            Self::CtStatus => bitmask(true, Hex(0), names::CT_STATUS),
            Self::CtEvent => bitmask(true, Hex(0), names::CT_EVENTS),
            Self::CtLabel => bitmask(true, Decimal, &[]),
            Self::TcpFlags => bitmask(false, Hex(0), names::TCP_FLAGS),
            Self::EtherType => plain(false, Hex(4), names::ETHER_TYPES),
            Self::ArpOperation => plain(false, Decimal, names::ARP_OPERATIONS),
            Self::NfProto => plain(false, Decimal, names::NF_PROTOCOLS),
            Self::Dscp => plain(false, Hex(2), names::DSCP),
            Self::Ecn => plain(false, Hex(1), names::ECN),
            Self::DccpType => plain(false, Hex(0), names::DCCP_TYPES),
            Self::MhType => plain(false, Decimal, names::MH_TYPES),
            Self::IcmpType => plain(false, Decimal, names::ICMP_TYPES),
            Self::IcmpCode => plain(false, Decimal, names::ICMP_CODES),
            Self::Icmpv6Type => plain(false, Decimal, names::ICMPV6_TYPES),
            Self::Icmpv6Code => plain(false, Decimal, names::ICMPV6_CODES),
            Self::IgmpType => plain(false, Decimal, names::IGMP_TYPES),
            Self::Boolean => plain(true, Decimal, names::PRESENCE),
            Self::Integer | Self::Ipv4 | Self::Ipv6 | Self::Ether | Self::Protocol | Self::Service => {
                plain(false, Decimal, &[])
            }
        }
    }

    /// By the number sets have their types by (`TYPE_*` of nft), with its length in bytes.
    pub(super) fn of_set(number: u32) -> Option<(Self, usize)> {
        SetType::of(number).map(|kind| (kind.datatype, kind.length))
    }

    /// Whether ranges and masks of it can be written as prefixes.
    pub(super) fn has_prefixes(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Mark)
    }

    /// Whether it is text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Ifname | Self::String)
    }
}

/// A type as sets are declared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetType {
    /// `TYPE_*` of nft.
    number: u32,
    pub(super) name: &'static str,
    pub(super) datatype: Datatype,
    /// In bytes.
    pub(super) length: usize,
    /// How many elements nft lists on a line.
    pub(super) per_line: usize,
}

const fn of(number: u32, name: &'static str, datatype: Datatype, length: usize, per_line: usize) -> SetType {
    SetType { number, name, datatype, length, per_line }
}

/// Ascending by number.
const SET_TYPES: &[SetType] = &[
    of(7, "ipv4_addr", Datatype::Ipv4, 4, 2),
    of(8, "ipv6_addr", Datatype::Ipv6, 16, 1),
    of(9, "ether_addr", Datatype::Ether, 6, 1),
    of(10, "ether_type", Datatype::EtherType, 2, 1),
    of(11, "arp_op", Datatype::ArpOperation, 2, 5),
    of(12, "inet_proto", Datatype::Protocol, 1, 5),
    of(13, "inet_service", Datatype::Service, 2, 5),
    of(14, "icmp_type", Datatype::IcmpType, 1, 1),
    of(15, "tcp_flag", Datatype::TcpFlags, 1, 5),
    of(19, "mark", Datatype::Mark, 4, 5),
    of(20, "iface_index", Datatype::Ifindex, 4, 5),
    of(21, "iface_type", Datatype::Arphrd, 2, 1),
    of(22, "realm", Datatype::Realm, 4, 1),
    of(23, "classid", Datatype::ClassId, 4, 5),
    of(24, "uid", Datatype::Id, 4, 5),
    of(25, "gid", Datatype::Id, 4, 5),
    of(26, "ct_state", Datatype::CtState, 4, 2),
    of(27, "ct_dir", Datatype::CtDirection, 1, 5),
    of(28, "ct_status", Datatype::CtStatus, 4, 2),
    of(29, "icmpv6_type", Datatype::Icmpv6Type, 1, 1),
    of(31, "pkt_type", Datatype::PacketType, 1, 2),
    of(35, "devgroup", Datatype::DevGroup, 4, 1),
    of(41, "ifname", Datatype::Ifname, 16, 1),
    of(42, "igmp_type", Datatype::IgmpType, 1, 1),
];

impl SetType {
    pub(super) fn of(number: u32) -> Option<&'static Self> {
        let index = SET_TYPES.binary_search_by_key(&number, |kind| kind.number).ok()?;
        SET_TYPES.get(index)
    }
}
