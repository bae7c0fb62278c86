//! An act that the kernel notifies somebody of: in a network namespace that goes away with it.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::thread::UnshareFlags;

use super::{Raised, own_netns, own_tid};

/// Raises the loopback link of a new network namespace, in a thread of its own.
pub(super) fn raise_loopback() -> io::Result<Raised> {
    let thread = std::thread::Builder::new().name("self-test".to_owned()).spawn(raise)?;
    thread.join().map_err(|_| io::Error::other("the thread for it panicked"))?
}

fn raise() -> io::Result<Raised> {
    // SAFETY: a network namespace shares no memory and no descriptors with the process's other threads.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    let raised = Raised { tid: own_tid(), netns: own_netns()? };
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut answer = Vec::with_capacity(128);
    socket.recv(&mut answer, 0)?;
    match answer.get(16..20).and_then(|error| error.first_chunk::<4>()).map(|error| i32::from_ne_bytes(*error)) {
        Some(0) => Ok(raised),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::other("the kernel gave no answer")),
    }
}

/// `RTM_SETLINK` of link 1 to `IFF_UP`, to be acknowledged.
fn request() -> [u8; 32] {
    const RTM_SETLINK: u16 = 19;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut request = [0; 32];
    request[..4].copy_from_slice(&32_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_SETLINK.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    request[20..24].copy_from_slice(&1_u32.to_ne_bytes());
    request[24..28].copy_from_slice(&IFF_UP.to_ne_bytes());
    request[28..32].copy_from_slice(&IFF_UP.to_ne_bytes());
    request
}
