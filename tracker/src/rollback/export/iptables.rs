//! The part of a plan that `iptables-restore` has words for.
//!
//! Rules are named by their full text, so that one that is gone or another stops the whole table. A table goes this way
//! only when all that it holds can be said so: what another program put into it makes iptables-nft refuse it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use super::Names;
use crate::model::nft::{ChainSnapshot, Family, NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::render;
use crate::rollback::live::LiveState;
use crate::rollback::step::{Action, Step};

/// What `iptables-restore --noflush` and `ip6tables-restore --noflush` are given.
#[derive(Debug, Default)]
pub(super) struct Restore<'a> {
    /// The files, by family.
    pub(super) files: BTreeMap<Family, String>,
    /// The steps that are in them.
    pub(super) steps: HashSet<&'a Subject>,
}

/// Writes what can be written of the nf_tables steps.
pub(super) fn restore<'a>(steps: &[&'a Step], live: &LiveState, names: &Names) -> Restore<'a> {
    let mut tables: BTreeMap<&TableRef, Vec<&'a Step>> = BTreeMap::new();
    for step in steps {
        if let Subject::Nft(nft) = step.subject()
            && render::is_iptables(&nft.table)
        {
            tables.entry(&nft.table).or_default().push(step);
        }
    }
    let mut restore = Restore::default();
    for (table, steps) in tables {
        let Some(survivors) = survivors(table, &steps, live, names) else { continue };
        let Some(lines) = lines(&steps, &survivors, names) else { continue };
        if lines.is_empty() {
            continue;
        }
        let file = restore.files.entry(table.family).or_default();
        // writing to a string cannot fail
        let _ = writeln!(file, "*{}", table.name);
        for (line, subject) in lines {
            let _ = writeln!(file, "{line}");
            restore.steps.insert(subject);
        }
        file.push_str("COMMIT\n");
    }
    restore
}

/// The text of the rules that stay; `None` when a rule of the table is none of iptables'.
fn survivors(table: &TableRef, steps: &[&Step], live: &LiveState, names: &Names) -> Option<BTreeSet<String>> {
    let going: HashSet<&Subject> = steps.iter().map(|step| step.subject()).collect();
    let mut survivors = BTreeSet::new();
    for (subject, content) in &live.nft {
        if let (
            Subject::Nft(NftSubject { table: of, item: NftItem::Rule { chain, .. } }),
            Snapshot::Nft(NftSnapshot::Rule(rule)),
        ) = (subject, content)
            && of == table
            && !going.contains(subject)
        {
            let rendered = render::iptables(table.family, chain.as_str(), rule, names);
            survivors.insert(rendered.is_exact.then_some(rendered.text)?);
        }
    }
    Some(survivors)
}

/// The lines of one table; `None` when it has to go another way. Base chains, tables and sets have no lines here.
fn lines<'a>(steps: &[&'a Step], survivors: &BTreeSet<String>, names: &Names) -> Option<Vec<(String, &'a Subject)>> {
    let mut lines = Vec::new();
    for step in steps {
        let (Subject::Nft(nft), Snapshot::Nft(content)) = (step.subject(), step.snapshot()) else { return None };
        let line = match (step.action(), &nft.item, content) {
            (Action::DeleteRule { .. }, NftItem::Rule { chain, .. }, NftSnapshot::Rule(rule)) => {
                let rendered = render::iptables(nft.table.family, chain.as_str(), rule, names);
                // `-D` takes the first of equal ones, which may be the one that stays
                if !rendered.is_exact || survivors.contains(&rendered.text) {
                    return None;
                }
                format!("-D{}", rendered.text.strip_prefix("-A")?)
            }
            (Action::DeleteChain, NftItem::Chain(chain), NftSnapshot::Chain(ChainSnapshot { base: None, .. })) => {
                format!("-X {chain}")
            }
            (Action::SetPolicy { policy }, NftItem::Chain(chain), _) => {
                format!("-P {chain} {}", if policy == 0 { "DROP" } else { "ACCEPT" })
            }
            _ => continue,
        };
        if line.contains(char::is_control) {
            return None;
        }
        lines.push((line, step.subject()));
    }
    Some(lines)
}
