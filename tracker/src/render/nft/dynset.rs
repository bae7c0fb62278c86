//! Adding to, updating and deleting from sets by rules.

use super::Rule;
use super::set::{ANONYMOUS, EVAL, Shape};
use super::statement;
use super::value::{duration, word};
use crate::decode::nft::expr::{self, Dynset};

impl<'a> Rule<'a> {
    pub(super) fn dynset(&mut self, dynset: &Dynset<'a>) -> Option<()> {
        let name = word(dynset.set)?;
        let set = self.content(dynset.set)?;
        let parts = self.key_parts(dynset.set, dynset.key)?;
        let mut text = self.concatenation_text(&parts)?;
        if let Some(milliseconds) = dynset.timeout.filter(|timeout| *timeout != 0) {
            text.push_str(" timeout ");
            duration(&mut text, milliseconds);
        }
        let each = match (dynset.expressions, dynset.expression) {
            (Some(list), _) => expr::decode(list).collect(),
            (None, Some(one)) => vec![expr::decode_one(one)?],
            (None, None) => Vec::new(),
        };
        for expression in each {
            expression.unknown.is_empty().then_some(())?;
            text.push(' ');
            text.push_str(&statement::plain(&expression.kind)?);
        }
        let shape = Shape::of(set)?;
        if set.flags & (ANONYMOUS | EVAL) == ANONYMOUS | EVAL {
            return self.push(format!("meter {name} size {} {{ {text} }}", shape.size?));
        }
        if let Some(register) = dynset.data {
            let [(kind, _)] = shape.data_parts()?[..] else { return None };
            text.push_str(" : ");
            text.push_str(&self.register_text(register, kind)?);
        }
        let operation = ["add", "update", "delete"].get(usize::try_from(dynset.operation).ok()?)?;
        self.push(format!("{operation} @{name} {{ {text} }}"))
    }
}
