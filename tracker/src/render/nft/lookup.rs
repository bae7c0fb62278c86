//! Lookups in sets and maps.

use super::Rule;
use super::datatype::Datatype;
use super::registers::{Held, Load, Source};
use super::set::{Part, Shape};
use super::value::word;

use crate::decode::nft::expr::Lookup;

/// `NFT_LOOKUP_F_INV`.
const INVERTED: u32 = 1;

impl<'a> Rule<'a> {
    pub(super) fn lookup(&mut self, lookup: &Lookup<'a>) -> Option<()> {
        let parts = self.key_parts(lookup.set, lookup.source)?;
        match lookup.register {
            None => {
                let (left, set, has_operations) = self.sides(&parts, lookup.set)?;
                let is_inverted = lookup.flags.unwrap_or_default() & INVERTED != 0;
                let sign = match (is_inverted, has_operations) {
                    (true, _) => "!= ",
                    (false, true) => "== ",
                    (false, false) => "",
                };
                self.push_match(format!("{left} {sign}{set}"))
            }
            Some(0) => {
                let (left, set, _) = self.sides(&parts, lookup.set)?;
                self.push_match(format!("{left} vmap {set}"))
            }
            Some(register) => {
                let length = Shape::of(self.content(lookup.set)?)?.data_length;
                let source = Source::Map { parts, set: lookup.set };
                self.registers
                    .set(register, Held::Load(Load { source, length, is_swapped: false, operations: Vec::new() }))
            }
        }
    }

    /// `a . b map { ... }` and the type of the values.
    pub(super) fn map_text(&mut self, parts: &[Load<'a>], set: &'a [u8]) -> Option<(String, Datatype)> {
        let (left, text, _) = self.sides(parts, set)?;
        let kind = match Shape::of(self.content(set)?)?.data_parts()?[..] {
            [(kind, _)] => kind,
            // a concatenation is used whole
            _ => Datatype::Integer,
        };
        Some((format!("{left} map {text}"), kind))
    }

    /// The same for a map of objects.
    pub(super) fn object_map_text(&mut self, parts: &[Load<'a>], set: &'a [u8]) -> Option<String> {
        let (left, text, _) = self.sides(parts, set)?;
        Some(format!("{left} map {text}"))
    }

    /// What is looked up in a set: as much of the registers as its keys are long.
    pub(super) fn key_parts(&self, set: &[u8], register: u32) -> Option<Vec<Load<'a>>> {
        self.registers.concatenation(register, Shape::of(self.content(set)?)?.key_length)
    }

    pub(super) fn content(&self, set: &[u8]) -> Option<&'a crate::model::nft::SetSnapshot> {
        Some(self.surroundings.set(word(set)?)?.set)
    }

    /// Left side, set, and whether something was done to the left side.
    fn sides(&mut self, parts: &[Load<'a>], set: &'a [u8]) -> Option<(String, String, bool)> {
        if let [load] = parts
            && let Some((left, kinds, shift)) = self.cut_key(load)
        {
            return Some((left, self.set_text(set, &kinds, shift)?, false));
        }
        let mut left = String::new();
        let mut kinds: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            (part.operations.is_empty() || parts.len() == 1).then_some(())?;
            if !left.is_empty() {
                left.push_str(" . ");
            }
            let (text, kind) = self.operand_text(part)?;
            left.push_str(&text);
            kinds.push((kind, part.length, kind.description().is_host && !part.is_swapped));
        }
        let has_operations = parts.iter().any(|part| !part.operations.is_empty());
        Some((left, self.set_text(set, &kinds, 0)?, has_operations))
    }

    /// A field that a mask cuts out: its text, and by how much keys are shifted.
    fn cut_key(&mut self, load: &Load<'a>) -> Option<(String, Vec<Part>, u32)> {
        let Source::Payload { base, .. } = load.source else { return None };

        let (offset, bits, shift) = self.cut(load)?;
        let (text, kind) = self.payload_text(base, offset, bits)?;
        Some((text, vec![(kind, load.length, false)], shift))
    }
}
