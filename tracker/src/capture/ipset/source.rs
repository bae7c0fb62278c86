//! Looks at sets, when asked.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::listing;
use crate::capture::{CaptureError, Raw, RawSource};
use crate::decode::ipset::ListedSet;
use crate::model::ids::IpSetName;
use crate::model::time::BootTime;

/// Of the time that passes, at most one part in this many goes into looking, unless somebody waits for it.
const SHARE: u32 = 4;
/// Sets that are named one by one; beyond that all are listed.
const MAX_NAMED: usize = 64;

/// Which sets to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every one.
    All,
    /// These, whether they exist or not.
    Named(BTreeSet<IpSetName>),
}

impl Wanted {
    /// Whether a set is among them.
    pub fn has(&self, name: &IpSetName) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Named(mut names), Self::Named(more)) => {
                names.extend(more);
                if names.len() > MAX_NAMED { Self::All } else { Self::Named(names) }
            }
            _ => Self::All,
        }
    }
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSetLook {
    /// The order it answers: see [`IpSetLooks::ask`].
    pub number: u64,
    /// Everything that happened before this moment is in it.
    pub began: BootTime,
    /// Nothing that happened after this one is.
    pub ended: BootTime,
    /// Which sets were looked at.
    pub wanted: Wanted,
    /// Those that are there; or why they could not be listed.
    pub sets: Result<Vec<ListedSet>, String>,
}

#[derive(Debug, Default)]
struct Waiting {
    number: u64,
    wanted: Option<Wanted>,
    is_urgent: bool,
}

/// Where looks are ordered.
#[derive(Debug, Clone)]
pub struct IpSetLooks {
    waiting: Arc<Mutex<Waiting>>,
    wake: Arc<OwnedFd>,
}

impl IpSetLooks {
    /// An order book without orders.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn new() -> Result<Self, CaptureError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| CaptureError::Io {
            operation: "open",
            object: "event descriptor".to_owned(),
            source: error.into(),
        })?;
        Ok(Self { waiting: Arc::default(), wake: Arc::new(wake) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a look; it, or a later one, carries this number or a higher one.
    pub fn ask(&self, wanted: Wanted) -> u64 {
        let number = {
            let mut waiting = self.waiting();
            waiting.number += 1;
            waiting.wanted = Some(match waiting.wanted.take() {
                Some(before) => before.and(wanted),
                None => wanted,
            });
            waiting.number
        };
        self.wake();
        number
    }

    /// Somebody waits for what was ordered.
    pub fn hurry(&self) {
        self.waiting().is_urgent = true;
        self.wake();
    }

    fn wake(&self) {
        // a full counter already means "wake up"
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

/// Lists the sets that were ordered, in the network namespace of the thread that empties it.
#[derive(Debug)]
pub struct IpSetSource {
    looks: IpSetLooks,
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl IpSetSource {
    /// A source for these orders.
    pub fn new(looks: IpSetLooks) -> Self {
        Self { looks, last: None }
    }

    /// The next order, if it is time for it.
    fn take(&self) -> Option<(u64, Wanted)> {
        let mut counter = [0; 8];
        // nothing to read means nobody woke us
        let _ = rustix::io::read(&*self.looks.wake, &mut counter);
        let mut waiting = self.looks.waiting();
        let rests = self.last.is_some_and(|(ended, took)| ended.elapsed() < took * (SHARE - 1));
        // what has to wait is taken by a later turn of the loop, which turns by itself
        if rests && !waiting.is_urgent {
            return None;
        }
        waiting.is_urgent = false;
        Some((waiting.number, waiting.wanted.take()?))
    }
}

impl RawSource for IpSetSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.looks.wake.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, _budget: usize) -> Result<bool, CaptureError> {
        let Some((number, wanted)) = self.take() else { return Ok(false) };
        let (began, start) = (BootTime::now(), Instant::now());
        let sets = look(&wanted).map_err(|error| in_words(&error));
        self.last = Some((Instant::now(), start.elapsed()));
        out.push(Raw::IpSets(IpSetLook { number, began, ended: BootTime::now(), wanted, sets }));
        Ok(false)
    }
}

fn look(wanted: &Wanted) -> Result<Vec<ListedSet>, CaptureError> {
    match wanted {
        Wanted::All => Ok(listing::list(None, 0)?.sets),
        Wanted::Named(names) => {
            let mut sets = Vec::new();
            for name in names {
                sets.extend(listing::list(Some(name), 0)?.sets);
            }
            Ok(sets)
        }
    }
}

fn in_words(error: &CaptureError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
