//! Notifications on their way to the listeners, in the task that caused them: the function `nlmsg_notify`.
//!
//! Everything of rtnetlink passes it with the very bytes that listeners get, also what was asked for by ioctl, and what
//! no request names. It is part of the kernel itself on every configuration, not of a module.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;
use tracker_ebpf::abi::{BY_CHANCE, BY_KERNEL_THREAD, NOTIFIED_BYTES, Notified, kind};

use crate::kernel::{Address, offset, read_kernel_bytes};
use crate::send;
use crate::socket;
use crate::task;

const NETLINK_ROUTE: u16 = 0;
/// `PF_KTHREAD`.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// `__GFP_DIRECT_RECLAIM`: the caller may sleep, so it is not an interrupt. Many that could do not say so.
const MAY_SLEEP: u64 = 0x400;

/// `nlmsg_notify(sk, skb, portid, group, report, flags)`, the same from 2.6.24 to 6.18 at least.
#[fentry(function = "nlmsg_notify")]
pub(crate) fn netdeed_notify(ctx: FEntryContext) -> i32 {
    let sock = Address(ctx.arg::<u64>(0));
    if sock.read::<u16>(offset!(sock_protocol)) != Some(NETLINK_ROUTE) {
        return 0;
    }
    let datagram = Address(ctx.arg::<u64>(1));
    let Some(data) = datagram.pointer(offset!(skb_data)) else { return 0 };
    let portid = ctx.arg::<u32>(2);
    let is_link = match data.read::<u16>(4) {
        // `RTM_NEWLINK` and `RTM_DELLINK`: of links themselves (`AF_UNSPEC`), or of what a bridge or IPv6 has to say
        Some(16 | 17) => data.read::<u8>(16) == Some(0),
        // addresses, routes and ip rules that name their requester are joined by that
        Some(20 | 21 | 24 | 25 | 32 | 33) if portid == 0 => false,
        _ => return 0,
    };
    let Some(length) = datagram.read::<u32>(offset!(skb_len)) else { return 0 };
    let Some(netns) = socket::netns(sock) else { return 0 };
    let mut flags = 0;
    if task::current().read::<u32>(offset!(task_flags)).is_none_or(|flags| flags & KERNEL_THREAD != 0) {
        flags |= BY_KERNEL_THREAD;
    }
    // links change under a mutex (RTNL), which no interrupt holds; the rest may be said by a timer or for a packet
    if !is_link && ctx.arg::<u64>(5) & MAY_SLEEP == 0 {
        flags |= BY_CHANCE;
    }
    let Some((mut entry, sequence)) = send::reserve::<Notified>(kind::NOTIFIED) else { return 0 };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::NOTIFIED, sequence);
        task::fill_ancestry(&raw mut (*record).ancestry);
        (*record).total_bytes = length;
        (*record).netns = netns;
        (*record).portid = portid;
        (*record).flags = flags;
        let to = (&raw mut (*record).data).cast::<u8>();
        (*record).data_bytes = read_kernel_bytes(to, NOTIFIED_BYTES as u32, data, u64::from(length));
        (*record).reserved = 0;
    }
    entry.submit(send::QUIETLY);
    0
}
