//! Blocks: runs of entries in one row, each a link of the hash chain.
//!
//! sled takes 5 to 8 microseconds a row whatever its size up to some KiB, and an append may hold tens of thousands of
//! entries, so entries share rows. A block's payload is the position of its first entry (8 bytes), then per entry the
//! position of the previous entry about the same object (8 bytes, 0 for none), a length (4 bytes) and the
//! postcard value, numbers little-endian.

use crate::journal::backend::Batch;
use crate::journal::codec::{self, ChainHash};
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::model::ids::EntrySeq;

use super::rows::{self, Head};

/// A block is closed once it has so many bytes: sixteen of them fit a leaf of sled without a file of their own.
const FULL: usize = 4096;

/// Collects entries and adds them to a batch as blocks.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    payload: Vec<u8>,
}

impl BlockWriter {
    /// Adds the next entry; `previous` is the last entry about the same object, 0 for none.
    pub(super) fn push(
        &mut self,
        head: &mut Head,
        batch: &mut Batch,
        previous: EntrySeq,
        entry: &Entry,
    ) -> Result<EntrySeq, JournalError> {
        let seq = head.next_entry;
        if self.payload.is_empty() {
            self.payload.extend_from_slice(&seq.0.to_le_bytes());
        }
        self.payload.extend_from_slice(&previous.0.to_le_bytes());
        codec::write_with_length(&mut self.payload, |out| codec::write_value(entry, out))?;
        head.next_entry = EntrySeq(seq.0 + 1);
        if self.payload.len() >= FULL {
            self.close(head, batch)?;
        }
        Ok(seq)
    }

    /// Writes what has been collected.
    pub(super) fn close(&mut self, head: &mut Head, batch: &mut Batch) -> Result<(), JournalError> {
        let Some((first, _)) = self.payload.split_first_chunk() else { return Ok(()) };
        let first = EntrySeq(u64::from_le_bytes(*first));
        head.tip = batch.put(&rows::block(first), |out| codec::encode_block(head.tip, &self.payload, out))?;
        head.blocks += 1;
        head.block_bytes += batch.last_value().len() as u64;
        self.payload.clear();
        Ok(())
    }

    /// Forgets what has been collected.
    pub(super) fn clear(&mut self) {
        self.payload.clear();
    }
}

/// A block taken apart.
#[derive(Debug)]
pub(super) struct Block {
    pub first: EntrySeq,
    pub previous: ChainHash,
    pub hash: ChainHash,
    pub entries: Vec<Entry>,
}

impl Block {
    /// Reads a block; `key` must be that of its first entry.
    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Self, JournalError> {
        let mut items = Items::open(key, value)?;
        let (first, previous, hash) = (items.first, items.previous, items.hash);
        let mut entries = Vec::new();
        while let Some(item) = items.next()? {
            entries.push(codec::read_value(key, item.value)?);
        }
        Ok(Self { first, previous, hash, entries })
    }

    /// The entry after its last.
    pub(super) fn end(&self) -> EntrySeq {
        EntrySeq(self.first.0 + self.entries.len() as u64)
    }
}

/// One entry of a block, not yet decoded.
pub(super) struct Item<'a> {
    /// The previous entry about the same object, 0 for none.
    pub link: EntrySeq,
    pub value: &'a [u8],
}

/// Walks a block's entries without decoding them.
pub(super) struct Items<'a> {
    key: &'a [u8],
    rest: &'a [u8],
    pub first: EntrySeq,
    pub previous: ChainHash,
    pub hash: ChainHash,
}

impl<'a> Items<'a> {
    pub(super) fn open(key: &'a [u8], value: &'a [u8]) -> Result<Self, JournalError> {
        let frame = codec::decode_block(key, value)?;
        let Some((first, rest)) = frame.payload.split_first_chunk() else {
            return Err(codec::damaged(key, "block without a position"));
        };
        let first = EntrySeq(u64::from_le_bytes(*first));
        if rows::number_of(key) != Some(first.0) {
            return Err(codec::damaged(key, format!("block of entry {first} stands under another's key")));
        }
        if rest.is_empty() {
            return Err(codec::damaged(key, "block without entries"));
        }
        Ok(Self { key, rest, first, previous: frame.previous, hash: frame.hash })
    }

    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, JournalError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let item = self.rest.split_first_chunk::<8>().and_then(|(link, rest)| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            Some((Item { link: EntrySeq(u64::from_le_bytes(*link)), value }, rest))
        });
        let (item, rest) = item.ok_or_else(|| codec::damaged(self.key, "entry reaches beyond its block"))?;
        self.rest = rest;
        Ok(Some(item))
    }
}
