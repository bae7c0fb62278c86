//! Addresses and links.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{address as text, bits, mask, not, plain};
use crate::decode::xt::address::{
    Addrtype, Devgroup, Iprange, Mac, Physdev, Pkttype, Policy, PolicyElement, Realm, Rpfilter, Tee,
};

const TYPES: [(u32, &str); 12] = [
    (1, "UNSPEC"),
    (2, "UNICAST"),
    (4, "LOCAL"),
    (8, "BROADCAST"),
    (16, "ANYCAST"),
    (32, "MULTICAST"),
    (64, "BLACKHOLE"),
    (128, "UNREACHABLE"),
    (256, "PROHIBIT"),
    (512, "THROW"),
    (1024, "NAT"),
    (2048, "XRESOLVE"),
];

pub(super) fn addrtype(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Addrtype { source, destination, flags } = Addrtype::read(info)?;
    for (types, bit, option) in [(source, 1, "src"), (destination, 2, "dst")] {
        if types != 0 {
            not(line, flags & bit != 0);
            write!(line, " --{option}-type ");
            bits(line, u32::from(types), &TYPES)?;
        }
    }
    for (bit, option) in [(4, "in"), (8, "out")] {
        if flags & bit != 0 {
            write!(line, " --limit-iface-{option}");
        }
    }
    Some(())
}

pub(super) fn iprange(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Iprange { source, destination, flags } = Iprange::read(info)?;
    for (bit, [from, to], option) in [(1, source, "src"), (2, destination, "dst")] {
        if flags & bit != 0 {
            not(line, flags & bit << 4 != 0);
            write!(line, " --{option}-range {}-{}", text(with.is_ipv6, &from), text(with.is_ipv6, &to));
        }
    }
    Some(())
}

pub(super) fn mac(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Mac { address: [a, b, c, d, e, f], invert } = Mac::read(info)?;
    not(line, invert != 0);
    write!(line, " --mac-source {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    Some(())
}

pub(super) fn physdev(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Physdev::read(info)?;
    let has = |bit: u8| info.bitmask & bit != 0;
    let flag = |line: &mut Line, bit: u8, option: &str| {
        if has(bit) {
            not(line, info.invert & bit != 0);
            write!(line, " --physdev-{option}");
        }
    };
    flag(line, 8, "is-in");
    if has(1) {
        not(line, info.invert & 1 != 0);
        line.push(" --physdev-in");
        plain(line, info.input.bytes());
    }
    flag(line, 16, "is-out");
    if has(2) {
        not(line, info.invert & 2 != 0);
        line.push(" --physdev-out");
        plain(line, info.output.bytes());
    }
    flag(line, 4, "is-bridged");
    Some(())
}

pub(super) fn devgroup(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Devgroup { flags, source, destination } = Devgroup::read(info)?;
    for (bit, [group, mask], option) in [(1, source, "src"), (4, destination, "dst")] {
        if flags & bit != 0 {
            not(line, flags & bit << 1 != 0);
            write!(line, " --{option}-group");
            named(line, group, mask, "default");
        }
    }
    Some(())
}

pub(super) fn rpfilter(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Rpfilter { flags } = Rpfilter::read(info)?;
    for (bit, option) in [(1, "loose"), (2, "validmark"), (4, "accept-local"), (8, "invert")] {
        if flags & bit != 0 {
            write!(line, " --{option}");
        }
    }
    Some(())
}

pub(super) fn pkttype(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Pkttype { kind, invert } = Pkttype::read(info)?;
    not(line, invert != 0);
    write!(line, " --pkt-type {}", ["unicast", "broadcast", "multicast"].get(usize::try_from(kind).ok()?)?);
    Some(())
}

pub(super) fn realm(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Realm { id, mask, invert } = Realm::read(info)?;
    not(line, invert);
    line.push(" --realm");
    named(line, id, mask, "cosmos");
    Some(())
}

/// The name iproute2 comes with for 0, else the number with its mask.
fn named(line: &mut Line, number: u32, mask: u32, zero: &str) {
    match (number, mask) {
        (0, u32::MAX) => write!(line, " {zero}"),
        _ => super::words::masked(line, number, mask),
    }
}

pub(super) fn tee(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tee { gateway, output } = Tee::read(info)?;
    write!(line, " --gateway {}", text(with.is_ipv6, &gateway));
    if !output.bytes().is_empty() {
        line.push(" --oif");
        plain(line, output.bytes());
    }
    Some(())
}

pub(super) fn policy(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let policy = Policy::read(info)?;
    match policy.flags & 3 {
        1 => line.push(" --dir in"),
        2 => line.push(" --dir out"),
        _ => return None,
    }
    if policy.flags & 4 != 0 {
        line.push(" --pol none");
        return Some(());
    }
    line.push(" --pol ipsec");
    if policy.flags & 8 != 0 {
        line.push(" --strict");
    }
    for (index, element) in policy.each().enumerate() {
        if index > 0 {
            line.push(" --next");
        }
        policy_element(with, line, &element?)?;
    }
    Some(())
}

fn policy_element(with: &Extensions<'_>, line: &mut Line, element: &PolicyElement) -> Option<()> {
    let has = |line: &mut Line, bit: u8, option: &str| {
        let is_matched = element.matched & bit != 0;
        if is_matched {
            not(line, element.invert & bit != 0);
            write!(line, " --{option} ");
        }
        is_matched
    };
    if has(line, 32, "reqid") {
        write!(line, "{}", element.reqid);
    }
    if has(line, 16, "spi") {
        write!(line, "{:#x}", element.spi);
    }
    if has(line, 4, "proto") {
        match super::super::names::protocol(element.protocol) {
            Some(name) => line.push(name),
            None => write!(line, "{}", element.protocol),
        }
    }
    if has(line, 8, "mode") {
        line.push(["transport", "tunnel"].get(usize::from(element.mode))?);
    }
    if has(line, 2, "tunnel-dst") {
        line.push(&text(with.is_ipv6, &element.destination));
        line.push(&mask(with.is_ipv6, &element.destination_mask));
    }
    if has(line, 1, "tunnel-src") {
        line.push(&text(with.is_ipv6, &element.source));
        line.push(&mask(with.is_ipv6, &element.source_mask));
    }
    Some(())
}
