//! A backend in memory: for tests, and for a tracker that has to go on without a disk.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{PoisonError, RwLock};

use super::backend::{Backend, Batch, Direction, KeyRange, RowVisitor};
use super::error::JournalError;

/// Rows visited under one lock; a visitor runs without it and may write.
const PAGE: usize = 256;

/// Rows in a map. Nothing survives the process.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.rows.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn apply(&self, batch: &Batch) -> Result<(), JournalError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.rows() {
            match value {
                Some(value) => drop(rows.insert(key.to_vec(), value.to_vec())),
                None => drop(rows.remove(key)),
            }
        }
        Ok(())
    }

    fn scan(&self, range: KeyRange, direction: Direction, visitor: RowVisitor<'_>) -> Result<(), JournalError> {
        let KeyRange { start, end } = range;
        let (mut start, mut end) = (Bound::Included(start), Bound::Excluded(end));
        loop {
            if is_empty(&start, &end) {
                return Ok(());
            }
            let page: Vec<(Vec<u8>, Vec<u8>)> = {
                let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
                let range = rows.range((start.clone(), end.clone()));
                let clone = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
                match direction {
                    Direction::Forward => range.take(PAGE).map(clone).collect(),
                    Direction::Backward => range.rev().take(PAGE).map(clone).collect(),
                }
            };
            for (key, value) in &page {
                if let ControlFlow::Break(()) = visitor(key, value) {
                    return Ok(());
                }
            }
            match (page.into_iter().nth(PAGE - 1), direction) {
                (None, _) => return Ok(()),
                (Some((last, _)), Direction::Forward) => start = Bound::Excluded(last),
                (Some((last, _)), Direction::Backward) => end = Bound::Excluded(last),
            }
        }
    }

    fn flush(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, JournalError> {
        Ok(0)
    }

    fn recover(&self) -> Result<bool, JournalError> {
        Ok(false)
    }
}

/// Whether a range holds nothing for sure; `BTreeMap::range` panics on reversed bounds.
fn is_empty(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}
