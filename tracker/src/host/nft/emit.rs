//! A batch as netlink bytes. Numbers are from `linux/netfilter/nf_tables.h` and `nfnetlink.h`.

use std::ops::Range;

use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_NONREC, NLM_F_REQUEST, NetlinkBuffer, NlasIterator};

use super::{NftBatch, NftDelete};
use crate::model::nft::TableRef;

/// Length of `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_BATCH_GENID: u16 = 1;

const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_DELCHAIN: u16 = 5;
const NFT_MSG_DELRULE: u16 = 8;
const NFT_MSG_DELSET: u16 = 11;
const NFT_MSG_DELSETELEM: u16 = 14;
const NFT_MSG_DELOBJ: u16 = 20;
const NFT_MSG_DELFLOWTABLE: u16 = 24;

/// `NFTA_*_TABLE` and `NFTA_TABLE_NAME`: the table's name is attribute 1 of every kind of message.
const TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
const NFTA_FLOWTABLE_NAME: u16 = 2;

/// An attribute's length field has 16 bits; a list of elements is split well before.
const ELEMENT_LIST_BYTES: usize = 32 * 1024;

/// A batch on the wire.
pub(super) struct Encoded {
    /// The whole datagram.
    pub(super) bytes: Vec<u8>,
    /// For each message between begin and end, which deletions it carries.
    pub(super) messages: Vec<Range<usize>>,
}

/// Sequence number of `NFNL_MSG_BATCH_BEGIN`; message `i` has `FIRST_SEQ + i`.
pub(super) const BEGIN_SEQ: u32 = 1;
/// Sequence number of the first deletion.
pub(super) const FIRST_SEQ: u32 = 2;

/// Encodes a batch; the last deletion asks for an acknowledgement, so that silence is not taken for success.
pub(super) fn encode(batch: &NftBatch) -> Encoded {
    let deletions = batch.deletions();
    let mut writer = Writer { bytes: Vec::with_capacity(64 + deletions.len() * 72), seq: BEGIN_SEQ, last: 0 };
    let mut messages = Vec::with_capacity(deletions.len());

    let begin = writer.begin(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
    writer.attribute(NFNL_BATCH_GENID, &batch.generation().0.to_be_bytes());
    writer.end(begin);

    let mut index = 0;
    while index < deletions.len() {
        let end = match &deletions[index] {
            NftDelete::Element { .. } => elements(&mut writer, deletions, index),
            single => {
                deletion(&mut writer, single);
                index + 1
            }
        };
        messages.push(index..end);
        if end == deletions.len() {
            writer.ask_for_ack();
        }
        index = end;
    }

    let end = writer.begin(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
    writer.end(end);
    Encoded { bytes: writer.bytes, messages }
}

fn deletion(writer: &mut Writer, deletion: &NftDelete) {
    match deletion {
        // flush chain <family> <table> <chain>
        NftDelete::RulesOf { table, chain } => writer.message(NFT_MSG_DELRULE, 0, table, |writer| {
            writer.string(NFTA_RULE_CHAIN, chain.as_str());
        }),
        // delete rule <family> <table> <chain> handle <handle>
        NftDelete::Rule { table, chain, handle } => writer.message(NFT_MSG_DELRULE, 0, table, |writer| {
            writer.string(NFTA_RULE_CHAIN, chain.as_str());
            writer.attribute(NFTA_RULE_HANDLE, &handle.0.to_be_bytes());
        }),
        // flush set <family> <table> <set>
        NftDelete::ElementsOf { table, set } => writer.message(NFT_MSG_DELSETELEM, 0, table, |writer| {
            writer.string(NFTA_SET_ELEM_LIST_SET, set.as_str());
        }),
        // delete element <family> <table> <set> { <key> }
        NftDelete::Element { .. } => {
            elements(writer, std::slice::from_ref(deletion), 0);
        }
        // delete chain <family> <table> <chain>
        NftDelete::Chain { table, chain } => writer.message(NFT_MSG_DELCHAIN, NLM_F_NONREC, table, |writer| {
            writer.string(NFTA_CHAIN_NAME, chain.as_str());
        }),
        // delete set <family> <table> <set>
        NftDelete::Set { table, set } => writer.message(NFT_MSG_DELSET, 0, table, |writer| {
            writer.string(NFTA_SET_NAME, set.as_str());
        }),
        // delete counter <family> <table> <name> (and quota, limit, ct helper and so on, by kind)
        NftDelete::Object { table, kind, name } => writer.message(NFT_MSG_DELOBJ, 0, table, |writer| {
            writer.string(NFTA_OBJ_NAME, name.as_str());
            writer.attribute(NFTA_OBJ_TYPE, &kind.to_be_bytes());
        }),
        // delete flowtable <family> <table> <name>
        NftDelete::Flowtable { table, name } => writer.message(NFT_MSG_DELFLOWTABLE, 0, table, |writer| {
            writer.string(NFTA_FLOWTABLE_NAME, name.as_str());
        }),
        // delete table <family> <table>
        NftDelete::Table { table } => writer.message(NFT_MSG_DELTABLE, 0, table, |_| {}),
    }
}

/// Writes one message with the elements of one set from `start` on; returns the index after the last it took.
fn elements(writer: &mut Writer, deletions: &[NftDelete], start: usize) -> usize {
    let NftDelete::Element { table, set, .. } = &deletions[start] else { return start + 1 };
    let mut end = start;
    // delete element <family> <table> <set> { <key>, <key>, ... }
    writer.message(NFT_MSG_DELSETELEM, 0, table, |writer| {
        writer.string(NFTA_SET_ELEM_LIST_SET, set.as_str());
        let list = writer.open(NFTA_SET_ELEM_LIST_ELEMENTS);
        while let Some(NftDelete::Element { table: its_table, set: its_set, attributes }) = deletions.get(end) {
            if its_table != table || its_set != set || writer.bytes.len() - list > ELEMENT_LIST_BYTES {
                break;
            }
            let element = writer.open(NFTA_LIST_ELEM);
            writer.identity(attributes);
            writer.close(element);
            end += 1;
        }
        writer.close(list);
    });
    end
}

/// Appends messages and attributes to one buffer, patching lengths afterwards.
struct Writer {
    bytes: Vec<u8>,
    /// Sequence number of the next message.
    seq: u32,
    /// Where the last finished message begins.
    last: usize,
}

impl Writer {
    fn message(&mut self, kind: u16, flags: u16, table: &TableRef, attributes: impl FnOnce(&mut Self)) {
        let kind = (NFNL_SUBSYS_NFTABLES << 8) | kind;
        let start = self.begin(kind, NLM_F_REQUEST | flags, table.family.nfproto(), 0);
        self.string(TABLE, table.name.as_str());
        attributes(self);
        self.end(start);
    }

    /// Writes `nlmsghdr` (length still open) and `nfgenmsg`.
    fn begin(&mut self, kind: u16, flags: u16, family: u8, res_id: u16) -> usize {
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

    fn end(&mut self, start: usize) {
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        NetlinkBuffer::new(&mut self.bytes[start..]).set_length(length);
        self.last = start;
    }

    fn ask_for_ack(&mut self) {
        let mut header = NetlinkBuffer::new(&mut self.bytes[self.last..]);
        let flags = header.flags() | NLM_F_ACK;
        header.set_flags(flags);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let start = self.open_plain(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    fn string(&mut self, kind: u16, value: &str) {
        let start = self.open_plain(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        self.open_plain(kind | NLA_F_NESTED)
    }

    fn open_plain(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    /// Patches the attribute's length (header included, padding not) and pads to 4 bytes.
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Copies what identifies an element out of its dumped attributes; data, timeouts and counters stay out.
    fn identity(&mut self, attributes: &[u8]) {
        for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
            let nested = if attribute.nested_flag() { NLA_F_NESTED } else { 0 };
            if matches!(attribute.kind(), NFTA_SET_ELEM_KEY | NFTA_SET_ELEM_FLAGS | NFTA_SET_ELEM_KEY_END) {
                self.attribute(attribute.kind() | nested, attribute.value());
            }
        }
    }
}
