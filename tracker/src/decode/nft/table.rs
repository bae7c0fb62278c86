//! Tables and chains.

use super::attribute::{Attribute, attributes, be32, be32_or_zero, be64, fields, required, string};
use super::report::Reason;
use crate::model::ids::{ChainName, Handle, TableName};
use crate::model::nft::{BaseChain, ChainSnapshot, Family, NftItem, NftSnapshot, TableRef, TableSnapshot};

/// Names the table of a message whose table attribute is `name`.
pub(super) fn table_ref(family: Family, name: Option<&[u8]>) -> Result<TableRef, Reason> {
    Ok(TableRef { family, name: TableName::new(string(required(name, "table name")?)) })
}

/// Reads `NFTA_TABLE_*`. The use count and the owner's portid are left out: neither is content.
pub(super) fn table(family: Family, attributes: &[u8]) -> Result<(TableRef, NftSnapshot), Reason> {
    let [_, name, flags, _use, handle, _pad, userdata] = fields::<7>(attributes)?;
    let snapshot = TableSnapshot {
        handle: Handle(be64(required(handle, "table handle")?)?),
        flags: be32_or_zero(flags)?,
        userdata: userdata.unwrap_or_default().to_vec(),
    };
    Ok((table_ref(family, name)?, NftSnapshot::Table(snapshot)))
}

/// Names the table a table message is about.
pub(super) fn table_name(family: Family, attributes: &[u8]) -> Result<TableRef, Reason> {
    let [_, name] = fields::<2>(attributes)?;
    table_ref(family, name)
}

/// Reads `NFTA_CHAIN_*` without use count and counters.
pub(super) fn chain(family: Family, attributes: &[u8]) -> Result<(TableRef, NftItem, NftSnapshot), Reason> {
    let [_, table, handle, name, hook, policy, _use, kind, _counters, _pad, flags, _id, userdata] =
        fields::<13>(attributes)?;
    let snapshot = ChainSnapshot {
        handle: Handle(be64(required(handle, "chain handle")?)?),
        base: hook.map(|hook| base_chain(hook, policy, kind)).transpose()?,
        flags: be32_or_zero(flags)?,
        userdata: userdata.unwrap_or_default().to_vec(),
    };
    let name = ChainName::new(string(required(name, "chain name")?));
    Ok((table_ref(family, table)?, NftItem::Chain(name), NftSnapshot::Chain(snapshot)))
}

/// Names the chain a deletion is about.
pub(super) fn deleted_chain(family: Family, attributes: &[u8]) -> Result<(TableRef, NftItem), Reason> {
    let [_, table, _handle, name, hook] = fields::<5>(attributes)?;
    if hook.map(devices).transpose()?.flatten().is_some() {
        return Err(Reason::DevicesDeleted);
    }
    let name = ChainName::new(string(required(name, "chain name")?));
    Ok((table_ref(family, table)?, NftItem::Chain(name)))
}

fn base_chain(hook: &[u8], policy: Option<&[u8]>, kind: Option<&[u8]>) -> Result<BaseChain, Reason> {
    let [_, number, priority] = fields::<3>(hook)?;
    Ok(BaseChain {
        kind: string(required(kind, "chain type")?).into_owned(),
        hook: be32(required(number, "hook number")?)?,
        priority: be32(required(priority, "hook priority")?)?.cast_signed(),
        policy: be32(required(policy, "chain policy")?)?,
        device: devices(hook)?,
    })
}

/// The devices of an `NFTA_HOOK_*` nest, comma and blank between (no link name has a blank). A single one is named by
/// `NFTA_HOOK_DEV` too, alone before 5.5; `NFTA_DEVICE_PREFIX` (6.16) is shown with nft's asterisk.
pub(super) fn devices(hook: &[u8]) -> Result<Option<String>, Reason> {
    let [_, _, _, device, list] = fields::<5>(hook)?;
    let Some(list) = list else {
        return Ok(device.map(|name| string(name).into_owned()));
    };
    let mut names = Vec::new();
    for attribute in attributes(list) {
        match attribute? {
            Attribute { kind: 1, value } => names.push(string(value).into_owned()),
            Attribute { value, .. } => names.push(format!("{}*", string(value))),
        }
    }
    // their order is an accident of how the kernel keeps them
    names.sort();
    Ok((!names.is_empty()).then(|| names.join(", ")))
}
