//! Rates, quotas, probabilities.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{address, not, plain};
use crate::decode::nft::expr;
use crate::decode::xt::rate::{Hashlimit1, Hashlimit2, Hashlimit3, Limit, Quota, Recent0, Recent1, Statistic};

/// Units of a rate with their seconds, longest first.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1)];
/// Parts of a second in which `limit` and hashlimit's first revision count.
const SCALE: u64 = 10_000;
/// And hashlimit's later ones.
const SCALE_2: u64 = 1_000_000;
/// Burst that `limit` does not write.
const BURST: u32 = 5;

/// `5/min`, from the time between two packets; returns the unit's seconds.
fn rate(line: &mut Line, period: u64, scale: u64) -> u64 {
    if period == 0 {
        line.push(" inf");
        return 0;
    }
    // the shortest unit in which the period is less than one and divides about evenly
    let is_fit = |seconds: u64| {
        let whole = seconds * scale;
        period <= whole && whole / period >= whole % period
    };
    let fitting = UNITS[1..].iter().take_while(|(_, seconds)| is_fit(*seconds)).count();
    let (name, seconds) = UNITS[fitting];
    write!(line, " {}/{name}", seconds * scale / period);
    seconds
}

pub(super) fn limit(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Limit { average, burst } = Limit::read(info)?;
    line.push(" --limit");
    rate(line, u64::from(average), SCALE);
    if burst != BURST {
        write!(line, " --limit-burst {burst}");
    }
    Some(())
}

/// The `limit` match as a native expression.
pub(super) fn native_limit(line: &mut Line, limit: &expr::Limit<'_>) -> Option<()> {
    let is_plain = limit.kind == 0 && limit.flags.unwrap_or_default() == 0 && limit.rate > 0;
    let period = limit.unit.checked_mul(SCALE).filter(|_| is_plain)? / limit.rate;
    (period <= u64::from(u32::MAX)).then_some(())?;
    line.push(" -m limit --limit");
    rate(line, period, SCALE);
    if limit.burst != BURST {
        write!(line, " --limit-burst {}", limit.burst);
    }
    Some(())
}

/// hashlimit, whatever structure it was in.
struct Hashlimit<'a> {
    name: &'a [u8],
    average: u64,
    burst: u64,
    mode: u32,
    table: [u32; 4],
    interval: u32,
    masks: [u8; 2],
    scale: u64,
}

pub(super) fn hashlimit1(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Hashlimit1 { name, mode, average, burst, table, source_mask, destination_mask } = Hashlimit1::read(info)?;
    let masks = [source_mask, destination_mask];
    let (average, burst) = (u64::from(average), u64::from(burst));
    let info = Hashlimit { name: name.bytes(), average, burst, mode, table, interval: 1, masks, scale: SCALE };
    hashlimit(with, line, &info)
}

pub(super) fn hashlimit2(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Hashlimit2 { name, average, burst, mode, table, source_mask, destination_mask } = Hashlimit2::read(info)?;
    let masks = [source_mask, destination_mask];
    let info = Hashlimit { name: name.bytes(), average, burst, mode, table, interval: 1, masks, scale: SCALE_2 };
    hashlimit(with, line, &info)
}

pub(super) fn hashlimit3(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Hashlimit3 { name, average, burst, mode, table, interval, source_mask, destination_mask } =
        Hashlimit3::read(info)?;
    let masks = [source_mask, destination_mask];
    let info = Hashlimit { name: name.bytes(), average, burst, mode, table, interval, masks, scale: SCALE_2 };
    hashlimit(with, line, &info)
}

fn hashlimit(with: &Extensions<'_>, line: &mut Line, info: &Hashlimit<'_>) -> Option<()> {
    line.push(if info.mode & 16 != 0 { " --hashlimit-above" } else { " --hashlimit-upto" });
    let lifetime = if info.mode & 32 != 0 {
        byte_rate(line, info.average, info.burst)?
    } else {
        let seconds = rate(line, info.average, info.scale);
        write!(line, " --hashlimit-burst {}", info.burst);
        seconds
    };
    let mut separator = " --hashlimit-mode ";
    for (bit, word) in [(4, "srcip"), (8, "srcport"), (1, "dstip"), (2, "dstport")] {
        if info.mode & bit != 0 {
            write!(line, "{separator}{word}");
            separator = ",";
        }
    }
    line.push(" --hashlimit-name");
    plain(line, info.name);
    let [size, most, interval, expire] = info.table;
    let expected = u32::try_from(lifetime * 1000).ok()?;
    let options = [("size", size, 0), ("max", most, 0), ("gcinterval", interval, 1000), ("expire", expire, expected)];
    for (word, value, _) in options.into_iter().filter(|(_, value, default)| value != default) {
        write!(line, " --hashlimit-htable-{word} {value}");
    }
    let full = if with.is_ipv6 { 128 } else { 32 };
    for (word, length) in ["src", "dst"].into_iter().zip(info.masks).filter(|(_, length)| *length != full) {
        write!(line, " --hashlimit-{word}mask {length}");
    }
    if info.mode & 64 != 0 {
        line.push(" --hashlimit-rate-match");
        if info.interval != 1 {
            write!(line, " --hashlimit-rate-interval {}", info.interval);
        }
    }
    Some(())
}

/// Bytes per second are stored as the cost of 16 bytes; returns the lifetime of an entry in seconds.
fn byte_rate(line: &mut Line, cost: u64, burst: u64) -> Option<u64> {
    const MOST: u64 = u32::MAX as u64;
    const SIZES: [(u64, &str); 3] = [(1 << 20, "m"), (1 << 10, "k"), (1, "")];
    let cost_of = |bytes: u64| MOST / ((bytes >> 4) + 1);
    let bytes = MOST.checked_div(cost).unwrap_or(MOST).checked_sub(1)? << 4;
    let fits = |size: u64| bytes >= size && cost_of(bytes & !(size - 1)) == cost;
    let (size, unit) = SIZES.into_iter().find(|(size, _)| *size == 1 || fits(*size))?;
    write!(line, " {}{unit}b/s", bytes / size);
    if burst == 0 {
        return Some(15);
    }
    let all = bytes.checked_mul(burst)?;
    let (size, unit) = SIZES.into_iter().find(|(size, _)| *size == 1 || all >= *size)?;
    write!(line, " --hashlimit-burst {}{unit}b", all / size);
    Some(60)
}

pub(super) fn statistic(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Statistic { mode, flags, probability, every, packet } = Statistic::read(info)?;
    line.push(["", " --mode random", " --mode nth"].get(usize::from(mode) + 1)?);
    not(line, flags & 1 != 0);
    if mode == 0 {
        write!(line, " --probability {:.11}", f64::from(probability) / 2_147_483_648.0);
    } else {
        write!(line, " --every {} --packet {packet}", u64::from(every) + 1);
    }
    Some(())
}

pub(super) fn quota(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Quota { flags, quota } = Quota::read(info)?;
    not(line, flags & 1 != 0);
    write!(line, " --quota {quota}");
    Some(())
}

pub(super) fn recent0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Recent0 { seconds, hits, mode, invert, name, side } = Recent0::read(info)?;
    recent(line, seconds, hits, mode, invert);
    recent_table(line, name.bytes(), None, side);
    Some(())
}

pub(super) fn recent1(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Recent1 { seconds, hits, mode, invert, name, side, mask } = Recent1::read(info)?;
    recent(line, seconds, hits, mode, invert);
    recent_table(line, name.bytes(), Some(address(with.is_ipv6, &mask)), side);
    Some(())
}

fn recent(line: &mut Line, seconds: u32, hits: u32, mode: u8, invert: bool) {
    not(line, invert);
    for (bit, option) in [(2, "set"), (1, "rcheck"), (4, "update"), (8, "remove")] {
        if mode & bit != 0 {
            write!(line, " --{option}");
        }
    }
    if seconds != 0 {
        write!(line, " --seconds {seconds}");
    }
    if mode & 32 != 0 {
        line.push(" --reap");
    }
    if hits != 0 {
        write!(line, " --hitcount {hits}");
    }
    if mode & 16 != 0 {
        line.push(" --rttl");
    }
}

fn recent_table(line: &mut Line, name: &[u8], mask: Option<String>, side: u8) {
    if !name.is_empty() {
        line.push(" --name");
        plain(line, name);
    }
    if let Some(mask) = mask {
        write!(line, " --mask {mask}");
    }
    line.push(if side == 1 { " --rdest" } else { " --rsource" });
}
