//! Values as nft(8) writes them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How the bytes of a register are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ipv4,
    Ipv6,
    Mac,
    /// Network byte order.
    Number,
    /// The machine's byte order.
    HostNumber,
    /// The machine's byte order, shown in hexadecimal.
    Mark,
    Ifname,
    EtherType,
    L4Proto,
    NfProto,
    CtState,
    AddressType,
    Bytes,
}

/// `NF_CT_STATE_BIT` names.
const CT_STATES: [(u32, &str); 5] = [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
/// `RTN_*` names.
const ADDRESS_TYPES: [&str; 9] =
    ["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit"];

/// One value; bytes that do not fit the kind are shown in hexadecimal.
pub(super) fn value(kind: Kind, bytes: &[u8]) -> String {
    let text = match kind {
        Kind::Ipv4 | Kind::Ipv6 => address(kind, bytes),
        Kind::Mac if bytes.len() == 6 => {
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
        }
        Kind::Number => network_number(bytes).map(|number| number.to_string()),
        Kind::HostNumber => host_number(bytes).map(|number| number.to_string()),
        Kind::Mark => host_number(bytes).map(|number| format!("{number:#x}")),
        Kind::Ifname => Some(ifname(bytes)),
        Kind::EtherType => network_number(bytes).map(|number| match number {
            0x0800 => "ip".to_owned(),
            0x86dd => "ip6".to_owned(),
            0x0806 => "arp".to_owned(),
            0x8100 => "vlan".to_owned(),
            other => format!("{other:#06x}"),
        }),
        Kind::L4Proto => network_number(bytes).map(l4proto),
        Kind::NfProto => network_number(bytes).map(|number| match number {
            2 => "ipv4".to_owned(),
            10 => "ipv6".to_owned(),
            other => other.to_string(),
        }),
        Kind::CtState => host_number(bytes).map(ct_states),
        Kind::AddressType => host_number(bytes).map(|number| {
            usize::try_from(number)
                .ok()
                .and_then(|index| ADDRESS_TYPES.get(index))
                .map_or_else(|| number.to_string(), |name| (*name).to_owned())
        }),
        Kind::Mac | Kind::Bytes => None,
    };
    text.unwrap_or_else(|| hex(bytes))
}

/// An address under a mask, as prefix; `None` where the mask is none.
pub(super) fn prefix(kind: Kind, bytes: &[u8], mask: &[u8]) -> Option<String> {
    if !matches!(kind, Kind::Ipv4 | Kind::Ipv6) || bytes.len() != mask.len() {
        return None;
    }
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let set: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask
        .iter()
        .position(|byte| *byte != 0xff)
        .map_or(mask.len() * 8, |full| full * 8 + usize::try_from(mask[full].leading_ones()).unwrap_or_default());
    let is_prefix = ones == set && usize::try_from(set) == Ok(leading);
    is_prefix.then(|| address(kind, bytes)).flatten().map(|address| format!("{address}/{set}"))
}

/// An address; of one whose first bytes only are compared, the prefix.
pub(super) fn address(kind: Kind, bytes: &[u8]) -> Option<String> {
    let (text, whole) = match kind {
        Kind::Ipv4 => (padded::<4>(bytes).map(|octets| Ipv4Addr::from(octets).to_string())?, 4),
        Kind::Ipv6 => (padded::<16>(bytes).map(|octets| Ipv6Addr::from(octets).to_string())?, 16),
        _ => return None,
    };
    Some(if bytes.len() < whole { format!("{text}/{}", bytes.len() * 8) } else { text })
}

/// Text in quotes, with everything that could upset a terminal escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// A number in the machine's byte order, up to 8 bytes.
pub(super) fn host_number(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        1 => Some(u64::from(bytes[0])),
        2 => bytes.try_into().ok().map(u16::from_ne_bytes).map(u64::from),
        4 => bytes.try_into().ok().map(u32::from_ne_bytes).map(u64::from),
        8 => bytes.try_into().ok().map(u64::from_ne_bytes),
        _ => None,
    }
}

/// Layer 4 protocols people know by name.
pub(super) fn l4proto(number: u64) -> String {
    match number {
        1 => "icmp".to_owned(),
        2 => "igmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// Connection states, comma between.
pub(super) fn ct_states(bits: u64) -> String {
    let names: Vec<&str> =
        CT_STATES.into_iter().filter(|(bit, _)| bits & u64::from(*bit) != 0).map(|(_, name)| name).collect();
    let known: u64 = CT_STATES.iter().map(|(bit, _)| u64::from(*bit)).sum();
    if bits & !known != 0 || names.is_empty() { format!("{bits:#x}") } else { names.join(",") }
}

fn ifname(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    let name = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned();
    // without its NUL only the first bytes are compared
    quoted(&if end.is_none() && bytes.len() < 16 { name + "*" } else { name })
}

fn network_number(bytes: &[u8]) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut octets = [0; N];
    (!bytes.is_empty()).then_some(())?;
    octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(octets)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // writing to a string does not fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        assert_eq!(value(Kind::Ipv4, &[10, 1, 2, 3]), "10.1.2.3");
        assert_eq!(value(Kind::Ipv4, &[10, 1]), "10.1.0.0/16");
        assert_eq!(value(Kind::Ipv4, &[1, 2, 3, 4, 5]), "0x0102030405");
        assert_eq!(prefix(Kind::Ipv4, &[10, 96, 0, 0], &[255, 240, 0, 0]).as_deref(), Some("10.96.0.0/12"));
        assert_eq!(prefix(Kind::Ipv4, &[10, 0, 0, 1], &[255, 0, 0, 255]), None);
        assert_eq!(prefix(Kind::Ipv4, &[10, 0, 0, 0], &[0, 255, 0, 0]), None);
        assert_eq!(prefix(Kind::Ipv4, &[0, 0, 0, 0], &[0, 0, 0, 0]).as_deref(), Some("0.0.0.0/0"));
    }

    #[test]
    fn names_and_states() {
        assert_eq!(value(Kind::Ifname, b"cni0\0\0\0\0\0\0\0\0\0\0\0\0"), "\"cni0\"");
        assert_eq!(value(Kind::Ifname, b"veth"), "\"veth*\"");
        assert_eq!(value(Kind::Ifname, b"a\x1b[2J\0"), "\"a\\u{1b}[2J\"");
        assert_eq!(ct_states(6), "established,related");
        assert_eq!(ct_states(0x80), "0x80");
        assert_eq!(value(Kind::Mark, &0x4000_u32.to_ne_bytes()), "0x4000");
    }
}
