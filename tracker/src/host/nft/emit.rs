//! A batch as netlink bytes. Numbers are from `linux/netfilter/nf_tables.h` and `nfnetlink.h`.

use std::ops::Range;

use netlink_packet_core::{NLM_F_NONREC, NLM_F_REQUEST};

use super::emit_add::{Additions, additions};
use super::writer::Writer;
use super::{NftBatch, NftCommand, NftDelete};

pub(super) const NFNL_SUBSYS_NFTABLES: u16 = 10;
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
pub(super) const TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_SET_NAME: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub(super) const NFTA_SET_ELEM_KEY_END: u16 = 10;
pub(super) const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
pub(super) const NFTA_FLOWTABLE_NAME: u16 = 2;

/// An attribute's length field has 16 bits; a list of elements is split well before.
pub(super) const ELEMENT_LIST_BYTES: usize = 32 * 1024;

/// A batch on the wire.
pub(super) struct Encoded {
    /// The whole datagram.
    pub(super) bytes: Vec<u8>,
    /// For each message between begin and end, which changes it carries.
    pub(super) messages: Vec<Range<usize>>,
}

/// Sequence number of `NFNL_MSG_BATCH_BEGIN`; message `i` has `FIRST_SEQ + i`.
pub(super) const BEGIN_SEQ: u32 = 1;
/// Sequence number of the first change.
pub(super) const FIRST_SEQ: u32 = 2;

/// Encodes a batch; the last change asks for an acknowledgement, so that silence is not taken for success.
pub(super) fn encode(batch: &NftBatch) -> Encoded {
    let commands = batch.commands();
    let mut writer = Writer::with_capacity(64 + commands.len() * 72);
    let mut messages = Vec::with_capacity(commands.len());
    let mut added = Additions::default();

    let begin = writer.begin(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
    writer.attribute(NFNL_BATCH_GENID, &batch.generation().0.to_be_bytes());
    writer.end(begin);

    let mut index = 0;
    while index < commands.len() {
        let end = match &commands[index] {
            NftCommand::Delete(NftDelete::Element { .. }) => elements(&mut writer, commands, index),
            NftCommand::Delete(single) => {
                deletion(&mut writer, single);
                index + 1
            }
            NftCommand::Add(_) => additions(&mut writer, &mut added, commands, index),
        };
        messages.push(index..end);
        if end == commands.len() {
            writer.ask_for_ack();
        }
        index = end;
    }

    let end = writer.begin(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
    writer.end(end);
    Encoded { bytes: writer.into_bytes(), messages }
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
            elements(writer, &[deletion.clone().into()], 0);
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
fn elements(writer: &mut Writer, commands: &[NftCommand], start: usize) -> usize {
    let NftCommand::Delete(NftDelete::Element { table, set, .. }) = &commands[start] else { return start + 1 };
    let mut end = start;
    // delete element <family> <table> <set> { <key>, <key>, ... }
    writer.message(NFT_MSG_DELSETELEM, 0, table, |writer| {
        writer.string(NFTA_SET_ELEM_LIST_SET, set.as_str());
        let list = writer.open(NFTA_SET_ELEM_LIST_ELEMENTS);
        while let Some(NftCommand::Delete(NftDelete::Element { table: its_table, set: its_set, attributes })) =
            commands.get(end)
        {
            if its_table != table || its_set != set || writer.len() - list > ELEMENT_LIST_BYTES {
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
