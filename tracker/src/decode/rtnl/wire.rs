//! rtnetlink messages as bytes, for requests and dumps that must not lose what a typed message cannot hold.

use std::convert::Infallible;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

/// One rtnetlink message without its netlink header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// `nlmsg_type`: `RTM_NEWLINK` and so on.
    pub kind: u16,
    /// The class's fixed header (`ifinfomsg`, `rtmsg`, ...) and its attributes.
    pub body: Vec<u8>,
}

impl NetlinkDeserializable for Wire {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self { kind: header.message_type, body: payload.to_vec() })
    }
}

impl NetlinkSerializable for Wire {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..self.body.len()].copy_from_slice(&self.body);
    }
}
