//! Pieces of what tables are replaced with, until the call they belong to has returned.

use std::collections::VecDeque;

use crate::model::ids::Tid;
use crate::model::time::BootTime;

/// Bytes of pieces that may wait; beyond it the oldest are dropped, and their call's content counts as not seen.
const MAX_WAITING: usize = 32 << 20;

/// The pieces of calls under way.
#[derive(Debug, Default)]
pub struct Pieces {
    waiting: VecDeque<((Tid, BootTime), Vec<u8>)>,
    bytes: usize,
}

impl Pieces {
    /// Takes a piece; they come in their order.
    pub fn add(&mut self, call: (Tid, BootTime), offset: u64, piece: &[u8]) {
        match self.waiting.iter_mut().find(|(known, _)| *known == call) {
            Some((_, bytes)) if bytes.len() as u64 == offset => bytes.extend_from_slice(piece),
            Some(_) => return, // one is missing: the whole will be too short
            None if offset == 0 => self.waiting.push_back((call, piece.to_vec())),
            None => return,
        }
        self.bytes += piece.len();
        while self.bytes > MAX_WAITING {
            let Some((_, dropped)) = self.waiting.pop_front() else { break };
            self.bytes -= dropped.len();
        }
    }

    /// The pieces of a call put together, if all of its `total` bytes came.
    pub fn take(&mut self, call: (Tid, BootTime), total: u64) -> Option<Vec<u8>> {
        let place = self.waiting.iter().position(|(known, _)| *known == call)?;
        let (_, bytes) = self.waiting.remove(place)?;
        self.bytes -= bytes.len();
        (bytes.len() as u64 == total).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_whole_or_nothing() {
        let mut pieces = Pieces::default();
        let (one, other) = ((Tid(1), BootTime(5)), (Tid(2), BootTime(5)));
        pieces.add(one, 0, b"ab");
        pieces.add(other, 0, b"xy");
        pieces.add(one, 2, b"c");
        pieces.add(other, 3, b"z"); // the third byte is missing
        assert_eq!(pieces.take(one, 3), Some(b"abc".to_vec()));
        assert_eq!(pieces.take(one, 3), None);
        assert_eq!(pieces.take(other, 4), None);
        assert_eq!((pieces.bytes, pieces.waiting.len()), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pieces = Pieces::default();
        for thread in 0..5 {
            pieces.add((Tid(thread), BootTime(0)), 0, &vec![0; 10 << 20]);
        }
        assert!(pieces.bytes <= MAX_WAITING);
        assert_eq!(pieces.take((Tid(0), BootTime(0)), 10 << 20), None);
        assert!(pieces.take((Tid(4), BootTime(0)), 10 << 20).is_some());
    }
}
