//! What the registers hold.

use std::borrow::Cow;

use super::datatype::Datatype;

/// What a register holds.
#[derive(Debug, Clone)]
pub(super) enum Held<'a> {
    Constant(&'a [u8]),
    Load(Load<'a>),
}

/// Something loaded.
#[derive(Debug, Clone)]
pub(super) struct Load<'a> {
    pub(super) source: Source<'a>,
    /// In bytes, as the register has it.
    pub(super) length: usize,
    /// Whether it was brought into network byte order.
    pub(super) is_swapped: bool,
    pub(super) operations: Vec<Operation<'a>>,
}

impl Load<'_> {
    /// Whether nothing was done to it: a mask of all bits does nothing.
    pub(super) fn is_whole(&self) -> bool {
        self.operations.iter().all(|operation| match operation {
            Operation::Bits { mask, xor, .. } => {
                mask.iter().all(|byte| *byte == 0xff) && xor.iter().all(|byte| *byte == 0)
            }
            _ => false,
        })
    }
}

/// Where it is from.
#[derive(Debug, Clone)]
pub(super) enum Source<'a> {
    /// Base, offset and length in bits.
    Payload { base: u32, offset: u32, bits: u32 },
    /// In nft's words.
    Named { text: Cow<'static, str>, kind: Datatype, key: Key },
    /// What a map gives for the parts.
    Map { parts: Vec<Load<'a>>, set: &'a [u8] },
    /// A hash of the parts, with the words after them.
    Hash { parts: Vec<Load<'a>>, rest: String },
}

/// Keys that tell a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    None,
    NfProto,
    EtherType,
    L4Proto,
    LinkType,
}

/// What was done to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation<'a> {
    /// Bits kept, then bits inverted.
    Bits {
        mask: &'a [u8],
        xor: &'a [u8],
        /// Whether it was in network byte order by then.
        is_swapped: bool,
    },
    Left(u32),
    Right(u32),
}

impl Held<'_> {
    fn slots(&self) -> u32 {
        let length = match self {
            Self::Load(load) => load.length,
            Self::Constant(bytes) => bytes.len(),
        };
        u32::try_from(length.div_ceil(4).max(1)).unwrap_or(u32::MAX / 2)
    }
}

/// The registers, by 4-byte slot: 1 to 4 are 16 bytes each, 8 to 23 the same bytes in pieces of 4.
#[derive(Debug, Default)]
pub(super) struct Registers<'a>(Vec<(u32, Held<'a>)>);

impl<'a> Registers<'a> {
    /// Puts something into a register; what overlapped is gone.
    pub(super) fn set(&mut self, register: u32, held: Held<'a>) -> Option<()> {
        let at = slot(register)?;
        let end = at + held.slots();
        self.0.retain(|(other, held)| other + held.slots() <= at || end <= *other);
        self.0.push((at, held));
        Some(())
    }

    pub(super) fn get(&self, register: u32) -> Option<&Held<'a>> {
        let at = slot(register)?;
        self.0.iter().find(|(other, _)| *other == at).map(|(_, held)| held)
    }

    pub(super) fn load(&self, register: u32) -> Option<&Load<'a>> {
        match self.get(register)? {
            Held::Load(load) => Some(load),
            Held::Constant(_) => None,
        }
    }

    /// The loads that fill `length` bytes from a register on, each padded to 4 bytes; `None` where there is a hole.
    pub(super) fn concatenation(&self, register: u32, length: usize) -> Option<Vec<Load<'a>>> {
        let (mut at, mut filled, mut parts) = (slot(register)?, 0, Vec::new());
        loop {
            let (_, Held::Load(load)) = self.0.iter().find(|(other, _)| *other == at)? else { return None };
            at += Held::Load(load.clone()).slots();
            filled += load.length.next_multiple_of(4);
            parts.push(load.clone());
            if filled >= length {
                // one part alone is not padded
                let is_whole = filled == length || (parts.len() == 1 && load.length == length);
                return is_whole.then_some(parts);
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn slot(register: u32) -> Option<u32> {
    match register {
        1..=4 => Some((register - 1) * 4),
        8..=23 => Some(register - 8),
        _ => None,
    }
}
