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
        Some(match number {
            7 => (Self::Ipv4, 4),
            8 => (Self::Ipv6, 16),
            9 => (Self::Ether, 6),
            12 => (Self::Protocol, 1),
            13 => (Self::Service, 2),
            19 => (Self::Mark, 4),
            20 => (Self::Ifindex, 4),
            23 => (Self::ClassId, 4),
            41 => (Self::Ifname, 16),
            _ => return None,
        })
    }

    /// Whether ranges and masks of it can be written as prefixes.
    pub(super) fn has_prefixes(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6)
    }

    /// Whether it is text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Ifname | Self::String)
    }
}
