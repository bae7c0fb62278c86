//! Legacy xtables: a table is replaced as a whole by one `setsockopt`, and the kernel notifies nobody.

use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::TracePointContext;
use tracker_ebpf::abi::sockopt::{ARPT_SO_SET_REPLACE, EBT_SO_SET_ENTRIES, IPT_SO_SET_REPLACE, SOL_IP, SOL_IPV6};
use tracker_ebpf::abi::{TABLE_NAME_BYTES, TableReplaced, kind};

use crate::kernel::read_user;
use crate::request::{argument, result};
use crate::send;
use crate::socket::{self, Descriptor};
use crate::task;

/// Replacements under way, by thread.
#[map]
static REPLACING: HashMap<u64, Replacing> = HashMap::with_max_entries(1_024, 0);

/// A replacement under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct Replacing {
    level: u32,
    option: u32,
    netns: u32,
    reserved: u32,
    table: [u8; TABLE_NAME_BYTES],
}

/// `setsockopt(fd, level, option, value, length)`: the value starts with the table's name.
#[tracepoint]
pub(crate) fn netdeed_setsockopt(ctx: TracePointContext) -> u32 {
    let level = argument(&ctx, 1) as u32;
    let option = argument(&ctx, 2) as u32;
    let replaces = match level {
        SOL_IP => option == IPT_SO_SET_REPLACE || option == ARPT_SO_SET_REPLACE || option == EBT_SO_SET_ENTRIES,
        SOL_IPV6 => option == IPT_SO_SET_REPLACE,
        _ => false,
    };
    if !replaces {
        return 0;
    }
    let Some(descriptor) = Descriptor::open(argument(&ctx, 0)) else { return 0 };
    if !descriptor.is_socket() {
        return 0;
    }
    let replacing = Replacing {
        level,
        option,
        netns: socket::netns(descriptor.sock).unwrap_or(0),
        reserved: 0,
        table: read_user(argument(&ctx, 3)).unwrap_or([0; TABLE_NAME_BYTES]),
    };
    if REPLACING.insert(task::current_ids(), replacing, 0).is_err() {
        send::lost(kind::TABLE_REPLACED);
    }
    0
}

/// `setsockopt` returns.
#[tracepoint]
pub(crate) fn netdeed_setsockopt_done(ctx: TracePointContext) -> u32 {
    let thread = task::current_ids();
    // SAFETY: only this thread inserts and removes its own key, so the value cannot be replaced while it is read.
    let Some(replacing) = (unsafe { REPLACING.get(thread) }) else { return 0 };
    let replacing = *replacing;
    let _ = REPLACING.remove(thread);
    if let Some((mut entry, sequence)) = send::reserve::<TableReplaced>(kind::TABLE_REPLACED) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe {
            task::fill_header(&raw mut (*record).header, kind::TABLE_REPLACED, sequence);
            task::fill_ancestry(&raw mut (*record).ancestry);
            (*record).result = result(&ctx);
            (*record).level = replacing.level;
            (*record).option = replacing.option;
            (*record).netns = replacing.netns;
            (*record).reserved = 0;
            (*record).table = replacing.table;
        }
        entry.submit(send::AWAKENING);
    }
    0
}
