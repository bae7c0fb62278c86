//! Traffic control and neighbours in the words of tc(8), ip(8) and bridge(8).

use super::Names;
use super::net::{NO_LINK, Words};
use crate::model::neighbour::{Mac, NeighbourKey, NeighbourSubject};
use crate::model::subject::Subject;
use crate::model::traffic::{
    FILTERS_IN, FILTERS_OUT, FilterSubject, HandleWord, INGRESS, QdiscSubject, ROOT, TrafficClassSubject,
    TrafficSnapshot, protocol_word,
};
use crate::render::Surroundings;
use crate::rollback::live::LiveState;
use crate::rollback::plan::Plan;
use crate::rollback::step::Step;

fn words(text: &str) -> Words {
    text.split(' ').map(str::to_owned).collect()
}

/// `tc qdisc del dev <link> root handle <handle>`; `clsact` and `ingress` go by their names.
pub(super) fn qdisc(subject: &QdiscSubject, content: &TrafficSnapshot, names: &Names) -> Result<Words, &'static str> {
    let dev = names.link(subject.ifindex.0).ok_or(NO_LINK)?;
    let handle = HandleWord(subject.handle);
    Ok(words(&match content.parent {
        INGRESS => format!("tc qdisc del dev {dev} {}", content.kind),
        ROOT => format!("tc qdisc del dev {dev} root handle {handle}"),
        parent => format!("tc qdisc del dev {dev} parent {} handle {handle}", HandleWord(parent)),
    }))
}

/// `tc class del dev <link> classid <handle>`.
pub(super) fn class(subject: &TrafficClassSubject, names: &Names) -> Result<Words, &'static str> {
    let dev = names.link(subject.ifindex.0).ok_or(NO_LINK)?;
    Ok(words(&format!("tc class del dev {dev} classid {}", HandleWord(subject.handle))))
}

/// `tc filter del dev <link> <place> chain <chain> pref <pref> protocol <protocol> handle <handle> <kind>`.
///
/// The last `u32` filter of a priority goes without its handle, which takes the empty hash table along.
pub(super) fn filter(
    subject: &FilterSubject,
    content: &TrafficSnapshot,
    is_last: bool,
    names: &Names,
) -> Result<Words, &'static str> {
    let FilterSubject { ifindex, parent, chain, priority, protocol, handle } = subject;
    let dev = names.link(ifindex.0).ok_or(NO_LINK)?;
    let place = match *parent {
        FILTERS_IN | FILTERS_OUT => HandleWord(*parent).to_string(),
        parent => format!("parent {}", HandleWord(parent)),
    };
    let chain = if *chain == 0 { String::new() } else { format!(" chain {chain}") };
    let handle = match content.kind.as_str() {
        "u32" if is_last => String::new(),
        // hash table, bucket, node
        "u32" => format!(" handle {:x}:{:x}:{:x}", handle >> 20, (handle >> 12) & 0xff, handle & 0xfff),
        _ => format!(" handle {handle:#x}"),
    };
    let (protocol, kind) = (protocol_word(*protocol), &content.kind);
    Ok(words(&format!("tc filter del dev {dev} {place}{chain} pref {priority} protocol {protocol}{handle} {kind}")))
}

/// Whether no filter of its place, priority and protocol is left when this step comes.
pub(super) fn is_last(step: &Step, plan: &Plan, live: &LiveState) -> bool {
    let Subject::Filter(filter) = step.subject() else { return false };
    let place = |filter: &FilterSubject| FilterSubject { handle: 0, ..filter.clone() };
    let shares = |subject: &Subject| matches!(subject, Subject::Filter(other) if place(other) == place(filter));
    let going: Vec<&Subject> = plan.steps().iter().map(Step::subject).filter(|subject| shares(subject)).collect();
    let there = live.rt.iter().filter(|(subject, _)| shares(subject)).count();
    going.len() == there && going.last() == Some(&step.subject())
}

/// `ip neighbour del <address> dev <link>` or `bridge fdb del <address> dev <link> ...`.
pub(super) fn neighbour(subject: &NeighbourSubject, names: &Names) -> Result<Words, &'static str> {
    let dev = names.link(subject.ifindex.0).ok_or(NO_LINK)?;
    Ok(words(&match &subject.key {
        NeighbourKey::Address(address) => format!("ip neighbour del {address} dev {dev}"),
        NeighbourKey::Forwarding { mac, vlan, destination, is_self } => {
            let destination = destination.map(|address| format!(" dst {address}")).unwrap_or_default();
            let vlan = if *vlan == 0 { String::new() } else { format!(" vlan {vlan}") };
            let table = if *is_self { "self" } else { "master" };
            format!("bridge fdb del {} dev {dev}{destination}{vlan} {table}", Mac(mac))
        }
    }))
}
