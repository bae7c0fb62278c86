//! Keys and stored values. Numbers in keys are big-endian, so that keys sort as numbers do.

use serde::{Deserialize, Serialize};

use crate::journal::backend::KeyRange;
use crate::journal::codec::ChainHash;
use crate::model::digest::Digest;
use crate::model::ids::{ActorId, BootId, EntrySeq, ObjectId, OperationId};
use crate::model::object::{Object, Scope};
use crate::model::time::WallTime;

/// Key of the [`Head`].
pub(super) const HEAD: &[u8] = b"m";

const ACTOR: u8 = b'a';
const BOOT_END: u8 = b'b';
const ACTOR_NUMBER: u8 = b'd';
const BLOCK: u8 = b'e';
const GAP: u8 = b'g';
const PAGE: u8 = b'o';
const OPERATION: u8 = b'p';

pub(super) type NumberKey = [u8; 9];
pub(super) type HashKey = [u8; 17];

/// Key of the block that begins with an entry.
pub(super) fn block(first: EntrySeq) -> NumberKey {
    number_key(BLOCK, first.0)
}

/// Key of a page of objects.
pub(super) fn page(number: u64) -> NumberKey {
    number_key(PAGE, number)
}

pub(super) fn actor(id: ActorId) -> NumberKey {
    number_key(ACTOR, id.0)
}

pub(super) fn actor_number(digest: Digest) -> HashKey {
    hash_key(ACTOR_NUMBER, digest.0)
}

pub(super) fn operation(id: OperationId) -> NumberKey {
    number_key(OPERATION, id.0)
}

pub(super) fn gap(seq: EntrySeq) -> NumberKey {
    number_key(GAP, seq.0)
}

pub(super) fn boot_end(boot: BootId) -> HashKey {
    hash_key(BOOT_END, boot.0)
}

/// The number in a key made of a tag and a number.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The boot in a key of [`boot_end`].
pub(super) fn boot_of(key: &[u8]) -> Option<BootId> {
    key.get(1..)?.try_into().ok().map(BootId)
}

pub(super) fn all_blocks() -> KeyRange {
    all(BLOCK)
}

/// Blocks that begin at `first` or later.
pub(super) fn blocks_from(first: EntrySeq) -> KeyRange {
    KeyRange { start: block(first).to_vec(), ..all(BLOCK) }
}

/// Blocks that begin before `end`.
pub(super) fn blocks_before(end: EntrySeq) -> KeyRange {
    KeyRange { end: block(end).to_vec(), ..all(BLOCK) }
}

pub(super) fn all_pages() -> KeyRange {
    all(PAGE)
}

pub(super) fn actors_from(first: ActorId) -> KeyRange {
    KeyRange { start: actor(first).to_vec(), ..all(ACTOR) }
}

pub(super) fn all_operations() -> KeyRange {
    all(OPERATION)
}

pub(super) fn all_gaps() -> KeyRange {
    all(GAP)
}

pub(super) fn all_boot_ends() -> KeyRange {
    all(BOOT_END)
}

fn all(tag: u8) -> KeyRange {
    KeyRange { start: vec![tag], end: vec![tag + 1] }
}

fn number_key(tag: u8, number: u64) -> NumberKey {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn hash_key(tag: u8, hash: [u8; 16]) -> HashKey {
    let mut key = [tag; 17];
    key[1..].copy_from_slice(&hash);
    key
}

/// Counters, scope and the ends of the chain: written with every batch, so it always tells the state of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The next entry's position; the first entry ever is 1.
    pub next_entry: EntrySeq,
    /// The oldest entry kept; `next_entry` when none is.
    pub first_entry: EntrySeq,
    /// Hash of the newest block.
    pub tip: ChainHash,
    /// Hash of the newest block that was dropped: what the oldest one kept must follow.
    pub anchor: ChainHash,
    /// Blocks kept.
    pub blocks: u64,
    /// Bytes of their values.
    pub block_bytes: u64,
    /// No object with this number or a larger one was ever made.
    pub next_object: ObjectId,
    pub next_operation: OperationId,
    pub next_actor: ActorId,
    /// Objects kept.
    pub objects: u64,
    /// Exclusive or over [`row_hash`] of all pages: one that went missing or back to an older state shows.
    pub objects_sum: [u8; 16],
    pub gaps: u64,
    pub operations: u64,
    pub scope: Option<Scope>,
    pub last_alive: Option<WallTime>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            next_entry: EntrySeq(1),
            first_entry: EntrySeq(1),
            tip: ChainHash::default(),
            anchor: ChainHash::default(),
            blocks: 0,
            block_bytes: 0,
            next_object: ObjectId(1),
            next_operation: OperationId(1),
            next_actor: ActorId(1),
            objects: 0,
            objects_sum: [0; 16],
            gaps: 0,
            operations: 0,
            scope: None,
            last_alive: None,
        }
    }
}

impl Head {
    /// Adds a row to [`Head::objects_sum`] or takes it out.
    pub(super) fn toggle(&mut self, row: [u8; 16]) {
        self.objects_sum.iter_mut().zip(row).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Entries kept.
    pub(super) fn entries(&self) -> u64 {
        self.next_entry.0.saturating_sub(self.first_entry.0)
    }
}

/// Hash of one page.
pub(super) fn row_hash(page: u64, value: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&page.to_be_bytes()).update(value);
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}

/// An object as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredObject {
    pub object: Object,
    /// The last entry about it; each such entry names the one before.
    pub last_entry: EntrySeq,
}

impl StoredObject {
    /// The actors its deeds name.
    pub(super) fn actors(&self) -> impl Iterator<Item = ActorId> {
        let Object { created, changed, rewritten, removed, .. } = &self.object;
        let deeds = std::iter::once(created).chain(changed).chain(rewritten).chain(removed);
        deeds.filter_map(|deed| deed.attribution.actor())
    }
}

/// When a boot was known to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BootEnd {
    pub time: WallTime,
    /// The entry of the start that saw another boot.
    pub entry: EntrySeq,
}
