//! One table as `nft -s list ruleset` prints it, but each element of a set on a line of its own.

use std::ops::ControlFlow;

use crate::model::live::Ruleset;
use crate::model::nft::NftItem;
use crate::render::{self, Rendered};

use super::listing::{Chain, In, Other, Set, Table};
use super::sink::Sink;

/// Lists a table, or one chain of it.
pub(super) fn table(sink: &mut Sink<'_>, ruleset: &Ruleset, table: &Table<'_>, only: Option<&str>) -> ControlFlow<()> {
    let chains: Vec<&Chain<'_>> =
        table.chains.iter().filter(|chain| only.is_none_or(|name| chain.name.as_str() == name)).collect();
    if chains.is_empty() && only.is_some() {
        return ControlFlow::Continue(());
    }
    let surroundings = In { ruleset, index: sink.index(), table };
    sink.head(0, format!("table {} {{", table.name), table.table.userdata.is_empty(), table.entry)?;
    if table.table.flags != 0 {
        let flags = [(1, "dormant"), (2, "owner"), (4, "persist")];
        let words: Vec<&str> =
            flags.iter().filter(|(bit, _)| table.table.flags & bit != 0).map(|(_, word)| *word).collect();
        sink.line(format!("\tflags {}", words.join(",")), true, table.entry)?;
    }
    let mut is_first = table.table.flags == 0;
    let mut apart =
        |sink: &mut Sink<'_>| if std::mem::take(&mut is_first) { ControlFlow::Continue(()) } else { sink.plain("") };
    if only.is_none() {
        let (flowtables, objects): (Vec<&Other<'_>>, Vec<_>) =
            table.others.iter().partition(|(_, item, _)| matches!(item, NftItem::Flowtable(_)));
        for listed in objects {
            apart(sink)?;
            other(sink, listed)?;
        }
        for listed in table.sets.iter().filter(|set| !set.set.is_anonymous()) {
            apart(sink)?;
            set(sink, &surroundings, listed)?;
        }
        for listed in flowtables {
            apart(sink)?;
            other(sink, listed)?;
        }
    }
    for listed in chains {
        apart(sink)?;
        chain(sink, &surroundings, listed)?;
    }
    sink.plain("}")
}

fn other(sink: &mut Sink<'_>, (entry, item, content): &Other<'_>) -> ControlFlow<()> {
    let lines = match item {
        NftItem::Object { kind, name } => render::object_lines(*kind, name.as_str(), content),
        NftItem::Flowtable(name) => render::flowtable_lines(name.as_str(), content),
        _ => Vec::new(),
    };
    lines.into_iter().try_for_each(|line| sink.line(line.text, line.is_exact, *entry))
}

fn set(sink: &mut Sink<'_>, surroundings: &In<'_>, listed: &Set<'_>) -> ControlFlow<()> {
    let Set { entry, name, set, elements } = listed;
    let mut lines = render::set_declaration(name.as_str(), set).into_iter();
    if let Some(Rendered { text, is_exact }) = lines.next() {
        sink.head(1, text, is_exact, *entry)?;
    }
    for Rendered { text, is_exact } in lines {
        sink.line(text, is_exact, *entry)?;
    }
    let snapshots: Vec<_> = elements.iter().map(|(_, element)| *element).collect();
    let mut rendered = render::elements(surroundings.table.name.family, set, &snapshots, surroundings);
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
    if let Some(Rendered { text, is_exact }) = render::base_chain(family, chain) {
        sink.line(text, is_exact, *entry)?;
    }
    for (entry, rule) in rules {
        let Rendered { text, is_exact } = render::nft(family, rule, surroundings);
        sink.line(format!("\t\t{text}"), is_exact, *entry)?;
    }
    sink.plain("\t}")
}
