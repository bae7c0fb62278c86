//! Looks at subsystems that notify nobody (IP sets, IPVS): listed whenever somebody who saw a request to change them asks
//! for it, in line with the other queues.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wake::Wake;
use super::{CaptureError, Raw, RawSource};
use crate::model::time::BootTime;

/// Of the time that passes, at most one part in this many goes into looking, unless somebody waits for it.
const SHARE: u32 = 4;
/// Things that are named one by one; beyond that all are listed.
const MAX_NAMED: usize = 64;

/// What to look at, by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<K> {
    /// Everything.
    All,
    /// These, whether they exist or not.
    Named(BTreeSet<K>),
}

impl<K: Ord> Wanted<K> {
    /// Whether something of a name is among them.
    pub fn has(&self, name: &K) -> bool {
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
pub struct Look<K, T> {
    /// The order it answers: see [`Looks::ask`].
    pub number: u64,
    /// Everything that happened before this moment is in it.
    pub began: BootTime,
    /// Nothing that happened after this one is.
    pub ended: BootTime,
    /// What was looked at.
    pub wanted: Wanted<K>,
    /// What of it is there; or why it could not be listed.
    pub found: Result<Vec<T>, String>,
}

#[derive(Debug)]
struct Waiting<K> {
    number: u64,
    wanted: Option<Wanted<K>>,
    is_urgent: bool,
}

/// Where looks are ordered.
#[derive(Debug)]
pub struct Looks<K> {
    waiting: Arc<Mutex<Waiting<K>>>,
    wake: Wake,
}

impl<K> Clone for Looks<K> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting), wake: self.wake.clone() }
    }
}

impl<K: Ord> Looks<K> {
    /// An order book without orders.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn new() -> Result<Self, CaptureError> {
        let waiting = Waiting { number: 0, wanted: None, is_urgent: false };
        Ok(Self { waiting: Arc::new(Mutex::new(waiting)), wake: Wake::new()? })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<K>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a look; it, or a later one, carries this number or a higher one.
    pub fn ask(&self, wanted: Wanted<K>) -> u64 {
        let number = {
            let mut waiting = self.waiting();
            waiting.number += 1;
            waiting.wanted = Some(match waiting.wanted.take() {
                Some(before) => before.and(wanted),
                None => wanted,
            });
            waiting.number
        };
        self.wake.ring();
        number
    }

    /// Somebody waits for what was ordered.
    pub fn hurry(&self) {
        self.waiting().is_urgent = true;
        self.wake.ring();
    }
}

/// Lists one subsystem.
pub trait Lister: Send {
    /// What its things are named by.
    type Key: Ord + Send;
    /// What a listing holds.
    type Item;

    /// Lists what is wanted, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`CaptureError`] when the kernel does not answer, or answers what is not understood.
    fn list(wanted: &Wanted<Self::Key>) -> Result<Vec<Self::Item>, CaptureError>;

    /// A look as a record.
    fn record(look: Look<Self::Key, Self::Item>) -> Raw;
}

/// Lists what was ordered, in the network namespace of the thread that empties it.
#[derive(Debug)]
pub struct LookSource<L: Lister> {
    looks: Looks<L::Key>,
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
    lister: PhantomData<L>,
}

impl<L: Lister> LookSource<L> {
    /// A source for these orders.
    pub fn new(looks: Looks<L::Key>) -> Self {
        Self { looks, last: None, lister: PhantomData }
    }

    /// The next order, if it is time for it.
    fn take(&self) -> Option<(u64, Wanted<L::Key>)> {
        self.looks.wake.clear();
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

impl<L: Lister> RawSource for LookSource<L> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.looks.wake.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, _budget: usize) -> Result<bool, CaptureError> {
        let Some((number, wanted)) = self.take() else { return Ok(false) };
        let (began, start) = (BootTime::now(), Instant::now());
        let found = L::list(&wanted).map_err(|error| in_words(&error));
        self.last = Some((Instant::now(), start.elapsed()));
        out.push(L::record(Look { number, began, ended: BootTime::now(), wanted, found }));
        Ok(false)
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
