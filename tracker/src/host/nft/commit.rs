//! Sending a batch and reading the kernel's verdict.

use std::io;

use netlink_packet_core::{NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::emit::{BEGIN_SEQ, Encoded, FIRST_SEQ, encode};
use super::{NftBatch, NftCommand};
use crate::host::HostError;

/// Length of `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;
/// `ERESTART`: the kernel's own number, never shown by system calls and so not in libc.
const ERESTART: i32 = 85;
/// Upper bound of the room asked for acknowledgements; a limit, not an allocation.
const MAX_RECEIVE_BYTES: usize = 256 << 20;
/// What one error acknowledgement takes of the receive buffer, `sk_buff` included.
const ACK_BYTES: usize = 1024;

/// Commits a batch in the network namespace of the calling thread. Needs `CAP_NET_ADMIN` in the initial user namespace
/// for batches above the default send buffer (about 200 KiB).
///
/// # Errors
/// [`HostError::GenerationConflict`] when the ruleset has another generation now, [`HostError::Io`] naming the first
/// refused change otherwise. Nothing was changed in either case.
pub fn commit(batch: &NftBatch) -> Result<(), HostError> {
    if batch.is_empty() {
        return Ok(());
    }
    if batch.generation().0 == 0 {
        // the kernel takes 0 for "do not compare"
        return Err(HostError::GenerationConflict { planned: 0 });
    }
    let encoded = encode(batch);
    let failed = |operation| move |source| HostError::Io { operation, object: "nftables batch".to_owned(), source };
    let socket = open(&encoded).map_err(failed("open a netlink socket for"))?;
    let sent = socket.send(&encoded.bytes, 0).map_err(failed("send"))?;
    if sent != encoded.bytes.len() {
        return Err(failed("send the whole of")(io::Error::from(io::ErrorKind::WriteZero)));
    }
    // the kernel works the batch off inside `send`: every acknowledgement is in the queue by now
    let mut verdict = Verdict::default();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
            Ok(_) => verdict.read(&buffer, last_seq(&encoded)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // acknowledgements were dropped: errors, since a success sends a single one
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => verdict.overrun = true,
            Err(error) => return Err(failed("read the kernel's answer to")(error)),
        }
    }
    verdict.judge(batch, &encoded)
}

fn open(encoded: &Encoded) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_cap_ack(true)?;
    // a message must fit the send buffer whole; the kernel keeps 32 bytes of it for itself
    let send_bytes = encoded.bytes.len() + 4096;
    if rustix::net::sockopt::socket_send_buffer_size(&socket)? < send_bytes {
        rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, send_bytes)?;
    }
    let receive_bytes = (encoded.messages.len() * ACK_BYTES).min(MAX_RECEIVE_BYTES);
    if rustix::net::sockopt::socket_recv_buffer_size(&socket)? < receive_bytes {
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, receive_bytes)?;
    }
    Ok(socket)
}

fn last_seq(encoded: &Encoded) -> u32 {
    BEGIN_SEQ + u32::try_from(encoded.messages.len()).unwrap_or(u32::MAX - BEGIN_SEQ)
}

/// What the acknowledgements say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The last change was acknowledged without error.
    acknowledged: bool,
    /// Sequence number and error of what was refused, in the kernel's order.
    refused: Vec<(u32, i32)>,
    /// Some acknowledgements were lost.
    overrun: bool,
}

impl Verdict {
    /// Reads one datagram. Total: what is not an acknowledgement is passed over.
    pub(super) fn read(&mut self, mut datagram: &[u8], last_seq: u32) {
        while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
            let (seq, length) = (message.sequence_number(), message.length() as usize);
            if message.message_type() == NLMSG_ERROR
                && let Some(code) = datagram.get(NETLINK_HEADER_LEN..NETLINK_HEADER_LEN + 4)
            {
                match i32::from_ne_bytes([code[0], code[1], code[2], code[3]]) {
                    0 => self.acknowledged |= seq == last_seq,
                    error => self.refused.push((seq, error.saturating_neg())),
                }
            }
            let Some(rest) = datagram.get(length.next_multiple_of(4)..) else { return };
            datagram = rest;
        }
    }

    pub(super) fn judge(self, batch: &NftBatch, encoded: &Encoded) -> Result<(), HostError> {
        let Self { acknowledged, refused, overrun } = self;
        if refused.iter().any(|(_, error)| *error == ERESTART) {
            return Err(HostError::GenerationConflict { planned: batch.generation().0 });
        }
        let refuse = |object, source| Err(HostError::Io { operation: "commit", object, source });
        if let Some((seq, error)) = refused.first() {
            let named = seq
                .checked_sub(FIRST_SEQ)
                .and_then(|index| encoded.messages.get(index as usize))
                .and_then(|commands| batch.commands().get(commands.start));
            let object = match (named, refused.len()) {
                (None, _) => "nftables batch".to_owned(),
                (Some(command), 1) => format!("`{command}`"),
                (Some(command), count) => format!("`{command}` and {} more", count - 1),
            };
            let operation = named.map_or("commit", NftCommand::verb);
            return Err(HostError::Io { operation, object, source: io::Error::from_raw_os_error(*error) });
        }
        if overrun {
            return refuse("nftables batch".to_owned(), io::Error::from_raw_os_error(libc::ENOBUFS));
        }
        if !acknowledged {
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel acknowledged nothing");
            return refuse("nftables batch".to_owned(), source);
        }
        Ok(())
    }
}
