//! Which sets a rule uses.

use crate::decode::nft::expr::{Kind, decode};
use crate::model::nft::RuleSnapshot;

/// `IPSET_INVALID_ID`.
const NONE: u16 = u16::MAX;

/// The indexes of the IP sets that a rule's xtables matches and targets use, once for each use.
pub fn used_by(rule: &RuleSnapshot) -> Vec<u16> {
    let mut indexes = Vec::new();
    for expression in decode(&rule.expressions) {
        let index = |info: &[u8], at: usize| info.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
        match &expression.kind {
            // every revision begins with the index
            Kind::Match(xt) if is_named(xt.name, b"set") => indexes.extend(xt.info.and_then(|info| index(info, 0))),
            // revisions 1 to 3: a set to add to, one to delete from, and (3) one to map by
            Kind::Target(xt) if is_named(xt.name, b"SET") => {
                let places: &[usize] = if xt.revision == 3 { &[0, 4, 8] } else { &[0, 4] };
                indexes.extend(places.iter().filter_map(|at| index(xt.info?, *at)));
            }
            _ => {}
        }
    }
    indexes.retain(|index| *index != NONE);
    indexes
}

fn is_named(found: &[u8], name: &[u8]) -> bool {
    found.split(|byte| *byte == 0).next() == Some(name)
}
