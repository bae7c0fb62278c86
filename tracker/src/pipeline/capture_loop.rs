//! The capture loop: one thread that empties the kernel's queues into batches, in causal order.
//!
//! Notifications are read first and BPF records after them, and handed over the other way round. A request's record is
//! made before the kernel acts on it, so whoever sees a notification has seen its request. A full channel blocks this
//! thread, not the kernel: the queues fill up, and what they drop they count.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::attribution::requests::Window;
use crate::capture::wake::Wake;
use crate::capture::{CaptureError, Raw, RawSource};
use crate::model::gap::Source;
use crate::model::time::BootTime;

use super::command::Command;

/// Records read from one queue before the others get their turn.
const BUDGET: usize = 8192;
/// How often the loop turns when nothing wakes it: most BPF records do not, and the ring holds at least this long.
const IDLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What one turn of the loop found.
#[derive(Debug)]
pub struct Batch {
    /// BPF records, then notifications.
    pub records: Vec<Raw>,
    /// When the notifications can have happened.
    pub window: Window,
    /// Orders that came before the queues were emptied: everything caused before them is in `records` or earlier.
    pub commands: Vec<Command>,
}

/// Hands orders to the recorder through the capture loop, behind everything the kernel has queued so far.
#[derive(Clone)]
pub struct CommandQueue {
    waiting: Arc<Mutex<VecDeque<Command>>>,
    wake: Wake,
}

impl CommandQueue {
    /// Makes a queue.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn new() -> Result<Self, CaptureError> {
        Ok(Self { waiting: Arc::default(), wake: Wake::new()? })
    }

    /// Queues an order and wakes the loop.
    pub fn send(&self, command: Command) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(command);
        self.wake.ring();
    }

    fn take(&self) -> Vec<Command> {
        self.wake.clear();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// The queues the loop empties.
pub struct Sources {
    /// BPF ring; `None` where BPF is not to be had.
    pub bpf: Option<Box<dyn RawSource>>,
    /// Notification queues.
    pub notifications: Vec<(Source, Box<dyn RawSource>)>,
}

/// Runs until a [`Command::Stop`] was handed over or the recorder is gone.
///
/// # Errors
/// [`CaptureError`] when a queue breaks.
pub fn run(mut sources: Sources, commands: &CommandQueue, batches: &SyncSender<Batch>) -> Result<(), CaptureError> {
    let mut emptied = BootTime::now();
    // What a self-test left behind waits without the descriptor being readable.
    let mut more = true;
    loop {
        if !more {
            wait(&sources, commands)?;
        }
        // Orders first: what they must come after is in the queues by now.
        let commands = commands.take();
        let is_last = commands.iter().any(|command| matches!(command, Command::Stop { .. }));
        let started = BootTime::now();
        let mut notifications = Vec::new();
        more = false;
        for (_, source) in &mut sources.notifications {
            more |= drain(&mut **source, &mut notifications, !commands.is_empty())?;
        }
        let before = BootTime::now();
        let mut records = Vec::new();
        if let Some(bpf) = &mut sources.bpf {
            drain(&mut **bpf, &mut records, true)?;
        }
        records.append(&mut notifications);
        let window = Window { after: emptied, before };
        if !more {
            emptied = started;
        }
        if records.is_empty() && commands.is_empty() {
            continue;
        }
        let is_gone = batches.send(Batch { records, window, commands }).is_err();
        if is_last || is_gone {
            return Ok(());
        }
    }
}

/// Everything that waits in the queues of a former tracker: it can have happened at any time.
///
/// # Errors
/// [`CaptureError`] when a queue is broken.
pub fn take_all(sources: &mut Sources) -> Result<Batch, CaptureError> {
    let mut notifications = Vec::new();
    for (_, source) in &mut sources.notifications {
        drain(&mut **source, &mut notifications, true)?;
    }
    let window = Window { after: BootTime(0), before: BootTime::now() };
    let mut records = Vec::new();
    if let Some(bpf) = &mut sources.bpf {
        drain(&mut **bpf, &mut records, true)?;
    }
    records.append(&mut notifications);
    Ok(Batch { records, window, commands: Vec::new() })
}

/// Empties a queue, wholly or within the budget; tells whether something may be left.
fn drain(source: &mut dyn RawSource, out: &mut Vec<Raw>, wholly: bool) -> Result<bool, CaptureError> {
    loop {
        let more = source.drain(out, BUDGET)?;
        if !(more && wholly) {
            return Ok(more);
        }
    }
}

fn wait(sources: &Sources, commands: &CommandQueue) -> Result<(), CaptureError> {
    let mut polled: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(commands.wake.as_fd(), PollFlags::IN)];
    if let Some(bpf) = &sources.bpf {
        polled.push(PollFd::from_borrowed_fd(bpf.fd(), PollFlags::IN));
    }
    for (_, source) in &sources.notifications {
        polled.push(PollFd::from_borrowed_fd(source.fd(), source.interest()));
    }
    match poll(&mut polled, Some(&IDLE)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => {
            Err(CaptureError::Io { operation: "wait", object: "the kernel's queues".to_owned(), source: error.into() })
        }
    }
}
