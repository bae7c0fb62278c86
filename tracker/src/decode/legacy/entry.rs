//! One entry: what is matched, matches, target.

use std::ops::Range;

use super::Malformed;
use super::bridge;
use super::kernel_part;
use super::layout::Layout;
use crate::model::legacy::LegacyFamily;

/// `XT_ALIGN`ed head of a match or target: size, name, revision.
const PART_HEAD: usize = 32;
/// `XT_EXTENSION_MAXNAMELEN`.
const NAME_BYTES: usize = 29;

/// A match, or the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its name; empty for the standard target.
    pub name: &'a [u8],
    /// Revision of its structure.
    pub revision: u8,
    /// Its structure, padded to 8 bytes; see `decode::xt`.
    pub info: &'a [u8],
    /// Whether it is the target.
    pub is_target: bool,
    /// Where in the entry it is.
    pub(super) at: Range<usize>,
}

/// What the standard target says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The packet passes.
    Accept,
    /// The packet is dropped.
    Drop,
    /// The packet goes to a process.
    Queue,
    /// On to the next rule; bridge tables have a word for it.
    Continue,
    /// Back to where the chain was called.
    Return,
    /// To the entry at this byte of the table.
    To(usize),
    /// Something else.
    Other(i32),
}

/// The entry at `at` of a table's entries: its bytes, once they are seen to be one.
pub(super) fn entry(layout: Layout, entries: &[u8], at: usize) -> Result<&[u8], Malformed> {
    let rest = entries.get(at..).filter(|rest| rest.len() >= layout.length);
    let rest = rest.ok_or(Malformed::at(at, "an entry is cut"))?;
    let target = half(rest, layout.target_offset).unwrap_or_default();
    let next = half(rest, layout.target_offset + 2).unwrap_or_default();
    if target < layout.length || next < target + PART_HEAD || !next.is_multiple_of(8) {
        return Err(Malformed::at(at, "an entry's parts do not fit"));
    }
    let entry = rest.get(..next).ok_or(Malformed::at(at, "an entry is cut"))?;
    if walk(layout, entry).is_none() {
        return Err(Malformed::at(at, "an entry's matches do not fit"));
    }
    Ok(entry)
}

/// Matches and target of an entry, in their order; empty for bytes that are none.
pub fn parts(layout: Layout, entry: &[u8]) -> Vec<Part<'_>> {
    let walked = if layout.is_bridge { bridge::walk(entry) } else { walk(layout, entry) };
    walked.unwrap_or_default()
}

fn walk(layout: Layout, entry: &[u8]) -> Option<Vec<Part<'_>>> {
    let target = half(entry, layout.target_offset)?;
    let mut parts = Vec::new();
    let mut at = layout.length;
    while at < target {
        let part = part(entry, at, target, false)?;
        at = part.at.end;
        parts.push(part);
    }
    (at == target).then_some(())?;
    let target = part(entry, at, entry.len(), true)?;
    parts.push(target);
    Some(parts)
}

fn part(entry: &[u8], at: usize, limit: usize, is_target: bool) -> Option<Part<'_>> {
    let size = half(entry, at)?;
    let end = at.checked_add(size).filter(|end| size >= PART_HEAD && *end <= limit)?;
    let name = entry.get(at + 2..at + 2 + NAME_BYTES)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let revision = *entry.get(at + 2 + NAME_BYTES)?;
    Some(Part { name, revision, info: entry.get(at + PART_HEAD..end)?, is_target, at: at..end })
}

/// What the standard target of an entry says; `None` for another target.
pub fn verdict(target: &Part<'_>) -> Option<Verdict> {
    if !target.name.is_empty() {
        return bridge::standard(target);
    }
    let number = i32::from_ne_bytes(target.info.get(..4)?.try_into().ok()?);
    // negated NF_* less 1, and XT_RETURN = -NF_REPEAT - 1
    Some(match number {
        -1 => Verdict::Drop,
        -2 => Verdict::Accept,
        -4 => Verdict::Queue,
        -5 => Verdict::Return,
        0.. => Verdict::To(number.unsigned_abs() as usize),
        other => Verdict::Other(other),
    })
}

/// The name an error target carries: a chain's, or `ERROR` for the table's end.
pub(super) fn error_name<'a>(target: &Part<'a>) -> Option<&'a [u8]> {
    (target.name == b"ERROR").then(|| target.info.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Whether `comefrom` says that the kernel has seen a hook lead there; programs leave it 0 in what they make.
pub(super) fn is_marked(layout: Layout, entry: &[u8]) -> bool {
    let at = layout.target_offset + 4;
    entry.get(at..at + 4).is_some_and(|mark| mark != [0; 4])
}

/// Packets and bytes that an entry counted.
pub(super) fn counters(layout: Layout, entry: &[u8]) -> [u64; 2] {
    let number = |at: usize| entry.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes);
    [number(layout.counters).unwrap_or_default(), number(layout.counters + 8).unwrap_or_default()]
}

/// The text of the comment match.
pub(super) fn comment(parts: &[Part<'_>]) -> Option<String> {
    let comment = parts.iter().find(|part| !part.is_target && part.name == b"comment")?;
    let text = comment.info.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(text).into_owned())
}

/// An entry with everything zero that is not content.
pub(super) fn canonical(layout: Layout, entry: &[u8], parts: &[Part<'_>], is_jump: bool) -> Vec<u8> {
    let mut bytes = entry.to_vec();
    let mut clear = |from: usize, to: usize| {
        if let Some(range) = bytes.get_mut(from..to) {
            range.fill(0);
        }
    };
    // comefrom: which hooks lead there, for the kernel
    clear(layout.target_offset + 4, layout.target_offset + 8);
    clear(layout.counters, layout.counters + 16);
    layout.idle.iter().for_each(|(from, to)| clear(*from, *to));
    for part in parts {
        // names are not padded by everybody
        clear(part.at.start + 2 + part.name.len(), part.at.start + 2 + NAME_BYTES);
        let info = part.at.start + PART_HEAD;
        if let Some(kernels) = kernel_part::begins_at(part.is_target, part.name, part.revision) {
            clear((info + kernels).min(part.at.end), part.at.end);
        }
        if let Some((from, to)) = unused_mask(layout, part) {
            clear((info + from).min(part.at.end), (info + to).min(part.at.end));
        }
        if part.is_target && part.name.is_empty() {
            clear(if is_jump { info } else { info + 4 }, part.at.end);
        }
    }
    bytes
}

/// The part of a match's mask that IPv6 alone has, in an IPv4 rule: `iptables` fills it by default, and leaves it empty when
/// the mask is given, as `iptables-save` gives it. As `decode::nft::canonical` does.
fn unused_mask(layout: Layout, part: &Part<'_>) -> Option<(usize, usize)> {
    if layout != Layout::of(LegacyFamily::Ip) || part.is_target {
        return None;
    }
    match (part.name, part.revision) {
        // `struct xt_recent_mtinfo_v1`, `struct xt_connlimit_info`
        (b"recent", 1) => Some((216, 228)),
        (b"connlimit", _) => Some((4, 16)),
        _ => None,
    }
}

pub(super) fn half(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..at + 2)?.try_into().ok().map(|bytes| usize::from(u16::from_ne_bytes(bytes)))
}
