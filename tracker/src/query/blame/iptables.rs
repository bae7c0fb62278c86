//! One table as `iptables-save` prints it: chains first, then all rules.

use std::ops::ControlFlow;

use crate::model::live::Ruleset;
use crate::render;

use super::listing::{Chain, In, Table};
use super::sink::Sink;

/// The chains that iptables shows in some tables whether they are there or not, with the numbers of their hooks.
const BUILT_IN: [(&[&str], &str, u32); 5] = [
    (&["raw", "mangle", "nat"], "PREROUTING", 0),
    (&["mangle", "nat", "filter", "security"], "INPUT", 1),
    (&["mangle", "filter", "security"], "FORWARD", 2),
    (&["raw", "mangle", "nat", "filter", "security"], "OUTPUT", 3),
    (&["mangle", "nat"], "POSTROUTING", 4),
];

/// Lists a table, or one chain of it. Counters are zero, as they are in a ruleset that was just restored.
pub(super) fn table(sink: &mut Sink<'_>, ruleset: &Ruleset, table: &Table<'_>, only: Option<&str>) -> ControlFlow<()> {
    let chains = in_order(table, only);
    if chains.is_empty() && only.is_some() {
        return ControlFlow::Continue(());
    }
    sink.head(0, format!("*{}", table.name.name), true, table.entry)?;
    let is_there = |name: &str| chains.iter().any(|chain| chain.name.as_str() == name);
    let mut missing = BUILT_IN
        .iter()
        .filter(|(tables, name, _)| tables.contains(&table.name.name.as_str()) && only.is_none() && !is_there(name))
        .peekable();
    for Chain { entry, name, chain, .. } in &chains {
        let hook = chain.base.as_ref().map_or(u32::MAX, |base| base.hook);
        while let Some((_, name, _)) = missing.next_if(|(_, _, missing)| *missing < hook) {
            sink.plain(&format!(":{name} ACCEPT [0:0]"))?;
        }
        let policy = match &chain.base {
            None => "-",
            Some(base) if base.policy == 0 => "DROP",
            Some(_) => "ACCEPT",
        };
        sink.line(format!(":{name} {policy} [0:0]"), true, *entry)?;
    }
    for (_, name, _) in missing {
        sink.plain(&format!(":{name} ACCEPT [0:0]"))?;
    }
    let surroundings = In { ruleset, index: sink.index(), table };
    for Chain { name, rules, .. } in &chains {
        for (entry, rule) in rules {
            let rendered = render::iptables(table.name.family, name.as_str(), rule, &surroundings);
            sink.line(rendered.text, rendered.is_exact, *entry)?;
        }
    }
    sink.plain("COMMIT")
}

/// Base chains by their hooks, then the others by name.
fn in_order<'t, 'a>(table: &'t Table<'a>, only: Option<&str>) -> Vec<&'t Chain<'a>> {
    let mut chains: Vec<&Chain<'a>> =
        table.chains.iter().filter(|chain| only.is_none_or(|name| chain.name.as_str() == name)).collect();
    chains.sort_by(|a, b| {
        let key = |chain: &Chain<'a>| chain.chain.base.as_ref().map_or(u32::MAX, |base| base.hook);
        (key(a), a.name.as_str()).cmp(&(key(b), b.name.as_str()))
    });
    chains
}
