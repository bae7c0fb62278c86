//! What is asked for by `setsockopt`: replacements of legacy xtables tables, and changes of IPVS as tools make them that know
//! no generic netlink.
//!
//! A legacy table is replaced as a whole by one call, and the kernel notifies nobody.
//!
//! What the table is replaced with is copied at the entry of the call, so that it belongs to this very call. It has a
//! ring of its own: a large table must not take the room of other records. What does not fit is left out, and the record
//! at the end of the call says how much was copied.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::{HashMap, RingBuf};
use aya_ebpf::programs::TracePointContext;
use tracker_ebpf::abi::sockopt::{
    ARPT_SO_SET_REPLACE, EBT_SO_SET_ENTRIES, IP_VS_SO_SET_ADD, IP_VS_SO_SET_EDITDEST, IPT_SO_SET_REPLACE, IPVS_BYTES,
    SOL_IP, SOL_IPV6,
};
use tracker_ebpf::abi::{
    ABI_VERSION, BRIDGE_ENTRIES_AT, BRIDGE_HEAD_BYTES, IS_SOCKOPT, RequestOpened, TABLE_CHUNK_BYTES, TABLE_CHUNKS,
    TABLE_NAME_BYTES, TableChunk, TableOpened, TableReplaced, kind,
};

use crate::kernel::{read_user, read_user_bytes, read_user_whole};
use crate::request::{self, argument, result};
use crate::send;
use crate::socket::{self, Descriptor};
use crate::task;

/// Replacements under way, by thread.
#[map]
static REPLACING: HashMap<u64, Replacing> = HashMap::with_max_entries(1_024, 0);

/// What tables are replaced with. The loader sets the size.
#[map]
static TABLES: RingBuf = RingBuf::with_byte_size(1 << 23, 0);

/// A replacement under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct Replacing {
    opened: u64,
    level: u32,
    option: u32,
    netns: u32,
    total: u32,
    copied: u32,
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
    if level == SOL_IP && (IP_VS_SO_SET_ADD..=IP_VS_SO_SET_EDITDEST).contains(&option) {
        ask_ipvs(&ctx, option);
        return 0;
    }
    if !replaces {
        return 0;
    }
    let Some(descriptor) = Descriptor::open(argument(&ctx, 0)) else { return 0 };
    if !descriptor.is_socket() {
        return 0;
    }
    // SAFETY: a helper without arguments.
    let opened = unsafe { bpf_ktime_get_boot_ns() };
    let replacing = Replacing {
        opened,
        level,
        option,
        netns: socket::netns(descriptor.sock).unwrap_or(0),
        total: argument(&ctx, 4) as u32,
        copied: 0,
        reserved: 0,
        table: read_user(argument(&ctx, 3)).unwrap_or([0; TABLE_NAME_BYTES]),
    };
    announce(&replacing);
    if REPLACING.insert(task::current_ids(), replacing, 0).is_err() {
        send::lost(kind::TABLE_REPLACED);
    }
    0
}

/// Tells what is asked of IPVS.
#[inline(always)]
fn ask_ipvs(ctx: &TracePointContext, option: u32) {
    let Some(descriptor) = Descriptor::open(argument(ctx, 0)) else { return };
    if !descriptor.is_socket() {
        return;
    }
    let Some((mut entry, sequence)) = send::reserve::<RequestOpened>(kind::REQUEST_OPENED) else { return };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory, whose data has room for as much.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::REQUEST_OPENED, sequence);
        (*record).protocol = option;
        (*record).portid = 0;
        (*record).netns = socket::netns(descriptor.sock).unwrap_or(0);
        (*record).flags = IS_SOCKOPT;
        let (value, bytes) = (argument(ctx, 3), argument(ctx, 4));
        (*record).data_bytes = read_user_bytes((&raw mut (*record).data).cast(), IPVS_BYTES as u32, value, bytes);
        (*record).total_bytes = u64::from((*record).data_bytes);
        (*record).reserved = 0;
        task::fill_ancestry(&raw mut (*record).ancestry);
    }
    entry.submit(send::QUIETLY);
    request::begin(descriptor.sock);
}

/// The same call, after [`netdeed_setsockopt`] found that it replaces a table: copies what it is replaced with. A program
/// of its own, because the verifier walks through every turn of the loop, for each way that leads there.
#[tracepoint]
pub(crate) fn netdeed_setsockopt_copy(ctx: TracePointContext) -> u32 {
    let option = argument(&ctx, 2) as u32;
    if option != IPT_SO_SET_REPLACE && option != ARPT_SO_SET_REPLACE && option != EBT_SO_SET_ENTRIES {
        return 0;
    }
    let Some(replacing) = REPLACING.get_ptr_mut(task::current_ids()) else { return 0 };
    // SAFETY: only this thread inserts and removes its own key, so the value stays while this runs.
    unsafe {
        let (opened, total) = ((*replacing).opened, u64::from((*replacing).total));
        let value = argument(&ctx, 3);
        let (from, first) = if option == EBT_SO_SET_ENTRIES {
            // the entries are elsewhere, and count as following the description
            let entries: Option<u64> = read_user(value + BRIDGE_ENTRIES_AT as u64);
            match entries {
                Some(entries) if describe(opened, value) => (entries, BRIDGE_HEAD_BYTES as u64),
                _ => return 0,
            }
        } else {
            (value, 0)
        };
        (*replacing).copied = copy(opened, (from, first), total);
    }
    0
}

/// Tells that a replacement is under way.
#[inline(always)]
fn announce(replacing: &Replacing) {
    let Some((mut entry, sequence)) = send::reserve::<TableOpened>(kind::TABLE_OPENED) else { return };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::TABLE_OPENED, sequence);
        // the same moment names the call in all of its records
        (*record).header.time = replacing.opened;
        (*record).level = replacing.level;
        (*record).option = replacing.option;
        (*record).netns = replacing.netns;
        (*record).reserved = 0;
        (*record).table = replacing.table;
    }
    entry.submit(send::QUIETLY);
}

/// Sends the description of a bridge table as the first piece.
#[inline(always)]
fn describe(opened: u64, value: u64) -> bool {
    let Some(mut entry) = TABLES.reserve::<TableChunk>(0) else {
        send::lost(kind::TABLE_CHUNK);
        return false;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory, and its data is longer than what is read.
    let bytes = unsafe {
        (*record).kind = kind::TABLE_CHUNK;
        (*record).abi = ABI_VERSION;
        (*record).thread = task::current_ids();
        (*record).opened = opened;
        (*record).offset = 0;
        let to: *mut u8 = (&raw mut (*record).data).cast();
        read_user_bytes(to, TABLE_CHUNK_BYTES as u32, value, BRIDGE_HEAD_BYTES as u64)
    };
    // SAFETY: as above.
    unsafe { (*record).bytes = bytes };
    if bytes as usize == BRIDGE_HEAD_BYTES {
        entry.submit(send::QUIETLY);
    } else {
        entry.discard(send::QUIETLY);
    }
    bytes as usize == BRIDGE_HEAD_BYTES
}

/// Copies the value of the option, in pieces, as far as it fits and can be read, and says how much.
///
/// What is read begins at an address, and counts as beginning at an offset.
///
/// The verifier walks through every turn, so there is only one way to the next one: a whole piece was read.
#[inline(always)]
fn copy(opened: u64, (from, first): (u64, u64), total: u64) -> u32 {
    let whole = TABLE_CHUNK_BYTES as u64;
    for index in 0..TABLE_CHUNKS as u64 {
        let offset = first + index * whole;
        let place = from + index * whole;
        if offset >= total {
            return offset as u32;
        }
        let Some(mut entry) = TABLES.reserve::<TableChunk>(0) else {
            send::lost(kind::TABLE_CHUNK);
            return offset as u32;
        };
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        let to: *mut u8 = unsafe {
            (*record).kind = kind::TABLE_CHUNK;
            (*record).abi = ABI_VERSION;
            (*record).bytes = TABLE_CHUNK_BYTES as u32;
            (*record).thread = task::current_ids();
            (*record).opened = opened;
            (*record).offset = offset;
            (&raw mut (*record).data).cast()
        };
        if total - offset < whole {
            // SAFETY: `to` is writable for that many bytes.
            let bytes = unsafe { read_user_bytes(to, TABLE_CHUNK_BYTES as u32, place, total - offset) };
            // SAFETY: as above.
            unsafe { (*record).bytes = bytes };
            entry.submit(send::QUIETLY);
            return offset as u32 + bytes;
        }
        // SAFETY: `to` is writable for that many bytes.
        if !unsafe { read_user_whole(to, TABLE_CHUNK_BYTES as u32, place) } {
            entry.discard(send::QUIETLY);
            return offset as u32;
        }
        entry.submit(send::QUIETLY);
    }
    first as u32 + (TABLE_CHUNKS * TABLE_CHUNK_BYTES) as u32
}

/// `setsockopt` returns.
#[tracepoint]
pub(crate) fn netdeed_setsockopt_done(ctx: TracePointContext) -> u32 {
    let thread = task::current_ids();
    // SAFETY: only this thread inserts and removes its own key, so the value cannot be replaced while it is read.
    let Some(replacing) = (unsafe { REPLACING.get(thread) }) else {
        request::close(result(&ctx));
        return 0;
    };
    let replacing = *replacing;
    let _ = REPLACING.remove(thread);
    if let Some((mut entry, sequence)) = send::reserve::<TableReplaced>(kind::TABLE_REPLACED) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe {
            task::fill_header(&raw mut (*record).header, kind::TABLE_REPLACED, sequence);
            task::fill_ancestry(&raw mut (*record).ancestry);
            (*record).result = result(&ctx);
            (*record).opened = replacing.opened;
            (*record).level = replacing.level;
            (*record).option = replacing.option;
            (*record).netns = replacing.netns;
            (*record).total = replacing.total;
            (*record).copied = replacing.copied;
            (*record).reserved = 0;
            (*record).table = replacing.table;
        }
        entry.submit(send::AWAKENING);
    }
    0
}
