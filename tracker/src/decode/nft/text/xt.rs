//! xt matches and targets: the name always, the parameters of the common ones.
//!
//! Their structures are in `include/uapi/linux/netfilter/xt_*.h`; a length or revision that is not the one known shows
//! the name alone.

use std::net::Ipv4Addr;

use super::super::attribute::{be32, fields, string};
use super::Line;
use super::value::{self, Kind, quoted};

/// Adds the words for an `NFTA_MATCH_*` or `NFTA_TARGET_*` expression, which have the same numbers.
pub(super) fn render(line: &mut Line, is_match: bool, data: &[u8]) -> Option<()> {
    let [_, name, revision, info] = fields::<4>(data).ok()?;
    let name = string(name?);
    let (revision, info) = (be32(revision?).ok()?, info.unwrap_or_default());
    if is_match && name == "comment" {
        return Some(());
    }
    let (class, parameters) = if is_match {
        ("match", match_parameters(&name, revision, info))
    } else {
        ("target", target_parameters(&name, revision, info))
    };
    line.word(&format!("xt {class} {}", quoted(&name)));
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        line.word(&parameters);
    }
    Some(())
}

fn match_parameters(name: &str, revision: u32, info: &[u8]) -> Option<String> {
    match (name, revision) {
        ("tcp" | "udp", 0) => ports(name, info),
        ("mark", 1) => {
            let (mark, mask) = (host32(info, 0)?, host32(info, 4)?);
            Some(format!("{}{}", not(*info.get(8)? != 0), masked(mark, mask)))
        }
        ("addrtype", 1) => addrtype(info),
        ("conntrack", 3) => conntrack_state(info),
        ("statistic", 0) => statistic(info),
        ("multiport", 1) => multiport(info),
        _ => None,
    }
}

fn target_parameters(name: &str, revision: u32, info: &[u8]) -> Option<String> {
    match (name, revision) {
        ("MARK", 2) => {
            let (mark, mask) = (host32(info, 0)?, host32(info, 4)?);
            Some(format!("set-xmark {}", masked(mark, mask)))
        }
        ("DNAT", 2) => destination(info),
        _ => None,
    }
}

/// `struct xt_tcp` and `struct xt_udp`: source ports from and to, destination ports from and to, then what is inverted.
fn ports(name: &str, info: &[u8]) -> Option<String> {
    if name == "tcp" && info.get(8..11)?.iter().any(|byte| *byte != 0) {
        // options or flags are matched too
        return None;
    }
    let inverted = *info.get(if name == "tcp" { 11 } else { 8 })?;
    let mut words = Vec::new();
    for (at, word, bit) in [(0, "sport", 1), (4, "dport", 2)] {
        let (from, to) = (host16(info, at)?, host16(info, at + 2)?);
        if (from, to) != (0, u16::MAX) {
            let range = if from == to { from.to_string() } else { format!("{from}-{to}") };
            words.push(format!("{word} {}{range}", not(inverted & bit != 0)));
        }
    }
    Some(words.join(" "))
}

/// `struct xt_addrtype_info_v1`: source and destination type masks, flags (1, 2: inverted).
fn addrtype(info: &[u8]) -> Option<String> {
    let flags = host32(info, 4)?;
    let mut words = Vec::new();
    for (at, word, bit) in [(0, "src-type", 1), (2, "dst-type", 2)] {
        let mask = host16(info, at)?;
        if mask != 0 {
            let names: Vec<String> = (0..16_u32)
                .filter(|number| mask & (1 << number) != 0)
                .map(|number| value::value(Kind::AddressType, &number.to_ne_bytes()))
                .collect();
            words.push(format!("{word} {}{}", not(flags & bit != 0), names.join(",")));
        }
    }
    Some(words.join(" "))
}

/// `struct xt_conntrack_mtinfo3` where the state (`XT_CONNTRACK_STATE` = 1) is all that is matched.
fn conntrack_state(info: &[u8]) -> Option<String> {
    let (matched, inverted, state) = (host16(info, 146)?, host16(info, 148)?, host16(info, 150)?);
    // bit 13 marks the rule as written with `-m state`; other states than the first four are numbered differently here
    (matched & !0x2000 == 1 && state & !0x0f == 0)
        .then(|| format!("ctstate {}{}", not(inverted & 1 != 0), value::ct_states(u64::from(state))))
}

/// `struct xt_statistic_info`: mode, flags (1: inverted), probability of 2^31 or every and packet.
fn statistic(info: &[u8]) -> Option<String> {
    let inverted = not(host16(info, 2)? & 1 != 0);
    match host16(info, 0)? {
        0 => Some(format!("mode random probability {inverted}{:.5}", f64::from(host32(info, 4)?) / 2_147_483_648.0)),
        1 => {
            Some(format!("mode nth every {inverted}{} packet {}", host32(info, 4)?.saturating_add(1), host32(info, 8)?))
        }
        _ => None,
    }
}

/// `struct xt_multiport_v1`: which ports, count, 15 ports, 15 marks of ranges, whether inverted.
fn multiport(info: &[u8]) -> Option<String> {
    let word = match *info.first()? {
        0 => "sports",
        1 => "dports",
        2 => "ports",
        _ => return None,
    };
    let mut list = String::new();
    for index in 0..usize::from(*info.get(1)?).min(15) {
        let port = host16(info, 2 + index * 2)?;
        list.push_str(&port.to_string());
        let range = *info.get(32 + index)? != 0;
        list.push(if range { '-' } else { ',' });
    }
    Some(format!("{word} {}{}", not(*info.get(47)? != 0), list.trim_end_matches(',')))
}

/// `struct nf_nat_range2`: flags, first and last address of 16 bytes each, first and last port. Flag 1 is
/// `NF_NAT_RANGE_MAP_IPS`, 2 is `NF_NAT_RANGE_PROTO_SPECIFIED`. IPv4 addresses leave 12 bytes zero; others are not shown.
fn destination(info: &[u8]) -> Option<String> {
    let flags = host32(info, 0)?;
    let address = |at: usize| {
        let is_ipv4 = info.get(at + 4..at + 16)?.iter().all(|byte| *byte == 0);
        let octets: [u8; 4] = info.get(at..at + 4)?.try_into().ok()?;
        is_ipv4.then(|| Ipv4Addr::from(octets))
    };
    let (first, last) = (address(4)?, address(20)?);
    let (first_port, last_port) = (be16(info, 36)?, be16(info, 38)?);
    let mut words = "to ".to_owned();
    if flags & 1 != 0 {
        words.push_str(&first.to_string());
        if first != last {
            words.push_str(&format!("-{last}"));
        }
    }
    if flags & 2 != 0 {
        words.push_str(&format!(":{first_port}"));
        if first_port != last_port {
            words.push_str(&format!("-{last_port}"));
        }
    }
    Some(words)
}

fn masked(mark: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{mark:#x}") } else { format!("{mark:#x}/{mask:#x}") }
}

fn not(inverted: bool) -> &'static str {
    if inverted { "! " } else { "" }
}

fn host32(info: &[u8], at: usize) -> Option<u32> {
    info.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn host16(info: &[u8], at: usize) -> Option<u16> {
    info.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn be16(info: &[u8], at: usize) -> Option<u16> {
    info.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}
