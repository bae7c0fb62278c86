//! IP sets. A rule has their index; the name is only known where the surroundings know it.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{not, plain};
use crate::decode::xt::set::{Match4, Target3};

/// `IPSET_INVALID_ID`.
const NONE: u16 = u16::MAX;

pub(super) fn matched(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Match4::read(info)?;
    not(line, info.flags & 1 != 0);
    set(with, line, "--match-set", info.index, info.dimensions, info.flags);
    if (info.options | u32::from(info.flags)) & 1 << 7 != 0 {
        line.push(" --return-nomatch");
    }
    for (bit, option) in [(1 << 3, "update-counters"), (1 << 4, "update-subcounters")] {
        if info.options & bit != 0 {
            write!(line, " ! --{option}");
        }
    }
    for (operation, value, option) in
        [(info.packets_operation, info.packets, "packets"), (info.bytes_operation, info.bytes, "bytes")]
    {
        // IPSET_COUNTER_*
        match operation {
            0 => {}
            1 => write!(line, " --{option}-eq {value}"),
            2 => write!(line, " ! --{option}-eq {value}"),
            3 => write!(line, " --{option}-lt {value}"),
            4 => write!(line, " --{option}-gt {value}"),
            _ => return None,
        }
    }
    Some(())
}

pub(super) fn changed(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Target3 { add, delete, map, flags, timeout } = Target3::read(info)?;
    let change = |line: &mut Line, option: &str, [index, rest]: [u16; 2]| {
        let [dimensions, flags] = rest.to_ne_bytes();
        let is_there = index != NONE;
        if is_there {
            set(with, line, option, index, dimensions, flags);
        }
        is_there
    };
    if change(line, "--add-set", add) {
        // IPSET_FLAG_EXIST
        if flags & 1 != 0 {
            line.push(" --exist");
        }
        if timeout != u32::MAX {
            write!(line, " --timeout {timeout}");
        }
    }
    change(line, "--del-set", delete);
    if change(line, "--map-set", map) {
        for (bit, option) in [(1 << 8, "map-mark"), (1 << 9, "map-prio"), (1 << 10, "map-queue")] {
            if flags & bit != 0 {
                write!(line, " --{option}");
            }
        }
    }
    Some(())
}

fn set(with: &Extensions<'_>, line: &mut Line, option: &str, index: u16, dimensions: u8, flags: u8) {
    write!(line, " {option}");
    match with.surroundings.ip_set(index) {
        Some(name) => plain(line, name.as_bytes()),
        None => line.mark(format_args!("ip set with index {index}")),
    }
    for dimension in 1..=dimensions.min(6) {
        line.push(if dimension == 1 { " " } else { "," });
        line.push(if flags & 1 << dimension != 0 { "src" } else { "dst" });
    }
}
