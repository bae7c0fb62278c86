//! The nf_tables steps as libnftables JSON.

use std::borrow::Cow;

use nftables::batch::Batch;
use nftables::schema::{
    CTExpectation, CTHelper, CTTimeout, Chain, Counter, FlowTable, FlushObject, Limit, Map, NfCmd, NfListObject,
    NfObject, Quota, Rule, Set, Table,
};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};
use serde_json::{Value, json};

use super::elements::Elements;
use super::{Export, LeftOut, Names};
use crate::model::nft::{BaseChain, ChainSnapshot, Family, NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::render;
use crate::rollback::live::LiveState;
use crate::rollback::plan::Plan;
use crate::rollback::step::{Action, Step};

/// `NFT_SET_MAP` and `NFT_SET_OBJECT`: what nft(8) calls a map.
const SET_MAP_OR_OBJECT: u32 = 8 | 64;

/// All of the plan that is nf_tables'; the rest is left out.
pub(super) fn export(plan: &Plan, live: &LiveState) -> Export {
    let steps: Vec<&Step> = plan.steps().iter().filter(|step| step.action().is_nft()).collect();
    let Commands { commands, mut left_out } = commands(&steps, live);
    let others = plan.steps().iter().filter(|step| !step.action().is_nft());
    left_out.extend(others.map(|step| LeftOut::new(step, "it is no step of nf_tables")));
    Export { text: document(&commands, &left_out), left_out }
}

/// Commands for `nft -j -f`, and what could not be said in them.
#[derive(Debug, Default)]
pub(super) struct Commands {
    pub(super) commands: Vec<NfObject<'static>>,
    pub(super) left_out: Vec<LeftOut>,
}

/// The steps as commands, in their order. Rules go by handle, everything else by name.
pub(super) fn commands(steps: &[&Step], live: &LiveState) -> Commands {
    let names = Names::of(live);
    let elements = Elements::new(steps, live, &names);
    let mut batch = Batch::new();
    let mut left_out = Vec::new();
    for step in steps {
        let (Subject::Nft(nft), Snapshot::Nft(content)) = (step.subject(), step.snapshot()) else { continue };
        match command(step, nft, content, &elements) {
            Ok(commands) => commands.into_iter().for_each(|command| batch.add_cmd(command)),
            Err(reason) => left_out.push(LeftOut::new(step, reason)),
        }
    }
    Commands { commands: batch.to_nftables().objects.into_owned(), left_out }
}

/// One command a line, so that people can read and compare it. What is left out is named in the metainfo, where nft(8)
/// passes it over.
pub(super) fn document(commands: &[NfObject<'static>], left_out: &[LeftOut]) -> String {
    let mut info = json!({"json_schema_version": 1});
    if !left_out.is_empty() {
        let each = left_out.iter().map(|LeftOut { what, reason }| format!("{what}: {reason}"));
        info["netdeed_left_out"] = Value::from(each.collect::<Vec<_>>());
    }
    let mut text = format!("{{\"nftables\": [\n{}", json!({"metainfo": info}));
    for command in commands {
        // these types are made of strings, numbers and lists, which all can be written
        text.push_str(",\n");
        text.push_str(&serde_json::to_string(command).unwrap_or_default());
    }
    text.push_str("\n]}\n");
    text
}

/// What one step is. Empty for an element whose command stands at another one's: the ends of an interval go together.
fn command(
    step: &Step,
    NftSubject { table, item }: &NftSubject,
    content: &NftSnapshot,
    elements: &Elements,
) -> Result<Vec<NfCmd<'static>>, &'static str> {
    const ODD: &str = "its content is of another class";
    let (family, name) = (family_of(table.family), owned(table.name.as_str()));
    let object = match (step.action(), item) {
        // chain <family> <table> <chain> { policy <policy>; }
        (Action::SetPolicy { policy }, NftItem::Chain(chain)) => {
            let NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. }) = content else { return Err(ODD) };
            let chain = with_policy(table, chain.as_str(), base, policy).ok_or("nft(8) has no word for its hook")?;
            return Ok(vec![NfCmd::Add(NfListObject::Chain(chain))]);
        }
        (Action::DeleteElement, NftItem::Element { .. }) => return elements.command(step.subject()),
        // delete table <family> <table>
        (Action::DeleteTable, NftItem::Table) => NfListObject::Table(Table { family, name, handle: None }),
        // delete chain <family> <table> <chain>
        (Action::DeleteChain, NftItem::Chain(chain)) => {
            NfListObject::Chain(Chain { family, table: name, name: owned(chain.as_str()), ..Chain::default() })
        }
        // delete rule <family> <table> <chain> handle <handle>
        (Action::DeleteRule { .. }, NftItem::Rule { chain, handle }) => {
            let handle = u32::try_from(handle.0).map_err(|_| "its handle is larger than the JSON schema allows")?;
            let (table, chain) = (name, owned(chain.as_str()));
            NfListObject::Rule(Rule { family, table, chain, handle: Some(handle), ..Rule::default() })
        }
        (Action::DeleteSet { clear_first }, NftItem::Set(set)) => {
            return Ok(delete_set(table, set.as_str(), content, clear_first));
        }
        (Action::DeleteObject, NftItem::Object { kind, name: object }) => {
            stateful(family, name, *kind, owned(object.as_str())).ok_or("the JSON schema has no such kind of object")?
        }
        // delete flowtable <family> <table> <flowtable>
        (Action::DeleteFlowtable, NftItem::Flowtable(flowtable)) => NfListObject::FlowTable(FlowTable {
            family,
            table: name,
            name: owned(flowtable.as_str()),
            ..FlowTable::default()
        }),
        _ => return Err(ODD),
    };
    Ok(vec![NfCmd::Delete(object)])
}

/// `flush set`, where kernels before 6.4 need it, and `delete set <family> <table> <set>`; of maps the same.
fn delete_set(table: &TableRef, set: &str, content: &NftSnapshot, clear_first: bool) -> Vec<NfCmd<'static>> {
    let (family, table, name) = (family_of(table.family), owned(table.name.as_str()), owned(set));
    let mut commands = Vec::new();
    if matches!(content, NftSnapshot::Set(content) if content.flags & SET_MAP_OR_OBJECT != 0) {
        let map = Box::new(Map { family, table, name, ..Map::default() });
        commands.extend(clear_first.then(|| NfCmd::Flush(FlushObject::Map(map.clone()))));
        commands.push(NfCmd::Delete(NfListObject::Map(map)));
    } else {
        let set = Box::new(Set { family, table, name, ..Set::default() });
        commands.extend(clear_first.then(|| NfCmd::Flush(FlushObject::Set(set.clone()))));
        commands.push(NfCmd::Delete(NfListObject::Set(set)));
    }
    commands
}

/// A base chain as it is, with a policy. Adding what is there changes nothing else.
fn with_policy(table: &TableRef, chain: &str, base: &BaseChain, policy: u32) -> Option<Chain<'static>> {
    let BaseChain { kind, hook, priority, policy: _, device } = base;
    let kind = match kind.as_str() {
        "filter" => NfChainType::Filter,
        "route" => NfChainType::Route,
        "nat" => NfChainType::NAT,
        _ => return None,
    };
    let hook = match render::hook_name(table.family, *hook)? {
        "prerouting" => NfHook::Prerouting,
        "input" => NfHook::Input,
        "forward" => NfHook::Forward,
        "output" => NfHook::Output,
        "postrouting" => NfHook::Postrouting,
        "ingress" => NfHook::Ingress,
        "egress" => NfHook::Egress,
        _ => return None,
    };
    Some(Chain {
        family: family_of(table.family),
        table: owned(table.name.as_str()),
        name: owned(chain),
        newname: None,
        handle: None,
        _type: Some(kind),
        hook: Some(hook),
        prio: Some(*priority),
        dev: device.as_deref().map(owned),
        policy: Some(if policy == 0 { NfChainPolicy::Drop } else { NfChainPolicy::Accept }),
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

pub(super) fn owned(name: &str) -> Cow<'static, str> {
    Cow::Owned(name.to_owned())
}

pub(super) fn family_of(family: Family) -> NfFamily {
    match family {
        Family::Inet => NfFamily::INet,
        Family::Ip => NfFamily::IP,
        Family::Arp => NfFamily::ARP,
        Family::Netdev => NfFamily::NetDev,
        Family::Bridge => NfFamily::Bridge,
        Family::Ip6 => NfFamily::IP6,
    }
}
