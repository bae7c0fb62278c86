//! Layer 4 headers.

use super::super::line::Line;
use super::extension::Extensions;
use super::ports::Ports;
use super::words::{bits, not, range};

use crate::decode::xt::transport::{
    Dccp, Icmp, Multiport, Sctp, SetTcpmss, Spi, Synproxy, Tcp, Tcpmss, Tcpoptstrip, Udp,
};

const DCCP_TYPES: [&str; 11] =
    ["REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"];

pub(super) fn tcp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tcp { source, destination, option, flags_mask, flags, invert } = Tcp::read(info)?;
    let ports = Ports {
        name: "tcp",
        ports: ports(line, source, destination, invert),
        option: (option != 0 || invert & 8 != 0).then_some((invert & 8 != 0, option)),
        flags: (flags_mask != 0 || invert & 4 != 0).then_some((invert & 4 != 0, flags_mask, flags)),
    };
    ports.write_options(line);
    Some(())
}

pub(super) fn udp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Udp { source, destination, invert } = Udp::read(info)?;
    let ports = ports(line, source, destination, invert);
    Ports { ports, ..Ports::new("udp") }.write_options(line);
    Some(())
}

/// Source and destination ports, each with whether it is inverted. Of a rule that never matches, because it excludes all
/// ports, iptables-save shows one that always does.
fn ports(line: &mut Line, source: [u16; 2], destination: [u16; 2], invert: u8) -> [Option<(bool, [u16; 2])>; 2] {
    [(1, "--sport", source), (2, "--dport", destination)].map(|(bit, option, ports)| {
        let is_inverted = invert & bit != 0;
        if is_inverted && ports == [0, u16::MAX] {
            line.mark(format_args!("! {option} 0:65535"));
            return None;
        }
        Some((is_inverted, ports))
    })
}

pub(super) fn dccp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Dccp { source, destination, flags, invert, types, option } = Dccp::read(info)?;
    for (bit, ports, word) in [(1, source, "sport"), (2, destination, "dport")] {
        if flags & bit != 0 {
            not(line, invert & bit != 0);
            write!(line, " --{word} ");
            range(line, ports);
        }
    }
    if flags & 4 != 0 {
        not(line, invert & 4 != 0);
        line.push(" --dccp-types ");
        let names: Vec<(u32, &str)> = (0..).map(|bit| 1 << bit).zip(DCCP_TYPES).collect();
        bits(line, u32::from(types), &names)?;
    }
    if flags & 8 != 0 {
        not(line, invert & 8 != 0);
        write!(line, " --dccp-option {option}");
    }
    Some(())
}

pub(super) fn icmp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Icmp { kind, code, invert } = Icmp::read(info)?;
    not(line, invert & 1 != 0);
    line.push(" --icmp-type ");
    match (kind, code) {
        (0xff, [0, 0xff]) => line.push("any"),
        (kind, [0, 0xff]) => write!(line, "{kind}"),
        (kind, [from, to]) if from == to => write!(line, "{kind}/{from}"),
        _ => return None,
    }
    Some(())
}

pub(super) fn icmp6(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Icmp { kind, code, invert } = Icmp::read(info)?;
    not(line, invert & 1 != 0);
    write!(line, " --icmpv6-type {kind}");
    match code {
        [0, 0xff] => {}
        [from, to] if from == to => write!(line, "/{from}"),
        _ => return None,
    }
    Some(())
}

pub(super) fn multiport(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Multiport { which, count, ports, ranges, invert } = Multiport::read(info)?;
    not(line, invert);
    write!(line, " --{} ", ["sports", "dports", "ports"].get(usize::from(which))?);
    let ports = ports.get(..usize::from(count))?;
    for (index, port) in ports.iter().enumerate() {
        write!(line, "{port}");
        if index + 1 < ports.len() {
            line.push(if ranges.all()[index] != 0 { ":" } else { "," });
        }
    }
    Some(())
}

pub(super) fn esp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    spi(line, "espspi", info)
}

pub(super) fn ah(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    spi(line, "ahspi", info)
}

fn spi(line: &mut Line, option: &str, info: &[u8]) -> Option<()> {
    let Spi { spis, invert } = Spi::read(info)?;
    // of a rule that never matches iptables-save shows one that always does
    (spis != [0, u32::MAX] || invert & 1 == 0).then_some(())?;
    if spis != [0, u32::MAX] {
        not(line, invert & 1 != 0);
        write!(line, " --{option} ");
        range(line, spis);
    }
    Some(())
}

pub(super) fn tcpmss(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tcpmss { range: sizes, invert } = Tcpmss::read(info)?;
    not(line, invert);
    line.push(" --mss ");
    range(line, sizes);
    Some(())
}

pub(super) fn set_tcpmss(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    match SetTcpmss::read(info)?.size {
        u16::MAX => line.push(" --clamp-mss-to-pmtu"),
        size => write!(line, " --set-mss {size}"),
    }
    Some(())
}

pub(super) fn tcpoptstrip(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tcpoptstrip { map } = Tcpoptstrip::read(info)?;
    line.push(" --strip-options ");
    let mut separator = "";
    for option in (0..256_usize).filter(|option| map[option / 32] & 1 << (option % 32) != 0) {
        write!(line, "{separator}{option}");
        separator = ",";
    }
    Some(())
}

pub(super) fn synproxy(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Synproxy { options, window_scale, segment_size } = Synproxy::read(info)?;
    for (bit, word) in [(4, "sack-perm"), (8, "timestamp")] {
        if options & bit != 0 {
            write!(line, " --{word}");
        }
    }
    if options & 2 != 0 {
        write!(line, " --wscale {window_scale}");
    }
    if options & 1 != 0 {
        write!(line, " --mss {segment_size}");
    }
    if options & 16 != 0 {
        line.push(" --ecn");
    }
    Some(())
}

/// SCTP chunk types, and letters of the flags the first ones have, lowest bit first.
const CHUNKS: [(u8, &str, &str); 18] = [
    (0, "DATA", "EBUI"),
    (1, "INIT", ""),
    (2, "INIT_ACK", ""),
    (3, "SACK", ""),
    (4, "HEARTBEAT", ""),
    (5, "HEARTBEAT_ACK", ""),
    (6, "ABORT", "T"),
    (7, "SHUTDOWN", ""),
    (8, "SHUTDOWN_ACK", ""),
    (9, "ERROR", ""),
    (10, "COOKIE_ECHO", ""),
    (11, "COOKIE_ACK", ""),
    (12, "ECN_ECNE", ""),
    (13, "ECN_CWR", ""),
    (14, "SHUTDOWN_COMPLETE", "T"),
    (193, "ASCONF", ""),
    (128, "ASCONF_ACK", ""),
    (192, "FORWARD_TSN", ""),
];

pub(super) fn sctp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Sctp::read(info)?;
    for (bit, ports, word) in [(1, info.source, "sport"), (2, info.destination, "dport")] {
        if info.flags & bit != 0 {
            not(line, info.invert & bit != 0);
            write!(line, " --{word} ");
            range(line, ports);
        }
    }
    if info.flags & 4 == 0 {
        return Some(());
    }
    not(line, info.invert & 4 != 0);
    line.push(" --chunk-types ");
    line.push(match info.chunk_match {
        1 => "any ",
        2 => "all ",
        4 => "only ",
        _ => return None,
    });
    let is_set = |chunk: u8| info.chunk_map[usize::from(chunk) / 32] & 1 << (chunk % 32) != 0;
    if info.chunk_map == [0; 8] {
        line.push("NONE");
        return Some(());
    }
    if info.chunk_map == [u32::MAX; 8] {
        line.push("ALL");
        return Some(());
    }
    let mut separator = "";
    for chunk in (0..=u8::MAX).filter(|chunk| is_set(*chunk)) {
        let (_, name, letters) = CHUNKS.iter().find(|(number, ..)| *number == chunk)?;
        write!(line, "{separator}{name}");
        separator = ",";
        let count = usize::try_from(info.flag_count).ok()?.min(4);
        let flags = info.chunk_flags.chunks_exact(3).take(count).find(|flags| flags[0] == chunk);
        if let Some(&[_, flags, mask]) = flags {
            line.push(":");
            for bit in (0..8_u8).rev().filter(|bit| mask & 1 << bit != 0) {
                let letter = letters.chars().nth(usize::from(bit))?;
                let is_on = flags & 1 << bit != 0;
                write!(line, "{}", if is_on { letter } else { letter.to_ascii_lowercase() });
            }
        }
    }
    Some(())
}
