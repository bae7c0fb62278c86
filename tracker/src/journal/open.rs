//! Opening a journal, and what to do when it will not open.
//!
//! A directory holds `lock`, the store in `journal-<number>`, and what was set aside as `journal.damaged-<time>`. A
//! journal whose content is damaged is set aside and a new one begun: the tracker must not stay down because of it, and
//! nothing is deleted. What the system refuses (permissions, space, a failing disk) is an error and sets nothing aside.
//!
//! The number grows with every store set aside, so that a thread that hangs in a damaged one never meets the new one.

mod lock;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::causes::causes;
use crate::model::time::WallTime;

use super::Read;
use super::error::JournalError;
use super::sled::{SledBackend, SledFailure, SledOptions, panic_text, probe_space};
use super::store::{JournalLimits, Store};

pub(super) use lock::{LockFile, Mark};

/// What the deadline grows by: a second per so many bytes on disk, so that a large journal on a slow disk is not taken
/// for a damaged one.
const BYTES_PER_SECOND: u64 = 32 << 20;
/// A store that does not open is left behind after so many deadlines, however little processor time it got.
const LONGEST_WAIT: u32 = 6;
/// How often within a deadline the processor time is looked at.
const WAITS: u32 = 20;

/// Where the journal is and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// The directory, made with mode 0700 if it is not there.
    pub dir: PathBuf,
    /// How much processor time opening may take, plus one second per 32 MiB on disk; by the clock, six times as long.
    pub deadline: Duration,
    /// How much is kept.
    pub limits: JournalLimits,
    /// How the store below runs.
    pub sled: SledOptions,
}

impl OpenOptions {
    /// The defaults for a directory: 10 seconds, [`JournalLimits::default`], [`SledOptions::default`].
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            deadline: Duration::from_secs(10),
            limits: JournalLimits::default(),
            sled: SledOptions::default(),
        }
    }
}

/// A journal that is open.
#[must_use = "what was set aside is to be recorded as a gap and told to the user"]
pub struct Opened {
    /// The journal.
    pub store: Store,
    /// The one that was there before, if it could not be used.
    pub set_aside: Option<SetAside>,
    /// How many entries at the end of it were durable once and are there no more: the store's file lost its end. What is
    /// left is whole, as of an earlier moment; what came after is a gap.
    pub lost_entries: u64,
}

/// A journal that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
    /// Whether a thread still hangs in it, taking up to one CPU until the process ends or starts itself anew.
    pub is_stuck: bool,
}

/// Opens the journal of a directory for writing, or makes one.
///
/// # Errors
/// [`JournalError::InUse`] when another process has it; [`JournalError::NotWritable`], [`JournalError::NoSpace`] or
/// [`JournalError::Directory`] when the system refuses; [`JournalError::Version`] when a newer program wrote it;
/// [`JournalError::Store`] when even a new one cannot be made.
pub fn open(options: &OpenOptions) -> Result<Opened, JournalError> {
    let dir = &options.dir;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| refused(dir, error))?;
    let lock = LockFile::take(dir, lock::Missing::Create)?;
    let (number, is_new) = newest_store(dir)?.map_or((1, true), |number| (number, false));
    let (reason, is_stuck) = match attempt(&store_path(dir, number), options) {
        Ok(store) => {
            let lost_entries = store.lost_since(lock.mark(number));
            store.hold(lock.of_store(number));
            return Ok(Opened { store, set_aside: None, lost_entries });
        }
        Err(Trouble::Refused(error)) => return Err(error),
        Err(Trouble::Damaged(error)) => (causes(&error), false),
        Err(Trouble::TimedOut(error)) => (causes(&error), true),
    };
    // a full disk makes sled fail in ways that look like damage
    probe_space(dir).map_err(|error| refused(dir, error))?;
    if is_new {
        let source = reason.into();
        return Err(JournalError::Store { operation: "make a new journal", source });
    }
    let path = set_aside(dir, number)?;
    let store = attempt(&store_path(dir, number + 1), options).map_err(Trouble::into_error)?;
    store.hold(lock.of_store(number + 1));
    Ok(Opened { store, set_aside: Some(SetAside { path, reason, is_stuck }), lost_entries: 0 })
}

/// Opens the journal of a directory for reading while no tracker runs. Sets nothing aside; sled itself may tidy up its
/// files, as after any stop.
///
/// # Errors
/// [`JournalError::Absent`] when there is none, [`JournalError::InUse`] when a tracker has it,
/// [`JournalError::Damaged`], [`JournalError::Unreadable`], [`JournalError::OpenTimedOut`] or [`JournalError::Store`] when it cannot be read; the rest
/// as for [`open`].
pub fn open_read_only(dir: &Path) -> Result<Arc<dyn Read>, JournalError> {
    let lock = LockFile::take(dir, lock::Missing::Fail)?;
    let number = newest_store(dir)?.ok_or_else(|| JournalError::Absent { path: dir.to_owned() })?;
    let store = attempt(&store_path(dir, number), &OpenOptions::new(dir)).map_err(Trouble::into_error)?;
    store.hold(lock.of_store(number));
    Ok(store.reader())
}

/// Why a store did not open.
enum Trouble {
    /// The system refuses, or a newer program wrote it.
    Refused(JournalError),
    /// Its content is not what was written.
    Damaged(JournalError),
    /// No end in time.
    TimedOut(JournalError),
}

impl Trouble {
    fn into_error(self) -> JournalError {
        match self {
            Self::Refused(error) | Self::Damaged(error) | Self::TimedOut(error) => error,
        }
    }
}

/// Opens and checks a store on a thread of its own, which is left behind if it takes too long.
fn attempt(path: &Path, options: &OpenOptions) -> Result<Store, Trouble> {
    let deadline = deadline(path, options.deadline);
    let (sender, receiver) = mpsc::sync_channel(1);
    let opener = {
        let (path, limits, sled) = (path.to_owned(), options.limits, options.sled);
        move || {
            let opened = SledBackend::open(&path, sled).map_err(|failure| from_sled(&path, failure));
            let store = opened
                .and_then(|backend| Store::new(Arc::new(backend), limits).map_err(|error| from_load(&path, error)));
            // nobody listens any more after the deadline
            drop(sender.send(store));
        }
    };
    let thread = std::thread::Builder::new().name("journal-opener".to_owned()).spawn(opener).map_err(|source| {
        Trouble::Refused(JournalError::Store { operation: "start a thread", source: source.into() })
    })?;
    match wait(&receiver, deadline) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            Err(Trouble::TimedOut(JournalError::OpenTimedOut { path: path.to_owned(), deadline }))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let reason = thread.join().err().map_or_else(|| "opener ended".to_owned(), |panic| panic_text(&*panic));
            Err(Trouble::Damaged(damaged_store(path, reason)))
        }
    }
}

/// Waits until this process has had the processor for so long, or [`LONGEST_WAIT`] times as long by the clock: on a machine
/// that is busy with something else, a sound journal takes longer, and a store that spins is still noticed soon.
fn wait<T>(receiver: &Receiver<T>, deadline: Duration) -> Result<T, RecvTimeoutError> {
    let had = processor_time();
    let mut waited = Duration::ZERO;
    loop {
        let result = receiver.recv_timeout(deadline / WAITS);
        waited += deadline / WAITS;
        let is_over = processor_time().saturating_sub(had) >= deadline || waited >= deadline * LONGEST_WAIT;
        if is_over || !matches!(result, Err(RecvTimeoutError::Timeout)) {
            return result;
        }
    }
}

/// What all threads of this process have had of the processors.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn deadline(path: &Path, base: Duration) -> Duration {
    let bytes = fs::metadata(path.join("db")).map_or(0, |db| db.len());
    base + Duration::from_secs(bytes / BYTES_PER_SECOND)
}

fn from_sled(path: &Path, failure: SledFailure) -> Trouble {
    match failure {
        SledFailure::Locked => Trouble::Refused(JournalError::InUse { path: path.to_owned() }),
        SledFailure::System(error) => Trouble::Refused(refused(path, error)),
        SledFailure::Damaged(reason) => Trouble::Damaged(damaged_store(path, reason)),
    }
}

fn from_load(path: &Path, error: JournalError) -> Trouble {
    match error {
        JournalError::Store { operation, source } => match source.downcast::<SledFailure>() {
            Ok(failure) => from_sled(path, *failure),
            Err(source) => Trouble::Refused(JournalError::Store { operation, source }),
        },
        JournalError::Damaged { .. } => Trouble::Damaged(error),
        other => Trouble::Refused(other),
    }
}

fn damaged_store(path: &Path, reason: String) -> JournalError {
    JournalError::Unreadable { path: path.to_owned(), reason }
}

/// What a refusal of the system means for a directory.
fn refused(path: &Path, source: io::Error) -> JournalError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            JournalError::NotWritable { path, source }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            JournalError::NoSpace { path, source }
        }
        _ => JournalError::Directory { path, source },
    }
}

fn store_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:06}"))
}

/// The number of the newest store. A thread that hung may have left files under an older one.
fn newest_store(dir: &Path) -> Result<Option<u64>, JournalError> {
    let mut newest = None;
    for entry in fs::read_dir(dir).map_err(|error| refused(dir, error))? {
        let name = entry.map_err(|error| refused(dir, error))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("journal-")?.parse().ok());
        newest = newest.max(number);
    }
    Ok(newest)
}

fn set_aside(dir: &Path, number: u64) -> Result<PathBuf, JournalError> {
    // 2026-05-04T03:02:01.123456Z without what file names are better off without
    let time: String = WallTime::now().to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    let name = format!("journal.damaged-{time}Z");
    let free = std::iter::once(name.clone()).chain((2..).map(|count| format!("{name}-{count}")));
    let target = free.map(|name| dir.join(name)).find(|path| !path.exists()).unwrap_or_else(|| dir.join(name));
    fs::rename(store_path(dir, number), &target).map_err(|error| refused(dir, error))?;
    Ok(target)
}

#[cfg(test)]
mod tests;
