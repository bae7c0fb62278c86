//! The line while it is made, and what the registers hold at that point.

use super::load::Headers;
use super::value::{self, Kind};
use crate::model::nft::Family;

/// What a register holds.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// Something of the packet, with the mask and the xor applied to it since.
    Load { text: String, kind: Kind, length: usize, mask: Option<(Vec<u8>, Vec<u8>)> },
    /// A constant.
    Constant(Vec<u8>),
}

/// The line while it is made.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) headers: Headers,
    /// By 4-byte slot: registers 1 to 4 are 16 bytes each, 8 to 23 the same bytes in pieces of 4.
    registers: Vec<(u32, Operand)>,
}

impl Line {
    pub(super) fn new(family: Family) -> Self {
        let network = matches!(family, Family::Ip | Family::Ip6).then(|| family.nfproto());
        Self { text: String::new(), headers: Headers { network, transport: None }, registers: Vec::new() }
    }

    pub(super) fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    /// Forgets what the registers hold.
    pub(super) fn forget(&mut self) {
        self.registers.clear();
    }

    /// Puts an operand into the register `number`; what overlapped is gone.
    pub(super) fn set(&mut self, number: u32, operand: Operand) -> Option<()> {
        let at = slot(number)?;
        let end = at + operand.slots();
        self.registers.retain(|(other, held)| other + held.slots() <= at || end <= *other);
        self.registers.push((at, operand));
        Some(())
    }

    pub(super) fn get(&self, number: u32) -> Option<&Operand> {
        let at = slot(number)?;
        self.registers.iter().find(|(other, _)| *other == at).map(|(_, operand)| operand)
    }

    /// The loads from register `number` on without a hole, as a concatenation.
    pub(super) fn concatenation(&self, number: u32) -> Option<String> {
        let mut at = slot(number)?;
        let mut parts = Vec::new();
        while let Some((_, operand)) = self.registers.iter().find(|(other, _)| *other == at) {
            parts.push(operand.text()?);
            at += operand.slots();
        }
        (!parts.is_empty()).then(|| parts.join(" . "))
    }
}

impl Operand {
    fn slots(&self) -> u32 {
        let length = match self {
            Self::Load { length, .. } => *length,
            Self::Constant(bytes) => bytes.len(),
        };
        u32::try_from(length.div_ceil(4).max(1)).unwrap_or(u32::MAX / 2)
    }

    /// `None` for a constant: how to read one depends on its use.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Load { text, mask: None, .. } => Some(text.clone()),
            Self::Load { text, kind, mask: Some((mask, xor)), .. } => {
                let base = format!("{text} & {}", value::value(mask_kind(*kind), mask));
                let is_plain = xor.iter().all(|byte| *byte == 0);
                Some(if is_plain { base } else { format!("{base} ^ {}", value::value(mask_kind(*kind), xor)) })
            }
            Self::Constant(_) => None,
        }
    }
}

/// Masks of numbers are read like the numbers, masks of names are not names.
pub(super) fn mask_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Mark | Kind::HostNumber | Kind::CtState => Kind::Mark,
        Kind::Ipv4 | Kind::Ipv6 => kind,
        _ => Kind::Bytes,
    }
}

fn slot(register: u32) -> Option<u32> {
    match register {
        1..=4 => Some((register - 1) * 4),
        8..=23 => Some(register - 8),
        _ => None,
    }
}
