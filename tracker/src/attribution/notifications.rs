//! Notifications: in whose name the kernel sent the datagram at hand.
//!
//! Where the kernel lets a program attach to `nlmsg_notify`, each rtnetlink datagram was seen on its way to the listeners,
//! in the task that caused it. A record holds the datagram's length and first bytes, so it is joined by content, each
//! record once, in their order: the same lock that orders the datagrams of a link orders its records. Records of what
//! this tracker does not subscribe to, or did not yet, are never asked for and forgotten with their window.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::ids::{NetnsId, Tid};
use crate::model::observation::{Notified, NotifiedBy};
use crate::model::process::Actor;
use crate::model::time::BootTime;

use super::requests::Window;

/// Records that are kept; a notification is read at most one window after its record.
const MAX_KEPT: usize = 16_384;

/// Who caused a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notifier {
    /// A task, in this thread.
    Task(Arc<Actor>, Tid),
    /// The kernel: a thread of its own sent it.
    Kernel,
}

#[derive(Debug)]
struct Known {
    time: BootTime,
    netns: NetnsId,
    length: u32,
    head: Vec<u8>,
    /// `None` when nobody can be named.
    notifier: Option<Notifier>,
}

/// The notifications on their way.
#[derive(Debug, Default)]
pub struct NotificationTable {
    known: VecDeque<Known>,
    /// Records up to this moment may be missing.
    lost_until: Option<BootTime>,
}

impl NotificationTable {
    /// Notes a record; `actor` is its task.
    pub fn note(&mut self, notified: Notified, actor: impl FnOnce() -> Actor) {
        let Notified { time, task, by, netns, length, head } = notified;
        let notifier = match by {
            NotifiedBy::Task => Some(Notifier::Task(Arc::new(actor()), task.tid)),
            NotifiedBy::Kernel => Some(Notifier::Kernel),
            NotifiedBy::Unsure => None,
        };
        self.known.push_back(Known { time, netns, length, head, notifier });
        if self.known.len() > MAX_KEPT
            && let Some(oldest) = self.known.pop_front()
        {
            self.lost_until = self.lost_until.max(Some(oldest.time));
        }
    }

    /// Notes that records up to `time` may be missing.
    pub fn lost(&mut self, time: BootTime) {
        self.lost_until = self.lost_until.max(Some(time));
    }

    /// Forgets what was sent before `window`: those datagrams were read already, or never will be.
    pub fn forget_before(&mut self, window: Window) {
        while self.known.front().is_some_and(|oldest| oldest.time < window.after) {
            self.known.pop_front();
        }
    }

    /// Who caused the datagram just read; `None` when that was not seen, or cannot be said. To be asked once for each
    /// datagram, in their order.
    pub fn take(&mut self, datagram: &[u8], netns: NetnsId, window: Window) -> Option<Notifier> {
        let is_it = |known: &Known| {
            known.netns == netns
                && known.length as usize == datagram.len()
                && !known.head.is_empty()
                && datagram.starts_with(&known.head)
        };
        let index = self.known.iter().position(is_it)?;
        let found = self.known.remove(index)?;
        // with one record missing, an equal datagram of somebody else would be taken for it
        if self.lost_until.is_some_and(|lost| window.after <= lost) {
            return None;
        }
        found.notifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Tgid;
    use crate::model::observation::TaskRef;
    use crate::model::process::{ExecId, Image, Placement, ProcessKey, ProcessSource};

    const HERE: NetnsId = NetnsId(7);
    const WINDOW: Window = Window { after: BootTime(100), before: BootTime(200) };

    fn process(pid: u32) -> ProcessKey {
        ProcessKey { tgid: Tgid(pid), start: BootTime(1) }
    }

    fn task(pid: u32) -> TaskRef {
        TaskRef {
            process: process(pid),
            tid: Tid(pid),
            comm: "ip".to_owned(),
            uid: 0,
            login_uid: None,
            netns: HERE,
            cgroup_id: 1,
            ancestors: Vec::new(),
        }
    }

    fn actor(pid: u32) -> Actor {
        let image = Image {
            id: ExecId { process: process(pid), exec: 1 },
            parent: None,
            exe: None,
            comm: "ip".to_owned(),
            argv: Vec::new(),
            argv_truncated: false,
            uid: 0,
            login_uid: None,
            netns: HERE,
            placement: Placement::default(),
            seat: Default::default(),
            cni: None,
            source: ProcessSource::Kernel,
        };
        Actor { image, ancestry: Vec::new(), is_truncated: false }
    }

    fn notified(time: u64, tid: u32, netns: NetnsId, datagram: &[u8], by: NotifiedBy) -> Notified {
        let head = datagram.iter().copied().take(4).collect();
        let length = u32::try_from(datagram.len()).expect("short");
        Notified { time: BootTime(time), task: task(tid), by, netns, length, head }
    }

    fn tid(found: Option<Notifier>) -> Option<u32> {
        match &found? {
            Notifier::Task(_, tid) => Some(tid.0),
            Notifier::Kernel => None,
        }
    }

    #[test]
    fn equal_datagrams_go_to_their_senders_in_order_and_once() {
        let mut table = NotificationTable::default();
        for (time, who) in [(110, 1), (120, 2)] {
            table.note(notified(time, who, HERE, b"abcdef", NotifiedBy::Task), || actor(who));
        }
        table.note(notified(130, 3, NetnsId(8), b"abcdef", NotifiedBy::Task), || actor(3));
        assert_eq!(tid(table.take(b"abcdeX", HERE, WINDOW)), Some(1), "the head and the length count");
        assert_eq!(table.take(b"abcde", HERE, WINDOW), None, "another length");
        assert_eq!(tid(table.take(b"abcdef", HERE, WINDOW)), Some(2));
        assert_eq!(table.take(b"abcdef", HERE, WINDOW), None, "the third is of another network namespace");
    }

    #[test]
    fn nobody_is_named_by_chance_or_where_records_are_missing() {
        let mut table = NotificationTable::default();
        table.note(notified(110, 1, HERE, b"abcd", NotifiedBy::Unsure), || actor(1));
        assert_eq!(table.take(b"abcd", HERE, WINDOW), None);
        table.note(notified(120, 1, HERE, b"abcd", NotifiedBy::Kernel), || actor(1));
        assert_eq!(table.take(b"abcd", HERE, WINDOW), Some(Notifier::Kernel));
        table.note(notified(130, 1, HERE, b"abcd", NotifiedBy::Task), || actor(1));
        table.lost(BootTime(130));
        assert_eq!(table.take(b"abcd", HERE, WINDOW), None);
        let later = Window { after: BootTime(131), before: BootTime(300) };
        table.note(notified(140, 1, HERE, b"abcd", NotifiedBy::Task), || actor(1));
        assert_eq!(tid(table.take(b"abcd", HERE, later)), Some(1));
    }

    #[test]
    fn what_is_never_asked_for_is_forgotten() {
        let mut table = NotificationTable::default();
        table.note(notified(90, 1, HERE, b"abcd", NotifiedBy::Task), || actor(1));
        table.note(notified(100, 2, HERE, b"abcd", NotifiedBy::Task), || actor(2));
        table.forget_before(WINDOW);
        assert_eq!(tid(table.take(b"abcd", HERE, WINDOW)), Some(2));
        for time in 0..=MAX_KEPT as u64 {
            table.note(notified(100 + time, 1, HERE, b"abcd", NotifiedBy::Kernel), || actor(1));
        }
        assert_eq!(table.known.len(), MAX_KEPT);
        assert_eq!(table.take(b"abcd", HERE, WINDOW), None, "one was dropped, so none is certain");
    }
}
