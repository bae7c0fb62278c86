//! Whether both backends hold rules: then every packet meets both, and people look at one.

use std::collections::HashSet;

use crate::control::api::{BlameLine, Syntax};
use crate::model::nft::Family;
use crate::model::subject::Class;

use super::legacy;
use super::listing::Listing;

/// What both backends have for the packets of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backends {
    nft: usize,
    legacy: usize,
}

impl Backends {
    /// Counts what sees packets of `family`, or any.
    pub(super) fn of(listing: &Listing<'_>, legacy: &[legacy::Table<'_>], family: Option<Family>) -> Self {
        let nft = listing.tables.iter().filter(|table| meet(table.name.family, family));
        Self {
            nft: nft.flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum(),
            legacy: legacy.iter().filter(|table| meet(table.family(), family)).map(super::legacy::Table::rules).sum(),
        }
    }

    /// The warning, where both hold rules.
    pub(super) fn warning(self, syntax: Syntax) -> Option<String> {
        let Self { nft, legacy } = self;
        let place = match syntax {
            Syntax::Iptables => "iptables-nft and iptables-legacy show one of them each, this listing both",
            Syntax::Nft | Syntax::IptablesNft => {
                "`netdeed blame --legacy` lists the legacy ones, `netdeed blame iptables` both"
            }
            Syntax::Legacy => "`netdeed blame --nft` lists those of nf_tables, `netdeed blame iptables` both",
        };
        let rules = |count: usize| if count == 1 { "rule" } else { "rules" };
        (nft > 0 && legacy > 0).then(|| {
            format!(
                "both backends hold rules ({nft} {} of nf_tables, {legacy} legacy {}), and a packet meets both: what one \
                 accepts the other may still drop; {place}",
                rules(nft),
                rules(legacy)
            )
        })
    }
}

/// Whether packets of the one family are packets of the other.
fn meet(one: Family, other: Option<Family>) -> bool {
    let sees = |family: Family| match family {
        Family::Ip => [true, false, false],
        Family::Ip6 => [false, true, false],
        Family::Inet => [true, true, false],
        Family::Arp => [false, false, true],
        _ => [false; 3],
    };
    let other = other.map_or([true; 3], sees);
    sees(one).into_iter().zip(other).any(|(one, other)| one && other)
}

/// Rules that stand in both backends in the same words, in chains of the same name.
#[derive(Debug, Default)]
pub(super) struct Twins {
    table: String,
    nft: HashSet<(String, String)>,
    count: usize,
}

impl Twins {
    /// Notes a line of the listing.
    pub(super) fn note(&mut self, line: &BlameLine) {
        match line.class {
            Some(Class::Table) => self.table.clone_from(&line.text),
            Some(Class::Rule) if line.legacy => {
                let is_twin = self.nft.contains(&(self.table.clone(), line.text.clone()));
                self.count += usize::from(is_twin);
            }
            Some(Class::Rule) => {
                self.nft.insert((self.table.clone(), line.text.clone()));
            }
            _ => {}
        }
    }

    /// What is to be said of them.
    pub(super) fn warning(&self) -> Option<String> {
        let what = if self.count == 1 { "rule stands" } else { "rules stand" };
        (self.count > 0).then(|| format!("{} {what} in both backends in the same words", self.count))
    }
}
