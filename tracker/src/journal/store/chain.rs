//! Checks the chain: every block is whole, follows the one before it, and the last is the one the head names.

use crate::journal::backend::Backend;
use crate::journal::codec::{self, ChainHash, RowKind};
use crate::journal::error::JournalError;
use crate::model::ids::EntrySeq;

use super::block::{Block, Items};
use super::load::visit;
use super::rows::{self, Head};

/// A chain that was found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainReport {
    /// The oldest entry kept.
    pub first: EntrySeq,
    /// Entries kept.
    pub entries: u64,
    /// Blocks they are in.
    pub blocks: u64,
    /// Hash of the newest block that was dropped, all zeros when none was.
    pub anchor: ChainHash,
    /// Hash of the newest block. Noted down elsewhere, it tells a chain that was written anew as a whole.
    pub tip: ChainHash,
}

/// Walks the whole chain. The backend must not be written meanwhile.
///
/// # Errors
/// [`JournalError::Damaged`] naming the first row that does not fit.
pub fn verify(backend: &dyn Backend) -> Result<ChainReport, JournalError> {
    let head = match backend.get(rows::HEAD)? {
        Some(row) => codec::decode(RowKind::Head, rows::HEAD, &row)?,
        None => Head::default(),
    };
    let mut walk = Walk::from_anchor(&head);
    visit(backend, rows::all_blocks(), |key, value| walk.step(key, value, Depth::Entries))?;
    if walk.blocks != head.blocks {
        return Err(codec::damaged(rows::HEAD, format!("it stands for {} blocks, found {}", head.blocks, walk.blocks)));
    }
    walk.finish(&head)?;
    let Head { first_entry, anchor, tip, blocks, .. } = head;
    Ok(ChainReport { first: first_entry, entries: head.entries(), blocks, anchor, tip })
}

/// How closely blocks are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Checksum, hash and positions.
    Frames,
    /// Every entry is decoded too.
    Entries,
}

/// A walk along the chain: what the next block must be.
pub(super) struct Walk {
    expected: Option<(EntrySeq, ChainHash)>,
    blocks: u64,
}

impl Walk {
    /// A walk from the oldest block kept.
    pub(super) fn from_anchor(head: &Head) -> Self {
        Self { expected: Some((head.first_entry, head.anchor)), blocks: 0 }
    }

    /// A walk from whichever block comes first.
    pub(super) fn from_anywhere() -> Self {
        Self { expected: None, blocks: 0 }
    }

    pub(super) fn step(&mut self, key: &[u8], value: &[u8], depth: Depth) -> Result<(), JournalError> {
        let (first, previous, hash, end) = match depth {
            Depth::Entries => {
                let block = Block::decode(key, value)?;
                (block.first, block.previous, block.hash, block.end())
            }
            Depth::Frames => {
                let mut items = Items::open(key, value)?;
                let mut end = items.first;
                while items.next()?.is_some() {
                    end.0 += 1;
                }
                (items.first, items.previous, items.hash, end)
            }
        };
        if let Some((expected, after)) = self.expected {
            if expected != first {
                return Err(codec::damaged(key, format!("the block before it ends at entry {expected}")));
            }
            if after != previous {
                return Err(codec::damaged(key, format!("it follows block {previous}, the one before it is {after}")));
            }
        }
        self.expected = Some((end, hash));
        self.blocks += 1;
        Ok(())
    }

    /// Checks that the walk ended where the head says.
    pub(super) fn finish(&self, head: &Head) -> Result<(), JournalError> {
        // with no block kept, the newest is the newest dropped
        match self.expected {
            Some((end, tip)) if end == head.next_entry && tip == head.tip => Ok(()),
            Some((end, tip)) => {
                let Head { next_entry, tip: expected, .. } = head;
                let reason =
                    format!("chain ends before entry {end} with {tip}, not before {next_entry} with {expected}");
                Err(codec::damaged(rows::HEAD, reason))
            }
            None => Err(codec::damaged(rows::HEAD, "no block found")),
        }
    }
}
