//! Sets, maps and their elements.

use super::attribute::{Attribute, attributes, be32_or_zero, be64, fields, push_attribute, required, string};
use super::canonical::{push_stable_expression, push_stable_list};
use super::expression::{Data, Expression};
use super::report::Reason;
use super::table::table_ref;
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::ids::{Handle, ObjectName, SetName};
use crate::model::nft::{ElementSnapshot, Family, NftItem, NftSnapshot, SetSnapshot, TableRef};

/// `NFTA_SET_*`.
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_ID: u16 = 10;
const SET_PAD: u16 = 14;
const SET_HANDLE: u16 = 16;
const SET_EXPR: u16 = 17;
const SET_EXPRESSIONS: u16 = 18;
/// The backend the kernel chose and the number of elements (6.16).
const SET_TYPE: u16 = 19;
const SET_COUNT: u16 = 20;

/// `NFTA_SET_ELEM_*`.
const ELEM_TIMEOUT: u16 = 4;
const ELEM_EXPIRATION: u16 = 5;
const ELEM_EXPR: u16 = 7;
const ELEM_PAD: u16 = 8;
const ELEM_EXPRESSIONS: u16 = 11;
/// `NFT_SET_ELEM_INTERVAL_END`.
const ELEM_INTERVAL_END: u32 = 1;
/// `NFTA_LIST_ELEM`.
const LIST_ELEM: u16 = 1;

/// Reads `NFTA_SET_*`; what the snapshot keeps has no name, handle, element count or expression state.
pub(super) fn set(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem, NftSnapshot), Reason> {
    let [_, table, name, flags, .., handle] = fields::<17>(bytes)?;
    let mut kept = Vec::with_capacity(bytes.len());
    for attribute in attributes(bytes) {
        let Attribute { kind, value } = attribute?;
        let mut stable = Vec::new();
        match kind {
            SET_TABLE | SET_NAME | SET_ID | SET_PAD | SET_HANDLE | SET_TYPE | SET_COUNT => continue,
            SET_EXPR => push_stable_expression(&mut stable, &Expression::parse(value)?)?,
            SET_EXPRESSIONS => push_stable_list(&mut stable, value)?,
            _ => stable.extend_from_slice(value),
        }
        push_attribute(&mut kept, kind, &stable);
    }
    let snapshot = SetSnapshot {
        handle: Handle(be64(required(handle, "set handle")?)?),
        flags: be32_or_zero(flags)?,
        attributes: kept,
    };
    let item = NftItem::Set(set_name(name)?);
    Ok((table_ref(family, table)?, item, NftSnapshot::Set(snapshot)))
}

/// Names the set a deletion is about.
pub(super) fn deleted_set(family: Family, bytes: &[u8]) -> Result<(TableRef, NftItem), Reason> {
    let [_, table, name] = fields::<3>(bytes)?;
    Ok((table_ref(family, table)?, NftItem::Set(set_name(name)?)))
}

/// Calls `each` for the elements of an `NFTA_SET_ELEM_LIST_*` message with key and raw attributes.
pub(super) fn elements(
    family: Family,
    bytes: &[u8],
    mut each: impl FnMut(&TableRef, NftItem, &[u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let [_, table, set, list] = fields::<4>(bytes)?;
    let (table, set) = (table_ref(family, table)?, set_name(set)?);
    for attribute in attributes(list.unwrap_or_default()) {
        let Attribute { kind, value } = attribute?;
        if kind == LIST_ELEM {
            each(&table, NftItem::Element { set: set.clone(), key: element_key(value)? }, value)?;
        }
    }
    Ok(())
}

/// Reads `NFTA_SET_ELEM_*`.
pub(super) fn element(bytes: &[u8]) -> Result<NftSnapshot, Reason> {
    let [_, _key, data, _flags, timeout, expiration] = fields::<6>(bytes)?;
    let chain = data.map(Data::parse).transpose()?.and_then(Data::chain);
    Ok(NftSnapshot::Element(ElementSnapshot {
        attributes: bytes.to_vec(),
        chains: chain.into_iter().collect(),
        content: element_digest(bytes)?,
        has_timeout: timeout.is_some() || expiration.is_some(),
    }))
}

/// The stateful object that an element of an object map refers to.
pub fn object_of(element: &ElementSnapshot) -> Option<ObjectName> {
    // what cannot be read was not recorded as an element
    let [.., object] = fields::<10>(&element.attributes).ok()?;
    Some(ObjectName::new(string(object?)))
}

fn set_name(name: Option<&[u8]>) -> Result<SetName, Reason> {
    Ok(SetName::new(string(required(name, "set name")?)))
}

/// Key, then key end, then a 1 for the end of an interval. Empty for the catch-all element, which has no key.
fn element_key(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let [_, key, _, flags, .., key_end] = fields::<11>(bytes)?;
    let mut joined = Vec::new();
    for part in [key, key_end].into_iter().flatten() {
        match Data::parse(part)? {
            Data::Value(value) => joined.extend_from_slice(value),
            Data::Verdict(..) => return Err(Reason::Malformed("set element key")),
        }
    }
    if be32_or_zero(flags)? & ELEM_INTERVAL_END != 0 {
        joined.push(1);
    }
    Ok(joined)
}

fn element_digest(bytes: &[u8]) -> Result<Digest, Reason> {
    let mut digest = DigestBuilder::new("nft-element");
    for attribute in attributes(bytes) {
        let Attribute { kind, value } = attribute?;
        let mut stable = Vec::new();
        let content = match kind {
            ELEM_TIMEOUT | ELEM_EXPIRATION | ELEM_PAD => continue,
            ELEM_EXPR => {
                push_stable_expression(&mut stable, &Expression::parse(value)?)?;
                &stable
            }
            ELEM_EXPRESSIONS => {
                push_stable_list(&mut stable, value)?;
                &stable
            }
            _ => value,
        };
        digest.field(&kind.to_le_bytes()).field(content);
    }
    Ok(digest.finish())
}
