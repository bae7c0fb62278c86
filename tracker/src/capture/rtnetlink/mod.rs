//! Links and what belongs to them, routes and ip rules: the kernel's notifications and its listings.
//!
//! Subscribe first, list second: what changes in between is then in both, and nothing is in neither.

mod dump;
mod filter;
mod traffic;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::{CaptureError, Raw, RawSource, kept};
use crate::model::gap::Source;

pub use dump::{Listing, dump, dump_of};

/// Larger than any notification: the kernel builds most in a page, those of links in at most 32 KiB.
const DATAGRAM: usize = 64 << 10;

const GROUPS: [u32; 9] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_RULE,
    libc::RTNLGRP_NEIGH,
    libc::RTNLGRP_TC,
];

/// A subscription to the notifications of one network namespace.
///
/// Multicast routes are not subscribed. Neighbours that come and go with traffic are dropped by the kernel, before they
/// take room in the queue.
pub struct RtSource {
    socket: Socket,
    datagram: Vec<u8>,
}

impl RtSource {
    /// Subscribes in the calling thread's network namespace, asking for a receive buffer of `receive_buffer` bytes (the
    /// kernel doubles it for its own overhead). Without `CAP_NET_ADMIN` `net.core.rmem_max` bounds it.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when the socket cannot be made or bound.
    pub fn open(receive_buffer: usize) -> Result<Self, CaptureError> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(|source| io("open", source))?;
        socket.set_non_blocking(true).map_err(|source| io("set non-blocking mode", source))?;
        sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, receive_buffer))
            .map_err(|source| io("set the receive buffer", source.into()))?;
        filter::attach(&socket).map_err(|source| io("attach a filter", source))?;
        let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1));
        socket.bind(&SocketAddr::new(0, groups)).map_err(|source| io("subscribe", source))?;
        Ok(Self { socket, datagram: Vec::with_capacity(DATAGRAM) })
    }

    /// Goes on with the subscription of a former run.
    pub fn adopt(kept: OwnedFd) -> Self {
        Self { socket: kept::netlink_socket(kept), datagram: Vec::with_capacity(DATAGRAM) }
    }

    /// Size of the receive buffer as the kernel accounts it, bytes: twice what was asked for when it was granted.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when the kernel does not tell.
    pub fn receive_buffer(&self) -> Result<usize, CaptureError> {
        sockopt::socket_recv_buffer_size(&self.socket)
            .map_err(|source| io("read the receive buffer size", source.into()))
    }
}

impl RawSource for RtSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError> {
        for _ in 0..budget {
            self.datagram.clear();
            match self.socket.recv_from(&mut self.datagram, libc::MSG_TRUNC) {
                // anyone may send to a netlink socket; the kernel's address is 0
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) if length > self.datagram.len() => out.push(lost()),
                Ok(_) => out.push(Raw::Rtnetlink(self.datagram.clone())),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return Ok(false),
                    Some(Errno::INTR) => {}
                    Some(Errno::NOBUFS) => out.push(lost()),
                    _ => return Err(io("receive", error)),
                },
            }
        }
        Ok(true)
    }
}

fn lost() -> Raw {
    Raw::Lost { source: Source::Rtnetlink, lost: None }
}

fn io(operation: &'static str, source: std::io::Error) -> CaptureError {
    CaptureError::Io { operation, object: "rtnetlink socket".to_owned(), source }
}
