//! Marks.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{address, masked, not, prefix_length};
use crate::decode::xt::be16;
use crate::decode::xt::mark::{Connsecmark, Hmark, Mark, SetConnmark1, SetConnmark2, SetMark, Tproxy0, Tproxy1};

pub(super) fn mark(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Mark { mark, mask, invert } = Mark::read(info)?;
    not(line, invert);
    line.push(" --mark");
    masked(line, mark, mask);
    Some(())
}

pub(super) fn set_mark(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let SetMark { mark, mask } = SetMark::read(info)?;
    write!(line, " --set-xmark {mark:#x}/{mask:#x}");
    Some(())
}

pub(super) fn set_connmark1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let SetConnmark1 { ctmark, ctmask, nfmask, mode } = SetConnmark1::read(info)?;
    connmark(line, ctmark, ctmask, nfmask, mode)
}

pub(super) fn set_connmark2(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let SetConnmark2 { ctmark, ctmask, nfmask, shift_direction, shift_bits, mode } = SetConnmark2::read(info)?;
    connmark(line, ctmark, ctmask, nfmask, mode)?;
    if shift_bits != 0 {
        let direction = ["left", "right"].get(usize::from(shift_direction))?;
        write!(line, " --{direction}-shift-mark {shift_bits}");
    }
    Some(())
}

fn connmark(line: &mut Line, ctmark: u32, ctmask: u32, nfmask: u32, mode: u8) -> Option<()> {
    match mode {
        0 => write!(line, " --set-xmark {ctmark:#x}/{ctmask:#x}"),
        1 => write!(line, " --save-mark --nfmask {nfmask:#x} --ctmask {ctmask:#x}"),
        2 => write!(line, " --restore-mark --nfmask {nfmask:#x} --ctmask {ctmask:#x}"),
        _ => return None,
    }
    Some(())
}

pub(super) fn tproxy0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tproxy0 { mark_mask, mark_value, address: octets, port } = Tproxy0::read(info)?;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&octets);
    tproxy(line, &address(false, &bytes), port, mark_value, mark_mask);
    Some(())
}

pub(super) fn tproxy1(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Tproxy1 { mark_mask, mark_value, address: bytes, port } = Tproxy1::read(info)?;
    tproxy(line, &address(with.is_ipv6, &bytes), port, mark_value, mark_mask);
    Some(())
}

fn tproxy(line: &mut Line, address: &str, port: u16, value: u32, mask: u32) {
    write!(line, " --on-port {} --on-ip {address} --tproxy-mark {value:#x}/{mask:#x}", be16(port));
}

pub(super) fn connsecmark(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    match Connsecmark::read(info)?.mode {
        1 => line.push(" --save"),
        2 => line.push(" --restore"),
        _ => return None,
    }
    Some(())
}

/// Without ports, protocols and SPIs, whose forms depend on each other.
pub(super) fn hmark(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Hmark { source_mask, destination_mask, flags, random, modulus, offset, .. } = Hmark::read(info)?;
    // XT_HMARK_SADDR_MASK, _DADDR_MASK, _RND, _MODULUS, _OFFSET
    (flags & !0b1110_0000_0011 == 0).then_some(())?;
    for (bit, mask, option) in [(1, source_mask, "src"), (2, destination_mask, "dst")] {
        if flags & bit != 0 {
            let used = if with.is_ipv6 { &mask[..] } else { &mask[..4] };
            write!(line, " --hmark-{option}-prefix {}", prefix_length(used)?);
        }
    }
    if flags & 1 << 9 != 0 {
        write!(line, " --hmark-rnd {random:#010x}");
    }
    if flags & 1 << 10 != 0 {
        write!(line, " --hmark-mod {modulus}");
    }
    if flags & 1 << 11 != 0 {
        write!(line, " --hmark-offset {offset}");
    }
    Some(())
}
