//! The ring's own positions, to tell an empty ring from one whose next record is still being filled.
//!
//! aya's reader answers `None` to both. After a notification the difference matters: see the module above.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One page of the ring map, shared with the kernel, read only.
struct Page {
    address: NonNull<libc::c_void>,
    bytes: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only read, atomically.
unsafe impl Send for Page {}

impl Page {
    fn map(fd: BorrowedFd<'_>, index: usize, bytes: usize) -> io::Result<Self> {
        let offset = libc::off_t::try_from(index * bytes).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address the kernel chooses touches no memory of ours.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, fd.as_raw_fd(), offset)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { address, bytes })
    }

    fn position(&self) -> usize {
        // SAFETY: the page is mapped as long as `self` lives, aligned, and starts with this word, which the kernel and
        // aya write atomically.
        unsafe { self.address.cast::<AtomicUsize>().as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length and not handed out.
        unsafe { libc::munmap(self.address.as_ptr(), self.bytes) };
    }
}

/// Bytes of a page of memory.
pub(super) fn page_bytes() -> usize {
    // SAFETY: takes no memory.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

/// The two positions of a ring: the first page holds the consumer's, the second the producers'. See
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/ringbuf.c#L26-L78>.
pub(super) struct Positions {
    consumer: Page,
    producer: Page,
}

impl Positions {
    pub(super) fn map(ring: BorrowedFd<'_>) -> io::Result<Self> {
        let page = page_bytes();
        Ok(Self { consumer: Page::map(ring, 0, page)?, producer: Page::map(ring, 1, page)? })
    }

    /// Whether the ring holds a record, finished or not.
    pub(super) fn is_pending(&self) -> bool {
        self.consumer.position() != self.producer.position()
    }
}
