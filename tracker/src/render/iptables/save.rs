//! Whole rulesets as iptables-nft-save prints them.

use super::super::ruleset::{Chain, Table};
use super::super::{Listing, Ruleset, Surroundings};
use super::iptables;
use super::words::escaped;
use crate::model::nft::{BaseChain, Family};

/// The tables iptables knows, in the order in which it saves them, with their base chains by hook number.
const TABLES: [(&str, &[(u32, &str)]); 5] = [
    ("mangle", &[PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING]),
    ("security", &[INPUT, FORWARD, OUTPUT]),
    ("raw", &[PREROUTING, OUTPUT]),
    ("filter", &[INPUT, FORWARD, OUTPUT]),
    ("nat", &[PREROUTING, INPUT, OUTPUT, POSTROUTING]),
];
const PREROUTING: (u32, &str) = (0, "PREROUTING");
const INPUT: (u32, &str) = (1, "INPUT");
const FORWARD: (u32, &str) = (2, "FORWARD");
const OUTPUT: (u32, &str) = (3, "OUTPUT");
const POSTROUTING: (u32, &str) = (4, "POSTROUTING");

/// The tables that iptables (family `ip`) or ip6tables (`ip6`) knows, as iptables-nft-save 1.8.9 prints them; without its
/// comment lines, which have the time, and with counters of 0.
///
/// Tables of other names and families are left out, as by iptables-nft-save; base chains that are not there are shown as
/// if they were, as by iptables-nft-save. A table with a base chain that iptables would not have made is shown with that
/// chain in brackets, where iptables-nft-save shows none of it.
pub fn iptables_save(ruleset: &Ruleset<'_>, family: Family, outside: &dyn Surroundings) -> Listing {
    let mut listing = Listing { text: String::new(), is_exact: true };
    for (name, base_chains) in TABLES {
        let is_it = |table: &&Table<'_>| table.table.family == family && table.table.name.as_str() == name;
        if let Some(table) = ruleset.tables().iter().find(is_it) {
            push_table(&mut listing, table, base_chains, outside);
        }
    }
    listing
}

fn push_table(listing: &mut Listing, table: &Table<'_>, base_chains: &[(u32, &str)], outside: &dyn Surroundings) {
    let surroundings = table.surroundings(outside);
    let (mut based, mut others): (Vec<&Chain<'_>>, Vec<&Chain<'_>>) =
        table.chains.iter().partition(|chain| base(chain).is_some());
    based.sort_by_key(|chain| (base(chain).map(|base| base.hook), chain.name));
    others.sort_by_key(|chain| chain.name);
    listing.text.push_str(&format!("*{}\n", table.table.name));
    for (hook, name) in base_chains {
        match based.iter().find(|chain| chain.name == *name && base(chain).is_some_and(|base| base.hook == *hook)) {
            Some(chain) => push_chain(listing, chain, true),
            None => listing.text.push_str(&format!(":{name} ACCEPT [0:0]\n")),
        }
    }
    let is_usual = |chain: &Chain<'_>| {
        base(chain).is_some_and(|base| base_chains.iter().any(|(hook, name)| (base.hook, chain.name) == (*hook, *name)))
    };
    based.iter().filter(|chain| !is_usual(chain)).for_each(|chain| push_chain(listing, chain, false));
    others.iter().for_each(|chain| push_chain(listing, chain, chain.snapshot.is_some()));
    for chain in based.iter().chain(&others) {
        for (_, rule) in &chain.rules {
            let line = iptables(table.table.family, chain.name, rule, &surroundings);
            listing.is_exact &= line.is_exact;
            listing.text.push_str(&line.text);
            listing.text.push('\n');
        }
    }
    listing.text.push_str("COMMIT\n");
}

fn base<'a>(chain: &Chain<'a>) -> Option<&'a BaseChain> {
    chain.snapshot.and_then(|snapshot| snapshot.base.as_ref())
}

fn push_chain(listing: &mut Listing, chain: &Chain<'_>, is_usual: bool) {
    let policy = match base(chain) {
        None => "-",
        Some(BaseChain { policy: 0, .. }) => "DROP",
        Some(_) => "ACCEPT",
    };
    let name = escaped(chain.name.as_bytes());
    let is_known = is_usual && name == chain.name && base(chain).is_none_or(|base| base.policy < 2);
    let mark = if is_known { "" } else { " [not a chain of iptables]" };
    listing.is_exact &= is_known;
    listing.text.push_str(&format!(":{name} {policy} [0:0]{mark}\n"));
}
