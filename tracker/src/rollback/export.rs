//! The plan's nf_tables steps as libnftables JSON, for people who want to look at them or apply them by hand
//! (`nft -j -f`). Applied by hand they lack the compare-and-set: check that the ruleset has not changed.

use std::borrow::Cow;

use nftables::batch::Batch;
use nftables::schema::{
    CTExpectation, CTHelper, CTTimeout, Chain, Counter, FlowTable, Limit, Map, NfListObject, Nftables, Quota, Rule,
    Set, Table,
};
use nftables::types::NfFamily;

use super::plan::Plan;
use super::step::Step;
use crate::model::nft::{Family, NftItem, NftSnapshot, TableRef};
use crate::model::subject::{Snapshot, Subject};

/// `NFT_SET_MAP` and `NFT_SET_OBJECT`: what nft(8) calls a map.
const SET_MAP_OR_OBJECT: u32 = 8 | 64;

/// The commands, and what could not be said in them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "steps that are left out must be shown"]
pub struct Export {
    /// What `nft -j -f` takes.
    pub commands: Nftables<'static>,
    /// Steps that JSON has no words for: elements (their key's type is not kept) and rare kinds of objects.
    pub left_out: Vec<String>,
}

/// Exports the nf_tables steps, in the order the batch does them. Rules go by handle, everything else by name.
pub fn export(plan: &Plan) -> Export {
    let mut batch = Batch::new();
    let mut left_out = Vec::new();
    for step in plan.steps().iter().filter(|step| step.action().is_nft()) {
        match object(step) {
            Some(object) => batch.delete(object),
            None => left_out.push(step.describe()),
        }
    }
    Export { commands: batch.to_nftables(), left_out }
}

fn object(step: &Step) -> Option<NfListObject<'static>> {
    let (Subject::Nft(nft), Snapshot::Nft(content)) = (step.subject(), step.snapshot()) else { return None };
    let TableRef { family, name: table } = &nft.table;
    let (family, table) = (family_of(*family), owned(table.as_str()));
    Some(match &nft.item {
        // delete table <family> <table>
        NftItem::Table => NfListObject::Table(Table { family, name: table, handle: None }),
        // delete chain <family> <table> <chain>
        NftItem::Chain(chain) => {
            NfListObject::Chain(Chain { family, table, name: owned(chain.as_str()), ..Chain::default() })
        }
        // delete rule <family> <table> <chain> handle <handle>
        NftItem::Rule { chain, handle } => {
            let handle = Some(u32::try_from(handle.0).ok()?);
            NfListObject::Rule(Rule { family, table, chain: owned(chain.as_str()), handle, ..Rule::default() })
        }
        // delete map <family> <table> <map>
        NftItem::Set(set) if matches!(content, NftSnapshot::Set(content) if content.flags & SET_MAP_OR_OBJECT != 0) => {
            NfListObject::Map(Box::new(Map { family, table, name: owned(set.as_str()), ..Map::default() }))
        }
        // delete set <family> <table> <set>
        NftItem::Set(set) => {
            NfListObject::Set(Box::new(Set { family, table, name: owned(set.as_str()), ..Set::default() }))
        }
        NftItem::Element { .. } => return None,
        NftItem::Object { kind, name } => stateful(family, table, *kind, owned(name.as_str()))?,
        // delete flowtable <family> <table> <flowtable>
        NftItem::Flowtable(flowtable) => NfListObject::FlowTable(FlowTable {
            family,
            table,
            name: owned(flowtable.as_str()),
            ..FlowTable::default()
        }),
    })
}

/// `delete counter|quota|... <family> <table> <name>`, by `NFT_OBJECT_*`.
fn stateful(
    family: NfFamily,
    table: Cow<'static, str>,
    kind: u32,
    name: Cow<'static, str>,
) -> Option<NfListObject<'static>> {
    Some(match kind {
        1 => NfListObject::Counter(Counter { family, table, name, ..Counter::default() }),
        2 => NfListObject::Quota(Quota { family, table, name, ..Quota::default() }),
        3 => NfListObject::CTHelper(CTHelper { family, table, name, ..CTHelper::default() }),
        4 => NfListObject::Limit(Limit { family, table, name, ..Limit::default() }),
        7 => NfListObject::CTTimeout(CTTimeout { family, table, name, ..CTTimeout::default() }),
        9 => NfListObject::CTExpectation(CTExpectation {
            family,
            table,
            name,
            handle: None,
            l3proto: None,
            protocol: None,
            dport: None,
            timeout: None,
            size: None,
        }),
        _ => return None,
    })
}

fn owned(name: &str) -> Cow<'static, str> {
    Cow::Owned(name.to_owned())
}

fn family_of(family: Family) -> NfFamily {
    match family {
        Family::Inet => NfFamily::INet,
        Family::Ip => NfFamily::IP,
        Family::Arp => NfFamily::ARP,
        Family::Netdev => NfFamily::NetDev,
        Family::Bridge => NfFamily::Bridge,
        Family::Ip6 => NfFamily::IP6,
    }
}
