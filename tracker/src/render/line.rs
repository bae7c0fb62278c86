//! The line while it is written.

use std::fmt::{self, Write};

use super::Rendered;

/// The line while it is written.
#[derive(Debug, Clone)]
pub(super) struct Line {
    text: String,
    is_exact: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { text: String::with_capacity(128), is_exact: true }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Called by `write!`; writing to a string does not fail.
    pub(super) fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(arguments);
    }

    /// Puts a space and then in brackets what cannot be written the tool's way.
    pub(super) fn mark(&mut self, what: fmt::Arguments<'_>) {
        self.is_exact = false;
        self.write_fmt(format_args!(" [{what}]"));
    }

    /// Calls `write`; where it gives up, what it wrote is taken back and `false` returned.
    pub(super) fn attempt(&mut self, write: impl FnOnce(&mut Self) -> Option<()>) -> bool {
        let (length, is_exact) = (self.text.len(), self.is_exact);
        let is_written = write(self).is_some();
        if !is_written {
            self.text.truncate(length);
            self.is_exact = is_exact;
        }
        is_written
    }

    /// Appends another line's text.
    pub(super) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.is_exact &= other.is_exact;
    }

    pub(super) fn finish(self) -> Rendered {
        Rendered { text: self.text, is_exact: self.is_exact }
    }
}
