//! The ring, and the account of what did not fit.

use aya_ebpf::macros::map;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use tracker_ebpf::abi::slot;

/// Every record goes through this one ring, so that user space sees fork, exec and request in the order they happened,
/// whatever CPUs they happened on. The loader sets the size.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// How a record is submitted that somebody will come for: the reader of the notification it explains, or the next turn
/// of the capture loop. Waking the reader costs ten times what making the record does, and the recorded task pays.
pub(crate) const QUIETLY: u64 = 1; // BPF_RB_NO_WAKEUP

/// How a record is submitted that should be read while its process still lives, that nothing else tells of, or that the
/// ring has little room for. Forced,
/// since the kernel does not wake a reader that has quiet records before it.
pub(crate) const AWAKENING: u64 = 2; // BPF_RB_FORCE_WAKEUP

/// `BPF_RB_AVAIL_DATA` and `BPF_RB_RING_SIZE`.
const UNREAD: u64 = 0;
const SIZE: u64 = 1;

/// Whether a quarter of the ring waits to be read: a storm, that the reader's next turn may come too late for.
#[inline(always)]
pub(crate) fn is_filling() -> bool {
    RECORDS.query(UNREAD) > RECORDS.query(SIZE) / 4
}

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(slot::COUNT, 0);

/// Adds one to a counter of this CPU and returns what it was.
#[inline(always)]
fn count(slot: u32) -> u64 {
    let Some(counter) = COUNTERS.get_ptr_mut(slot) else { return 0 };
    // SAFETY: the kernel gave a valid slot of this CPU; tracing programs do not migrate while they run.
    unsafe {
        let before = *counter;
        *counter = before + 1;
        before
    }
}

/// Counts a record of `kind` that should have been sent.
#[inline(always)]
pub(crate) fn lost(kind: u16) {
    count(u32::from(kind));
}

/// Reserves room for a record and returns it with its sequence number. A full ring is counted.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(kind: u16) -> Option<(RingBufEntry<T>, u64)> {
    let sequence = count(slot::attempts(kind));
    match RECORDS.reserve::<T>(0) {
        Some(entry) => Some((entry, sequence)),
        None => {
            lost(kind);
            None
        }
    }
}
