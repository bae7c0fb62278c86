//! sled 0.34 behind [`Backend`]. The only file that knows sled.
//!
//! What is known of this release and dealt with here:
//! - A damaged file can make it panic, return an error or never return, at open and later. So every call runs under
//!   `catch_unwind`, and [`super::open()`] opens it on a thread with a deadline.
//! - After the first I/O error a handle fails for ever, for reads too, and a batch may be half visible through it:
//!   [`Backend::recover`] opens a new one. Opening writes, so on a full disk it takes space held in reserve for that, and
//!   nothing is written before the reserve is whole again.
//! - `flush` waits for `sync_file_range`, which writes neither metadata nor the disk's cache: `fdatasync` follows it.
//! - Leaves hold 16 values; a leaf beyond 128 KiB goes to a file of its own in `blobs`. So values are kept around 4 KiB
//!   where that is up to us.
//! - Its segment cleaner only runs in the periodic flush thread, so that thread is never turned off.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::backend::{Backend, Batch, Direction, KeyRange, RowVisitor};
use super::error::JournalError;

/// How long to wait for the threads of a handle just dropped to let go of the file.
const LOCK_DEADLINE: Duration = Duration::from_secs(3);

/// How often a locked file is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// Space held in reserve for opening the store on a full disk, bytes: two of sled's segments, and its snapshot.
const RESERVE: usize = 4 << 20;

/// How sled is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SledOptions {
    /// Bytes of pages kept in memory.
    pub cache_capacity: u64,
    /// Milliseconds after which what was applied is written without being asked to.
    pub flush_every_ms: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self { cache_capacity: 32 << 20, flush_every_ms: 500 }
    }
}

/// What went wrong inside: the source of every [`JournalError::Store`] from here.
#[derive(Debug, thiserror::Error)]
pub enum SledFailure {
    /// Another process has the file.
    #[error("its file is locked")]
    Locked,
    /// The system refused something: the disk or the permissions, not the content.
    #[error("the system refused it")]
    System(#[source] io::Error),
    /// Its files are not what sled wrote, or sled gave up on them.
    #[error("{0}")]
    Damaged(String),
}

/// One sled tree, in a directory of its own.
pub struct SledBackend {
    path: PathBuf,
    options: SledOptions,
    handle: RwLock<Option<Arc<Handle>>>,
    /// A write failed since the store was opened.
    is_broken: AtomicBool,
    /// Nothing needs to be done for the reserve before the next write.
    has_reserve: AtomicBool,
}

struct Handle {
    db: sled::Db,
    // the same file again: sled does not give out its own descriptor
    file: File,
}

impl SledBackend {
    /// Opens or makes the store in `path`. Can hang on damaged files: call it where that may be waited for.
    ///
    /// # Errors
    /// [`SledFailure`]; panics of sled are [`SledFailure::Damaged`].
    pub fn open(path: &Path, options: SledOptions) -> Result<Self, SledFailure> {
        let handle = open_handle(path, options)?;
        Ok(Self {
            path: path.to_owned(),
            options,
            handle: RwLock::new(Some(Arc::new(handle))),
            is_broken: AtomicBool::new(false),
            has_reserve: AtomicBool::new(false),
        })
    }

    /// The handle in use, held without the lock: a long scan must not keep [`Backend::recover`] from taking it.
    fn handle(&self, operation: &'static str) -> Result<Arc<Handle>, JournalError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        let closed = || SledFailure::System(io::Error::other("the store could not be opened again"));
        handle.ok_or_else(|| store_error(operation, closed()))
    }

    /// As [`SledBackend::with`], for work whose failure leaves the handle unusable.
    fn write_with(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Handle) -> Result<(), sled::Error>,
    ) -> Result<(), JournalError> {
        self.with(operation, work).inspect_err(|_| self.is_broken.store(true, Ordering::Release))
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Makes the reserve whole, so that a disk that is full is noticed before sled notices.
    fn ensure_reserve(&self) -> Result<(), JournalError> {
        if self.has_reserve.load(Ordering::Acquire) {
            return Ok(());
        }
        let path = self.reserve();
        let is_there = std::fs::metadata(&path).is_ok_and(|reserve| reserve.len() == RESERVE as u64);
        if let Err(error) = if is_there { Ok(()) } else { fill(&path) } {
            drop(std::fs::remove_file(&path));
            return Err(store_error("write a batch", SledFailure::System(error)));
        }
        self.has_reserve.store(true, Ordering::Release);
        Ok(())
    }

    /// Runs `work` on the tree; panics of sled become errors.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Handle) -> Result<T, sled::Error>,
    ) -> Result<T, JournalError> {
        let handle = self.handle(operation)?;
        match catch_unwind(AssertUnwindSafe(|| work(&handle))) {
            Ok(result) => result.map_err(|error| store_error(operation, classify(error))),
            Err(panic) => Err(store_error(operation, SledFailure::Damaged(panic_text(&*panic)))),
        }
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        self.with("read a row", |handle| Ok(handle.db.get(key)?.map(|value| value.to_vec())))
    }

    fn apply(&self, batch: &Batch) -> Result<(), JournalError> {
        let mut writes = sled::Batch::default();
        for (key, value) in batch.rows() {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        self.ensure_reserve()?;
        self.write_with("write a batch", |handle| handle.db.apply_batch(writes))
    }

    fn scan(&self, range: KeyRange, direction: Direction, visitor: RowVisitor<'_>) -> Result<(), JournalError> {
        let KeyRange { start, end } = range;
        if start >= end {
            return Ok(());
        }
        let handle = self.handle("read rows")?;
        let mut rows = handle.db.range(start..end);
        loop {
            // the visitor runs outside, so that its panics stay its own
            let row = match catch_unwind(AssertUnwindSafe(|| match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            })) {
                Ok(row) => row,
                Err(panic) => return Err(store_error("read rows", SledFailure::Damaged(panic_text(&*panic)))),
            };
            match row {
                None => return Ok(()),
                Some(Err(error)) => return Err(store_error("read rows", classify(error))),
                Some(Ok((key, value))) => {
                    if let ControlFlow::Break(()) = visitor(&key, &value) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn flush(&self) -> Result<(), JournalError> {
        self.write_with("flush", |handle| {
            handle.db.flush()?;
            handle.file.sync_data().map_err(sled::Error::Io)
        })
    }

    fn size_on_disk(&self) -> Result<u64, JournalError> {
        self.with("read the size", |handle| handle.db.size_on_disk())
    }

    fn recover(&self) -> Result<bool, JournalError> {
        if !self.is_broken.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.has_reserve.store(false, Ordering::Release);
        if let Err(error) = std::fs::remove_file(self.reserve()).or_else(ignore_missing) {
            return Err(store_error("open again", SledFailure::System(error)));
        }
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        drop(catch_unwind(AssertUnwindSafe(|| drop(handle.take()))));
        let opened = open_handle(&self.path, self.options).map_err(|failure| store_error("open again", failure))?;
        *handle = Some(Arc::new(opened));
        self.is_broken.store(false, Ordering::Release);
        Ok(true)
    }
}

/// Whether so much can be written in a directory that sled can be opened in it.
pub(super) fn probe_space(dir: &Path) -> io::Result<()> {
    let path = dir.join("space.probe");
    let written = fill(&path);
    std::fs::remove_file(&path).or_else(ignore_missing)?;
    written
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0x5a; RESERVE])?;
    file.sync_data()
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[expect(clippy::disallowed_methods, reason = "sled offers no way to wait for its lock")]
fn open_handle(path: &Path, options: SledOptions) -> Result<Handle, SledFailure> {
    let SledOptions { cache_capacity, flush_every_ms } = options;
    let config =
        sled::Config::new().path(path).cache_capacity(cache_capacity).flush_every_ms(Some(flush_every_ms.max(1)));
    let deadline = Instant::now() + LOCK_DEADLINE;
    loop {
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened.map_err(|panic| SledFailure::Damaged(panic_text(&*panic)))?.map_err(classify) {
            // a handle just dropped keeps its lock until its threads are gone
            Err(SledFailure::Locked) if Instant::now() < deadline => std::thread::sleep(RETRY),
            Err(failure) => return Err(failure),
            Ok(db) => {
                let file = OpenOptions::new().write(true).open(path.join("db")).map_err(SledFailure::System)?;
                return Ok(Handle { db, file });
            }
        }
    }
}

/// What an error of sled's says: about the file's lock, about the system or about the content.
fn classify(error: sled::Error) -> SledFailure {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => SledFailure::Locked,
        sled::Error::Io(error) => match (error.raw_os_error(), error.kind()) {
            // a file that is missing, or an offset beyond what a file can have: content
            (Some(libc::ENOENT | libc::EINVAL), _) | (None, _) if !is_of_the_system(error.kind()) => {
                SledFailure::Damaged(error.to_string())
            }
            _ => SledFailure::System(error),
        },
        other => SledFailure::Damaged(other.to_string().trim_end_matches(" backtrace ()").to_owned()),
    }
}

/// sled clones errors by kind and loses the number.
fn is_of_the_system(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::OutOfMemory
    )
}

fn store_error(operation: &'static str, source: SledFailure) -> JournalError {
    JournalError::Store { operation, source: Box::new(source) }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("sled panicked: {}", text.unwrap_or("no message"))
}
