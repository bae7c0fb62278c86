//! Matches that look at the IP packet in a frame.

use super::super::super::words::{ipv6, prefix_length};
use super::super::words::range;
use super::{half, ipv4, option};
use crate::render::line::Line;
use crate::render::names::protocol;

/// `struct ebt_ip_info`.
pub(super) fn ip(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (u16::from(*info.get(18)?), u16::from(*info.get(19)?));
    for (word, bit, at) in [("ip-src", 1, 0), ("ip-dst", 2, 4)] {
        if option(line, word, bit, bits) {
            ipv4(line, info.get(at..at + 4)?, info.get(at + 8..at + 12)?)?;
        }
    }
    if option(line, "ip-tos", 4, bits) {
        write!(line, "0x{:02X} ", info.get(16)?);
    }
    layer4(line, *info.get(17)?, "ip-proto", bits);
    ports(line, info, 20, ["ip-sport", "ip-dport"], bits)?;
    if option(line, "ip-icmp-type", 64, bits) {
        let names = [
            (0, "echo-reply"),
            (3, "destination-unreachable"),
            (4, "source-quench"),
            (5, "redirect"),
            (8, "echo-request"),
            (9, "router-advertisement"),
            (10, "router-solicitation"),
            (11, "time-exceeded"),
            (12, "parameter-problem"),
            (13, "timestamp-request"),
            (14, "timestamp-reply"),
            (17, "address-mask-request"),
            (18, "address-mask-reply"),
        ];
        numbers(line, info.get(20..22)?, info.get(24..26)?, &names, &[3, 5, 11, 12])?;
    }
    if option(line, "ip-igmp-type", 128, bits) {
        match info.get(20..22)? {
            [0x11, 0x11] => line.push("membership-query "),
            [0x12, 0x12] => line.push("membership-report-v1 "),
            [0x16, 0x16] => line.push("membership-report-v2 "),
            [0x22, 0x22] => line.push("membership-report-v3 "),
            [0x17, 0x17] => line.push("leave-group "),
            // single ones and ranges, behind which the tool leaves the space out
            _ => return None,
        }
    }
    Some(())
}

/// `struct ebt_ip6_info`.
pub(super) fn ip6(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (u16::from(*info.get(66)?), u16::from(*info.get(67)?));
    for (word, bit, at) in [("ip6-src", 1, 0), ("ip6-dst", 2, 16)] {
        if option(line, word, bit, bits) {
            let mask: [u8; 16] = info.get(at + 32..at + 48)?.try_into().ok()?;
            let address = ipv6(info.get(at..at + 16)?.try_into().ok()?);
            match prefix_length(&mask) {
                Some(128) => write!(line, "{address} "),
                Some(length) => write!(line, "{address}/{length} "),
                None => write!(line, "{address}/{} ", ipv6(mask)),
            }
        }
    }
    if option(line, "ip6-tclass", 4, bits) {
        write!(line, "0x{:02X} ", info.get(64)?);
    }
    layer4(line, *info.get(65)?, "ip6-proto", bits);
    ports(line, info, 68, ["ip6-sport", "ip6-dport"], bits)?;
    if option(line, "ip6-icmp-type", 64, bits) {
        let names = [
            (1, "destination-unreachable"),
            (2, "packet-too-big"),
            (3, "time-exceeded"),
            (4, "parameter-problem"),
            (128, "echo-request"),
            (129, "echo-reply"),
            (133, "router-solicitation"),
            (134, "router-advertisement"),
            (135, "neighbour-solicitation"),
            (136, "neighbour-advertisement"),
            (137, "redirect"),
        ];
        numbers(line, info.get(68..70)?, info.get(72..74)?, &names, &[1, 3, 4])?;
    }
    Some(())
}

fn layer4(line: &mut Line, number: u8, word: &str, bits: (u16, u16)) {
    if option(line, word, 8, bits) {
        match protocol(number) {
            Some(name) => write!(line, "{name} "),
            None => write!(line, "{number} "),
        }
    }
}

fn ports(line: &mut Line, info: &[u8], at: usize, words: [&str; 2], bits: (u16, u16)) -> Option<()> {
    for (place, (word, bit)) in words.into_iter().zip([16, 32]).enumerate() {
        if option(line, word, bit, bits) {
            range(line, half(info, at + place * 4)?, half(info, at + place * 4 + 2)?);
        }
    }
    Some(())
}

/// ICMP types and codes, by name where all codes of one type are meant; `None` where single codes have names.
fn numbers(line: &mut Line, types: &[u8], codes: &[u8], names: &[(u8, &str)], coded: &[u8]) -> Option<()> {
    let (&[first, last], &[from, to]) = (types, codes) else { return None };
    let name = names.iter().find(|(number, _)| *number == first && first == last && (from, to) == (0, 255));
    match name {
        Some((_, name)) => write!(line, "{name} "),
        None if first != last => write!(line, "{first}:{last}/{from}:{to} "),
        None if coded.contains(&first) => return None,
        None if from == to => write!(line, "{first}/{from} "),
        None => write!(line, "{first}/{from}:{to} "),
    }
    Some(())
}
