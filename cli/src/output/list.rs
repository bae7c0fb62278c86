//! Lists of objects and owners.

use std::collections::BTreeSet;
use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment};
use netdeed_tracker::control::api::{ObjectList, OwnerList, OwnerSummary};
use netdeed_tracker::model::owner::Certainty;
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::card::brief;
use super::style::{Paint, certainty_paint};
use super::table::{painted, table, write_table};
use super::text::{printable, write_hanging};
use super::time::{format_plain, format_time};

/// Writes a list of objects, one a line.
pub(crate) fn write_objects(output: &Output, out: &mut dyn Write, list: &ObjectList) -> io::Result<()> {
    if list.objects.is_empty() {
        return Ok(());
    }
    let has_removed = list.objects.iter().any(|row| !row.live);
    let mut head = vec!["ID", "NAME", "OWNER", "CERTAINTY", "CREATED (UTC)"];
    head.extend(has_removed.then_some("REMOVED (UTC)"));
    let mut table = table(output, &head);
    for row in &list.objects {
        let mut cells = vec![
            Cell::new(row.id).set_alignment(CellAlignment::Right),
            Cell::new(printable(&row.name)),
            Cell::new(printable(row.owner.as_str())),
            painted(output, certainty_paint(row.certainty), row.certainty.as_str()),
            Cell::new(format_plain(row.created)),
        ];
        if has_removed {
            cells.push(Cell::new(row.removed.map(format_plain).unwrap_or_default()));
        }
        table.add_row(cells);
    }
    write_table(output, out, table, "NAME", 16)
}

/// Writes a list of objects with their actors and contents, a paragraph each.
pub(crate) fn write_objects_long(output: &Output, out: &mut dyn Write, list: &ObjectList) -> io::Result<()> {
    let digits = list.objects.last().map_or(1, |row| row.id.to_string().len());
    let indent = digits + 2;
    for row in &list.objects {
        let id = format!("{:>digits$}  ", row.id.0);
        writeln!(out, "{id}{}", output.style.paint(Paint::Title, &printable(&row.name)))?;
        let by = row.actor.as_ref().map(|actor| format!(" by {}", brief(actor))).unwrap_or_default();
        let removed = row.removed.map(|time| format!(", removed {}", format_time(time))).unwrap_or_default();
        let created = format_time(row.created);
        let verdict = format!("{} {}, created {created}{by}{removed}", row.owner, row.certainty);
        write_hanging(out, &" ".repeat(indent), indent, &verdict, output.width)?;
        if !row.text.is_empty() {
            write_hanging(out, &" ".repeat(indent), indent, &row.text, output.width)?;
        }
    }
    Ok(())
}

/// Writes how many objects of each class every owner has.
pub(crate) fn write_owners(output: &Output, out: &mut dyn Write, list: &OwnerList) -> io::Result<()> {
    if list.owners.is_empty() {
        return Ok(());
    }
    let classes: BTreeSet<Class> = list.owners.iter().flat_map(|owner| owner.classes.keys().copied()).collect();
    let heads: Vec<String> = classes.iter().map(|class| class.as_str().to_uppercase()).collect();
    let mut head = vec!["OWNER", "TOTAL"];
    head.extend(heads.iter().map(String::as_str));
    head.push("CERTAINTY");
    let mut table = table(output, &head);
    for OwnerSummary { owner, total, classes: counts, certainties } in &list.owners {
        let number = |count: Option<&u64>| {
            let text = count.map_or_else(|| "-".to_owned(), ToString::to_string);
            Cell::new(text).set_alignment(CellAlignment::Right)
        };
        let mut cells = vec![Cell::new(printable(owner.as_str())), number(Some(total))];
        cells.extend(classes.iter().map(|class| number(counts.get(class))));
        let strongest_first = Certainty::ALL
            .iter()
            .filter_map(|certainty| certainties.get(certainty).map(|count| format!("{count} {certainty}")));
        cells.push(Cell::new(strongest_first.collect::<Vec<_>>().join(", ")));
        table.add_row(cells);
    }
    write_table(output, out, table, "CERTAINTY", 10)
}
