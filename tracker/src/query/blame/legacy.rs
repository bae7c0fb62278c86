//! A legacy table as `iptables-legacy-save` prints it.

use std::ops::ControlFlow;

use crate::model::ids::ChainName;
use crate::model::legacy::{
    LegacyChain, LegacyFamily, LegacyItem, LegacyPolicy, LegacyRule, LegacySnapshot, LegacySubject, LegacyTable,
};
use crate::model::live::Ruleset;
use crate::model::nft::Family;
use crate::model::subject::{Snapshot, Subject};
use crate::render::{self, Surroundings};

use super::index::Index;
use super::listing::Entry;
use super::sink::Sink;

/// One legacy table with its chains in the kernel's order.
pub(super) struct Table<'a> {
    entry: Entry<'a>,
    pub(super) name: &'a LegacyTable,
    pub(super) chains: Vec<Chain<'a>>,
}

/// One chain with its rules in their order.
pub(super) struct Chain<'a> {
    entry: Entry<'a>,
    pub(super) name: &'a ChainName,
    chain: &'a LegacyChain,
    pub(super) rules: Vec<(Entry<'a>, &'a LegacyRule)>,
}

impl Table<'_> {
    /// The family of nf_tables that sees the same packets.
    pub(super) fn family(&self) -> Family {
        self.name.family.nft()
    }

    /// How many rules it has.
    pub(super) fn rules(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len()).sum()
    }

    /// Whether it is as the kernel makes it for the first who asks for it.
    pub(super) fn is_untouched(&self) -> bool {
        self.chains.iter().all(|chain| chain.rules.is_empty() && chain.chain.policy == Some(LegacyPolicy::Accept))
    }
}

/// All legacy tables.
pub(super) fn tables(ruleset: &Ruleset) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    for (subject, snapshot) in &ruleset.legacy {
        let (Subject::Legacy(LegacySubject { table: name, item }), Snapshot::Legacy(content)) = (subject, snapshot)
        else {
            continue;
        };
        let entry = (subject, snapshot);
        match (item, content, tables.last_mut()) {
            (LegacyItem::Table, _, _) => tables.push(Table { entry, name, chains: Vec::new() }),
            (LegacyItem::Chain(name), LegacySnapshot::Chain(chain), Some(table)) => {
                table.chains.push(Chain { entry, name, chain, rules: Vec::new() });
            }
            (LegacyItem::Rule { .. }, LegacySnapshot::Rule(rule), Some(table)) => {
                table.chains.last_mut().into_iter().for_each(|chain| chain.rules.push((entry, rule)));
            }
            _ => {}
        }
    }
    tables
}

/// Lists a table, or one chain of it. Counters are zero.
pub(super) fn table(sink: &mut Sink<'_>, table: &Table<'_>, only: Option<&str>) -> ControlFlow<()> {
    let chains: Vec<&Chain<'_>> =
        table.chains.iter().filter(|chain| only.is_none_or(|name| chain.name.as_str() == name)).collect();
    if chains.is_empty() {
        return ControlFlow::Continue(());
    }
    let is_bridge = table.name.family == LegacyFamily::Bridge;
    sink.head(0, format!("*{}", table.name.name), true, table.entry)?;
    for Chain { entry, name, chain, .. } in &chains {
        let policy = chain.policy.or(chain.ending).map_or("-", LegacyPolicy::as_str);
        let counters = if is_bridge { "" } else { " [0:0]" };
        sink.line(format!(":{name} {policy}{counters}"), true, *entry)?;
    }
    for chain in chains {
        for (entry, _) in &chain.rules {
            let rendered = text(table.name, chain.name, *entry, sink.index());
            sink.line(rendered.text, rendered.is_exact, *entry)?;
        }
    }
    // ebtables-legacy-save ends a table by an empty line
    sink.plain(if is_bridge { "" } else { "COMMIT" })
}

fn text(table: &LegacyTable, chain: &ChainName, (_, snapshot): Entry<'_>, index: &Index) -> render::Rendered {
    match snapshot {
        Snapshot::Legacy(LegacySnapshot::Rule(rule)) => {
            render::iptables_legacy(table.family, chain.as_str(), rule, &IpSets(index))
        }
        _ => render::Rendered { text: String::new(), is_exact: false },
    }
}

/// What the rules of legacy tables refer to.
struct IpSets<'a>(&'a Index);

impl Surroundings for IpSets<'_> {
    fn ip_set(&self, index: u16) -> Option<String> {
        self.0.ip_set(index)
    }
}
