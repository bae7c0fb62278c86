//! Reading kernel structures at the offsets of the running kernel.

use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user};
use tracker_ebpf::abi::{ABSENT, Offsets};

/// Set by the loader, then frozen.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::ABSENT;

/// The offset of one member. Read field by field and volatile: the compiler must not use the initial value, and the
/// verifier takes a load from frozen memory as a constant.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: a live, aligned static.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::OFFSETS.$field) }
    };
}
pub(crate) use offset;

/// Address of a kernel object; null and absent members make reads fail, they are not dereferenced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) u64);

impl Address {
    /// The address of a member, `None` when the object is null or the member absent.
    #[inline(always)]
    pub(crate) fn member(self, offset: u32) -> Option<*const u8> {
        if self.0 == 0 || offset == ABSENT {
            return None;
        }
        Some((self.0 + u64::from(offset)) as *const u8)
    }

    /// Reads a member.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, offset: u32) -> Option<T> {
        let member = self.member(offset)?;
        // SAFETY: the helper checks the address and fails on any that cannot be read.
        unsafe { bpf_probe_read_kernel(member.cast::<T>()) }.ok()
    }

    /// Reads a member that is a pointer; `None` also when it is null.
    #[inline(always)]
    pub(crate) fn pointer(self, offset: u32) -> Option<Self> {
        match self.read::<u64>(offset) {
            Some(0) | None => None,
            Some(address) => Some(Self(address)),
        }
    }
}

/// Reads memory of the current process; `None` when it is not there, or not paged in.
#[inline(always)]
pub(crate) fn read_user<T: Copy>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails on any that cannot be read.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Reads up to `capacity` bytes of the current process to `to`, and says how many: all or none.
///
/// # Safety
/// `to` must be writable for `capacity` bytes.
#[inline(always)]
pub(crate) unsafe fn read_user_bytes(to: *mut u8, capacity: u32, address: u64, bytes: u64) -> u32 {
    let capacity = u64::from(capacity);
    // The compiler would otherwise spread the bound over 32-bit operations and copies of the register, where verifiers up
    // to 6.1 at least lose it. Behind the black box it has to compare the very value that goes to the helper.
    let count = core::hint::black_box(if bytes > capacity { capacity } else { bytes });
    if count == 0 || count > capacity {
        return 0;
    }
    // SAFETY: at most `capacity` bytes are written; the helper checks the source.
    let result = unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_user(to.cast(), count as u32, address as *const core::ffi::c_void)
    };
    if result == 0 { count as u32 } else { 0 }
}

/// Reads `bytes` of the current process to `to`, and says whether it could.
///
/// # Safety
/// `to` must be writable for `bytes`.
#[inline(always)]
pub(crate) unsafe fn read_user_whole(to: *mut u8, bytes: u32, address: u64) -> bool {
    // SAFETY: that many bytes are writable; the helper checks the source.
    let result = unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_user(to.cast(), bytes, address as *const core::ffi::c_void)
    };
    result == 0
}

/// Reads up to `capacity` bytes of kernel memory to `to`, and says how many: all or none.
///
/// # Safety
/// `to` must be writable for `capacity` bytes.
#[inline(always)]
pub(crate) unsafe fn read_kernel_bytes(to: *mut u8, capacity: u32, from: Address, bytes: u64) -> u32 {
    let capacity = u64::from(capacity);
    // as in `read_user_bytes`
    let count = core::hint::black_box(if bytes > capacity { capacity } else { bytes });
    if count == 0 || count > capacity {
        return 0;
    }
    // SAFETY: at most `capacity` bytes are written; the helper checks the source.
    let result = unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_kernel(to.cast(), count as u32, from.0 as *const core::ffi::c_void)
    };
    if result == 0 { count as u32 } else { 0 }
}
