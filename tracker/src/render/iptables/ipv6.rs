//! IPv6 extension headers and prefix translation.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{ipv6, not, prefix_length, range};
use crate::decode::xt::ipv6::{Ah, Frag, Headers, Mobility, Npt, Options, Rt, Segments0, Segments1};

pub(super) fn frag(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Frag { ids, length, flags, invert } = Frag::read(info)?;
    if ids != [0, u32::MAX] {
        not(line, invert & 1 != 0);
        line.push(" --fragid ");
        range(line, ids);
    }
    if flags & 2 != 0 {
        not(line, invert & 2 != 0);
        write!(line, " --fraglen {length}");
    }
    for (bit, option) in [(4, "res"), (8, "first"), (16, "more"), (32, "last")] {
        if flags & bit != 0 {
            write!(line, " --frag{option}");
        }
    }
    Some(())
}

pub(super) fn rt(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Rt { kind, segments_left, length, flags, invert, addresses, count } = Rt::read(info)?;
    if flags & 1 != 0 {
        not(line, invert & 1 != 0);
        write!(line, " --rt-type {kind}");
    }
    if segments_left != [0, u32::MAX] {
        not(line, invert & 2 != 0);
        line.push(" --rt-segsleft ");
        range(line, segments_left);
    }
    if flags & 4 != 0 {
        not(line, invert & 4 != 0);
        write!(line, " --rt-len {length}");
    }
    if flags & 8 != 0 {
        line.push(" --rt-0-res");
    }
    if flags & 16 != 0 {
        let shown = addresses.get(..usize::from(count))?.iter().map(|address| ipv6(*address));
        write!(line, " --rt-0-addrs {}", shown.collect::<Vec<_>>().join(","));
    }
    if flags & 32 != 0 {
        line.push(" --rt-0-not-strict");
    }
    Some(())
}

pub(super) fn hop_options(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    options(line, "hbh", info)
}

pub(super) fn destination_options(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    options(line, "dst", info)
}

fn options(line: &mut Line, name: &str, info: &[u8]) -> Option<()> {
    let Options { length, flags, invert, options, count } = Options::read(info)?;
    if flags & 1 != 0 {
        not(line, invert & 1 != 0);
        write!(line, " --{name}-len {length}");
    }
    if flags & 2 != 0 {
        write!(line, " --{name}-opts ");
        for (index, option) in options.get(..usize::from(count))?.iter().enumerate() {
            line.push(if index > 0 { "," } else { "" });
            write!(line, "{}", option >> 8);
            if option & 0xff != 0xff {
                write!(line, ":{}", option & 0xff);
            }
        }
    }
    // --hbh-not-strict is not supported
    (flags & 4 == 0).then_some(())
}

pub(super) fn headers(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Headers { matched, invert, soft } = Headers::read(info)?;
    const NAMES: [(u32, &str); 8] = [
        (128, "hop-by-hop"),
        (64, "ipv6-opts"),
        (32, "ipv6-route"),
        (16, "ipv6-frag"),
        (8, "ah"),
        (4, "esp"),
        (2, "ipv6-nonxt"),
        (1, "protocol"),
    ];
    not(line, invert != 0);
    line.push(" --header ");
    super::words::bits(line, u32::from(matched), &NAMES)?;
    if soft {
        line.push(" --soft");
    }
    Some(())
}

/// Has no options.
pub(super) fn eui64(_: &Extensions<'_>, _: &mut Line, _: &[u8]) -> Option<()> {
    Some(())
}

pub(super) fn ah(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Ah { spis, length, reserved, invert } = Ah::read(info)?;
    if spis != [0, u32::MAX] {
        not(line, invert & 1 != 0);
        line.push(" --ahspi ");
        range(line, spis);
    }
    if length != 0 || invert & 2 != 0 {
        not(line, invert & 2 != 0);
        write!(line, " --ahlen {length}");
    }
    if reserved {
        line.push(" --ahres");
    }
    Some(())
}

pub(super) fn mobility(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Mobility { kinds, invert } = Mobility::read(info)?;
    if kinds != [0, u8::MAX] || invert & 1 != 0 {
        not(line, invert & 1 != 0);
        line.push(" --mh-type ");
        range(line, kinds);
    }
    Some(())
}

pub(super) fn segments0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Segments0 { numbers, tag, flags, invert } = Segments0::read(info)?;
    segments(line, numbers, tag, flags, invert);
    (flags >> 11 == 0).then_some(())
}

pub(super) fn segments1(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Segments1 { numbers, tag, addresses, masks, flags, invert } = Segments1::read(info)?;
    segments(line, numbers, tag, flags, invert);
    for (index, (address, mask)) in addresses.iter().zip(masks).enumerate() {
        let bit = 1 << (11 + index);
        if flags & bit != 0 {
            not(line, invert & bit != 0);
            let option = ["psid", "nsid", "lsid"].get(index)?;
            write!(line, " --srh-{option} {}/{}", ipv6(*address), prefix_length(&mask)?);
        }
    }
    (flags >> 14 == 0).then_some(())
}

fn segments(line: &mut Line, [next, length, left, last]: [u8; 4], tag: u16, flags: u16, invert: u16) {
    let options = [
        ("next-hdr", u16::from(next)),
        ("hdr-len-eq", u16::from(length)),
        ("hdr-len-gt", u16::from(length)),
        ("hdr-len-lt", u16::from(length)),
        ("segs-left-eq", u16::from(left)),
        ("segs-left-gt", u16::from(left)),
        ("segs-left-lt", u16::from(left)),
        ("last-entry-eq", u16::from(last)),
        ("last-entry-gt", u16::from(last)),
        ("last-entry-lt", u16::from(last)),
        ("tag", tag),
    ];
    for (bit, (option, value)) in options.into_iter().enumerate() {
        if flags & 1 << bit != 0 {
            not(line, invert & 1 << bit != 0);
            write!(line, " --srh-{option} {value}");
        }
    }
}

pub(super) fn npt(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Npt { source, destination, source_length, destination_length } = Npt::read(info)?;
    for (option, address, length) in [("src", source, source_length), ("dst", destination, destination_length)] {
        write!(line, " --{option}-pfx {}/{length}", ipv6(address));
    }
    Some(())
}
