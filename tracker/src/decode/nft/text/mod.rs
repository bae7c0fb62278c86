//! A rule as one line in nft's words: for people only, never compared, never parsed.
//!
//! Registers are followed as the kernel uses them, so that a comparison shows what it compares. An expression that is
//! not known, or that uses a register nobody is known to have filled, is shown as its name in brackets; nothing is
//! guessed. Counter values are not shown: they were true for a moment only.

mod line;
mod load;
mod statement;
mod value;
mod xt;

use self::line::Line;
use self::value::quoted;
use super::attribute::string;
use super::expression::expressions;
use crate::model::nft::Family;

/// The line for one rule. `list` is the payload of `NFTA_RULE_EXPRESSIONS`.
pub(super) fn rule(family: Family, list: &[u8], comment: Option<&str>) -> String {
    let mut line = Line::new(family);
    for expression in expressions(list).flatten() {
        if statement::render(&mut line, &expression).is_none() {
            // what it may have written is not known
            line.forget();
            line.word(&format!("[{}]", string(expression.name).escape_debug()));
        }
    }
    if let Some(comment) = comment {
        line.word("comment");
        line.word(&quoted(comment));
    }
    line.text
}
