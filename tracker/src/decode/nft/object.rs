//! Stateful objects and flowtables.

use super::attribute::{Attribute, attributes, be32, be64, fields, push_attribute, required, string};
use super::canonical::push_stable_quota;
use super::report::Reason;
use super::table::{devices, table_ref};
use crate::model::ids::{Handle, ObjectName};
use crate::model::nft::{Family, NftItem, NftSnapshot, OtherSnapshot, TableRef};

/// `NFTA_OBJ_*`.
const OBJ_TABLE: u16 = 1;
const OBJ_NAME: u16 = 2;
const OBJ_DATA: u16 = 4;
const OBJ_USE: u16 = 5;
const OBJ_HANDLE: u16 = 6;
const OBJ_PAD: u16 = 7;

/// `NFTA_FLOWTABLE_*`.
const FLOWTABLE_TABLE: u16 = 1;
const FLOWTABLE_NAME: u16 = 2;
const FLOWTABLE_USE: u16 = 4;
const FLOWTABLE_HANDLE: u16 = 5;
const FLOWTABLE_PAD: u16 = 6;

/// `NFT_OBJECT_*`.
const COUNTER: u32 = 1;
const QUOTA: u32 = 2;

/// Reads `NFTA_OBJ_*`; what the snapshot keeps has no use count, counter value or consumed quota.
pub(super) fn object(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem, NftSnapshot), Reason> {
    let [_, _, _, kind, _, _, handle] = fields::<7>(bytes)?;
    let kind_number = be32(required(kind, "object type")?)?;
    let mut kept = Vec::with_capacity(bytes.len());
    for attribute in attributes(bytes) {
        let Attribute { kind, value } = attribute?;
        match kind {
            OBJ_TABLE | OBJ_NAME | OBJ_USE | OBJ_HANDLE | OBJ_PAD => {}
            // an object without data is refused on creation, so the empty nest stays
            OBJ_DATA if kind_number == COUNTER => push_attribute(&mut kept, kind, &[]),
            OBJ_DATA if kind_number == QUOTA => {
                let mut stable = Vec::new();
                push_stable_quota(&mut stable, value)?;
                push_attribute(&mut kept, kind, &stable);
            }
            _ => push_attribute(&mut kept, kind, value),
        }
    }
    let (table, item) = deleted_object(family, bytes)?;
    Ok((table, item, snapshot(handle, kept)?))
}

/// Names the object a message is about.
pub(super) fn deleted_object(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem), Reason> {
    let [_, table, name, kind] = fields::<4>(bytes)?;
    let kind = be32(required(kind, "object type")?)?;
    let name = ObjectName::new(string(required(name, "object name")?));
    Ok((table_ref(family, table)?, NftItem::Object { kind, name }))
}

/// Reads `NFTA_FLOWTABLE_*` without the use count.
pub(super) fn flowtable(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem, NftSnapshot), Reason> {
    let [_, table, name, _hook, _use, handle] = fields::<6>(bytes)?;
    let mut kept = Vec::with_capacity(bytes.len());
    for attribute in attributes(bytes) {
        let Attribute { kind, value } = attribute?;
        match kind {
            FLOWTABLE_TABLE | FLOWTABLE_NAME | FLOWTABLE_USE | FLOWTABLE_HANDLE | FLOWTABLE_PAD => {}
            _ => push_attribute(&mut kept, kind, value),
        }
    }
    let item = NftItem::Flowtable(ObjectName::new(string(required(name, "flowtable name")?)));
    Ok((table_ref(family, table)?, item, snapshot(handle, kept)?))
}

/// Names the flowtable a deletion is about.
pub(super) fn deleted_flowtable(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem), Reason> {
    let [_, table, name, hook] = fields::<4>(bytes)?;
    if hook.map(devices).transpose()?.flatten().is_some() {
        return Err(Reason::DevicesDeleted);
    }
    let item = NftItem::Flowtable(ObjectName::new(string(required(name, "flowtable name")?)));
    Ok((table_ref(family, table)?, item))
}

fn snapshot(handle: Option<&[u8]>, attributes: Vec<u8>) -> Result<NftSnapshot, Reason> {
    let handle = Handle(be64(required(handle, "object handle")?)?);
    Ok(NftSnapshot::Other(OtherSnapshot { handle, attributes }))
}
