//! The queue: reading events, keeping track of directories and mounts, and telling what happened.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use libc::{FAN_MOVED_FROM, FAN_MOVED_TO, FAN_ONDIR, FAN_Q_OVERFLOW};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::capture::entry::{self, Entry};
use crate::capture::mounts::{MOUNTINFO, child};
use crate::capture::roots::Root;
use crate::capture::scan::Walk;
use crate::capture::{CaptureError, Raw, RawSource};
use crate::model::gap::Source;
use crate::model::ids::Tgid;
use crate::model::observation::{PathEvent, PathObservation};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

use super::directories::{self, Directories, Place};
use super::event::{Event, Events, Fid, fid_bytes};
use super::interpret::{APPEAR, CHANGE, Present, VANISH, interpret};
use super::marks::{Marks, RootReport, mark};
use super::moves::{Moves, patience};
use super::{Limits, init, sys};

const MASK: u64 = APPEAR | VANISH | CHANGE | FAN_ONDIR;
/// The name in an event about a directory itself: fanotify(7).
const ITSELF: &[u8] = b".";
/// Room for some 600 events.
const BUFFER: usize = 65_536;
/// More than any event needs: a read that leaves this much room has emptied the queue.
const LONGEST_EVENT: usize = 4_096;
/// Reads in one drain, so that a flood elsewhere does not keep the caller.
const READS: usize = 64;

/// Directory and file events of the watched roots.
#[derive(Debug)]
pub struct FanotifySource {
    group: OwnedFd,
    wakeup: Wakeup,
    roots: Vec<Root>,
    limits: Limits,
    marks: Marks,
    directories: Directories,
    pending: VecDeque<Item>,
    moves: Moves,
    buffer: Vec<u8>,
    has_targets: bool,
    has_new_links: bool,
    empty_at: BootTime,
}

/// One descriptor that is readable for both reasons to drain: events, or changed mounts.
#[derive(Debug)]
struct Wakeup {
    epoll: OwnedFd,
    /// The mount table the epoll instance looks at. Asking resets the answer, and whoever polls `epoll` asks...
    _watched: File,
    /// ...hence another one, to know which of the two reasons it was.
    asked: File,
}

/// Something to tell, in order.
#[derive(Debug)]
enum Item {
    Noted(Noted),
    Ready(Box<PathObservation>),
    Lost,
}

/// An event of a watched path.
#[derive(Debug)]
struct Noted {
    path: AbsPath,
    mask: u64,
    target: Option<Box<[u8]>>,
    cause: Cause,
}

impl Item {
    /// Whether it is the first half of a move.
    fn leaves(&self) -> bool {
        match self {
            Self::Noted(noted) => noted.mask & FAN_MOVED_FROM != 0,
            Self::Ready(told) => told.event == PathEvent::MovedOut,
            Self::Lost => false,
        }
    }
}

/// By whom and when.
#[derive(Debug, Clone, Copy)]
struct Cause {
    tgid: Option<Tgid>,
    after_time: BootTime,
    before_time: BootTime,
}

impl Cause {
    fn tell(self, path: AbsPath, event: PathEvent, after: Option<PathSnapshot>) -> PathObservation {
        let Self { tgid, after_time, before_time } = self;
        let after = after.map(Snapshot::Path);
        PathObservation { subject: Subject::Path(path), after, event, tgid, after_time, before_time }
    }
}

impl FanotifySource {
    /// Starts watching. Roots need not exist yet; one that cannot be watched is reported, not an error.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] without the privileges, or before Linux 5.9; [`CaptureError::Io`] when the kernel
    /// refuses a queue for other reasons or the mount table cannot be read.
    pub fn open(roots: &[Root], limits: Limits) -> Result<(Self, Vec<RootReport>), CaptureError> {
        let (group, has_targets) = init(limits)?;
        Self::with(group, has_targets, BootTime::now(), roots, limits)
    }

    /// Goes on with the queue of a former run, which was empty at an unknown time.
    ///
    /// # Errors
    /// As [`FanotifySource::open`].
    pub fn adopt(kept: OwnedFd, roots: &[Root], limits: Limits) -> Result<(Self, Vec<RootReport>), CaptureError> {
        // the same kernel gives the same answer
        let (_, has_targets) = init(limits)?;
        Self::with(kept, has_targets, BootTime(0), roots, limits)
    }

    /// The queue itself, to be kept.
    pub fn queue(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }

    fn with(
        group: OwnedFd,
        has_targets: bool,
        empty_at: BootTime,
        roots: &[Root],
        limits: Limits,
    ) -> Result<(Self, Vec<RootReport>), CaptureError> {
        let wakeup = wakeup(group.as_fd())?;
        let marks = mark(group.as_fd(), roots, MASK)?;
        let reports = marks.reports.clone();
        let mut source = Self {
            group,
            wakeup,
            roots: roots.to_vec(),
            limits,
            marks,
            directories: Directories::new(limits.directories),
            pending: VecDeque::new(),
            moves: Moves::default(),
            buffer: vec![0; BUFFER],
            has_targets,
            has_new_links: false,
            empty_at,
        };
        source.learn_all();
        Ok((source, reports))
    }

    /// What becomes of each root now.
    pub fn reports(&self) -> &[RootReport] {
        &self.marks.reports
    }

    /// Looks at the mount table again; [`RawSource::drain`] does so by itself when it changed. Returns whether other
    /// filesystems are watched now. In that case events may have been missed, and a [`Raw::Lost`] is put in line.
    ///
    /// # Errors
    /// As [`FanotifySource::open`].
    pub fn refresh(&mut self) -> Result<bool, CaptureError> {
        let marks = mark(self.group.as_fd(), &self.roots, MASK)?;
        let is_same = self.marks.is_same(&marks);
        self.marks = marks;
        if !is_same {
            tracing::info!("other filesystems are watched now; what happened there before was not seen");
            self.pending.push_back(Item::Lost);
            self.learn_all();
        }
        Ok(!is_same)
    }

    fn mounts_changed(&self) -> bool {
        let mut fds = [PollFd::new(&self.wakeup.asked, PollFlags::PRI)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Remembers every watched directory there is.
    fn learn_all(&mut self) {
        self.directories.clear();
        let (marks, directories) = (&self.marks, &mut self.directories);
        let mut walk = Walk::new(&marks.table, &marks.set, self.limits.objects);
        for root in marks.set.roots() {
            walk.run(&root.path, &mut |path, entry| learn(directories, marks, path, entry));
        }
        for (path, reason) in walk.skipped {
            tracing::debug!(%path, reason, "not walked");
        }
    }

    /// Reads one buffer of events. Returns whether the queue was found empty.
    fn read(&mut self) -> Result<bool, CaptureError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let started = BootTime::now();
        let length = match rustix::io::retry_on_intr(|| rustix::io::read(&self.group, &mut buffer)) {
            Ok(length) => length,
            Err(Errno::AGAIN) => 0,
            Err(error) => {
                self.buffer = buffer;
                let object = "the fanotify queue".to_owned();
                return Err(CaptureError::Io { operation: "read", object, source: error.into() });
            }
        };
        let before_time = BootTime::now();
        for event in Events(buffer.get(..length).unwrap_or_default()) {
            match event {
                Ok(event) => self.note(event, before_time),
                Err(error) => {
                    tracing::warn!(%error, "events were not understood");
                    self.pending.push_back(Item::Lost);
                }
            }
        }
        let is_empty = buffer.len().saturating_sub(length) >= LONGEST_EVENT;
        if is_empty {
            self.empty_at = started;
        }
        self.buffer = buffer;
        Ok(is_empty)
    }

    /// Keeps an event of a watched path, drops all others, and follows directories that move.
    fn note(&mut self, event: Event<'_>, before_time: BootTime) {
        if event.mask & FAN_Q_OVERFLOW != 0 {
            tracing::warn!("the kernel's queue of file events was full");
            self.pending.push_back(Item::Lost);
            self.moves.clear();
            self.learn_all(); // a move may be among the lost
            return;
        }
        self.moves.arrived(&event);
        let Some(fid) = event.dir else { return };
        let dir = match self.directories.find(fid, &self.marks) {
            Ok(Place::Relevant(dir)) => dir,
            Ok(Place::Outside) => return,
            Err(error) => {
                tracing::warn!(%error, "a directory could not be found by its handle");
                self.pending.push_back(Item::Lost);
                return;
            }
        };
        let (path, target) = match event.name {
            ITSELF => (Some(dir), Some(fid)),
            name => (child(&dir, OsStr::from_bytes(name)), event.target),
        };
        let Some(path) = path else { return };
        let tgid = u32::try_from(event.pid).ok().filter(|&tgid| tgid != 0).map(Tgid);
        let cause = Cause { tgid, after_time: self.empty_at, before_time };
        if self.marks.set.covers(&path) {
            self.moves.left(&event);
            let target = target.map(|target| target.bytes().into());
            self.pending.push_back(Item::Noted(Noted { path: path.clone(), mask: event.mask, target, cause }));
        }
        if event.mask & FAN_ONDIR != 0 && self.marks.is_relevant(&path) {
            self.follow(&path, event, cause);
        } else if event.mask & APPEAR != 0 && self.marks.set.roots().iter().any(|root| root.path.is_within(&path)) {
            self.has_new_links = true; // a symbolic link to where a root really is
        }
    }

    /// Keeps paths of directories true when a relevant one is made or moved.
    fn follow(&mut self, path: &AbsPath, event: Event<'_>, cause: Cause) {
        if event.mask & FAN_MOVED_FROM != 0 {
            self.moves.left(&event);
            self.directories.moved_away(path);
            // A watched directory takes along what is below it without further words.
            for root in self.marks.set.below(path).filter(|_| !self.marks.set.covers(path)) {
                self.pending.push_back(Item::Ready(Box::new(cause.tell(root.clone(), PathEvent::MovedOut, None))));
            }
        } else if event.mask & APPEAR != 0
            && let Some(target) = event.target
        {
            self.directories.learn(target.bytes().into(), path.clone());
        }
        if event.mask & FAN_MOVED_TO != 0 {
            self.directories.moved_in();
            self.tell_content(path, cause);
        }
    }

    /// Tells what a directory that was moved in brought along.
    fn tell_content(&mut self, moved: &AbsPath, cause: Cause) {
        let (marks, directories, pending) = (&self.marks, &mut self.directories, &mut self.pending);
        let mut walk = Walk::new(&marks.table, &marks.set, self.limits.objects);
        for start in std::iter::once(moved).chain(marks.set.below(moved)) {
            walk.run(start, &mut |path, entry| {
                learn(directories, marks, path, entry);
                if path != moved {
                    let told = cause.tell(path.clone(), PathEvent::MovedIn, Some(entry.snapshot.clone()));
                    pending.push_back(Item::Ready(Box::new(told)));
                }
            });
        }
        if walk.truncated || !walk.skipped.is_empty() {
            tracing::info!(%moved, skipped = walk.skipped.len(), "not all that a moved directory brought along was seen");
            pending.push_back(Item::Lost);
        }
    }

    /// Reads on until both halves of every move are read.
    fn read_moves(&mut self) -> Result<(), CaptureError> {
        let end = Instant::now() + patience(self.has_targets);
        while self.moves.is_any() {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.group, PollFlags::IN)];
            // interrupted or not, what matters is whether there is something to read
            if !poll(&mut fds, Some(&left)).is_ok_and(|ready| ready > 0) {
                tracing::debug!("only the first half of a move came");
                self.moves.clear();
            }
            self.read()?;
        }
        Ok(())
    }

    /// Tells a batch of items, each with what is at its path now.
    fn tell(&mut self, items: Vec<Item>, out: &mut Vec<Raw>) -> Result<(), CaptureError> {
        let mut seen: Vec<(Item, Present)> = Vec::with_capacity(items.len());
        for item in items {
            let present = match &item {
                Item::Noted(noted) => look(noted, &self.marks),
                Item::Ready(_) | Item::Lost => Ok(Present::None),
            };
            if let Err(error) = &present {
                tracing::warn!(%error, ?item, "could not look at a path");
                seen.push((Item::Lost, Present::None));
            }
            seen.push((item, present.unwrap_or(Present::None)));
        }
        if !self.has_targets {
            // What was seen may belong to an event that arrived meanwhile.
            for _ in 0..READS {
                if self.read()? {
                    break;
                }
            }
            withhold(&mut seen, &self.pending);
        }
        for (item, present) in seen {
            match item {
                Item::Noted(Noted { path, mask, target: _, cause }) => {
                    for meaning in interpret(mask, present) {
                        let tgid = cause.tgid.filter(|_| meaning.is_by_process);
                        out.push(Raw::Path(Cause { tgid, ..cause }.tell(path.clone(), meaning.event, meaning.after)));
                    }
                }
                Item::Ready(told) => out.push(Raw::Path(*told)),
                Item::Lost => out.push(Raw::Lost { source: Source::Fanotify, lost: None }),
            }
        }
        Ok(())
    }
}

impl RawSource for FanotifySource {
    /// Readable when events wait or the mount table changed.
    fn fd(&self) -> BorrowedFd<'_> {
        self.wakeup.epoll.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError> {
        if self.mounts_changed() || std::mem::take(&mut self.has_new_links) {
            self.refresh()?;
        }
        let mut is_empty = false;
        for _ in 0..READS {
            if is_empty || self.pending.len() >= budget {
                break;
            }
            is_empty = self.read()?;
        }
        self.read_moves()?;
        let mut count = budget.min(self.pending.len());
        if self.pending.iter().take(count).any(Item::leaves) {
            count = self.pending.len(); // with where it arrives
        }
        let items = self.pending.drain(..count).collect();
        self.tell(items, out)?;
        Ok(!is_empty || !self.pending.is_empty() || self.has_new_links)
    }
}

fn wakeup(group: BorrowedFd<'_>) -> Result<Wakeup, CaptureError> {
    let io = |object: &str, source| CaptureError::Io { operation: "poll", object: object.to_owned(), source };
    let open = || File::open(MOUNTINFO).map_err(|error| io(MOUNTINFO, error));
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| io("a fanotify queue", error.into()))?;
    let add = |fd: BorrowedFd<'_>, events| {
        epoll::add(&epoll, fd, EventData::new_u64(0), events).map_err(|error| io("a fanotify queue", error.into()))
    };
    add(group, EventFlags::IN)?;
    let watched = open()?;
    add(watched.as_fd(), EventFlags::PRI)?;
    Ok(Wakeup { epoll, _watched: watched, asked: open()? })
}

/// Remembers a directory met on a walk, if events in it matter. What a mount covers cannot have events.
fn learn(directories: &mut Directories, marks: &Marks, path: &AbsPath, entry: &Entry) {
    let is_dir = entry.snapshot.kind == PathKind::Dir && !entry.is_mount_point;
    if !is_dir || !marks.is_relevant(path) {
        return;
    }
    let Some(fsid) = marks.fsid(entry.snapshot.inode.dev) else { return };
    if let Ok(handle) = sys::handle_of(entry.fd.as_fd()) {
        directories.learn(fid_bytes(fsid, &handle), path.clone());
    }
}

/// What is at an event's path now, compared with the object the event names.
fn look(noted: &Noted, marks: &Marks) -> std::io::Result<Present> {
    let there = entry::inspect_path(&noted.path)?;
    let Some(target) = noted.target.as_deref().map(Fid) else {
        return Ok(there.map_or(Present::None, |entry| Present::Some(entry.snapshot)));
    };
    if let Some(entry) = there
        && sys::handle_of(entry.fd.as_fd())? == target.handle()
    {
        return Ok(Present::Same(entry.snapshot));
    }
    let elsewhere = if noted.mask & APPEAR != 0 { directories::object(target, marks)? } else { None };
    Ok(elsewhere.map_or(Present::None, Present::Elsewhere))
}

/// Takes back what was seen for events that later ones for the same path supersede.
fn withhold(seen: &mut [(Item, Present)], later: &VecDeque<Item>) {
    let replaced = |item: &Item| match item {
        Item::Noted(noted) if noted.mask & (APPEAR | VANISH) != 0 => Some(noted.path.clone()),
        _ => None,
    };
    let mut paths: HashSet<AbsPath> = later.iter().filter_map(replaced).collect();
    for (item, present) in seen.iter_mut().rev() {
        if matches!(item, Item::Noted(noted) if paths.contains(&noted.path)) {
            *present = Present::None;
        }
        paths.extend(replaced(item));
    }
}
