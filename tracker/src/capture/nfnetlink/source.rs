//! The NFTABLES multicast group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt;

use crate::capture::{CaptureError, Raw, RawSource, kept};
use crate::model::gap::Source;

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// The kernel fills notifications up to one page less overhead, at most 8 KiB; a longer one would be a loss.
const DATAGRAM_MAX: usize = 64 << 10;

/// Notifications of nf_tables changes in one network namespace.
///
/// An overrun is placed exactly. The kernel reports `ENOBUFS` ahead of what was queued before it, and takes new
/// datagrams as soon as the queue has been emptied, so the place of the loss could not be seen from outside. Therefore
/// the group is left when the error comes, the queue (all of it older than the loss) is read to its end, the group is
/// joined again, and only then follows [`Raw::Lost`]: what precedes it precedes the loss, what follows it can be told
/// from a dump made after it by its generation.
#[derive(Debug)]
pub struct NftSource {
    socket: Socket,
    buffer: Vec<u8>,
    receive_buffer: usize,
    has_overrun: bool,
}

/// What one read of the queue gave.
enum Received {
    Datagram,
    Foreign,
    Overrun,
    Empty,
}

impl NftSource {
    /// Subscribes in the calling thread's network namespace, with a receive buffer of `receive_buffer` bytes.
    ///
    /// The size is forced past `net.core.rmem_max`, which takes `CAP_NET_ADMIN` in the initial user namespace; without
    /// it as much as allowed is taken: see [`Self::receive_buffer`]. A datagram of 7 rules takes about 4,400 bytes.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when the socket cannot be made or may not join the group (`EPERM`).
    pub fn open(receive_buffer: usize) -> Result<Self, CaptureError> {
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(failed("open a socket"))?;
        socket.set_non_blocking(true).map_err(failed("make non-blocking"))?;
        let receive_buffer = force_receive_buffer(&socket, receive_buffer)?;
        socket.bind_auto().map_err(failed("bind"))?;
        socket.add_membership(GROUP).map_err(failed("join the NFTABLES group"))?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_MAX), receive_buffer, has_overrun: false })
    }

    /// Goes on with the subscription of a former run.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when it is no socket.
    pub fn adopt(kept: OwnedFd) -> Result<Self, CaptureError> {
        let socket = kept::netlink_socket(kept);
        let receive_buffer = sockopt::socket_recv_buffer_size(&socket)
            .map_err(|error| failed("read the receive buffer's size")(error.into()))?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_MAX), receive_buffer, has_overrun: false })
    }

    /// Size of the receive buffer the kernel granted, bytes. It counts its own overhead in it and for that doubles what
    /// was asked for.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    fn receive(&mut self) -> Result<Received, CaptureError> {
        self.buffer.clear();
        match self.socket.recv_from(&mut self.buffer, libc::MSG_TRUNC) {
            // the kernel's portid is 0; privileged processes can multicast to the group too
            Ok((_, sender)) if sender.port_number() != 0 => Ok(Received::Foreign),
            Ok((length, _)) if length > self.buffer.capacity() => Ok(Received::Overrun),
            Ok(_) => Ok(Received::Datagram),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => Ok(Received::Overrun),
                Some(libc::EAGAIN) => Ok(Received::Empty),
                Some(libc::EINTR) => Ok(Received::Foreign),
                _ => Err(failed("receive")(error)),
            },
        }
    }

    fn leave(&mut self) -> Result<(), CaptureError> {
        if !self.has_overrun {
            self.socket.drop_membership(GROUP).map_err(failed("leave the NFTABLES group"))?;
            self.has_overrun = true;
        }
        Ok(())
    }

    fn rejoin(&mut self) -> Result<(), CaptureError> {
        self.socket.add_membership(GROUP).map_err(failed("join the NFTABLES group again"))?;
        self.has_overrun = false;
        Ok(())
    }
}

impl RawSource for NftSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn drain(&mut self, out: &mut Vec<Raw>, budget: usize) -> Result<bool, CaptureError> {
        for _ in 0..budget {
            match self.receive()? {
                Received::Datagram => out.push(Raw::Nfnetlink(self.buffer.clone())),
                Received::Foreign => {}
                Received::Overrun => self.leave()?,
                Received::Empty if self.has_overrun => {
                    self.rejoin()?;
                    out.push(Raw::Lost { source: Source::Nftables, lost: None });
                }
                Received::Empty => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn force_receive_buffer(socket: &Socket, bytes: usize) -> Result<usize, CaptureError> {
    sockopt::set_socket_recv_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, bytes))
        .map_err(|error| failed("set the receive buffer")(error.into()))?;
    sockopt::socket_recv_buffer_size(socket).map_err(|error| failed("read the receive buffer's size")(error.into()))
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> CaptureError {
    move |source| CaptureError::Io { operation, object: "nf_tables notification socket".to_owned(), source }
}
