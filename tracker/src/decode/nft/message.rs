//! One netlink message to observations.

use netlink_packet_core::{NLMSG_NOOP, NetlinkBuffer};
use netlink_packet_netfilter::nftables::NfTablesMessageType as Type;

use super::attribute::{be32, fields, required, string};
use super::report::Reason;
use super::{object, rule, set, table};
use crate::model::ids::{Generation, Tid};
use crate::model::nft::{Family, NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::observation::Observation;
use crate::model::subject::{Snapshot, Subject};

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u8 = 10;
/// `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;
/// `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;
/// `NFT_MSG_DESTROYTABLE` to `NFT_MSG_DESTROYFLOWTABLE` (6.3): deletions that were asked for with `destroy`.
const DESTROY_TABLE: u8 = 26;
const DESTROY_CHAIN: u8 = 27;
const DESTROY_RULE: u8 = 28;
const DESTROY_SET: u8 = 29;
const DESTROY_SETELEM: u8 = 30;
const DESTROY_OBJ: u8 = 31;
const DESTROY_FLOWTABLE: u8 = 32;

/// Decodes one whole message; `out` gets all its observations, or on an error possibly some of them. Returns the low bits
/// of the generation the message is of, where it is of one.
pub(super) fn decode_message(
    message: &NetlinkBuffer<&[u8]>,
    out: &mut Vec<Observation>,
) -> Result<Option<u16>, Reason> {
    let kind = message.message_type();
    if kind == NLMSG_NOOP {
        return Ok(None);
    }
    let [subsystem, kind_low] = kind.to_be_bytes();
    let end = usize::try_from(message.length()).unwrap_or(usize::MAX);
    let payload = message.buffer.get(NETLINK_HEADER_LEN..end).ok_or(Reason::Malformed("message length"))?;
    if subsystem != SUBSYSTEM {
        return Err(Reason::UnknownType(kind));
    }
    let (header, attributes) =
        payload.split_at_checked(NFGENMSG_LEN).ok_or(Reason::Malformed("nfnetlink message header"))?;
    let generation_low = Some(u16::from_be_bytes([header[2], header[3]]));
    let kind = Type::from(kind_low);
    if kind == Type::NewGen {
        out.push(committed(attributes)?);
        return Ok(generation_low);
    }
    // a quota used up by packets is announced outside of any commit, with neither requester nor request number
    if kind == Type::NewObject && message.port_number() == 0 && message.sequence_number() == 0 {
        return Ok(None);
    }
    let family = Family::from_nfproto(header[0]).ok_or(Reason::UnknownFamily(header[0]))?;
    match kind {
        Type::NewSetElement | Type::DeleteSetElement | Type::Other(DESTROY_SETELEM) => {
            let is_new = kind == Type::NewSetElement;
            set::elements(family, attributes, |table, item, element| {
                let after = is_new.then(|| set::element(element)).transpose()?;
                out.push(observation(table.clone(), item, after));
                Ok(())
            })?;
        }
        _ => out.push(object_change(kind, family, attributes)?),
    }
    Ok(generation_low)
}

fn object_change(kind: Type, family: Family, attributes: &[u8]) -> Result<Observation, Reason> {
    let added = |(table, item, snapshot): (TableRef, NftItem, NftSnapshot)| observation(table, item, Some(snapshot));
    let deleted = |(table, item): (TableRef, NftItem)| observation(table, item, None);
    Ok(match kind {
        Type::NewTable => {
            let (table, snapshot) = table::table(family, attributes)?;
            observation(table, NftItem::Table, Some(snapshot))
        }
        Type::NewChain => added(table::chain(family, attributes)?),
        Type::NewRule => added(rule::rule(family, attributes)?),
        Type::NewSet => added(set::set(family, attributes)?),
        Type::NewObject => added(object::object(family, attributes)?),
        Type::NewFlowTable => added(object::flowtable(family, attributes)?),
        Type::DeleteTable | Type::Other(DESTROY_TABLE) => {
            observation(table::table_name(family, attributes)?, NftItem::Table, None)
        }
        Type::DeleteChain | Type::Other(DESTROY_CHAIN) => deleted(table::deleted_chain(family, attributes)?),
        Type::DeleteRule | Type::Other(DESTROY_RULE) => deleted(rule::deleted_rule(family, attributes)?),
        Type::DeleteSet | Type::Other(DESTROY_SET) => deleted(set::deleted_set(family, attributes)?),
        Type::DeleteObject | Type::Other(DESTROY_OBJ) => deleted(object::deleted_object(family, attributes)?),
        Type::DeleteFlowTable | Type::Other(DESTROY_FLOWTABLE) => {
            deleted(object::deleted_flowtable(family, attributes)?)
        }
        other => return Err(Reason::UnknownType(u16::from_be_bytes([SUBSYSTEM, u8::from(other)]))),
    })
}

fn observation(table: TableRef, item: NftItem, after: Option<NftSnapshot>) -> Observation {
    Observation::Nft { subject: Subject::Nft(NftSubject { table, item }), after: after.map(Snapshot::Nft) }
}

/// Reads `NFTA_GEN_*`.
fn committed(attributes: &[u8]) -> Result<Observation, Reason> {
    let [_, generation, tid, comm] = fields::<4>(attributes)?;
    Ok(Observation::NftCommitted {
        generation: Generation(be32(required(generation, "generation")?)?),
        tid: tid.map(be32).transpose()?.map(Tid),
        comm: comm.map(|comm| string(comm).into_owned()),
    })
}
