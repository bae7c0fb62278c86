//! Tables without lines.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table};

use super::Output;
use super::style::Paint;

/// Spaces between columns.
const BETWEEN: u16 = 2;

/// An empty table with a head.
pub(super) fn table(output: &Output, head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if output.style.is_colored {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let bold = |text: &&str| {
        if output.style.is_colored { Cell::new(text).add_attribute(Attribute::Bold) } else { Cell::new(text) }
    };
    table.set_header(head.iter().map(bold));
    for column in table.column_iter_mut() {
        column.set_padding((0, BETWEEN));
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

/// Writes a table. On a terminal the column headed `wrapping` is broken at spaces to make it fit, if `least` columns are
/// left for it; the others have no spaces to break at.
pub(super) fn write_table(
    output: &Output,
    out: &mut dyn Write,
    mut table: Table,
    wrapping: &str,
    least: u16,
) -> io::Result<()> {
    let position = table.header().and_then(|head| head.cell_iter().position(|cell| cell.content() == wrapping));
    let width = output.width.and_then(|width| u16::try_from(width).ok());
    if let (Some(position), Some(width)) = (position, width) {
        let widths = table.column_max_content_widths();
        let others = widths.iter().enumerate().filter(|(index, _)| *index != position);
        let taken = others.fold(BETWEEN, |sum, (_, width)| sum.saturating_add(*width).saturating_add(BETWEEN));
        if let Some(column) = table.column_mut(position)
            && width >= taken.saturating_add(least)
        {
            column.set_constraint(ColumnConstraint::UpperBoundary(comfy_table::Width::Fixed(width - taken)));
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
    }
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
