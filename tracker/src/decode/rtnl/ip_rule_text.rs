//! What people read of an ip rule, in the words of ip-rule(8).

use std::fmt::Write as _;

use super::ip_rule::{FIB_RULE_INVERT, IpRuleView, fra};

/// Selectors and action: `from 10.0.0.0/8 fwmark 0x1/0xff lookup 100`. Every selector is in it: two rules with one text
/// do the same.
pub(super) fn text(view: &IpRuleView<'_>) -> String {
    let mut words = Vec::new();
    if view.flags() & FIB_RULE_INVERT != 0 {
        words.push("not".to_owned());
    }
    match view.prefix(fra::SRC) {
        Some((address, length)) => words.push(format!("from {address}/{length}")),
        None => words.push("from all".to_owned()),
    }
    if let Some((address, length)) = view.prefix(fra::DST) {
        words.push(format!("to {address}/{length}"));
    }
    if view.header.tos != 0 {
        words.push(format!("tos {:#04x}", view.header.tos));
    }
    let (marks, others): (Vec<_>, Vec<_>) =
        view.selectors().into_iter().partition(|(kind, _)| matches!(*kind, fra::FWMARK | fra::FWMASK));
    if !marks.is_empty() {
        words.push(mark(view));
    }
    let (suppressors, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|(kind, _)| matches!(*kind, fra::SUPPRESS_IFGROUP | fra::SUPPRESS_PREFIXLEN));
    words.extend(others.into_iter().filter_map(|(kind, value)| selector(view, kind, value)));
    words.push(action(view));
    words.extend(suppressors.into_iter().filter_map(|(kind, value)| selector(view, kind, value)));
    let rest = view.flags() & !FIB_RULE_INVERT;
    if rest != 0 {
        words.push(format!("flags {rest:#x}"));
    }
    words.join(" ")
}

fn mark(view: &IpRuleView<'_>) -> String {
    let mark = view.attributes.u32(fra::FWMARK).unwrap_or(0);
    match view.attributes.u32(fra::FWMASK) {
        None | Some(u32::MAX) => format!("fwmark {mark:#x}"),
        Some(mask) => format!("fwmark {mark:#x}/{mask:#x}"),
    }
}

fn selector(view: &IpRuleView<'_>, kind: u16, value: &[u8]) -> Option<String> {
    let name = || view.attributes.text(kind).unwrap_or_default();
    let number = || view.attributes.u32(kind).unwrap_or(0);
    let byte = || view.attributes.u8(kind).unwrap_or(0);
    Some(match kind {
        fra::SRC | fra::DST | fra::GOTO => return None,
        // kernels that know masks (6.15) send the full one with every selector
        fra::SPORT_MASK | fra::DPORT_MASK if value == [0xff; 2] => return None,
        fra::DSCP_MASK if value == [0x3f] => return None,
        fra::IIFNAME => format!("iif {}", name()),
        fra::OIFNAME => format!("oif {}", name()),
        fra::L3MDEV => "l3mdev".to_owned(),
        fra::UID_RANGE => format!("uidrange {}", range(value, 4)),
        fra::IP_PROTO => format!("ipproto {}", byte()),
        fra::SPORT_RANGE => format!("sport {}", range(value, 2)),
        fra::DPORT_RANGE => format!("dport {}", range(value, 2)),
        fra::DSCP => format!("dscp {}", byte()),
        fra::TUN_ID => format!("tun_id {}", value.first_chunk().map_or(0, |id| u64::from_be_bytes(*id))),
        fra::FLOW => format!("realms {:#x}", number()),
        fra::SUPPRESS_PREFIXLEN => format!("suppress_prefixlength {}", number()),
        fra::SUPPRESS_IFGROUP => format!("suppress_ifgroup {}", number()),
        _ => value.iter().fold(format!("attribute {kind} "), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    })
}

/// Two numbers in host order, `width` bytes each.
fn range(value: &[u8], width: usize) -> String {
    let number = |bytes: &[u8]| match *bytes {
        [a, b] => u32::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    };
    let mut ends = value.chunks_exact(width).map(number);
    let (first, last) = (ends.next().unwrap_or(0), ends.next().unwrap_or(0));
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// `FR_ACT_*`.
fn action(view: &IpRuleView<'_>) -> String {
    let number = view.action();
    match number {
        1 => match view.table() {
            253 => "lookup default".to_owned(),
            254 => "lookup main".to_owned(),
            255 => "lookup local".to_owned(),
            table => format!("lookup {table}"),
        },
        2 => format!("goto {}", view.attributes.u32(fra::GOTO).unwrap_or(0)),
        3 => "nop".to_owned(),
        6 => "blackhole".to_owned(),
        7 => "unreachable".to_owned(),
        8 => "prohibit".to_owned(),
        _ => format!("action {number} table {}", view.table()),
    }
}
