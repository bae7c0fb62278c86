//! Fields of the network header, and changes to the packet.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{not, range};
use crate::decode::xt::packet::{Checksum, Classify, Dscp, Ecn, Hops, Length, SetDscp, SetEcn, SetTos, Tos};

pub(super) fn ttl(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    hops(line, "ttl", info)
}

pub(super) fn hl(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    hops(line, "hl", info)
}

fn hops(line: &mut Line, name: &str, info: &[u8]) -> Option<()> {
    let Hops { mode, value } = Hops::read(info)?;
    not(line, mode == 1);
    let mode = ["eq", "eq", "lt", "gt"].get(usize::from(mode))?;
    write!(line, " --{name}-{mode} {value}");
    Some(())
}

pub(super) fn set_ttl(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    set_hops(line, "ttl", info)
}

pub(super) fn set_hl(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    set_hops(line, "hl", info)
}

fn set_hops(line: &mut Line, name: &str, info: &[u8]) -> Option<()> {
    let Hops { mode, value } = Hops::read(info)?;
    let mode = ["set", "inc", "dec"].get(usize::from(mode))?;
    write!(line, " --{name}-{mode} {value}");
    Some(())
}

pub(super) fn length(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Length { range: lengths, invert } = Length::read(info)?;
    not(line, invert);
    line.push(" --length ");
    range(line, lengths);
    Some(())
}

pub(super) fn dscp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Dscp { dscp, invert } = Dscp::read(info)?;
    not(line, invert);
    write!(line, " --dscp {dscp:#04x}");
    Some(())
}

pub(super) fn set_dscp(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    write!(line, " --set-dscp {:#04x}", SetDscp::read(info)?.dscp);
    Some(())
}

pub(super) fn tos(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tos { mask, value, invert } = Tos::read(info)?;
    not(line, invert);
    write!(line, " --tos {value:#04x}/{mask:#04x}");
    Some(())
}

pub(super) fn set_tos(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let SetTos { value, mask } = SetTos::read(info)?;
    write!(line, " --set-tos {value:#04x}/{mask:#04x}");
    Some(())
}

pub(super) fn ecn(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Ecn { operation, invert, ect } = Ecn::read(info)?;
    for (bit, option) in [(0x10, "ecn-tcp-ece"), (0x20, "ecn-tcp-cwr")] {
        if operation & bit != 0 {
            not(line, invert & bit != 0);
            write!(line, " --{option}");
        }
    }
    if operation & 1 != 0 {
        not(line, invert & 1 != 0);
        write!(line, " --ecn-ip-ect {ect}");
    }
    Some(())
}

/// What else the structure can ask for has no option.
pub(super) fn set_ecn(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let SetEcn { operation, ect, bits } = SetEcn::read(info)?;
    ((operation, ect, bits) == (0x30, 0, 0)).then(|| line.push(" --ecn-tcp-remove"))
}

pub(super) fn checksum(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    (Checksum::read(info)?.operation == 1).then(|| line.push(" --checksum-fill"))
}

pub(super) fn classify(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Classify { priority } = Classify::read(info)?;
    write!(line, " --set-class {:04x}:{:04x}", priority >> 16, priority & 0xffff);
    Some(())
}
