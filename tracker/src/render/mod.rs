//! Rules as the tools people know print them: `iptables-save` and `nft list ruleset`.
//!
//! The text is exact or says where it is not: what cannot be written the tool's way stands in brackets,
//! `[match foo revision 7]`, and [`Rendered::is_exact`] is false. Nothing is guessed, and nothing panics on any bytes.
//! Written after iptables 1.8.9 and nft 1.0.6; names of protocols are those of Debian's `/etc/protocols`.
//!
//! Counters are not shown: they were true for a moment only.

mod iptables;
mod line;
mod names;
mod nft;
mod ruleset;
#[cfg(test)]
mod tests;

pub use iptables::{iptables, iptables_save};
pub use nft::{nft, nft_ruleset, nft_table};
pub use ruleset::{Chain, Ruleset, Table};

use crate::model::nft::{ElementSnapshot, SetSnapshot};

/// A rule as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line without its newline.
    pub text: String,
    /// Whether it is what the tool prints; else there are brackets in it that say what is missing.
    pub is_exact: bool,
}

/// A table or a whole ruleset as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Lines, each with its newline.
    pub text: String,
    /// Whether it is what the tool prints; else there are brackets in it that say what is missing.
    pub is_exact: bool,
}

/// Whether handles are shown, as by `nft -a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handles {
    /// Behind everything that has one.
    Shown,
    /// Nowhere.
    Hidden,
}

/// What rules refer to but do not contain. What is not known (`None`) makes a rule that needs it inexact.
pub trait Surroundings {
    /// A set or map of the rule's table with its elements.
    fn set(&self, _name: &str) -> Option<SetContent<'_>> {
        None
    }

    /// The name of a link. The tools print the number where there is none.
    fn link(&self, _ifindex: u32) -> Option<String> {
        None
    }

    /// The name of an IP set, which xt rules have by index.
    fn ip_set(&self, _index: u16) -> Option<String> {
        None
    }
}

/// Nothing is known.
impl Surroundings for () {}

/// A set with its elements.
#[derive(Debug, Clone)]
pub struct SetContent<'a> {
    /// The set.
    pub set: &'a SetSnapshot,
    /// Its elements in the kernel's order.
    pub elements: Vec<&'a ElementSnapshot>,
}
