//! One order over netlink, and the kernel's answer to it.

use std::io;
use std::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::{self, Timeout};

use crate::decode::rtnl::attributes::push;

/// The kernel answers while it takes the request; what takes this long will never come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;

/// Sends one order, a message of a type with further flags and the subsystem's own header `head`, in the calling thread's
/// network namespace, and waits for the kernel's answer.
pub(super) fn order(
    protocol: isize,
    (kind, flags): (u16, u16),
    head: &[u8],
    attributes: &[(u16, Vec<u8>)],
) -> io::Result<()> {
    let mut body = head.to_vec();
    attributes.iter().for_each(|(kind, value)| push(&mut body, *kind, value));
    let length = u32::try_from(HEADER_LEN + body.len()).map_err(io::Error::other)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&[0; 4]);
    message.append(&mut body);

    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    socket.send(&message, 0)?;
    let mut answer = Vec::with_capacity(16 << 10);
    loop {
        answer.clear();
        match socket.recv(&mut answer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => match verdict(&answer) {
                Some(0) => return Ok(()),
                Some(code) => return Err(io::Error::from_raw_os_error(code.saturating_neg())),
                None => {}
            },
        }
    }
}

/// The error number of an acknowledgement, negated, 0 for success.
fn verdict(answer: &[u8]) -> Option<i32> {
    let message = NetlinkBuffer::new_checked(answer).ok()?;
    if message.message_type() != NLMSG_ERROR {
        return None;
    }
    answer.get(HEADER_LEN..)?.first_chunk().map(|code| i32::from_ne_bytes(*code))
}
