//! The ruleset as `iptables-save` or `nft list ruleset` prints it, each line with who made what it shows.
//!
//! The lines are made of the live ruleset, which says what is there and in which order, and of the journal, which says
//! who. A thing of the ruleset that the journal does not know, or knows with another handle or other content, has no
//! maker.

mod index;
mod iptables;
mod listing;
mod nft;
mod sink;

use std::ops::ControlFlow;

use crate::control::api::{BlameQuery, BlameView, Syntax};
use crate::journal::{JournalError, Read};
use crate::model::live::Ruleset;
use crate::model::nft::Family;
use crate::render::{IPTABLES, is_iptables};

use index::Index;
use listing::{Listing, Table};
use sink::Sink;

/// Lists a ruleset that was read before the journal is, part by part, until `each` has enough.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read.
pub fn blame(
    journal: &dyn Read,
    ruleset: &Ruleset,
    query: &BlameQuery,
    each: &mut dyn FnMut(BlameView) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let index = Index::read(journal, ruleset)?;
    let mut listing = Listing::of(ruleset);
    let syntax = query.syntax.unwrap_or_else(|| default_syntax(&listing));
    let family = query.family.or((syntax == Syntax::Iptables).then_some(Family::Ip));
    listing.tables.retain(|table| {
        family.is_none_or(|family| table.name.family == family)
            && query.table.as_ref().is_none_or(|name| table.name.name.as_str() == name)
            && (syntax == Syntax::Nft || is_iptables(table.name))
    });
    if syntax == Syntax::Iptables {
        let place = |table: &Table<'_>| IPTABLES.iter().position(|name| *name == table.name.name.as_str());
        listing.tables.sort_by_key(place);
    }
    let mut sink = Sink::new(&index, syntax, query.owner.as_ref(), each);
    sink.notes(notes(ruleset, syntax, family));
    let chain = query.chain.as_deref();
    // an error here is the reader's end, which ends the listing
    let _ = listing.tables.iter().try_for_each(|table| match syntax {
        Syntax::Iptables => iptables::table(&mut sink, ruleset, table, chain),
        Syntax::Nft => nft::table(&mut sink, ruleset, table, chain),
    });
    let _ = sink.finish();
    Ok(())
}

fn default_syntax(listing: &Listing<'_>) -> Syntax {
    match listing.tables.iter().any(|table| is_iptables(table.name)) {
        true => Syntax::Iptables,
        false => Syntax::Nft,
    }
}

/// What a listing does not show.
fn notes(ruleset: &Ruleset, syntax: Syntax, family: Option<Family>) -> Vec<String> {
    let mut notes = Vec::new();
    if ruleset.undecoded > 0 {
        notes.push(format!("{} objects of the ruleset were not understood and are not listed", ruleset.undecoded));
    }
    let legacy: Vec<String> = ruleset
        .legacy
        .iter()
        .filter(|table| syntax == Syntax::Nft || family.is_none_or(|family| table.family == family))
        .map(|table| format!("`{}` ({})", table.name, table.family))
        .collect();
    if !legacy.is_empty() {
        notes.push(format!(
            "both backends are in use: the legacy tables {} filter packets too and are not listed here",
            legacy.join(", ")
        ));
    }
    notes
}
