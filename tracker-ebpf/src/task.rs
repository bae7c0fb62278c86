//! The start of every record: the current task and its ancestors.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task,
    bpf_get_current_uid_gid, bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_probe_read_kernel,
};
use tracker_ebpf::abi::{ABI_VERSION, ANCESTORS, Ancestor, Ancestry, COMM_BYTES, Header, UNSET_UID};

use crate::kernel::{Address, offset};

/// The current task.
#[inline(always)]
pub(crate) fn current() -> Address {
    // SAFETY: a helper without arguments.
    Address(unsafe { bpf_get_current_task() })
}

/// Thread group id (high half) and thread id (low half) of the current task.
#[inline(always)]
pub(crate) fn current_ids() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Fills the header for the current task.
///
/// # Safety
/// `header` must be writable.
#[inline(always)]
pub(crate) unsafe fn fill_header(header: *mut Header, kind: u16, sequence: u64) {
    let task = current();
    let ids = current_ids();
    let start = task
        .pointer(offset!(task_group_leader))
        .and_then(|leader| leader.read::<u64>(offset!(task_start_boottime)))
        .unwrap_or(0);
    let login_uid = task.read::<u32>(offset!(task_loginuid)).unwrap_or(UNSET_UID);
    // SAFETY: `header` is writable, the helpers take no other memory.
    unsafe {
        (*header).kind = kind;
        (*header).abi = ABI_VERSION;
        (*header).cpu = bpf_get_smp_processor_id();
        (*header).sequence = sequence;
        (*header).time = bpf_ktime_get_boot_ns();
        (*header).start = start;
        (*header).cgroup_id = bpf_get_current_cgroup_id();
        (*header).tgid = (ids >> 32) as u32;
        (*header).tid = ids as u32;
        (*header).uid = bpf_get_current_uid_gid() as u32;
        (*header).login_uid = login_uid;
        (*header).netns = netns_of_task(task).unwrap_or(0);
        (*header).reserved = 0;
        bpf_get_current_comm((&raw mut (*header).comm).cast(), COMM_BYTES as u32);
    }
}

/// The network namespace a task is in.
#[inline(always)]
fn netns_of_task(task: Address) -> Option<u32> {
    task.pointer(offset!(task_nsproxy))?.pointer(offset!(nsproxy_net_ns))?.read(offset!(net_inum))
}

/// Cookie of the network namespace a task is in: unlike its inode number, no other gets it before the next boot.
#[inline(always)]
pub(crate) fn netns_cookie(task: Address) -> Option<u64> {
    task.pointer(offset!(task_nsproxy))?.pointer(offset!(nsproxy_net_ns))?.read(offset!(net_cookie))
}

/// Session number of the kernel's audit.
#[inline(always)]
pub(crate) fn audit_session(task: Address) -> Option<u32> {
    task.read(offset!(task_sessionid))
}

/// Device number of a process' controlling terminal, the major one from bit 20 on.
#[inline(always)]
pub(crate) fn terminal(task: Address) -> Option<u32> {
    let tty = task.pointer(offset!(task_signal))?.pointer(offset!(signal_tty))?;
    let driver = tty.pointer(offset!(tty_driver))?;
    let major = driver.read::<u32>(offset!(driver_major))?;
    let minor = driver.read::<u32>(offset!(driver_minor))?.wrapping_add(tty.read::<u32>(offset!(tty_index))?);
    Some((major << 20) | (minor & 0xf_ffff))
}

/// A task's number in its own pid namespace; `None` where that is the first one.
#[inline(always)]
pub(crate) fn inner_id(task: Address) -> Option<u32> {
    /// `sizeof(struct upid)`, which begins with the number.
    const UPID: u64 = 16;
    /// `MAX_PID_NS_LEVEL`.
    const DEEPEST: u32 = 32;
    let pid = task.pointer(offset!(task_thread_pid))?;
    let level = pid.read::<u32>(offset!(pid_level))?;
    if level == 0 || level > DEEPEST {
        return None;
    }
    Address(pid.0 + u64::from(level) * UPID).read(offset!(pid_numbers))
}

/// Fills the ancestors of the current task, parent first, to the first process or until the record is full.
///
/// # Safety
/// `ancestry` must be writable.
#[inline(always)]
pub(crate) unsafe fn fill_ancestry(ancestry: *mut Ancestry) {
    let mut count = 0;
    let mut leader = current().pointer(offset!(task_group_leader));
    for index in 0..ANCESTORS {
        // SAFETY: `index` is within the array.
        let entry = unsafe { &raw mut (*ancestry).entries[index] };
        // SAFETY: `entry` is writable.
        leader = leader.and_then(|task| unsafe { fill_parent(entry, task) });
        if leader.is_none() {
            break;
        }
        count += 1;
    }
    // SAFETY: `ancestry` is writable.
    unsafe {
        (*ancestry).count = count;
        (*ancestry).reserved = 0;
    }
}

/// Fills the leader of the parent of a group leader and returns it; `None` above the first process.
///
/// # Safety
/// `entry` must be writable.
#[inline(always)]
unsafe fn fill_parent(entry: *mut Ancestor, leader: Address) -> Option<Address> {
    let parent = leader.pointer(offset!(task_real_parent))?.pointer(offset!(task_group_leader))?;
    let tgid = parent.read::<u32>(offset!(task_tgid))?;
    // The idle task is its own parent and no process.
    if tgid == 0 {
        return None;
    }
    let start = parent.read::<u64>(offset!(task_start_boottime))?;
    let comm = parent.member(offset!(task_comm))?;
    // SAFETY: `entry` is writable; the helper checks the source.
    unsafe {
        (*entry).start = start;
        (*entry).tgid = tgid;
        (*entry).reserved = 0;
        bpf_probe_read_kernel((&raw mut (*entry).comm).cast(), COMM_BYTES as u32, comm.cast());
    }
    Some(parent)
}
