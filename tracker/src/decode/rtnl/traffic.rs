//! Traffic control: `RTM_NEWQDISC`, `RTM_NEWTCLASS`, `RTM_NEWTFILTER` and their deletions.
//!
//! # What the kernel does not say
//!
//! - The qdiscs it puts on links by itself (handle `0:`) come and go unannounced: they are not decoded.
//! - With a qdisc go, unannounced, its classes, filters and the qdiscs below it; with a link go all of them.
//! - A filter's deletion with handle 0 means all filters of its place and priority.
//!
//! Filters of shared blocks, the hash tables of `u32`, and classes that come with their qdisc are not decoded.

use libc::{RTM_DELTCLASS, RTM_DELTFILTER, RTM_NEWTCLASS, RTM_NEWTFILTER};

use super::Decoded;
use super::attributes::{Attributes, push};
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::ids::Ifindex;
use crate::model::subject::{Snapshot, Subject};
use crate::model::traffic::{
    FILTERS_IN, FILTERS_OUT, FilterSubject, INGRESS, QdiscSubject, TrafficClassSubject, TrafficSnapshot, major,
};

/// Length of `struct tcmsg`.
pub const HEADER: usize = 20;
/// `TCA_KIND`: text.
pub const TCA_KIND: u16 = 1;
/// `TCA_OPTIONS`: what the kind makes of it.
const TCA_OPTIONS: u16 = 2;
/// `TCA_CHAIN`: number.
pub const TCA_CHAIN: u16 = 11;
/// `TCA_STATS`, `TCA_XSTATS`, `TCA_RATE`, `TCA_STATS2`, `TCA_PAD`, `TCA_EXT_WARN_MSG`.
const FLEETING: [u16; 6] = [3, 4, 5, 7, 9, 16];
/// The `tcm_ifindex` of a filter that is in a shared block.
const MAGIC_BLOCK: u32 = 0xffff_ffff;
const TCA_BPF_NAME: u16 = 7;
const TCA_ACT_KIND: u16 = 1;

/// The fixed header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficHeader {
    /// The link.
    pub ifindex: u32,
    /// Handle.
    pub handle: u32,
    /// Where it hangs.
    pub parent: u32,
    /// Of a filter: priority in the upper half, protocol in network order in the lower.
    pub info: u32,
}

impl TrafficHeader {
    /// Reads a `tcmsg`; `None` when it is cut.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_ne_bytes(*message.get(at..)?.first_chunk()?));
        Some(Self { ifindex: number(4)?, handle: number(8)?, parent: number(12)?, info: number(16)? })
    }

    /// The `tcmsg`.
    pub fn emit(self) -> Vec<u8> {
        let Self { ifindex, handle, parent, info } = self;
        let mut bytes = vec![0; 4];
        [ifindex, handle, parent, info].iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
        bytes
    }
}

/// Decodes a `tcmsg` with its attributes; `kind` says of what.
pub(super) fn decode(kind: u16, body: &[u8]) -> Option<Decoded> {
    let header = TrafficHeader::parse(body)?;
    let attributes = Attributes::parse(body.get(HEADER..)?)?;
    if header.ifindex == MAGIC_BLOCK {
        return Some(Decoded::new());
    }
    match kind {
        RTM_NEWTFILTER | RTM_DELTFILTER => filter(kind, header, &attributes),
        RTM_NEWTCLASS | RTM_DELTCLASS => {
            let is_chosen = header.handle & 0xffff != 0 && has_classes(&attributes.text(TCA_KIND)?);
            if !is_chosen {
                return Some(Decoded::new());
            }
            let subject = TrafficClassSubject { ifindex: Ifindex(header.ifindex), handle: header.handle };
            one(Subject::TrafficClass(subject), header, header.parent, &attributes)
        }
        _ if major(header.handle) == 0 => Some(Decoded::new()),
        _ => {
            let subject = QdiscSubject { ifindex: Ifindex(header.ifindex), handle: major(header.handle) };
            one(Subject::Qdisc(subject), header, header.parent, &attributes)
        }
    }
}

/// Whether the classes of a kind of qdisc are made by request. Others have a fixed number, which the kernel makes and
/// lists, and does not announce.
fn has_classes(kind: &str) -> bool {
    matches!(kind, "htb" | "hfsc" | "drr" | "qfq" | "cbq")
}

fn filter(kind: u16, header: TrafficHeader, attributes: &Attributes<'_>) -> Option<Decoded> {
    let is_hash_table = header.handle & 0xfff == 0 && attributes.text(TCA_KIND).as_deref() == Some("u32");
    if kind == RTM_NEWTFILTER && (header.handle == 0 || is_hash_table) {
        return Some(Decoded::new());
    }
    let parent = filter_parent(header.parent);
    let subject = FilterSubject {
        ifindex: Ifindex(header.ifindex),
        parent,
        chain: attributes.u32(TCA_CHAIN).unwrap_or(0),
        priority: (header.info >> 16) as u16,
        protocol: u16::from_be((header.info & 0xffff) as u16),
        handle: header.handle,
    };
    one(Subject::Filter(subject), header, parent, attributes)
}

/// What a link receives has several names: `ingress` takes any minor part for it.
fn filter_parent(parent: u32) -> u32 {
    match parent {
        FILTERS_OUT => FILTERS_OUT,
        _ if major(parent) == major(INGRESS) => FILTERS_IN,
        _ => parent,
    }
}

fn one(subject: Subject, header: TrafficHeader, parent: u32, attributes: &Attributes<'_>) -> Option<Decoded> {
    let kind = attributes.text(TCA_KIND)?;
    let options = attributes.get(TCA_OPTIONS).unwrap_or_default();
    let name = match (&subject, kind.as_str()) {
        (Subject::Filter(_), "bpf") => Attributes::parse(options).and_then(|options| options.text(TCA_BPF_NAME)),
        _ => None,
    };
    let mut message = header.emit();
    for (attribute, value) in attributes.iter().filter(|(attribute, _)| !FLEETING.contains(attribute)) {
        push(&mut message, attribute, value);
    }
    let content = content(&subject, &kind, parent, options);
    let snapshot = TrafficSnapshot { kind, parent, ifname: None, name, message, content };
    Some(vec![(subject, Snapshot::Traffic(snapshot))])
}

/// What was chosen: no counters, no times, no offload state.
fn content(subject: &Subject, kind: &str, parent: u32, options: &[u8]) -> Digest {
    let mut digest = DigestBuilder::new("traffic");
    digest.field(kind.as_bytes()).field(&parent.to_ne_bytes());
    match subject {
        Subject::Filter(_) => filter_options(kind, options, &mut digest),
        Subject::Qdisc(_) if kind == "htb" => htb_options(options, &mut digest),
        Subject::Qdisc(_) => {
            digest.field(options);
        }
        // a class tells with its settings how deep the classes below it are
        _ => {}
    }
    digest.finish()
}

/// The settings of `htb` less the last of `struct tc_htb_glob`, which counts packets.
fn htb_options(options: &[u8], digest: &mut DigestBuilder) {
    const TCA_HTB_INIT: u16 = 2;
    for (attribute, value) in Attributes::parse(options).unwrap_or_default().sorted().iter() {
        let chosen = if attribute == TCA_HTB_INIT { value.get(..16).unwrap_or(value) } else { value };
        digest.field(&attribute.to_ne_bytes()).field(chosen);
    }
}

/// The attribute that holds the actions of a kind of filter, and those that change by themselves. Of other kinds only
/// the kind is compared.
fn filter_attributes(kind: &str) -> Option<(u16, &'static [u16])> {
    Some(match kind {
        "bpf" => (1, &[2, 9]),
        "u32" => (7, &[6, 9, 11]),
        "flower" => (3, &[22, 84]),
        "matchall" => (2, &[3, 4]),
        "basic" => (3, &[4, 5]),
        "fw" => (4, &[2]),
        "cgroup" => (1, &[2]),
        _ => return None,
    })
}

fn filter_options(kind: &str, options: &[u8], digest: &mut DigestBuilder) {
    let Some((actions, fleeting)) = filter_attributes(kind) else { return };
    for (attribute, value) in Attributes::parse(options).unwrap_or_default().sorted().iter() {
        if attribute == actions {
            // their settings are mixed with their counters
            for (_, action) in Attributes::parse(value).unwrap_or_default().iter() {
                let action = Attributes::parse(action).unwrap_or_default();
                digest.field(action.get(TCA_ACT_KIND).unwrap_or_default());
            }
        } else if !fleeting.contains(&attribute) {
            digest.field(&attribute.to_ne_bytes()).field(value);
        }
    }
}

#[cfg(test)]
mod tests;
