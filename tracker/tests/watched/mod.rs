//! A fanotify source under test, and what it told.

use std::path::{Path, PathBuf};

use netdeed_tracker::capture::fanotify::{FanotifySource, Limits, RootReport};
use netdeed_tracker::capture::roots::{Depth, Root};
use netdeed_tracker::capture::{Raw, RawSource};
use netdeed_tracker::model::observation::{PathEvent, PathObservation};
use netdeed_tracker::model::path::{AbsPath, PathSnapshot};
use netdeed_tracker::model::subject::{Snapshot, Subject};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// An absolute path.
pub(crate) fn abs(path: impl AsRef<Path>) -> AbsPath {
    AbsPath::new(path.as_ref()).expect("absolute")
}

pub(crate) fn root(path: impl AsRef<Path>) -> Root {
    Root { path: abs(path), depth: Depth::All }
}

/// A source and what it told so far.
pub(crate) struct Watched {
    top: PathBuf,
    pub(crate) source: FanotifySource,
    pub(crate) reports: Vec<RootReport>,
    pub(crate) told: Vec<PathObservation>,
    pub(crate) losses: usize,
}

impl Watched {
    pub(crate) fn new(top: &Path, roots: &[Root], limits: Limits) -> Self {
        let (source, reports) = FanotifySource::open(roots, limits).expect("watching: these tests need root");
        Self { top: top.to_owned(), source, reports, told: Vec::new(), losses: 0 }
    }

    /// Waits for the queue, as the pipeline does, then reads it empty.
    pub(crate) fn drain(&mut self) {
        let mut fds = [PollFd::from_borrowed_fd(self.source.fd(), PollFlags::IN)];
        let ready = poll(&mut fds, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).expect("poll");
        assert_eq!(ready, 1, "nothing happened");
        self.drain_now();
    }

    pub(crate) fn drain_now(&mut self) {
        let mut raw = Vec::new();
        while self.source.drain(&mut raw, 100).expect("drain") {}
        self.take(raw);
    }

    /// One turn.
    #[allow(dead_code, reason = "not every program of tests asks for single turns")]
    pub(crate) fn drain_with(&mut self, budget: usize) {
        let mut raw = Vec::new();
        self.source.drain(&mut raw, budget).expect("drain");
        self.take(raw);
    }

    fn take(&mut self, raw: Vec<Raw>) {
        for record in raw {
            match record {
                Raw::Path(told) => self.told.push(told),
                Raw::Lost { .. } => self.losses += 1,
                other => panic!("{other:?} from fanotify"),
            }
        }
    }

    /// What was told, as event, path below the top, and whether with content; told once.
    pub(crate) fn events(&mut self) -> Vec<(PathEvent, String, bool)> {
        let top = self.top.clone();
        let short = |told: &PathObservation| {
            let path = path(told).as_path().strip_prefix(&top).expect("below the top").display().to_string();
            (told.event, path, told.after.is_some())
        };
        let events = self.told.iter().map(short).collect();
        self.told.clear();
        events
    }
}

pub(crate) fn path(told: &PathObservation) -> &AbsPath {
    match &told.subject {
        Subject::Path(path) => path,
        other => panic!("not a path: {other:?}"),
    }
}

pub(crate) fn content(told: &PathObservation) -> &PathSnapshot {
    match &told.after {
        Some(Snapshot::Path(content)) => content,
        other => panic!("no path content: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn expect(events: &[(PathEvent, String, bool)], expected: &[(PathEvent, &str, bool)]) {
    let events: Vec<_> = events.iter().map(|(event, path, after)| (*event, path.as_str(), *after)).collect();
    assert_eq!(events, expected);
}
