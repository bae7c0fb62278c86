//! Writes netlink messages and attributes.

use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NlasIterator};

use super::emit::{
    BEGIN_SEQ, NFNL_SUBSYS_NFTABLES, NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_KEY_END, TABLE,
};
use crate::model::nft::TableRef;

/// Length of `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;

/// Appends messages and attributes to one buffer, patching lengths afterwards.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Sequence number of the next message.
    seq: u32,
    /// Where the last finished message begins.
    last: usize,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), seq: BEGIN_SEQ, last: 0 }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn message(&mut self, kind: u16, flags: u16, table: &TableRef, attributes: impl FnOnce(&mut Self)) {
        let kind = (NFNL_SUBSYS_NFTABLES << 8) | kind;
        let start = self.begin(kind, NLM_F_REQUEST | flags, table.family.nfproto(), 0);
        self.string(TABLE, table.name.as_str());
        attributes(self);
        self.end(start);
    }

    /// Writes `nlmsghdr` (length still open) and `nfgenmsg`.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, family: u8, res_id: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + NETLINK_HEADER_LEN, 0);
        let mut header = NetlinkBuffer::new(&mut self.bytes[start..]);
        header.set_message_type(kind);
        header.set_flags(flags);
        header.set_sequence_number(self.seq);
        self.seq += 1;
        self.bytes.extend([family, 0]);
        self.bytes.extend(res_id.to_be_bytes());
        start
    }

    pub(super) fn end(&mut self, start: usize) {
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        NetlinkBuffer::new(&mut self.bytes[start..]).set_length(length);
        self.last = start;
    }

    pub(super) fn ask_for_ack(&mut self) {
        let mut header = NetlinkBuffer::new(&mut self.bytes[self.last..]);
        let flags = header.flags() | NLM_F_ACK;
        header.set_flags(flags);
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let start = self.open_plain(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    pub(super) fn string(&mut self, kind: u16, value: &str) {
        let start = self.open_plain(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    pub(super) fn open(&mut self, kind: u16) -> usize {
        self.open_plain(kind | NLA_F_NESTED)
    }

    fn open_plain(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    /// Patches the attribute's length (header included, padding not) and pads to 4 bytes.
    pub(super) fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Copies what identifies an element out of its dumped attributes; data, timeouts and counters stay out.
    pub(super) fn identity(&mut self, attributes: &[u8]) {
        for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
            let nested = if attribute.nested_flag() { NLA_F_NESTED } else { 0 };
            if matches!(attribute.kind(), NFTA_SET_ELEM_KEY | NFTA_SET_ELEM_FLAGS | NFTA_SET_ELEM_KEY_END) {
                self.attribute(attribute.kind() | nested, attribute.value());
            }
        }
    }

    /// Appends padded attributes byte for byte.
    pub(super) fn raw(&mut self, attributes: &[u8]) {
        self.bytes.extend_from_slice(attributes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The buffer.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends attributes as they are; those of the kinds in `without` stay out.
    pub(super) fn copy(&mut self, attributes: &[u8], without: &[u16]) {
        for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
            let nested = if attribute.nested_flag() { NLA_F_NESTED } else { 0 };
            if !without.contains(&attribute.kind()) {
                self.attribute(attribute.kind() | nested, attribute.value());
            }
        }
    }
}
