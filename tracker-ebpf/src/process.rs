//! Processes: fork, exec and exit. Raw tracepoints, which need no tracefs.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracker_ebpf::abi::{
    EXE_BYTES, ExecHead, ExecLong, ExecShort, Exit, Fork, LONG_ARGV_BYTES, LONG_ENV_BYTES, SHORT_ARGV_BYTES,
    SHORT_ENV_BYTES, UNSET_SESSION, kind,
};

use crate::cgroup::Cgroup;
use crate::kernel::{Address, offset, read_user_bytes};
use crate::send;
use crate::task;

/// `sched_process_fork(parent, child)`: runs in the parent, before the child is woken.
#[raw_tracepoint]
pub(crate) fn netdeed_fork(ctx: RawTracePointContext) -> u32 {
    let child = Address(ctx.arg::<u64>(1));
    let (Some(tid), Some(tgid)) = (child.read::<u32>(offset!(task_pid)), child.read::<u32>(offset!(task_tgid))) else {
        return 0;
    };
    if tid != tgid {
        return 0;
    }
    let child_start = child.read::<u64>(offset!(task_start_boottime)).unwrap_or(0);
    if let Some((mut entry, sequence)) = send::reserve::<Fork>(kind::FORK) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe {
            task::fill_header(&raw mut (*record).header, kind::FORK, sequence);
            task::fill_ancestry(&raw mut (*record).ancestry);
            (*record).child_start = child_start;
            (*record).child_tgid = tgid;
            (*record).child_inner_tgid = task::inner_id(child).unwrap_or(0);
        }
        entry.submit(send::QUIETLY);
    }
    0
}

/// Where the arguments and the environment of the current process are.
struct Image {
    argv: u64,
    argv_total: u64,
    env: u64,
    env_total: u64,
}

/// The memory areas `execve` has just filled.
#[inline(always)]
fn image() -> Image {
    let mm = task::current().pointer(offset!(task_mm)).unwrap_or(Address(0));
    let argv = mm.read::<u64>(offset!(mm_arg_start)).unwrap_or(0);
    let argv_end = mm.read::<u64>(offset!(mm_arg_end)).unwrap_or(0);
    let env = mm.read::<u64>(offset!(mm_env_start)).unwrap_or(0);
    let env_end = mm.read::<u64>(offset!(mm_env_end)).unwrap_or(0);
    Image { argv, argv_total: argv_end.saturating_sub(argv), env, env_total: env_end.saturating_sub(env) }
}

/// `sched_process_exec(task, old_pid, bprm)`: the new image is in place, its first instruction has not run.
#[raw_tracepoint]
pub(crate) fn netdeed_exec(ctx: RawTracePointContext) -> u32 {
    let filename = Address(ctx.arg::<u64>(2)).pointer(offset!(binprm_filename)).unwrap_or(Address(0));
    let image = image();
    if image.argv_total <= SHORT_ARGV_BYTES as u64 && image.env_total <= SHORT_ENV_BYTES as u64 {
        if let Some((mut entry, sequence)) = send::reserve::<ExecShort>(kind::EXEC) {
            let record = entry.as_mut_ptr();
            // SAFETY: the record is reserved ring memory.
            unsafe {
                let argv = (&raw mut (*record).argv).cast::<u8>();
                let env = (&raw mut (*record).env).cast::<u8>();
                let areas = Areas {
                    argv_capacity: SHORT_ARGV_BYTES as u32,
                    argv_bytes: read_user_bytes(argv, SHORT_ARGV_BYTES as u32, image.argv, image.argv_total),
                    env_bytes: read_user_bytes(env, SHORT_ENV_BYTES as u32, image.env, image.env_total),
                };
                fill_exec(&raw mut (*record).head, sequence, filename, &image, &areas);
            }
            // SAFETY: filled above.
            entry.submit(unsafe { how(&raw const (*record).head) });
        }
    } else if let Some((mut entry, sequence)) = send::reserve::<ExecLong>(kind::EXEC) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe {
            let argv = (&raw mut (*record).argv).cast::<u8>();
            let env = (&raw mut (*record).env).cast::<u8>();
            let areas = Areas {
                argv_capacity: LONG_ARGV_BYTES as u32,
                argv_bytes: read_user_bytes(argv, LONG_ARGV_BYTES as u32, image.argv, image.argv_total),
                env_bytes: read_user_bytes(env, LONG_ENV_BYTES as u32, image.env, image.env_total),
            };
            fill_exec(&raw mut (*record).head, sequence, filename, &image, &areas);
        }
        // SAFETY: filled above.
        entry.submit(unsafe { how(&raw const (*record).head) });
    }
    0
}

/// What was read behind the head of an exec record.
struct Areas {
    argv_capacity: u32,
    argv_bytes: u32,
    env_bytes: u32,
}

/// Fills everything of fixed size.
///
/// # Safety
/// `head` must be writable.
#[inline(always)]
unsafe fn fill_exec(head: *mut ExecHead, sequence: u64, filename: Address, image: &Image, areas: &Areas) {
    // SAFETY: `head` is writable; the helper checks the source and ends the string within `exe`.
    unsafe {
        task::fill_header(&raw mut (*head).header, kind::EXEC, sequence);
        task::fill_ancestry(&raw mut (*head).ancestry);
        let read = bpf_probe_read_kernel_str(
            (&raw mut (*head).exe).cast(),
            EXE_BYTES as u32,
            filename.0 as *const core::ffi::c_void,
        );
        // A path that fills the field was probably cut; a cut path names another program.
        let fits = read > 1 && read < EXE_BYTES as i64;
        (*head).exe_bytes = if fits { read as u32 - 1 } else { 0 };
        (*head).argv_capacity = areas.argv_capacity;
        (*head).argv_bytes = areas.argv_bytes;
        (*head).argv_total = image.argv_total as u32;
        (*head).env_bytes = areas.env_bytes;
        (*head).env_total = image.env_total as u32;
        let cgroup = Cgroup::current_v1().unwrap_or(Cgroup { hierarchy: 0, id: 0 });
        (*head).v1_hierarchy = cgroup.hierarchy;
        (*head).v1_cgroup_id = cgroup.id;
        let task = task::current();
        (*head).audit_session = task::audit_session(task).unwrap_or(UNSET_SESSION);
        (*head).netns_cookie = task::netns_cookie(task).unwrap_or(0);
        (*head).terminal = task::terminal(task).unwrap_or(0);
        (*head).inner_tgid = task::inner_id(task).unwrap_or(0);
    }
}

/// How an exec record is submitted. What was executed through a descriptor has no path of its own: the reader finds it in
/// /proc, while the process lives.
///
/// # Safety
/// `head` must be filled.
#[inline(always)]
unsafe fn how(head: *const ExecHead) -> u64 {
    const DEV_FD: [u8; 8] = *b"/dev/fd/";
    const PROC: [u8; 6] = *b"/proc/";
    // SAFETY: `head` is filled, and `exe` is longer than both.
    let (has_path, start, begin) = unsafe {
        (
            (*head).exe_bytes != 0,
            *(&raw const (*head).exe).cast::<[u8; 8]>(),
            *(&raw const (*head).exe).cast::<[u8; 6]>(),
        )
    };
    if has_path && start != DEV_FD && begin != PROC && !send::is_filling() { send::QUIETLY } else { send::AWAKENING }
}

/// `sched_process_exit(task)`: only the last thread of a process is of interest.
///
/// `signal->live` has been counted down by then. (Kernels from 6.16 on pass the answer as an argument, but reading it
/// would keep the program from attaching on older ones.)
#[raw_tracepoint]
pub(crate) fn netdeed_exit(_ctx: RawTracePointContext) -> u32 {
    let live =
        task::current().pointer(offset!(task_signal)).and_then(|signal| signal.read::<i32>(offset!(signal_live)));
    if live != Some(0) {
        return 0;
    }
    if let Some((mut entry, sequence)) = send::reserve::<Exit>(kind::EXIT) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe { task::fill_header(&raw mut (*record).header, kind::EXIT, sequence) };
        entry.submit(send::QUIETLY);
    }
    0
}
