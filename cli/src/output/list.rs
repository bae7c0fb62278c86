//! Lists of objects and owners.

use std::collections::BTreeSet;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};
use netdeed_tracker::control::api::{ObjectList, OwnerList, OwnerSummary};
use netdeed_tracker::model::owner::Certainty;
use netdeed_tracker::model::subject::Class;

use super::Output;
use super::card::brief;
use super::style::{Paint, certainty_paint};
use super::text::printable;
use super::time::format_plain;

/// Writes a list of objects, one a line; with actors and contents when `is_long`.
pub(crate) fn write_objects(output: &Output, out: &mut dyn Write, list: &ObjectList, is_long: bool) -> io::Result<()> {
    if list.objects.is_empty() {
        return Ok(());
    }
    let has_removed = list.objects.iter().any(|row| !row.live);
    let mut head = vec!["ID", "NAME", "OWNER", "CERTAINTY", "CREATED (UTC)"];
    head.extend(has_removed.then_some("REMOVED (UTC)"));
    if is_long {
        head.extend(["BY", "CONTENT"]);
    }
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
        if is_long {
            let by = row.actor.as_ref().map(brief).unwrap_or_default();
            cells.push(Cell::new(printable(&by)));
            cells.push(Cell::new(printable(&row.text)));
        }
        table.add_row(cells);
    }
    write_table(out, &table)
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
    write_table(out, &table)
}

/// Columns with two spaces between them and no lines; as wide as the terminal, if there is one.
pub(super) fn table(output: &Output, head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if output.style.is_colored {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = output.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    let bold = |text: &&str| {
        if output.style.is_colored { Cell::new(text).add_attribute(Attribute::Bold) } else { Cell::new(text) }
    };
    table.set_header(head.iter().map(bold));
    for (column, head) in table.column_iter_mut().zip(head) {
        column.set_padding((0, 2));
        // names and contents break at spaces; what has none would break anywhere
        if !matches!(*head, "NAME" | "CONTENT") {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// A cell of one colour.
pub(super) fn painted(output: &Output, paint: Paint, text: &str) -> Cell {
    let cell = Cell::new(text);
    if !output.style.is_colored {
        return cell;
    }
    match paint {
        Paint::Title => cell.add_attribute(Attribute::Bold),
        Paint::Label => cell.add_attribute(Attribute::Dim),
        Paint::Good => cell.fg(Color::DarkGreen),
        Paint::Doubt => cell.fg(Color::DarkYellow),
        Paint::Bad => cell.fg(Color::DarkRed),
    }
}

pub(super) fn write_table(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
