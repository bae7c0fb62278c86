//! Values as ebtables-legacy writes them.

use super::super::super::line::Line;
use super::super::words::prefix_length;

pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

pub(super) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(super) fn not(line: &mut Line, is_inverted: bool) {
    if is_inverted {
        line.push("! ");
    }
}

/// As ether_ntoa(3): one digit where one is enough.
pub(super) fn mac(line: &mut Line, bytes: &[u8]) {
    for (place, byte) in bytes.iter().enumerate() {
        write!(line, "{}{byte:x}", if place == 0 { "" } else { ":" });
    }
}

/// An address and its mask, 6 bytes each, or the word for them.
pub(super) fn mac_and_mask(line: &mut Line, bytes: &[u8]) -> Option<()> {
    let (address, mask) = bytes.split_at_checked(6)?;
    match (address, mask) {
        ([0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]) => line.push("Unicast"),
        ([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]) => line.push("Multicast"),
        ([255, 255, 255, 255, 255, 255], [255, 255, 255, 255, 255, 255]) => line.push("Broadcast"),
        ([1, 0x80, 0xc2, 0, 0, 0], [255, 255, 255, 255, 255, 255]) => line.push("BGA"),
        (_, [255, 255, 255, 255, 255, 255]) => mac(line, address),
        _ => {
            mac(line, address);
            line.push("/");
            mac(line, mask);
        }
    }
    Some(())
}

/// Behind an IPv4 address: its mask, where there is one.
pub(super) fn mask(mask: &[u8]) -> String {
    match (prefix_length(mask), mask) {
        (Some(32 | 0), _) => String::new(),
        (Some(length), _) => format!("/{length}"),
        (None, [a, b, c, d]) => format!("/{a}.{b}.{c}.{d}"),
        (None, _) => String::new(),
    }
}

/// `5 ` or `5:9 `.
pub(super) fn range<T: std::fmt::Display + PartialEq + Copy>(line: &mut Line, from: T, to: T) {
    if from == to { write!(line, "{from} ") } else { write!(line, "{from}:{to} ") }
}

/// The names of netbase's `/etc/ethertypes`, by which the tool goes.
pub(super) fn ether_type(number: u16) -> Option<&'static str> {
    Some(match number {
        0x0800 => "IPv4",
        0x0805 => "X25",
        0x0806 => "ARP",
        0x0808 => "FR_ARP",
        0x08ff => "BPQ",
        0x22f3 => "TRILL",
        0x22f4 => "L2-IS-IS",
        0x6558 => "TEB",
        0x6559 => "RAW_FR",
        0x8035 => "RARP",
        0x809b => "ATALK",
        0x80f3 => "AARP",
        0x8100 => "802_1Q",
        0x8137 => "IPX",
        0x8191 => "NetBEUI",
        0x86dd => "IPv6",
        0x880b => "PPP",
        0x8847 => "MPLS",
        0x8848 => "MPLS_MULTI",
        0x884c => "ATMMPOA",
        0x8863 => "PPP_DISC",
        0x8864 => "PPP_SES",
        0x8884 => "ATMFATE",
        0x888e => "EAPOL",
        0x88a8 => "S-TAG",
        0x88c7 => "EAP_PREAUTH",
        0x88cc => "LLDP",
        0x88e5 => "MACSEC",
        0x88e7 => "PBB",
        0x88f5 => "MVRP",
        0x88f7 => "PTP",
        0x8906 => "FCOE",
        0x8914 => "FIP",
        0x8915 => "ROCE",
        0xa0ed => "LoWPAN",
        _ => return None,
    })
}
