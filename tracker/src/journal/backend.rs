//! What the journal needs of a key-value store: order, and batches that are there whole or not at all.

use std::ops::{ControlFlow, Range};

use super::error::JournalError;

/// An ordered key-value store. Everything but [`Backend::recover`] may be called from several threads.
pub trait Backend: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError>;

    /// Writes a batch: readers and a later start see all of it or nothing. After an error the store may show part of it
    /// until [`Backend::recover`] succeeds.
    fn apply(&self, batch: &Batch) -> Result<(), JournalError>;

    /// Visits the rows whose keys lie in a range, in the order asked for, until told to stop. Not a snapshot: rows
    /// written meanwhile may or may not be seen.
    fn scan(&self, range: KeyRange, direction: Direction, visitor: RowVisitor<'_>) -> Result<(), JournalError>;

    /// Makes everything applied durable.
    fn flush(&self) -> Result<(), JournalError>;

    /// Bytes taken on disk, 0 for none.
    fn size_on_disk(&self) -> Result<u64, JournalError>;

    /// After a failed write: goes back to what was durable, at least everything before the last [`Backend::flush`], so
    /// that it can be read again; writing may go on failing as long as the cause persists. Returns whether it had to.
    fn recover(&self) -> Result<bool, JournalError>;
}

/// Is given key and value of each row of a scan.
pub type RowVisitor<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Keys from `start` to before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// First key of the range.
    pub start: Vec<u8>,
    /// First key after the range.
    pub end: Vec<u8>,
}

/// Which end of a range a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// Writes that belong together. One buffer holds all of them, to be used again for the next batch.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    rows: Vec<BatchRow>,
}

#[derive(Debug, Clone)]
struct BatchRow {
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl Batch {
    /// Forgets all writes, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row; `value` appends its bytes to the buffer it is given and what it returns is returned.
    ///
    /// # Errors
    /// Those of `value`; the batch is then to be cleared.
    pub fn put<T>(
        &mut self,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        let result = value(&mut self.bytes)?;
        self.rows.push(BatchRow { key: start..middle, value: Some(middle..self.bytes.len()) });
        Ok(result)
    }

    /// Removes a row; none there is no error.
    pub fn delete(&mut self, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.rows.push(BatchRow { key: start..self.bytes.len(), value: None });
    }

    /// The value of the row added last.
    pub fn last_value(&self) -> &[u8] {
        match self.rows.last() {
            Some(BatchRow { value: Some(value), .. }) => &self.bytes[value.clone()],
            _ => &[],
        }
    }

    /// Key and new value (`None`: removed) of each write; of two to one key the later counts.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|row| (&self.bytes[row.key.clone()], row.value.clone().map(|value| &self.bytes[value])))
    }
}
