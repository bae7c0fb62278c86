//! Moves of which only the first half was read.
//!
//! A rename queues two events, one after the other, and a reader may come between them. Both are of one filesystem, so
//! the second one comes in any case; told apart, they would be a removal and a creation by whoever renames.

use std::collections::HashSet;
use std::time::Duration;

use libc::{FAN_MOVED_FROM, FAN_MOVED_TO};

use super::event::Event;

/// An event with both bits ends one move and begins another, so it changes nothing.
const BOTH: u64 = FAN_MOVED_FROM | FAN_MOVED_TO;
/// Most that are remembered; beyond, none of them is waited for.
const MOST: usize = 4_096;
/// Longest wait for the second half: a task that was interrupted in the middle of a rename, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where an event does not name its object, and the second half may be part of an event that was read before.
const UNSURE: Duration = Duration::from_millis(50);

/// Objects that left a watched name and have not arrived anywhere yet.
#[derive(Debug, Default)]
pub(super) struct Moves(HashSet<Box<[u8]>>);

impl Moves {
    /// Takes note of an event before it is known whether its path matters.
    pub(super) fn arrived(&mut self, event: &Event<'_>) {
        if event.mask & BOTH == FAN_MOVED_TO {
            self.0.remove(&key(event));
        }
    }

    /// Takes note of an event about a path that matters.
    pub(super) fn left(&mut self, event: &Event<'_>) {
        if event.mask & BOTH == FAN_MOVED_FROM {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(key(event));
        }
    }

    /// Whether there are any.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Gives up on all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// How long to wait for the second half of a move.
pub(super) fn patience(has_targets: bool) -> Duration {
    if has_targets { PATIENCE } else { UNSURE }
}

/// What both halves have in common: the object, or before 5.17 the process.
fn key(event: &Event<'_>) -> Box<[u8]> {
    event.target.map_or_else(|| event.pid.to_ne_bytes().into(), |target| target.bytes().into())
}

#[cfg(test)]
mod tests {
    use super::super::event::Fid;
    use super::*;

    fn event(mask: u64, pid: i32, target: Option<&[u8]>) -> Event<'_> {
        Event { mask, pid, dir: None, name: b"x", target: target.map(Fid) }
    }

    #[test]
    fn a_move_is_open_until_its_object_arrives() {
        let mut moves = Moves::default();
        moves.left(&event(FAN_MOVED_FROM, 1, Some(b"one")));
        moves.left(&event(FAN_MOVED_FROM, 1, Some(b"two")));
        moves.arrived(&event(FAN_MOVED_TO, 2, Some(b"one")));
        assert!(moves.is_any());
        moves.arrived(&event(BOTH, 1, Some(b"two")));
        moves.left(&event(BOTH, 1, Some(b"two")));
        assert!(moves.is_any());
        moves.arrived(&event(FAN_MOVED_TO, 1, Some(b"two")));
        assert!(!moves.is_any());
        moves.left(&event(BOTH, 1, Some(b"two")));
        assert!(!moves.is_any());
    }

    #[test]
    fn without_objects_the_process_tells() {
        let mut moves = Moves::default();
        moves.left(&event(FAN_MOVED_FROM, 1, None));
        moves.arrived(&event(FAN_MOVED_TO, 2, None));
        assert!(moves.is_any());
        moves.arrived(&event(FAN_MOVED_TO, 1, None));
        assert!(!moves.is_any());
    }

    #[test]
    fn memory_is_bounded() {
        let mut moves = Moves::default();
        for number in 0..u64::try_from(MOST).expect("fits") * 2 {
            moves.left(&event(FAN_MOVED_FROM, 1, Some(&number.to_ne_bytes())));
        }
        assert!(moves.0.len() <= MOST);
    }
}
