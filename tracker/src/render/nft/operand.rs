//! What is loaded, as text.

use std::fmt::Write;

use super::Rule;
use super::datatype::Datatype;
use super::registers::{Held, Load, Operation, Source};
use super::value::{self, number, ones};

/// Something loaded as text.
pub(super) struct Operand {
    pub(super) text: String,
    pub(super) kind: Datatype,
    /// Whether its values are in the machine's byte order.
    pub(super) is_host: bool,
    /// In bits.
    pub(super) bits: u32,
}

impl<'a> Rule<'a> {
    /// The text of something loaded, without what was done to it. Statements that only told what header it is in are
    /// left out.
    pub(super) fn operand(&mut self, load: &Load<'a>) -> Option<Operand> {
        let (text, kind) = match &load.source {
            Source::Payload { base, offset, bits } => self.payload_text(*base, *offset, *bits)?,
            Source::Named { text, kind, .. } => {
                self.use_option(text);
                (text.clone().into_owned(), *kind)
            }
            Source::Map { parts, set } => self.map_text(parts, set)?,
            Source::Hash { parts, rest } => {
                (format!("jhash {}{rest}", self.concatenation_text(parts)?), Datatype::HostInteger)
            }
        };
        let is_host = kind.description().is_host && !load.is_swapped;
        let bits = match &load.source {
            Source::Payload { bits, .. } => *bits,
            _ => u32::try_from(load.length).ok()?.checked_mul(8)?,
        };
        Some(Operand { text, kind, is_host, bits })
    }

    /// The text with what was done to it.
    pub(super) fn operand_text(&mut self, load: &Load<'a>) -> Option<(String, Datatype)> {
        let Operand { mut text, kind, bits, .. } = self.operand(load)?;
        self.push_operations(&mut text, kind, bits, &load.operations)?;
        Some((text, kind))
    }

    /// `a . b`
    pub(super) fn concatenation_text(&mut self, parts: &[Load<'a>]) -> Option<String> {
        let mut text = String::new();
        for part in parts {
            (part.operations.is_empty() || parts.len() == 1).then_some(())?;
            if !text.is_empty() {
                text.push_str(" . ");
            }
            text.push_str(&self.operand_text(part)?.0);
        }
        Some(text)
    }

    /// ` & 0xff | 0x1`
    pub(super) fn push_operations(
        &self,
        text: &mut String,
        kind: Datatype,
        bits: u32,
        operations: &[Operation<'_>],
    ) -> Option<()> {
        for operation in operations {
            match operation {
                Operation::Left(by) => write!(text, " << {by}").ok()?,
                Operation::Right(by) => write!(text, " >> {by}").ok()?,
                Operation::Bits { mask, xor, is_swapped } => {
                    let is_host = kind.description().is_host && !is_swapped;
                    let (mask, xor) = (number(mask, is_host)?, number(xor, is_host)?);
                    // bits that are cleared and then inverted are set
                    let set = xor & !mask;
                    let steps = [("&", mask | set, ones(bits)), ("^", xor & mask, 0), ("|", set, 0)];
                    for (sign, operand, nothing) in steps {
                        if operand != nothing {
                            write!(text, " {sign} ").ok()?;
                            value::bits(text, kind, operand, ",", self.style())?;
                        }
                    }
                }
            }
        }
        Some(())
    }

    /// The content of a register as text: a constant of this type, or what was loaded.
    pub(super) fn register_text(&mut self, register: u32, kind: Datatype) -> Option<String> {
        match self.registers.get(register)?.clone() {
            Held::Load(load) => self.operand_text(&load).map(|(text, _)| text),
            Held::Constant(bytes) => {
                let mut text = String::new();
                self.push_value(&mut text, kind, bytes, kind.description().is_host)?;
                Some(text)
            }
        }
    }

    /// Appends a constant.
    pub(super) fn push_value(&self, text: &mut String, kind: Datatype, bytes: &[u8], is_host: bool) -> Option<()> {
        if kind.is_text() {
            return value::name(text, bytes);
        }
        value::bits(text, kind, number(bytes, is_host)?, ",", self.style())
    }
}
