//! One table as `nft -s list ruleset` prints it, but each element of a set on a line of its own.

use std::ops::ControlFlow;

use crate::model::live::Ruleset;
use crate::model::nft::NftItem;
use crate::render::{self, Rendered};

use super::listing::{Chain, In, Set, Table};
use super::sink::Sink;

/// Lists a table, or one chain of it.
pub(super) fn table(sink: &mut Sink<'_>, ruleset: &Ruleset, table: &Table<'_>, only: Option<&str>) -> ControlFlow<()> {
    let chains: Vec<&Chain<'_>> =
        table.chains.iter().filter(|chain| only.is_none_or(|name| chain.name.as_str() == name)).collect();
    if chains.is_empty() && only.is_some() {
        return ControlFlow::Continue(());
    }
    let surroundings = In { ruleset, table };
    sink.head(0, format!("table {} {{", table.name), table.table.userdata.is_empty(), table.entry)?;
    if let Some(flags) = render::table_flags(table.table) {
        sink.line(format!("\t{flags}"), true, table.entry)?;
    }
    let mut is_first = true;
    let mut apart =
        |sink: &mut Sink<'_>| if std::mem::take(&mut is_first) { ControlFlow::Continue(()) } else { sink.plain("") };
    if only.is_none() {
        for (entry, item) in &table.others {
            apart(sink)?;
            sink.line(format!("\t{} {{ [content] }}", head_of(item)), false, *entry)?;
        }
        for listed in table.sets.iter().filter(|set| !set.set.is_anonymous()) {
            apart(sink)?;
            set(sink, &surroundings, listed)?;
        }
    }
    for listed in chains {
        apart(sink)?;
        chain(sink, &surroundings, listed)?;
    }
    sink.plain("}")
}

fn head_of(item: &NftItem) -> String {
    match item {
        NftItem::Object { kind, name } => format!("{} {name}", render::object_kind(*kind)),
        NftItem::Flowtable(name) => format!("flowtable {name}"),
        _ => String::new(),
    }
}

fn set(sink: &mut Sink<'_>, surroundings: &In<'_>, listed: &Set<'_>) -> ControlFlow<()> {
    let Set { entry, name, set, elements } = listed;
    let (word, lines) = render::set_declaration(set);
    sink.head(1, format!("\t{word} {name} {{"), true, *entry)?;
    for Rendered { text, is_exact } in lines {
        sink.line(format!("\t\t{text}"), is_exact, *entry)?;
    }
    let snapshots: Vec<_> = elements.iter().map(|(_, element)| *element).collect();
    let mut rendered = render::elements(set, &snapshots, surroundings);
    rendered.retain(|(index, _)| *index < elements.len());
    if !rendered.is_empty() {
        sink.plain("\t\telements = {")?;
        for (index, Rendered { text, is_exact }) in rendered {
            sink.line(format!("\t\t\t{text},"), is_exact, elements[index].0)?;
        }
        sink.plain("\t\t}")?;
    }
    sink.plain("\t}")
}

fn chain(sink: &mut Sink<'_>, surroundings: &In<'_>, listed: &Chain<'_>) -> ControlFlow<()> {
    let Chain { entry, name, chain, rules } = listed;
    let family = surroundings.table.name.family;
    sink.head(1, format!("\tchain {name} {{"), chain.userdata.is_empty(), *entry)?;
    if let Some(base) = &chain.base {
        let Rendered { text, is_exact } = render::base_chain(family, base, chain.flags);
        sink.line(format!("\t\t{text}"), is_exact, *entry)?;
    }
    for (entry, rule) in rules {
        let Rendered { text, is_exact } = render::nft(family, rule, surroundings);
        sink.line(format!("\t\t{text}"), is_exact, *entry)?;
    }
    sink.plain("\t}")
}
