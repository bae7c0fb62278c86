//! A socket for questions to nf_tables and its neighbours on nfnetlink, or to families of generic netlink: one request, all
//! of its answers.

use std::io;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner};
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_NETFILTER};
use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::{self, Timeout};

use crate::capture::CaptureError;

/// The kernel fills dump datagrams up to the longest read so far, at most 32 KiB.
const READ_SIZE: usize = 64 << 10;
/// Answers are made while they are read, so none that takes this long will ever come.
const PATIENCE: Duration = Duration::from_secs(30);
/// `struct nlmsghdr`.
const HEADER_LEN: usize = 16;

/// Whether what was dumped changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::capture) enum Answer {
    /// All answers are of one generation.
    Whole,
    /// The ruleset changed during the dump: answers are missing or mixed.
    Interrupted,
}

/// Asks in the network namespace it was opened in.
pub(in crate::capture) struct Asker {
    socket: Socket,
    buffer: Vec<u8>,
    seq: u32,
}

impl Asker {
    /// Asks nfnetlink.
    pub(in crate::capture) fn open() -> Result<Self, CaptureError> {
        Self::of(NETLINK_NETFILTER)
    }

    /// Asks generic netlink.
    pub(in crate::capture) fn generic() -> Result<Self, CaptureError> {
        Self::of(NETLINK_GENERIC)
    }

    fn of(protocol: isize) -> Result<Self, CaptureError> {
        let mut socket = Socket::new(protocol).map_err(failed("open a socket"))?;
        socket.bind_auto().map_err(failed("bind"))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed("connect to the kernel"))?;
        sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
            .map_err(|error| failed("set the receive timeout")(error.into()))?;
        Ok(Self { socket, buffer: Vec::with_capacity(READ_SIZE), seq: 0 })
    }

    /// Asks for a listing; `each` gets every message of it.
    pub(in crate::capture) fn dump(
        &mut self,
        operation: &'static str,
        family: u8,
        question: impl Into<NetfilterMessageInner>,
        each: &mut dyn FnMut(&NetlinkBuffer<&[u8]>),
    ) -> Result<Answer, CaptureError> {
        self.send(family, question, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut answer = Answer::Whole;
        while !self.receive(operation, true, &mut answer, each)? {}
        Ok(answer)
    }

    /// Asks a family of generic netlink, by its number, for a listing; `each` gets every message of it.
    pub(in crate::capture) fn dump_generic(
        &mut self,
        operation: &'static str,
        (family, body): (u16, &[u8]),
        each: &mut dyn FnMut(&NetlinkBuffer<&[u8]>),
    ) -> Result<(), CaptureError> {
        self.send_generic(family, body, NLM_F_REQUEST | NLM_F_DUMP)?;
        while !self.receive(operation, true, &mut Answer::Whole, each)? {}
        Ok(())
    }

    /// Asks a family of generic netlink, by its number, for one object; `each` gets the one message that answers.
    pub(in crate::capture) fn ask_generic(
        &mut self,
        operation: &'static str,
        (family, body): (u16, &[u8]),
        each: &mut dyn FnMut(&NetlinkBuffer<&[u8]>),
    ) -> Result<(), CaptureError> {
        self.send_generic(family, body, NLM_F_REQUEST)?;
        while !self.receive(operation, false, &mut Answer::Whole, each)? {}
        Ok(())
    }

    fn send_generic(&mut self, family: u16, body: &[u8], flags: u16) -> Result<(), CaptureError> {
        self.seq += 1;
        let length = u32::try_from(HEADER_LEN + body.len()).map_err(|_| malformed())?;
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        bytes.extend(length.to_ne_bytes());
        bytes.extend(family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        self.socket.send(&bytes, 0).map_err(failed("send a request"))?;
        Ok(())
    }

    /// Asks for one object; `each` gets the one message that answers.
    pub(super) fn ask(
        &mut self,
        operation: &'static str,
        family: u8,
        question: impl Into<NetfilterMessageInner>,
        each: &mut dyn FnMut(&NetlinkBuffer<&[u8]>),
    ) -> Result<(), CaptureError> {
        self.send(family, question, NLM_F_REQUEST)?;
        let mut answer = Answer::Whole;
        while !self.receive(operation, false, &mut answer, each)? {}
        Ok(())
    }

    fn send(&mut self, family: u8, question: impl Into<NetfilterMessageInner>, flags: u16) -> Result<(), CaptureError> {
        self.seq += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.seq;
        let question = NetfilterMessage::new(NetfilterHeader::new(family.into(), 0, 0), question);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(failed("send a request"))?;
        Ok(())
    }

    /// Reads one datagram; returns whether the answer is complete.
    fn receive(
        &mut self,
        operation: &'static str,
        is_dump: bool,
        answer: &mut Answer,
        each: &mut dyn FnMut(&NetlinkBuffer<&[u8]>),
    ) -> Result<bool, CaptureError> {
        self.buffer.clear();
        let (length, sender) = loop {
            match self.socket.recv_from(&mut self.buffer, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(failed("receive an answer"))?,
            }
        };
        if sender.port_number() != 0 {
            return Ok(false);
        }
        if length > self.buffer.len() {
            return Err(failed("receive an answer")(io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(|_| malformed())?;
            let length = usize::try_from(message.length()).map_err(|_| malformed())?;
            if message.sequence_number() == self.seq {
                if message.flags() & NLM_F_DUMP_INTR != 0 {
                    *answer = Answer::Interrupted;
                }
                match message.message_type() {
                    NLMSG_NOOP => {}
                    NLMSG_ERROR | NLMSG_DONE => {
                        let errno = rest.get(HEADER_LEN..HEADER_LEN + 4).ok_or_else(malformed)?;
                        let errno = i32::from_ne_bytes(errno.try_into().map_err(|_| malformed())?);
                        return check(operation, errno).map(|()| true);
                    }
                    _ => {
                        each(&message);
                        if !is_dump {
                            return Ok(true);
                        }
                    }
                }
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(false)
    }
}

/// Errors come negated; 0 is success.
fn check(operation: &'static str, errno: i32) -> Result<(), CaptureError> {
    match errno {
        0 => Ok(()),
        errno => Err(CaptureError::Refused { operation, source: io::Error::from_raw_os_error(errno.saturating_neg()) }),
    }
}

fn malformed() -> CaptureError {
    failed("receive an answer")(io::ErrorKind::InvalidData.into())
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> CaptureError {
    move |source| CaptureError::Io { operation, object: "netlink request socket".to_owned(), source }
}
