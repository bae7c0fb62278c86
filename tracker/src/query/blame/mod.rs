//! The ruleset as `iptables-save` or `nft list ruleset` prints it, each line with who made what it shows.
//!
//! The lines are made of the live ruleset, which says what is there and in which order, and of the journal, which says
//! who. A thing of the ruleset that the journal does not know, or knows with another handle or other content, has no
//! maker.

mod backends;
mod index;
mod iptables;
mod legacy;
mod listing;
mod nft;
mod sink;

use std::ops::ControlFlow;

use crate::control::api::{BlameQuery, BlameView, Syntax};
use crate::model::live::Ruleset;
use crate::model::nft::Family;
use crate::render::{IPTABLES, is_iptables};

use backends::Backends;
pub use index::Index;
use listing::{Listing, Table};
use sink::Sink;

/// Stands before the tables of a backend where both have some.
const NFT_HEADING: &str = "# nf_tables, as iptables-nft-save prints it";
const LEGACY_HEADING: &str = "# legacy, as iptables-legacy-save prints it";

/// Lists a ruleset with what the journal knew after it was read, part by part, until `each` has enough.
pub fn blame(index: &Index, ruleset: &Ruleset, query: &BlameQuery, each: &mut dyn FnMut(BlameView) -> ControlFlow<()>) {
    let mut listing = Listing::of(ruleset);
    let mut legacy = legacy::tables(ruleset);
    let syntax = query.syntax.unwrap_or_else(|| default_syntax(&listing, &legacy));
    let family = query.family.or((syntax != Syntax::Nft).then_some(Family::Ip));
    let backends = Backends::of(&listing, &legacy, family);
    let is_asked_for = |its: Family, name: &str| {
        family.is_none_or(|family| its == family) && query.table.as_ref().is_none_or(|table| table == name)
    };
    listing.tables.retain(|table| {
        is_asked_for(table.name.family, table.name.name.as_str())
            && match syntax {
                Syntax::Iptables | Syntax::IptablesNft => is_iptables(table.name),
                Syntax::Nft => true,
                Syntax::Legacy => false,
            }
    });
    let takes_legacy = matches!(syntax, Syntax::Iptables | Syntax::Legacy);
    legacy.retain(|table| takes_legacy && is_asked_for(table.family(), table.name.name.as_str()));
    if matches!(syntax, Syntax::Iptables | Syntax::IptablesNft) {
        let place = |table: &Table<'_>| IPTABLES.iter().position(|name| *name == table.name.name.as_str());
        listing.tables.sort_by_key(place);
        // who looks with iptables-legacy makes such tables
        legacy.retain(|table| listing.tables.is_empty() || !table.is_untouched());
    }
    legacy.sort_by_key(|table| IPTABLES.iter().position(|name| *name == table.name.name.as_str()));
    let is_mixed = !listing.tables.is_empty() && !legacy.is_empty();
    let mut sink = Sink::new(index, syntax, query.owner.as_ref(), each);
    sink.notes(notes(ruleset));
    sink.notes(backends.warning(syntax).into_iter().collect());
    let chain = query.chain.as_deref();
    sink.backend(false, is_mixed.then_some(NFT_HEADING));
    // an error here is the reader's end, which ends the listing
    let listed = listing.tables.iter().try_for_each(|table| match syntax {
        Syntax::Nft => nft::table(&mut sink, ruleset, table, chain),
        Syntax::Iptables | Syntax::IptablesNft | Syntax::Legacy => iptables::table(&mut sink, ruleset, table, chain),
    });
    if listed.is_continue() {
        sink.backend(true, is_mixed.then_some(LEGACY_HEADING));
        let _ = legacy.iter().try_for_each(|table| legacy::table(&mut sink, table, chain));
    }
    let _ = sink.finish();
}

fn default_syntax(listing: &Listing<'_>, legacy: &[legacy::Table<'_>]) -> Syntax {
    let is_there = listing.tables.iter().any(|table| is_iptables(table.name));
    match is_there || legacy.iter().any(|table| !table.is_untouched()) {
        true => Syntax::Iptables,
        false => Syntax::Nft,
    }
}

/// What a listing does not show.
fn notes(ruleset: &Ruleset) -> Vec<String> {
    let mut notes = Vec::new();
    if ruleset.undecoded > 0 {
        notes.push(format!("{} objects of the ruleset were not understood and are not listed", ruleset.undecoded));
    }
    notes.extend(ruleset.legacy_failure.as_ref().map(|why| format!("the legacy tables are not listed: {why}")));
    notes
}
