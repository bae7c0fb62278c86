//! What comparing the state before and after an operation showed.

use std::io::{self, Write};

use comfy_table::Cell;
use netdeed_tracker::control::api::{OperationView, OthersView};

use super::Output;
use super::style::Paint;
use super::table::{painted, table, write_table};
use super::text::printable;

/// Writes the comparison, and by owner what was to stay, with digests of it before and after.
pub(super) fn write_proof(output: &Output, out: &mut dyn Write, operation: &OperationView) -> io::Result<()> {
    let OperationView { proven, proof, others, .. } = operation;
    if !proof.is_empty() {
        let paint = if *proven { Paint::Good } else { Paint::Bad };
        writeln!(out, "\n{}", output.style.paint(paint, "proof"))?;
        proof.iter().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
    }
    if others.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut rows = table(output, &["what stays of", "objects", "digest before", "after"]);
    for OthersView { owner, objects, before, after } in others {
        let owner = owner.as_ref().map_or("(not recorded)", |owner| owner.as_str());
        let (paint, after) = if before == after { (Paint::Good, "the same") } else { (Paint::Bad, after.as_str()) };
        let cells = [Cell::new(printable(owner)), Cell::new(objects), Cell::new(before), painted(output, paint, after)];
        rows.add_row(cells);
    }
    write_table(output, out, rows, "what stays of", 10)
}
