//! Address translation.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{address, prefix_length};
use crate::decode::xt::be16;
use crate::decode::xt::nat::{Range0, Range1, Range2};

/// `NF_NAT_RANGE_*`.
const ADDRESSES: u32 = 1;
const PORTS: u32 = 2;
const RANDOM: u32 = 4;
const PERSISTENT: u32 = 8;
const RANDOM_FULLY: u32 = 16;
const OFFSET: u32 = 32;
const NETMAP: u32 = 64;

/// A range of addresses and ports, whatever structure it was in.
struct Range {
    flags: u32,
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    base: u16,
}

impl Range {
    fn of_0(info: &[u8]) -> Option<Self> {
        let Range0 { count, flags, addresses, ports } = Range0::read(info)?;
        let widened = |octets: [u8; 4]| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&octets);
            bytes
        };
        let range = Self { flags, addresses: addresses.map(widened), ports: ports.map(be16), base: 0 };
        (count == 1).then_some(range)
    }

    fn of_1(info: &[u8]) -> Option<Self> {
        let Range1 { flags, addresses, ports } = Range1::read(info)?;
        Some(Self { flags, addresses, ports: ports.map(be16), base: 0 })
    }

    fn of_2(info: &[u8]) -> Option<Self> {
        let Range2 { flags, addresses, ports, base } = Range2::read(info)?;
        Some(Self { flags, addresses, ports: ports.map(be16), base: be16(base) })
    }

    /// `1.2.3.4-1.2.3.9:5-6`
    fn write(&self, is_ipv6: bool, line: &mut Line, option: &str) -> Option<()> {
        (self.flags & NETMAP == 0 || option == "--to").then_some(())?;
        write!(line, " {option} ");
        let has_brackets = is_ipv6 && self.flags & ADDRESSES != 0 && self.flags & PORTS != 0;
        if self.flags & ADDRESSES != 0 {
            line.push(if has_brackets { "[" } else { "" });
            line.push(&address(is_ipv6, &self.addresses[0]));
            if self.addresses[0] != self.addresses[1] {
                write!(line, "-{}", address(is_ipv6, &self.addresses[1]));
            }
            line.push(if has_brackets { "]" } else { "" });
        }
        if self.flags & PORTS != 0 {
            line.push(":");
            self.write_ports(line);
            if self.flags & OFFSET != 0 {
                write!(line, "/{}", self.base);
            }
        }
        self.write_flags(line)
    }

    fn write_ports(&self, line: &mut Line) {
        let [from, to] = self.ports;
        if from == to { write!(line, "{from}") } else { write!(line, "{from}-{to}") }
    }

    fn write_flags(&self, line: &mut Line) -> Option<()> {
        for (bit, word) in [(RANDOM, "random"), (RANDOM_FULLY, "random-fully"), (PERSISTENT, "persistent")] {
            if self.flags & bit != 0 {
                write!(line, " --{word}");
            }
        }
        (self.flags >> 7 == 0).then_some(())
    }

    fn masquerade(&self, line: &mut Line) -> Option<()> {
        (self.flags & !(PORTS | RANDOM | RANDOM_FULLY) == 0).then_some(())?;
        if self.flags & PORTS != 0 {
            line.push(" --to-ports ");
            self.write_ports(line);
        }
        self.write_flags(line)
    }

    /// Of a redirect only whether the ports are chosen at random is written; addresses stand in it for IPv4.
    fn redirect(&self, line: &mut Line) -> Option<()> {
        (self.flags & !(PORTS | RANDOM) == 0).then_some(())?;
        if self.flags & PORTS != 0 {
            line.push(" --to-ports ");
            self.write_ports(line);
        }
        self.write_flags(line)
    }

    fn netmap(&self, is_ipv6: bool, line: &mut Line) -> Option<()> {
        let mut mask = [0; 16];
        for (byte, (from, to)) in mask.iter_mut().zip(self.addresses[0].iter().zip(&self.addresses[1])) {
            *byte = !(from ^ to);
        }
        let used = if is_ipv6 { &mask[..] } else { &mask[..4] };
        write!(line, " --to {}", address(is_ipv6, &self.addresses[0]));
        match prefix_length(used) {
            Some(length) => write!(line, "/{length}"),
            None => write!(line, "/{}", address(is_ipv6, &mask)),
        }
        Some(())
    }
}

pub(super) fn dnat0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_0(info)?.write(false, line, "--to-destination")
}

pub(super) fn dnat1(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_1(info)?.write(with.is_ipv6, line, "--to-destination")
}

pub(super) fn dnat2(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_2(info)?.write(with.is_ipv6, line, "--to-destination")
}

pub(super) fn snat0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_0(info)?.write(false, line, "--to-source")
}

pub(super) fn snat1(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_1(info)?.write(with.is_ipv6, line, "--to-source")
}

pub(super) fn masquerade0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_0(info)?.masquerade(line)
}

pub(super) fn masquerade1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_1(info)?.masquerade(line)
}

pub(super) fn redirect0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_0(info)?.redirect(line)
}

pub(super) fn redirect1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_1(info)?.redirect(line)
}

pub(super) fn netmap0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_0(info)?.netmap(false, line)
}

pub(super) fn netmap1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    Range::of_1(info)?.netmap(true, line)
}
