//! Elements of interval sets: which two are the ends of one interval, and in which order the kernel wants them.
//!
//! nft(8) stores `10.0.0.0/8` as the elements `10.0.0.0` and `11.0.0.0` (interval end), and an interval end at zero before
//! the first. Linux 6.18 refuses with `ENOENT` to delete an end that does not belong to the start deleted before it.

use netlink_packet_core::NlasIterator;

use super::ruleset::Ruleset;
use crate::model::nft::{ElementSnapshot, NftItem, NftSnapshot};
use crate::model::subject::{Snapshot, Subject};

const NFTA_SET_ELEM_FLAGS: u16 = 3;
const ELEM_INTERVAL_END: u32 = 1;
const SET_INTERVAL: u32 = 4;
/// Sets of concatenated ranges keep both ends in one element.
const SET_CONCAT: u32 = 128;

/// Elements that can only be deleted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// One element.
    Single(usize),
    /// Both ends of an interval.
    Interval(usize, usize),
    /// The end at zero that stands before the first interval; it serves all of them.
    BeforeFirst(usize),
}

/// The elements of a set, by what can be deleted together.
pub(super) fn units(ruleset: &Ruleset<'_>, set: usize) -> Vec<Unit> {
    let set = &ruleset.items[set];
    if set.set_flags() & SET_INTERVAL == 0 || set.set_flags() & SET_CONCAT != 0 {
        return set.members.iter().map(|member| Unit::Single(*member)).collect();
    }
    let mut sorted = set.members.clone();
    sorted.sort_by_cached_key(|member| {
        let item = &ruleset.items[*member];
        place(&item.nft.item, item.content)
    });
    let is_end =
        |member: usize| matches!(ruleset.items[member].content, NftSnapshot::Element(it) if is_interval_end(it));
    let mut units = Vec::with_capacity(sorted.len());
    let mut open: Option<usize> = None;
    for member in sorted {
        match (open.take(), is_end(member)) {
            (Some(start), true) => units.push(Unit::Interval(start, member)),
            (None, true) => units.push(Unit::BeforeFirst(member)),
            (before, false) => {
                units.extend(before.map(Unit::Single));
                open = Some(member);
            }
        }
    }
    units.extend(open.map(Unit::Single));
    units
}

/// Sort key of the elements of one set: by key, at one key the end of what was before first.
fn place(item: &NftItem, content: &NftSnapshot) -> Option<(Vec<u8>, bool)> {
    let (NftItem::Element { key, .. }, NftSnapshot::Element(element)) = (item, content) else { return None };
    let is_end = is_interval_end(element);
    let key = if is_end { &key[..key.len().saturating_sub(1)] } else { &key[..] };
    Some((key.to_vec(), !is_end))
}

/// Sort key for deletions of elements; `None` for everything else.
pub(in crate::rollback) fn deletion_order(subject: &Subject, snapshot: &Snapshot) -> Option<(String, Vec<u8>, bool)> {
    let (Subject::Nft(nft), Snapshot::Nft(content)) = (subject, snapshot) else { return None };
    let NftItem::Element { set, .. } = &nft.item else { return None };
    place(&nft.item, content).map(|(key, is_start)| (format!("{} {set}", nft.table), key, is_start))
}

fn is_interval_end(element: &ElementSnapshot) -> bool {
    let mut attributes = NlasIterator::new(&element.attributes).map_while(Result::ok);
    let flags = attributes.find(|attribute| attribute.kind() == NFTA_SET_ELEM_FLAGS);
    let flags = flags.and_then(|flags| flags.value().try_into().ok()).map_or(0, u32::from_be_bytes);
    flags & ELEM_INTERVAL_END != 0
}
