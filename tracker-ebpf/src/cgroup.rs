//! Cgroups: which one a process is in, and what they are called. A record carries a number; the path behind it was sent
//! when the cgroup was made, so nobody has to ask while the process still lives.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracker_ebpf::abi::{CGROUP_PATH_BYTES, CgroupNamed, kind};

use crate::kernel::{Address, offset};
use crate::send;
use crate::task;

/// A cgroup: hierarchy and number in it.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup {
    pub(crate) hierarchy: u32,
    pub(crate) id: u64,
}

impl Cgroup {
    #[inline(always)]
    fn of(cgroup: Address) -> Option<Self> {
        let hierarchy = cgroup.pointer(offset!(cgroup_root))?.read::<u32>(offset!(root_hierarchy))?;
        let id = cgroup.pointer(offset!(cgroup_kn))?.read::<u64>(offset!(kernfs_id))?;
        Some(Self { hierarchy, id })
    }

    /// The current task's in the v1 hierarchy that the loader chose.
    #[inline(always)]
    pub(crate) fn current_v1() -> Option<Self> {
        let css = task::current().pointer(offset!(task_cgroups))?.pointer(offset!(css_set_controller))?;
        Self::of(css.pointer(offset!(css_cgroup))?)
    }
}

/// `cgroup_mkdir(cgroup, path)`: before the directory can be seen.
#[raw_tracepoint]
pub(crate) fn netdeed_cgroup_made(ctx: RawTracePointContext) -> u32 {
    named(&ctx)
}

/// `cgroup_rename(cgroup, path)`: of v1 only.
#[raw_tracepoint]
pub(crate) fn netdeed_cgroup_renamed(ctx: RawTracePointContext) -> u32 {
    named(&ctx)
}

#[inline(always)]
fn named(ctx: &RawTracePointContext) -> u32 {
    let Some(cgroup) = Cgroup::of(Address(ctx.arg::<u64>(0))) else { return 0 };
    let path = ctx.arg::<u64>(1);
    let Some((mut entry, sequence)) = send::reserve::<CgroupNamed>(kind::CGROUP_NAMED) else { return 0 };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory; the helper checks the source and ends the string within `path`.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::CGROUP_NAMED, sequence);
        let read = bpf_probe_read_kernel_str(
            (&raw mut (*record).path).cast(),
            CGROUP_PATH_BYTES as u32,
            path as *const core::ffi::c_void,
        );
        (*record).path_bytes = if read > 1 { read as u32 - 1 } else { 0 };
        (*record).hierarchy = cgroup.hierarchy;
        (*record).id = cgroup.id;
    }
    entry.submit(send::QUIETLY);
    0
}
