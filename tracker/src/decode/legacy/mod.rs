//! Legacy xtables tables as the kernel keeps them: one run of entries, in which chains are marked by entries of their own
//! and jumps are offsets.
//!
//! Total: any bytes give a table or say where they are none. Layouts are those of 64-bit machines; a 32-bit program's own
//! are translated by the kernel and never seen here.

pub mod bridge;
mod entry;
mod kernel_part;
mod layout;
mod table;
#[cfg(test)]
mod tests;

pub use entry::{Part, Verdict, parts, verdict};
pub use layout::{Layout, TableInfo};
pub use table::{Chain, Table, content, parse, replacement};

/// Why bytes are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("legacy table is malformed at byte {at}: {what}")]
pub struct Malformed {
    /// Where in the entries.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl Malformed {
    fn at(at: usize, what: &'static str) -> Self {
        Self { at, what }
    }
}
