//! Mounts: `mount`, `umount2` and `move_mount`. The kernel tells that its mount table changed, and these tell who asked.
//!
//! What is asked for goes into the same record as a netlink request: [`RequestOpened`] with the flag [`IS_MOUNT`].

use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use tracker_ebpf::abi::{IS_MOUNT, MOUNT_PATH_BYTES, RequestOpened, kind, mount};

use crate::kernel::{Address, offset};
use crate::request::{self, argument, result};
use crate::send;
use crate::task;

/// `mount(source, target, type, flags, data)`.
#[tracepoint]
pub(crate) fn netdeed_mount(ctx: TracePointContext) -> u32 {
    open(mount::MOUNT, argument(&ctx, 1), argument(&ctx, 0), argument(&ctx, 3))
}

/// `mount` returns.
#[tracepoint]
pub(crate) fn netdeed_mount_done(ctx: TracePointContext) -> u32 {
    request::close(result(&ctx));
    0
}

/// `umount2(target, flags)`.
#[tracepoint]
pub(crate) fn netdeed_umount(ctx: TracePointContext) -> u32 {
    open(mount::UNMOUNT, argument(&ctx, 0), 0, argument(&ctx, 1))
}

/// `umount2` returns.
#[tracepoint]
pub(crate) fn netdeed_umount_done(ctx: TracePointContext) -> u32 {
    request::close(result(&ctx));
    0
}

/// `move_mount(from_dirfd, from, to_dirfd, to, flags)`.
#[tracepoint]
pub(crate) fn netdeed_move_mount(ctx: TracePointContext) -> u32 {
    open(mount::MOVE, argument(&ctx, 3), argument(&ctx, 1), argument(&ctx, 4))
}

/// `move_mount` returns.
#[tracepoint]
pub(crate) fn netdeed_move_mount_done(ctx: TracePointContext) -> u32 {
    request::close(result(&ctx));
    0
}

#[inline(always)]
fn open(call: u32, target: u64, from: u64, flags: u64) -> u32 {
    let Some((mut entry, sequence)) = send::reserve::<RequestOpened>(kind::REQUEST_OPENED) else { return 0 };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory, and its data has room for two paths.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::REQUEST_OPENED, sequence);
        (*record).total_bytes = flags;
        (*record).protocol = call;
        (*record).portid = 0;
        (*record).netns = mount_namespace().unwrap_or(0);
        (*record).flags = IS_MOUNT;
        let data = (&raw mut (*record).data).cast::<u8>();
        (*record).data_bytes = read_path(data, target);
        (*record).reserved = read_path(data.add(MOUNT_PATH_BYTES), from);
        task::fill_ancestry(&raw mut (*record).ancestry);
    }
    entry.submit(send::QUIETLY);
    request::begin(Address(0));
    0
}

/// The mount namespace of the current task.
#[inline(always)]
fn mount_namespace() -> Option<u32> {
    task::current().pointer(offset!(task_nsproxy))?.pointer(offset!(nsproxy_mnt_ns))?.read(offset!(mnt_inum))
}

/// Copies a path of the current process and says how long it is; 0 when it is not readable or does not fit.
///
/// # Safety
/// `to` must be writable for `MOUNT_PATH_BYTES`.
#[inline(always)]
unsafe fn read_path(to: *mut u8, path: u64) -> u32 {
    if path == 0 {
        return 0;
    }
    // SAFETY: `to` is writable for as much; the helper checks the source and ends the string within.
    let read = unsafe { bpf_probe_read_user_str(to.cast(), MOUNT_PATH_BYTES as u32, path as *const core::ffi::c_void) };
    if read > 1 && read < MOUNT_PATH_BYTES as i64 { read as u32 - 1 } else { 0 }
}
