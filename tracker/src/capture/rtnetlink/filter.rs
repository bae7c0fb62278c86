//! What of the notifications reaches the queue.
//!
//! A busy node announces neighbours by the thousand, and nearly all of them are what ARP, NDP and bridges learnt by
//! themselves. A socket filter in the kernel drops those before they wake anybody or push out what matters.

use std::io;

use netlink_sys::Socket;
use socket2::{SockFilter, SockRef};

use crate::model::neighbour::{NTF_EXT_LEARNED, NUD_NOARP, NUD_PERMANENT};

/// Where things are in a datagram: `struct nlmsghdr`, then `struct ndmsg`.
const TYPE: u32 = 4;
const PORTID: u32 = 12;
const FAMILY: u32 = 16;
const STATE: u32 = 24;
const FLAGS: u32 = 26;

/// `BPF_LD | BPF_W | BPF_ABS` and its shorter kin; `BPF_JMP | BPF_JEQ`, `BPF_JMP | BPF_JSET`, `BPF_RET`, with a constant.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const IF_EQUAL: u16 = 0x15;
const IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;

/// A number as the filter sees it: it takes what it loads for network order.
const fn seen(number: u16) -> u32 {
    u16::from_be_bytes(number.to_ne_bytes()) as u32
}

/// Lets everything through but neighbours that nobody set: an `RTM_NEWNEIGH` without a requester, and an `RTM_DELNEIGH`
/// of a bridge, that is neither permanent nor static nor kept up by a program. Jumps count from the next line.
fn program() -> [SockFilter; 13] {
    let line = SockFilter::new;
    [
        line(LOAD_HALF, 0, 0, TYPE),
        line(IF_EQUAL, 1, 0, seen(libc::RTM_NEWNEIGH)),
        line(IF_EQUAL, 2, 9, seen(libc::RTM_DELNEIGH)),
        // a new one: somebody asked for it?
        line(LOAD_WORD, 0, 0, PORTID),
        line(IF_EQUAL, 2, 7, 0),
        // one that went: that of a bridge?
        line(LOAD_BYTE, 0, 0, FAMILY),
        line(IF_EQUAL, 0, 5, libc::AF_BRIDGE as u32),
        line(LOAD_HALF, 0, 0, STATE),
        line(IF_ANY, 3, 0, seen(NUD_PERMANENT | NUD_NOARP)),
        line(LOAD_BYTE, 0, 0, FLAGS),
        line(IF_ANY, 1, 0, NTF_EXT_LEARNED as u32),
        line(RETURN, 0, 0, 0),
        line(RETURN, 0, 0, u32::MAX),
    ]
}

/// Attaches the filter to a socket that is not bound yet.
///
/// # Errors
/// What the kernel says.
pub(super) fn attach(socket: &Socket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&program())
}
