//! What expressions load into registers, in nft's words.

use netlink_packet_netfilter::nftables::MetaKey;

use super::value::Kind;

/// `(offset, length, name, kind)` of a header's fields.
type Field = (u32, u32, &'static str, Kind);

const IP: [Field; 8] = [
    (2, 2, "length", Kind::Number),
    (4, 2, "id", Kind::Number),
    (6, 2, "frag-off", Kind::Number),
    (8, 1, "ttl", Kind::Number),
    (9, 1, "protocol", Kind::L4Proto),
    (10, 2, "checksum", Kind::Number),
    (12, 4, "saddr", Kind::Ipv4),
    (16, 4, "daddr", Kind::Ipv4),
];
const IP6: [Field; 5] = [
    (4, 2, "length", Kind::Number),
    (6, 1, "nexthdr", Kind::L4Proto),
    (7, 1, "hoplimit", Kind::Number),
    (8, 16, "saddr", Kind::Ipv6),
    (24, 16, "daddr", Kind::Ipv6),
];
const ETHER: [Field; 3] = [(0, 6, "daddr", Kind::Mac), (6, 6, "saddr", Kind::Mac), (12, 2, "type", Kind::EtherType)];
const TCP: [Field; 6] = [
    (0, 2, "sport", Kind::Number),
    (2, 2, "dport", Kind::Number),
    (4, 4, "sequence", Kind::Number),
    (8, 4, "ackseq", Kind::Number),
    (13, 1, "flags", Kind::Bytes),
    (14, 2, "window", Kind::Number),
];
const UDP: [Field; 3] = [(0, 2, "sport", Kind::Number), (2, 2, "dport", Kind::Number), (4, 2, "length", Kind::Number)];
const ICMP: [Field; 2] = [(0, 1, "type", Kind::Number), (1, 1, "code", Kind::Number)];
/// Valid where the protocol is not known, as in nft's `th dport`.
const PORTS: [Field; 2] = [(0, 2, "sport", Kind::Number), (2, 2, "dport", Kind::Number)];

/// The headers a rule is known to look at, from its family and the comparisons before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Headers {
    /// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    pub(super) network: Option<u8>,
    /// Layer 4 protocol.
    pub(super) transport: Option<u8>,
}

/// Words for a piece of the packet; nft's raw form (`@nh,96,32`) where the field is not known for certain.
pub(super) fn payload(headers: Headers, base: u32, offset: u32, length: u32) -> (String, Kind) {
    let (header, fields, raw): (&str, &[Field], &str) = match (base, headers.network, headers.transport) {
        (0, _, _) => ("ether", &ETHER, "ll"),
        (1, Some(2), _) => ("ip", &IP, "nh"),
        (1, Some(10), _) => ("ip6", &IP6, "nh"),
        (1, _, _) => ("", &[], "nh"),
        (2, _, Some(6)) => ("tcp", &TCP, "th"),
        (2, _, Some(17)) => ("udp", &UDP, "th"),
        (2, _, Some(1)) => ("icmp", &ICMP, "th"),
        (2, _, Some(58)) => ("icmpv6", &ICMP, "th"),
        (2, _, _) => ("th", &PORTS, "th"),
        (3, _, _) => ("", &[], "ih"),
        _ => ("", &[], "payload"),
    };
    let field = fields.iter().find(|(at, size, _, kind)| {
        *at == offset && (*size == length || (length < *size && matches!(kind, Kind::Ipv4 | Kind::Ipv6)))
    });
    match field {
        Some((_, _, name, kind)) => (format!("{header} {name}"), *kind),
        None => (format!("@{raw},{},{}", u64::from(offset) * 8, u64::from(length) * 8), Kind::Bytes),
    }
}

/// Words for an `NFT_META_*` key.
pub(super) fn meta(key: u32) -> Option<(String, Kind)> {
    let (name, kind) = match MetaKey::from(key) {
        MetaKey::Length => ("length", Kind::HostNumber),
        MetaKey::EtherTypeProtocol => ("protocol", Kind::EtherType),
        MetaKey::Priority => ("priority", Kind::Mark),
        MetaKey::Mark => ("mark", Kind::Mark),
        MetaKey::Iif => ("iif", Kind::HostNumber),
        MetaKey::Oif => ("oif", Kind::HostNumber),
        MetaKey::Iifname => ("iifname", Kind::Ifname),
        MetaKey::Oifname => ("oifname", Kind::Ifname),
        MetaKey::Iftype => ("iiftype", Kind::HostNumber),
        MetaKey::Oiftype => ("oiftype", Kind::HostNumber),
        MetaKey::SocketUserId => ("skuid", Kind::HostNumber),
        MetaKey::SocketGroupId => ("skgid", Kind::HostNumber),
        MetaKey::NftraceBit => ("nftrace", Kind::HostNumber),
        MetaKey::Rtclassid => ("rtclassid", Kind::HostNumber),
        MetaKey::Nfproto => ("nfproto", Kind::NfProto),
        MetaKey::L4Proto => ("l4proto", Kind::L4Proto),
        MetaKey::BriIifname => ("ibrname", Kind::Ifname),
        MetaKey::BriOifname => ("obrname", Kind::Ifname),
        MetaKey::PacketType => ("pkttype", Kind::HostNumber),
        MetaKey::Cpu => ("cpu", Kind::HostNumber),
        MetaKey::Iifgroup => ("iifgroup", Kind::HostNumber),
        MetaKey::Oifgroup => ("oifgroup", Kind::HostNumber),
        MetaKey::Cgroup => ("cgroup", Kind::HostNumber),
        MetaKey::PseudoRandom => ("random", Kind::Number),
        MetaKey::Iifkind => ("iifkind", Kind::Ifname),
        MetaKey::Oifkind => ("oifkind", Kind::Ifname),
        MetaKey::Sdif => ("sdif", Kind::HostNumber),
        MetaKey::Sdifname => ("sdifname", Kind::Ifname),
        _ => return None,
    };
    Some((format!("meta {name}"), kind))
}

/// Words for an `NFT_CT_*` key.
pub(super) fn ct(key: u32) -> Option<(String, Kind)> {
    let (name, kind) = match key {
        0 => ("state", Kind::CtState),
        1 => ("direction", Kind::HostNumber),
        2 => ("status", Kind::Mark),
        3 => ("mark", Kind::Mark),
        5 => ("expiration", Kind::HostNumber),
        7 => ("l3proto", Kind::NfProto),
        10 => ("protocol", Kind::L4Proto),
        11 => ("proto-src", Kind::Number),
        12 => ("proto-dst", Kind::Number),
        17 => ("zone", Kind::HostNumber),
        19 => ("ip saddr", Kind::Ipv4),
        20 => ("ip daddr", Kind::Ipv4),
        21 => ("ip6 saddr", Kind::Ipv6),
        22 => ("ip6 daddr", Kind::Ipv6),
        _ => return None,
    };
    Some((format!("ct {name}"), kind))
}

/// Words for a `fib` lookup: `NFTA_FIB_F_*` flags and `NFT_FIB_RESULT_*`.
pub(super) fn fib(flags: u32, result: u32) -> Option<(String, Kind)> {
    let names = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    if flags & !0x1f != 0 {
        return None;
    }
    let selector: Vec<&str> = names.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| name).collect();
    let (result, kind) = match result {
        1 => ("oif", Kind::HostNumber),
        2 => ("oifname", Kind::Ifname),
        3 => ("type", Kind::AddressType),
        _ => return None,
    };
    Some((format!("fib {} {result}", selector.join(" . ")), kind))
}
