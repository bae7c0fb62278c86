//! Netlink requests: `sendto`, `sendmsg` and `sendmmsg` on rtnetlink, nfnetlink and generic netlink sockets.
//!
//! The opening record is sent at the entry of the system call. Netlink is handled synchronously within the call, so by
//! the time any listener gets a notification of what the request did, its record is in the ring.
//!
//! Not recorded: requests that only ask, see [`is_question`]; of generic netlink, what does not begin like a change of IPVS.
//! Not seen: `write` and `writev` on a netlink socket, io_uring, system calls of 32-bit programs (these tracepoints do
//! not fire for them), and all but the first message of a `sendmmsg`.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::TracePointContext;
use tracker_ebpf::abi::{LENGTH_IS_LOWER_BOUND, REQUEST_BYTES, RequestClosed, RequestOpened, kind, request};

use crate::kernel::{Address, read_user, read_user_bytes};
use crate::send;
use crate::socket::{self, AF_NETLINK, NETLINK_GENERIC, NetlinkSocket};
use crate::task;

/// Fragments of a message whose lengths are added up.
const FRAGMENTS: u64 = 8;
/// Most that is read of the second fragment. Bounded by what follows the data in the record, see `RequestOpened`.
const SECOND_BYTES: u32 = 384;

/// Requests under way, by thread.
#[map]
static OPEN: HashMap<u64, Open> = HashMap::with_max_entries(16_384, 0);

/// A request under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct Open {
    sock: u64,
    portid: u32,
    /// 1 for a request by ioctl, whose socket has no portid; otherwise 0.
    is_ioctl: u32,
}

/// `struct user_msghdr`.
#[repr(C)]
#[derive(Clone, Copy)]
struct MessageHeader {
    name: u64,
    name_bytes: u64,
    fragments: u64,
    fragment_count: u64,
    control: u64,
    control_bytes: u64,
    flags: u64,
}

/// `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Fragment {
    base: u64,
    bytes: u64,
}

/// The request as the caller described it.
struct Call {
    first: Fragment,
    second: Fragment,
    total: u64,
    flags: u32,
}

/// Argument `index` of the system call a `sys_enter_*` tracepoint is about.
#[inline(always)]
pub(crate) fn argument(ctx: &TracePointContext, index: usize) -> u64 {
    // SAFETY: syscall tracepoints have six 8-byte arguments at most, from offset 16 on; callers ask for existing ones.
    unsafe { ctx.as_ptr().cast::<u8>().add(16 + index * 8).cast::<u64>().read_volatile() }
}

/// What the system call of a `sys_exit_*` tracepoint returned.
#[inline(always)]
pub(crate) fn result(ctx: &TracePointContext) -> i64 {
    argument(ctx, 0) as i64
}

/// `sendto(fd, buffer, length, flags, address, address_length)`.
#[tracepoint]
pub(crate) fn netdeed_sendto(ctx: TracePointContext) -> u32 {
    if !may_be_netlink(argument(&ctx, 4)) {
        return 0;
    }
    let first = Fragment { base: argument(&ctx, 1), bytes: argument(&ctx, 2) };
    let total = first.bytes;
    open(argument(&ctx, 0), Call { first, second: Fragment { base: 0, bytes: 0 }, total, flags: 0 });
    0
}

/// `sendmsg(fd, message, flags)`.
#[tracepoint]
pub(crate) fn netdeed_sendmsg(ctx: TracePointContext) -> u32 {
    open_message(argument(&ctx, 0), argument(&ctx, 1), 0);
    0
}

/// `sendmmsg(fd, messages, count, flags)`: the first message stands for all.
#[tracepoint]
pub(crate) fn netdeed_sendmmsg(ctx: TracePointContext) -> u32 {
    let flags = if argument(&ctx, 2) > 1 { LENGTH_IS_LOWER_BOUND } else { 0 };
    open_message(argument(&ctx, 0), argument(&ctx, 1), flags);
    0
}

/// `sendto` returns.
#[tracepoint]
pub(crate) fn netdeed_sendto_done(ctx: TracePointContext) -> u32 {
    close(result(&ctx));
    0
}

/// `sendmsg` returns.
#[tracepoint]
pub(crate) fn netdeed_sendmsg_done(ctx: TracePointContext) -> u32 {
    close(result(&ctx));
    0
}

/// `sendmmsg` returns: the number of messages taken.
#[tracepoint]
pub(crate) fn netdeed_sendmmsg_done(ctx: TracePointContext) -> u32 {
    close(result(&ctx));
    0
}

/// Whether a call with this destination can be a netlink request: it names none, or a netlink one, or one that cannot
/// be read now.
#[inline(always)]
fn may_be_netlink(destination: u64) -> bool {
    destination == 0 || read_user::<u16>(destination).is_none_or(|family| family == AF_NETLINK)
}

#[inline(always)]
fn open_message(fd: u64, message: u64, flags: u32) {
    let Some(header) = read_user::<MessageHeader>(message) else { return };
    if !may_be_netlink(header.name) {
        return;
    }
    let none = Fragment { base: 0, bytes: 0 };
    let mut call = Call { first: none, second: none, total: 0, flags };
    for index in 0..FRAGMENTS {
        if index >= header.fragment_count {
            break;
        }
        let Some(fragment) = read_user::<Fragment>(header.fragments + index * 16) else { break };
        call.total += fragment.bytes;
        match index {
            0 => call.first = fragment,
            1 => call.second = fragment,
            _ => {}
        }
    }
    if header.fragment_count > FRAGMENTS {
        call.flags |= LENGTH_IS_LOWER_BOUND;
    }
    open(fd, call);
}

/// Whether the kernel would take these bytes as a netlink message: it ignores a request whose first message claims to be
/// shorter than its header or longer than the request. Stops nearly every `send` of anything else.
#[inline(always)]
fn starts_like_netlink(call: &Call) -> bool {
    if call.total < 16 {
        return false;
    }
    if call.first.bytes < 4 {
        return true;
    }
    match read_user::<u32>(call.first.base) {
        Some(length) => length >= 16 && (u64::from(length) <= call.total || call.flags != 0),
        None => true,
    }
}

/// Whether the request is one message that only asks: changes nothing, so nobody will be looked for. Firewall tools ask
/// once for every chain, which would fill the ring.
#[inline(always)]
fn is_question(call: &Call, protocol: u32) -> bool {
    if protocol == NETLINK_GENERIC as u32 {
        return !may_be_ipvs(call);
    }
    if call.flags != 0 || call.first.bytes < 8 {
        return false;
    }
    let Some(length) = read_user::<u32>(call.first.base) else { return false };
    let Some(kind) = read_user::<u16>(call.first.base + 4) else { return false };
    let is_only = (u64::from(length) + 3) & !3 >= call.total;
    is_only && request::is_question(protocol, kind)
}

/// Whether the first message can be about IPVS; one whose beginning cannot be read at once may be.
#[inline(always)]
fn may_be_ipvs(call: &Call) -> bool {
    const HEAD: u64 = size_of::<request::GenericHead>() as u64;
    if call.first.bytes < HEAD && call.first.bytes < call.total {
        return true;
    }
    match read_user::<request::GenericHead>(call.first.base) {
        Some(head) => request::may_be_ipvs(&head),
        None => true,
    }
}

#[inline(always)]
fn open(fd: u64, call: Call) {
    if !starts_like_netlink(&call) {
        return;
    }
    let Some(socket) = NetlinkSocket::open(fd) else { return };
    if is_question(&call, socket.protocol) {
        return;
    }
    let Some((mut entry, sequence)) = send::reserve::<RequestOpened>(kind::REQUEST_OPENED) else { return };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::REQUEST_OPENED, sequence);
        (*record).total_bytes = call.total;
        (*record).protocol = socket.protocol;
        (*record).portid = socket.portid;
        (*record).netns = socket.netns;
        (*record).flags = call.flags;
        (*record).data_bytes = copy_data((&raw mut (*record).data).cast(), &call);
        (*record).reserved = 0;
        task::fill_ancestry(&raw mut (*record).ancestry);
    }
    entry.submit(send::QUIETLY);
    note(Open { sock: socket.sock.0, portid: socket.portid, is_ioctl: 0 });
}

/// Notes that a request by ioctl is under way.
#[inline(always)]
pub(crate) fn begin(sock: Address) {
    note(Open { sock: sock.0, portid: 0, is_ioctl: 1 });
}

#[inline(always)]
fn note(open: Open) {
    if OPEN.insert(task::current_ids(), open, 0).is_err() {
        send::lost(kind::REQUEST_CLOSED);
    }
}

/// Copies the start of the request and says how much: the first fragment, and the second behind it if there is room.
///
/// # Safety
/// `to` must be writable for `REQUEST_BYTES`, and `SECOND_BYTES` behind that must be of the same record.
#[inline(always)]
unsafe fn copy_data(to: *mut u8, call: &Call) -> u32 {
    let capacity = REQUEST_BYTES as u32;
    // SAFETY: `to` is writable for that many bytes.
    let first = unsafe { read_user_bytes(to, capacity, call.first.base, call.first.bytes) };
    if u64::from(first) != call.first.bytes || first >= capacity {
        return first;
    }
    let room = u64::from(capacity - first);
    let bytes = if call.second.bytes > room { room } else { call.second.bytes };
    // The verifier takes the place and the number of bytes each at their most: here, and as `SECOND_BYTES`.
    let place = core::hint::black_box(u64::from(first));
    if place >= u64::from(capacity) {
        return first;
    }
    // SAFETY: `bytes` is at most the room behind `first`, which is where `place` is.
    let second = unsafe { read_user_bytes(to.add(place as usize), SECOND_BYTES, call.second.base, bytes) };
    first + second
}

/// Notes the end of the request that this thread has under way, if it has one.
#[inline(always)]
pub(crate) fn close(result: i64) {
    let thread = task::current_ids();
    // SAFETY: only this thread inserts and removes its own key, so the value cannot be replaced while it is read.
    let Some(open) = (unsafe { OPEN.get(thread) }) else { return };
    let open = *open;
    let _ = OPEN.remove(thread);
    let portid = match open.portid {
        0 if open.is_ioctl == 0 => socket::portid(Address(open.sock)).unwrap_or(0),
        known => known,
    };
    if let Some((mut entry, sequence)) = send::reserve::<RequestClosed>(kind::REQUEST_CLOSED) {
        let record = entry.as_mut_ptr();
        // SAFETY: the record is reserved ring memory.
        unsafe {
            task::fill_header(&raw mut (*record).header, kind::REQUEST_CLOSED, sequence);
            (*record).result = result;
            (*record).portid = portid;
            (*record).reserved = 0;
        }
        entry.submit(send::QUIETLY);
    }
}
