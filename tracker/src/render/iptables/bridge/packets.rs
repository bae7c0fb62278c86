//! Matches and watchers of bridge tables.

mod inside;

use super::super::words::escaped;
use super::words::{ether_type, half, mac, mac_and_mask, mask, not, number, range};
use crate::decode::legacy::Part;
use crate::render::line::Line;

/// Writes a match or watcher with a space behind it; `None` for one that is not known.
pub(super) fn write(line: &mut Line, part: &Part<'_>) -> Option<()> {
    let info = part.info;
    match (part.name, part.revision) {
        (b"ip", 0) => inside::ip(line, info),
        (b"ip6", 0) => inside::ip6(line, info),
        (b"arp", 0) => arp(line, info),
        (b"vlan", 0) => vlan(line, info),
        (b"pkttype", 0) => packet_type(line, info),
        (b"limit", 0) => limit(line, info),
        (b"mark_m", 0) => mark(line, info),
        (b"stp", 0) => stp(line, info),
        (b"802_3", 0) => length(line, info),
        (b"among", 0) => among(line, info),
        (b"string", 1) => string(line, info),
        (b"log", 0) => log(line, info),
        (b"nflog", 0) => nflog(line, info),
        _ => None,
    }
}

/// Writes `--word `, and `! ` where it is inverted, for a bit that is set; tells whether it is.
fn option(line: &mut Line, word: &str, bit: u16, (mask, inverted): (u16, u16)) -> bool {
    let is_set = mask & bit != 0;
    if is_set {
        write!(line, "--{word} ");
        not(line, inverted & bit != 0);
    }
    is_set
}

fn ipv4(line: &mut Line, address: &[u8], its_mask: &[u8]) -> Option<()> {
    let &[a, b, c, d] = address else { return None };
    write!(line, "{a}.{b}.{c}.{d}{} ", mask(its_mask));
    Some(())
}

fn arp(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (u16::from(*info.get(48)?), u16::from(*info.get(49)?));
    let number = |at: usize| Some(u16::from_be_bytes(info.get(at..at + 2)?.try_into().ok()?));
    const OPCODES: [&str; 9] = [
        "Request",
        "Reply",
        "Request_Reverse",
        "Reply_Reverse",
        "DRARP_Request",
        "DRARP_Reply",
        "DRARP_Error",
        "InARP_Request",
        "ARP_NAK",
    ];
    if option(line, "arp-op", 1, bits) {
        let opcode = number(4)?;
        match usize::from(opcode).checked_sub(1).and_then(|place| OPCODES.get(place)) {
            Some(name) => write!(line, "{name} "),
            None => write!(line, "{opcode} "),
        }
    }
    if option(line, "arp-htype", 2, bits) {
        write!(line, "{} ", number(0)?);
    }
    if option(line, "arp-ptype", 4, bits) {
        match ether_type(number(2)?) {
            Some(name) => write!(line, "{name} "),
            None => write!(line, "{:#x} ", number(2)?),
        }
    }
    for (word, bit, at) in [("arp-ip-src", 8, 8), ("arp-ip-dst", 16, 16)] {
        if option(line, word, bit, bits) {
            ipv4(line, info.get(at..at + 4)?, info.get(at + 4..at + 8)?)?;
        }
    }
    for (word, bit, at) in [("arp-mac-src", 32, 24), ("arp-mac-dst", 64, 36)] {
        if option(line, word, bit, bits) {
            mac_and_mask(line, info.get(at..at + 12)?)?;
            line.push(" ");
        }
    }
    if bits.0 & 128 != 0 {
        not(line, bits.1 & 128 != 0);
        line.push("--arp-gratuitous ");
    }
    Some(())
}

fn vlan(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (u16::from(*info.get(6)?), u16::from(*info.get(7)?));
    if option(line, "vlan-id", 1, bits) {
        write!(line, "{} ", half(info, 0)?);
    }
    if option(line, "vlan-prio", 2, bits) {
        write!(line, "{} ", info.get(2)?);
    }
    if option(line, "vlan-encap", 4, bits) {
        let number = u16::from_be_bytes(info.get(4..6)?.try_into().ok()?);
        match ether_type(number) {
            Some(name) => write!(line, "{name} "),
            None => write!(line, "{number:04X} "),
        }
    }
    Some(())
}

fn packet_type(line: &mut Line, info: &[u8]) -> Option<()> {
    const TYPES: [&str; 7] = ["host", "broadcast", "multicast", "otherhost", "outgoing", "loopback", "fastroute"];
    line.push("--pkttype-type ");
    not(line, *info.get(1)? != 0);
    match TYPES.get(usize::from(*info.first()?)) {
        Some(name) => write!(line, "{name} "),
        None => write!(line, "{} ", info[0]),
    }
    Some(())
}

fn limit(line: &mut Line, info: &[u8]) -> Option<()> {
    /// Ten thousandths of a second.
    const RATES: [(&str, u32); 4] = [("day", 864_000_000), ("hour", 36_000_000), ("min", 600_000), ("sec", 10_000)];
    let (period, burst) = (number(info, 0).filter(|period| *period > 0)?, number(info, 4)?);
    let is_coarser = |(_, rate): &&(&str, u32)| period > *rate || rate / period < rate % period;
    let finest = RATES.iter().skip(1).position(|rate| is_coarser(&rate)).unwrap_or(RATES.len() - 1);
    let (name, rate) = RATES[finest];
    write!(line, "--limit {}/{name} --limit-burst {burst} ", rate / period);
    Some(())
}

fn mark(line: &mut Line, info: &[u8]) -> Option<()> {
    let wide = |at: usize| Some(u64::from_ne_bytes(info.get(at..at + 8)?.try_into().ok()?));
    let (mark, mask) = (wide(0)?, wide(8)?);
    line.push("--mark ");
    not(line, *info.get(16)? != 0);
    // EBT_MARK_OR
    match (*info.get(17)?, mask) {
        (2, _) => write!(line, "/{mask:#x} "),
        (_, 0xffff_ffff) => write!(line, "{mark:#x} "),
        _ => write!(line, "{mark:#x}/{mask:#x} "),
    }
    Some(())
}

fn stp(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (half(info, 68)?, half(info, 70)?);
    if option(line, "stp-type", 1, bits) {
        match info.first()? {
            0 => line.push("config "),
            0x80 => line.push("tcn "),
            other => write!(line, "{other} "),
        }
    }
    if option(line, "stp-flags", 2, bits) {
        match info.get(4)? {
            1 => line.push("topology-change "),
            0x80 => line.push("topology-change-ack "),
            other => write!(line, "{other} "),
        }
    }
    let address = |line: &mut Line, at: usize| {
        mac_and_mask(line, info.get(at..at + 12)?)?;
        line.push(" ");
        Some(())
    };
    let halves = |line: &mut Line, at: usize| {
        range(line, half(info, at)?, half(info, at + 2)?);
        line.push(" ");
        Some(())
    };
    if option(line, "stp-root-prio", 4, bits) {
        halves(line, 6)?;
    }
    if option(line, "stp-root-addr", 8, bits) {
        address(line, 10)?;
    }
    if option(line, "stp-root-cost", 16, bits) {
        range(line, number(info, 24)?, number(info, 28)?);
        line.push(" ");
    }
    if option(line, "stp-sender-prio", 32, bits) {
        halves(line, 32)?;
    }
    if option(line, "stp-sender-addr", 64, bits) {
        address(line, 36)?;
    }
    let times =
        [("stp-port", 48), ("stp-msg-age", 52), ("stp-max-age", 56), ("stp-hello-time", 60), ("stp-forward-delay", 64)];
    for (place, (word, at)) in times.into_iter().enumerate() {
        if option(line, word, 128 << place, bits) {
            halves(line, at)?;
        }
    }
    Some(())
}

fn length(line: &mut Line, info: &[u8]) -> Option<()> {
    let bits = (u16::from(*info.get(4)?), u16::from(*info.get(5)?));
    if option(line, "802_3-sap", 1, bits) {
        write!(line, "{:#04x} ", info.first()?);
    }
    if option(line, "802_3-type", 2, bits) {
        write!(line, "{:#06x} ", u16::from_be_bytes(info.get(2..4)?.try_into().ok()?));
    }
    Some(())
}

/// Two hash tables, of which only the entries are of interest.
fn among(line: &mut Line, info: &[u8]) -> Option<()> {
    /// `struct ebt_mac_wormhash` up to its entries: where each hash value begins, and how many there are.
    const HEAD: usize = 257 * 4 + 4;
    const ENTRY: usize = 12;
    let inverted = number(info, 8)?;
    for (word, bit, at) in [("among-dst", 1, 0), ("among-src", 2, 4)] {
        let table = number(info, at)? as usize;
        if table == 0 {
            continue;
        }
        write!(line, "--{word} ");
        not(line, inverted & bit != 0);
        let count = number(info, table.checked_add(HEAD - 4)?)? as usize;
        let start = table.checked_add(HEAD)?;
        let entries = info.get(start..start.checked_add(count.checked_mul(ENTRY)?)?)?;
        for entry in entries.chunks_exact(ENTRY) {
            mac(line, &entry[2..8]);
            if let &[a, b, c, d] = &entry[8..12]
                && [a, b, c, d] != [0; 4]
            {
                write!(line, "={a}.{b}.{c}.{d}");
            }
            line.push(",");
        }
        line.push(" ");
    }
    Some(())
}

fn string(line: &mut Line, info: &[u8]) -> Option<()> {
    let (from, to, flags) = (half(info, 0)?, half(info, 2)?, *info.get(149)?);
    let pattern = info.get(20..20 + usize::from(*info.get(148)?).min(128))?;
    let is_plain = pattern.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte));
    // others are written in a form with hexadecimal numbers
    is_plain.then_some(())?;
    line.push("--string ");
    not(line, flags & 1 != 0);
    write!(line, "\"{}\" --string-algo {} ", String::from_utf8_lossy(pattern), escaped(info.get(4..20)?));
    if from != 0 {
        write!(line, "--string-from {from} ");
    }
    if to != 0 {
        write!(line, "--string-to {to} ");
    }
    if flags & 2 != 0 {
        line.push("--string-icase ");
    }
    Some(())
}

fn log(line: &mut Line, info: &[u8]) -> Option<()> {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];
    let level = LEVELS.get(usize::from(*info.first()?))?;
    write!(line, "--log-level {level} --log-prefix \"{}\"", escaped(info.get(1..31)?));
    let mask = number(info, 32)?;
    for (bit, word) in [(1, " --log-ip"), (2, " --log-arp"), (8, " --log-ip6")] {
        if mask & bit != 0 {
            line.push(word);
        }
    }
    line.push(" ");
    Some(())
}

fn nflog(line: &mut Line, info: &[u8]) -> Option<()> {
    let prefix = escaped(info.get(12..76)?);
    if !prefix.is_empty() {
        // the tool leaves the space out
        write!(line, "--nflog-prefix \"{prefix}\"");
    }
    write!(line, "--nflog-group {} ", half(info, 4)?);
    if number(info, 0)? != 0 {
        write!(line, "--nflog-range {} ", number(info, 0)?);
    }
    if half(info, 6)? != 1 {
        write!(line, "--nflog-threshold {} ", half(info, 6)?);
    }
    Some(())
}
