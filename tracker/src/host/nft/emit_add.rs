//! Additions as netlink messages. Numbers are from `linux/netfilter/nf_tables.h`.

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};

use super::NftCommand;
use super::add::{NftAdd, Place, compat_of};
use super::emit::{
    ELEMENT_LIST_BYTES, NFTA_CHAIN_NAME, NFTA_FLOWTABLE_NAME, NFTA_LIST_ELEM, NFTA_OBJ_NAME, NFTA_RULE_CHAIN,
    NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET, NFTA_SET_NAME,
};
use super::writer::Writer;
use crate::model::ids::{ChainName, SetName};
use crate::model::nft::{BaseChain, ChainSnapshot, RuleSnapshot, SetSnapshot, TableRef, TableSnapshot};

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_NEWOBJ: u16 = 18;
const NFT_MSG_NEWFLOWTABLE: u16 = 22;

const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_TABLE_USERDATA: u16 = 6;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_CHAIN_FLAGS: u16 = 10;
const NFTA_CHAIN_USERDATA: u16 = 12;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_HOOK_DEVS: u16 = 4;
const NFTA_DEVICE_NAME: u16 = 1;
const NFTA_DEVICE_PREFIX: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_COMPAT: u16 = 5;
const NFTA_RULE_POSITION: u16 = 6;
const NFTA_RULE_USERDATA: u16 = 7;
const NFTA_RULE_COMPAT_PROTO: u16 = 1;
const NFTA_RULE_COMPAT_FLAGS: u16 = 2;
const NFT_RULE_COMPAT_F_INV: u32 = 2;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_ELEM_LIST_SET_ID: u16 = 4;
const NFTA_SET_ELEM_PAD: u16 = 8;

/// Flags a table or chain can be made with: `NFT_TABLE_F_DORMANT`; `NFT_CHAIN_HW_OFFLOAD`.
const TABLE_DORMANT: u32 = 1;
const CHAIN_HW_OFFLOAD: u32 = 2;

/// The sets a batch made so far, with the number it gave each.
#[derive(Debug, Default)]
pub(super) struct Additions(BTreeMap<(TableRef, SetName), u32>);

/// Writes one message for the addition at `start`, or for the elements of one set from there on; returns the index after
/// the last it took.
pub(super) fn additions(writer: &mut Writer, added: &mut Additions, commands: &[NftCommand], start: usize) -> usize {
    let NftCommand::Add(addition) = &commands[start] else { return start + 1 };
    match addition {
        NftAdd::Table { table, content } => new_table(writer, table, content),
        NftAdd::Chain { table, chain, content } => new_chain(writer, table, chain, content),
        // chain <family> <table> <chain> { policy <policy>; }
        NftAdd::Policy { table, chain, policy } => writer.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, |writer| {
            writer.string(NFTA_CHAIN_NAME, chain.as_str());
            writer.attribute(NFTA_CHAIN_POLICY, &policy.to_be_bytes());
        }),
        NftAdd::Set { table, set, content } => new_set(writer, added, table, set, content),
        // create counter <family> <table> <name> (and quota, limit and so on)
        NftAdd::Object { table, kind: _, name, content } => {
            writer.message(NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
                writer.string(NFTA_OBJ_NAME, name.as_str());
                writer.copy(&content.attributes, &[]);
            });
        }
        // create flowtable <family> <table> <name>
        NftAdd::Flowtable { table, name, content } => {
            writer.message(NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
                writer.string(NFTA_FLOWTABLE_NAME, name.as_str());
                writer.copy(&content.attributes, &[]);
            });
        }
        NftAdd::Element { .. } => return new_elements(writer, added, commands, start),
        NftAdd::Rule { table, chain, content, place } => new_rule(writer, (table, chain), content, *place),
    }
    start + 1
}

/// `create table <family> <table>`
fn new_table(writer: &mut Writer, table: &TableRef, content: &TableSnapshot) {
    let TableSnapshot { handle: _, flags, userdata } = content;
    writer.message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
        writer.attribute(NFTA_TABLE_FLAGS, &(flags & TABLE_DORMANT).to_be_bytes());
        if !userdata.is_empty() {
            writer.attribute(NFTA_TABLE_USERDATA, userdata);
        }
    });
}

/// `create chain <family> <table> <chain> { type <type> hook <hook> priority <priority>; policy <policy>; }`
fn new_chain(writer: &mut Writer, table: &TableRef, chain: &ChainName, content: &ChainSnapshot) {
    let ChainSnapshot { handle: _, base, flags, userdata } = content;
    writer.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
        writer.string(NFTA_CHAIN_NAME, chain.as_str());
        if let Some(BaseChain { kind, hook, priority, policy, device }) = base {
            let nest = writer.open(NFTA_CHAIN_HOOK);
            writer.attribute(NFTA_HOOK_HOOKNUM, &hook.to_be_bytes());
            writer.attribute(NFTA_HOOK_PRIORITY, &priority.to_be_bytes());
            devices(writer, device.as_deref());
            writer.close(nest);
            writer.attribute(NFTA_CHAIN_POLICY, &policy.to_be_bytes());
            writer.string(NFTA_CHAIN_TYPE, kind);
            if flags & CHAIN_HW_OFFLOAD != 0 {
                writer.attribute(NFTA_CHAIN_FLAGS, &CHAIN_HW_OFFLOAD.to_be_bytes());
            }
        }
        if !userdata.is_empty() {
            writer.attribute(NFTA_CHAIN_USERDATA, userdata);
        }
    });
}

/// The links a chain is attached to, as `decode::nft` writes them down: comma and blank between, prefixes with an
/// asterisk.
fn devices(writer: &mut Writer, names: Option<&str>) {
    let names: Vec<&str> = names.into_iter().flat_map(|names| names.split(", ")).collect();
    match names.as_slice() {
        [] => {}
        [one] if !one.ends_with('*') => writer.string(NFTA_HOOK_DEV, one),
        several => {
            let nest = writer.open(NFTA_HOOK_DEVS);
            for name in several {
                match name.strip_suffix('*') {
                    Some(prefix) => writer.string(NFTA_DEVICE_PREFIX, prefix),
                    None => writer.string(NFTA_DEVICE_NAME, name),
                }
            }
            writer.close(nest);
        }
    }
}

/// `create set <family> <table> <set> { ... }`. A set that is part of a rule gets the very name it had: a name without
/// `%d` is taken as it is, and the rule finds the set by it.
fn new_set(writer: &mut Writer, added: &mut Additions, table: &TableRef, set: &SetName, content: &SetSnapshot) {
    let id = u32::try_from(added.0.len()).unwrap_or(u32::MAX).saturating_add(1);
    added.0.insert((table.clone(), set.clone()), id);
    writer.message(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
        writer.string(NFTA_SET_NAME, set.as_str());
        writer.copy(&content.attributes, &[]);
        writer.attribute(NFTA_SET_ID, &id.to_be_bytes());
    });
}

/// `create element <family> <table> <set> { <element>, <element>, ... }`
fn new_elements(writer: &mut Writer, added: &Additions, commands: &[NftCommand], start: usize) -> usize {
    let NftCommand::Add(NftAdd::Element { table, set, .. }) = &commands[start] else { return start + 1 };
    let mut end = start;
    writer.message(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, table, |writer| {
        writer.string(NFTA_SET_ELEM_LIST_SET, set.as_str());
        if let Some(id) = added.0.get(&(table.clone(), set.clone())) {
            writer.attribute(NFTA_SET_ELEM_LIST_SET_ID, &id.to_be_bytes());
        }
        let list = writer.open(NFTA_SET_ELEM_LIST_ELEMENTS);
        while let Some(NftCommand::Add(NftAdd::Element { table: its_table, set: its_set, key: _, content })) =
            commands.get(end)
        {
            if its_table != table || its_set != set || writer.len() - list > ELEMENT_LIST_BYTES {
                break;
            }
            let element = writer.open(NFTA_LIST_ELEM);
            writer.copy(&content.attributes, &[NFTA_SET_ELEM_PAD]);
            writer.close(element);
            end += 1;
        }
        writer.close(list);
    });
    end
}

/// `add rule <family> <table> <chain> ...`, `insert rule ... position <handle> ...` or `add rule ... position <handle>`
fn new_rule(writer: &mut Writer, (table, chain): (&TableRef, &ChainName), content: &RuleSnapshot, place: Place) {
    let flags = match place {
        Place::Last | Place::After(_) => NLM_F_CREATE | NLM_F_APPEND,
        Place::Before(_) => NLM_F_CREATE,
    };
    writer.message(NFT_MSG_NEWRULE, flags, table, |writer| {
        writer.string(NFTA_RULE_CHAIN, chain.as_str());
        let list = writer.open(NFTA_RULE_EXPRESSIONS);
        writer.raw(&content.expressions);
        writer.close(list);
        if let Some((protocol, is_inverted)) = compat_of(&content.expressions) {
            let nest = writer.open(NFTA_RULE_COMPAT);
            writer.attribute(NFTA_RULE_COMPAT_PROTO, &protocol.to_be_bytes());
            let flags = if is_inverted { NFT_RULE_COMPAT_F_INV } else { 0 };
            writer.attribute(NFTA_RULE_COMPAT_FLAGS, &flags.to_be_bytes());
            writer.close(nest);
        }
        if let Place::Before(handle) | Place::After(handle) = place {
            writer.attribute(NFTA_RULE_POSITION, &handle.0.to_be_bytes());
        }
        if !content.userdata.is_empty() {
            writer.attribute(NFTA_RULE_USERDATA, &content.userdata);
        }
    });
}
