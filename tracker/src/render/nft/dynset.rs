//! Adding to, updating and deleting from sets by rules.

use super::Rule;
use super::elements;
use super::set::{ANONYMOUS, EVAL, Shape};
use super::value::{duration, word};
use crate::decode::nft::expr::Dynset;

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
        for statement in elements::statements(dynset.expression, dynset.expressions)? {
            text.push(' ');
            text.push_str(&statement);
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
