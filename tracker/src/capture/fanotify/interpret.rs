//! What an event means, given what is at its path now.
//!
//! The kernel merges what one process did to one name while the event was waiting: `FAN_CREATE | FAN_DELETE` may be in
//! one event, without order. The order follows from whether the object is still there.

use libc::{FAN_ATTRIB, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE, FAN_MOVED_FROM, FAN_MOVED_TO};

use crate::model::observation::PathEvent;
use crate::model::path::PathSnapshot;

/// Bits after which the path has (another) object.
pub(super) const APPEAR: u64 = FAN_CREATE | FAN_MOVED_TO;
/// Bits after which it has none.
pub(super) const VANISH: u64 = FAN_DELETE | FAN_MOVED_FROM;

/// Bits after which the object is another than it was, under the same name.
pub(super) const CHANGE: u64 = FAN_CLOSE_WRITE | FAN_ATTRIB;

/// What is at an event's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Present {
    /// The very object the event is about.
    Same(PathSnapshot),
    /// An object, and the kernel is too old (before 5.17) to say whether it is the one.
    Some(PathSnapshot),
    /// Nothing, or another object, of which other events tell; the event's own object is elsewhere by now. Its identity
    /// still connects its maker with the path it was moved to.
    Elsewhere(PathSnapshot),
    /// Nothing, or another object, of which other events tell.
    None,
}

/// One thing an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// What happened.
    pub(super) event: PathEvent,
    /// Content right after.
    pub(super) after: Option<PathSnapshot>,
    /// Whether the event's process did it.
    pub(super) is_by_process: bool,
}

/// Everything an event says, in order.
pub(super) fn interpret(mask: u64, present: Present) -> Vec<Meaning> {
    let say = |event, after| Meaning { event, after, is_by_process: true };
    let appears = if mask & FAN_CREATE != 0 { PathEvent::Created } else { PathEvent::MovedIn };
    let vanishes = if mask & FAN_DELETE != 0 { PathEvent::Deleted } else { PathEvent::MovedOut };
    match (mask & APPEAR != 0, mask & VANISH != 0, present) {
        // What went away and came back has not changed; what only went is here again by an event of its own.
        (true, _, Present::Same(now)) => vec![say(appears, Some(now))],
        (false, true, Present::Same(_)) => Vec::new(),
        // Without identity: the old object went, then a new one came, by this process...
        (true, true, Present::Some(now)) => vec![say(vanishes, None), say(appears, Some(now))],
        (true, false, Present::Some(now)) => vec![say(appears, Some(now))],
        // ...or by whom no event says, when the creation was merged into an earlier event.
        (false, true, Present::Some(now)) => {
            let back = Meaning { event: PathEvent::Created, after: Some(now), is_by_process: false };
            vec![say(vanishes, None), back]
        }
        (true, true, Present::Elsewhere(now)) => vec![say(appears, Some(now)), say(vanishes, None)],
        (true, false, Present::Elsewhere(now)) => vec![say(appears, Some(now))],
        (true, true, Present::None) => vec![say(appears, None), say(vanishes, None)],
        (true, false, Present::None) => vec![say(appears, None)],
        (false, true, Present::Elsewhere(_) | Present::None) => vec![say(vanishes, None)],
        (false, false, Present::Same(now) | Present::Some(now)) if mask & CHANGE != 0 => {
            vec![say(PathEvent::Written, Some(now))]
        }
        // Written under a name it no longer has: nothing about the path.
        (false, false, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::{Inode, PathKind};

    fn file() -> PathSnapshot {
        let inode = Inode { dev: 1, ino: 2, born: None };
        PathSnapshot { kind: PathKind::File, inode, mode: 0o644, uid: 0, gid: 0, size: 3, modified: None }
    }

    fn events(mask: u64, present: Present) -> Vec<(PathEvent, bool)> {
        interpret(mask, present).into_iter().map(|meaning| (meaning.event, meaning.after.is_some())).collect()
    }

    #[test]
    fn a_creation_is_told_with_or_without_what_is_left_of_it() {
        assert_eq!(events(FAN_CREATE | FAN_CLOSE_WRITE, Present::Same(file())), [(PathEvent::Created, true)]);
        assert_eq!(events(FAN_CREATE, Present::None), [(PathEvent::Created, false)]);
        assert_eq!(events(FAN_MOVED_TO, Present::Some(file())), [(PathEvent::MovedIn, true)]);
    }

    #[test]
    fn merged_bits_are_ordered_by_what_is_there() {
        let merged = FAN_CREATE | FAN_DELETE;
        assert_eq!(events(merged, Present::None), [(PathEvent::Created, false), (PathEvent::Deleted, false)]);
        assert_eq!(events(merged, Present::Same(file())), [(PathEvent::Created, true)]);
        assert_eq!(events(merged, Present::Some(file())), [(PathEvent::Deleted, false), (PathEvent::Created, true)]);
        let renamed_temporary = FAN_CREATE | FAN_CLOSE_WRITE | FAN_MOVED_FROM;
        assert_eq!(
            events(renamed_temporary, Present::None),
            [(PathEvent::Created, false), (PathEvent::MovedOut, false)]
        );
        assert_eq!(
            events(renamed_temporary, Present::Elsewhere(file())),
            [(PathEvent::Created, true), (PathEvent::MovedOut, false)]
        );
    }

    #[test]
    fn an_object_that_came_back_did_not_vanish() {
        assert_eq!(events(FAN_MOVED_FROM, Present::Same(file())), []);
        let meanings = interpret(FAN_DELETE, Present::Some(file()));
        let [gone, back] = meanings.as_slice() else { panic!("{meanings:?}") };
        assert!(gone.event == PathEvent::Deleted && gone.is_by_process);
        assert!(back.event == PathEvent::Created && !back.is_by_process, "nobody may be blamed for it");
    }

    #[test]
    fn writing_to_a_file_without_its_name_says_nothing_about_the_path() {
        assert_eq!(events(FAN_CLOSE_WRITE, Present::None), []);
        assert_eq!(events(FAN_CLOSE_WRITE, Present::Same(file())), [(PathEvent::Written, true)]);
        assert_eq!(events(FAN_ATTRIB, Present::Same(file())), [(PathEvent::Written, true)]);
        assert_eq!(events(FAN_CREATE | FAN_ATTRIB, Present::Same(file())), [(PathEvent::Created, true)]);
    }
}
