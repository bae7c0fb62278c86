//! Which sets a rule uses.

use crate::decode::legacy::{Layout, parts};
use crate::decode::nft::expr::{Kind, decode};
use crate::model::legacy::{LegacyFamily, LegacyRule};
use crate::model::nft::RuleSnapshot;

/// `IPSET_INVALID_ID`.
const NONE: u16 = u16::MAX;

/// The indexes of the IP sets that a rule's xtables matches and targets use, once for each use.
pub fn used_by(rule: &RuleSnapshot) -> Vec<u16> {
    let mut indexes = Vec::new();
    for expression in decode(&rule.expressions) {
        let (xt, places) = match &expression.kind {
            Kind::Match(xt) => (xt, of_match(xt.name)),
            Kind::Target(xt) => (xt, of_target(xt.name, xt.revision)),
            _ => continue,
        };
        indexes.extend(places.iter().filter_map(|at| index(xt.info?, *at)));
    }
    indexes
}

/// The indexes of the IP sets that a legacy rule's matches and target use, once for each use.
pub fn used_by_legacy(family: LegacyFamily, rule: &LegacyRule) -> Vec<u16> {
    let mut indexes = Vec::new();
    for part in parts(Layout::of(family), &rule.entry) {
        let places = match part.is_target {
            false => of_match(part.name),
            true => of_target(part.name, u32::from(part.revision)),
        };
        indexes.extend(places.iter().filter_map(|at| index(part.info, *at)));
    }
    indexes
}

/// Where in a match's structure indexes are: every revision begins with one.
fn of_match(name: &[u8]) -> &'static [usize] {
    if is_named(name, b"set") { &[0] } else { &[] }
}

/// Where in a target's structure indexes are: revisions 1 to 3 have a set to add to, one to delete from, and (3) one to
/// map by.
fn of_target(name: &[u8], revision: u32) -> &'static [usize] {
    match revision {
        _ if !is_named(name, b"SET") => &[],
        3 => &[0, 4, 8],
        _ => &[0, 4],
    }
}

fn index(info: &[u8], at: usize) -> Option<u16> {
    let bytes = info.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes)).filter(|index| *index != NONE)
}

fn is_named(found: &[u8], name: &[u8]) -> bool {
    found.split(|byte| *byte == 0).next() == Some(name)
}
