//! sled 0.34 behind [`Backend`]. The only file that knows sled.
//!
//! What is known of this release and dealt with here:
//! - A damaged file can make it panic, return an error or never return, at open and later. So every call runs under
//!   `catch_unwind`, and [`super::open`] opens it on a thread with a deadline.
//! - After the first I/O error a handle fails for ever, and a batch may be half visible through it: [`Backend::recover`]
//!   opens a new one, once there is space again.
//! - `flush` waits for `sync_file_range`, which writes neither metadata nor the disk's cache: `fdatasync` follows it.
//! - Leaves hold 16 values; a leaf beyond 128 KiB goes to a file of its own in `blobs`. So values are kept around 4 KiB
//!   where that is up to us.
//! - Its segment cleaner only runs in the periodic flush thread, so that thread is never turned off.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::backend::{Backend, Batch, Direction, KeyRange, RowVisitor};
use super::error::JournalError;

/// How long to wait for the threads of a handle just dropped to let go of the file.
const LOCK_DEADLINE: Duration = Duration::from_secs(3);

/// How often a locked file is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// Space that must be free before the store is opened again, bytes: two of sled's segments.
const PROBE: usize = 1 << 20;

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
        Ok(Self { path: path.to_owned(), options, handle: RwLock::new(Some(Arc::new(handle))) })
    }

    /// The handle in use, held without the lock: a long scan must not keep [`Backend::recover`] from taking it.
    fn handle(&self, operation: &'static str) -> Result<Arc<Handle>, JournalError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        let closed = || SledFailure::System(io::Error::other("the store could not be opened again"));
        handle.ok_or_else(|| store_error(operation, closed()))
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
        self.with("write a batch", |handle| handle.db.apply_batch(writes))
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
        self.with("flush", |handle| {
            handle.db.flush()?;
            handle.file.sync_data().map_err(sled::Error::Io)
        })
    }

    fn size_on_disk(&self) -> Result<u64, JournalError> {
        self.with("read the size", |handle| handle.db.size_on_disk())
    }

    fn recover(&self) -> Result<(), JournalError> {
        let failed = |failure| store_error("open again", failure);
        // while this fails the old handle stays: what it has in memory can still be read
        probe_space(&self.path).map_err(|error| failed(SledFailure::System(error)))?;
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        drop(catch_unwind(AssertUnwindSafe(|| drop(handle.take()))));
        let opened = open_handle(&self.path, self.options);
        *handle = Some(Arc::new(opened.map_err(failed)?));
        Ok(())
    }
}

/// Whether so much can be written in a directory that sled can be opened in it.
pub(super) fn probe_space(dir: &Path) -> io::Result<()> {
    let path = dir.join("space.probe");
    let mut file = File::create(&path)?;
    let written = io::Write::write_all(&mut file, &vec![0x5a; PROBE]).and_then(|()| file.sync_data());
    std::fs::remove_file(&path)?;
    written
}

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
        other => SledFailure::Damaged(other.to_string()),
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
