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

pub use iptables::{iptables, iptables_legacy, iptables_save};
pub use nft::{
    base_chain, elements, flowtable_lines, hook_name, nft, nft_ruleset, nft_table, object_lines, set_declaration,
};
pub use ruleset::{Chain, Ruleset, Table};

use crate::model::ids::ChainName;
use crate::model::nft::{ElementSnapshot, Family, RuleSnapshot, SetSnapshot, TableRef};

/// The tables `iptables` has, which iptables-nft makes in the families `ip` and `ip6`, in the order it saves them.
pub const IPTABLES: [&str; 5] = ["mangle", "security", "raw", "filter", "nat"];

/// A rule as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line without its newline.
    pub text: String,
    /// Whether it is what the tool prints; else there are brackets in it that say what is missing.
    pub is_exact: bool,
}

/// Whether `iptables-save` or `ip6tables-save` lists a table of this name.
pub fn is_iptables(table: &TableRef) -> bool {
    matches!(table.family, Family::Ip | Family::Ip6) && IPTABLES.contains(&table.name.as_str())
}

/// A rule in the words of the tool that its table is listed by: [`iptables`] where it is one of iptables' tables and can
/// be written so, else [`nft`].
pub fn rule(table: &TableRef, chain: &ChainName, rule: &RuleSnapshot, surroundings: &dyn Surroundings) -> Rendered {
    if !is_iptables(table) {
        return nft(table.family, rule, surroundings);
    }
    let rendered = iptables(table.family, chain.as_str(), rule, surroundings);
    if rendered.is_exact {
        return rendered;
    }
    let native = nft(table.family, rule, surroundings);
    if native.is_exact { native } else { rendered }
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
