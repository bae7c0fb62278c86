//! Notifications as the kernel sends them, with who caused them.

use super::records::{Ancestry, Header, assert_bytes};

/// Bytes kept of a notification: of a link, its number, its flags, its name and some more.
pub const NOTIFIED_BYTES: usize = 96;
/// Flag of [`Notified`]: a thread of the kernel sends it, on nobody's behalf that could be named.
pub const BY_KERNEL_THREAD: u32 = 1;
/// Flag of [`Notified`]: it is not about a link itself, and sent where the kernel must not sleep, perhaps in an interrupt:
/// the task may have nothing to do with it.
pub const BY_CHANCE: u32 = 2;

/// The kernel is about to notify the listeners of an rtnetlink change: sent on entry of `nlmsg_notify`, in the task that
/// made the change.
///
/// Links: always. Addresses, routes and ip rules: when the notification names no requester.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Notified {
    /// The task.
    pub header: Header,
    /// Its ancestors.
    pub ancestry: Ancestry,
    /// Length of the datagram, bytes.
    pub total_bytes: u32,
    /// Inode number of the network namespace whose listeners are notified.
    pub netns: u32,
    /// The requester's portid; 0 when there is none, and for most links.
    pub portid: u32,
    /// [`BY_KERNEL_THREAD`] and [`BY_CHANCE`], or 0.
    pub flags: u32,
    /// Bytes of the datagram that were read.
    pub data_bytes: u32,
    /// Zero.
    pub reserved: u32,
    /// The datagram's first bytes.
    pub data: [u8; NOTIFIED_BYTES],
}

assert_bytes!(Notified, 80 + 392 + 6 * 4 + NOTIFIED_BYTES);
