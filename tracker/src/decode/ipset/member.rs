//! Members of a set, in listings and in requests.

use std::net::IpAddr;

use super::attribute::{
    CADT_FLAGS, CIDR, CIDR2, COMMENT, ETHER, IFACE, IP, IP_TO, IP2, IP2_TO, LINENO, MARK, NAME, PORT, PORT_TO, PROTO,
    SKBMARK, SKBPRIO, SKBQUEUE, TIMEOUT,
};
use super::{be16, be32, flag};
use crate::decode::rtnl::attributes::{Attributes, text};
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetMember, MemberMention, MemberParts};

/// Attributes that say which member it is; the others say how it is.
const KEY: [u16; 11] = [IP, CIDR, PORT, PROTO, CADT_FLAGS, MARK, ETHER, NAME, IP2, CIDR2, IFACE];

/// Attributes a mention may carry besides its key without meaning more than one member.
const HARMLESS: [u16; 8] =
    [TIMEOUT, LINENO, super::attribute::BYTES, super::attribute::PACKETS, COMMENT, SKBMARK, SKBPRIO, SKBQUEUE];

/// Reads the parts of a key.
fn parts(attributes: &Attributes<'_>) -> MemberParts {
    let flags = attributes.get(CADT_FLAGS).and_then(be32).unwrap_or_default();
    MemberParts {
        ip: attributes.get(IP).and_then(address),
        cidr: attributes.u8(CIDR),
        port: attributes.get(PORT).and_then(be16),
        protocol: attributes.u8(PROTO),
        ip2: attributes.get(IP2).and_then(address),
        cidr2: attributes.u8(CIDR2),
        interface: attributes.text(IFACE),
        is_physical: flags & flag::PHYSDEV != 0,
        mac: attributes.get(ETHER).and_then(|bytes| bytes.first_chunk().copied()),
        mark: attributes.get(MARK).and_then(be32),
        name: attributes.text(NAME).map(IpSetName::new),
    }
}

/// `IPSET_ATTR_IPADDR_IPV4` or `IPSET_ATTR_IPADDR_IPV6` in a nest.
fn address(nest: &[u8]) -> Option<IpAddr> {
    let nested = Attributes::parse(nest)?;
    nested.address(1).or_else(|| nested.address(2))
}

/// Reads one member of a listing: its key as text, and its content.
pub(super) fn member(kind: &str, bytes: &[u8]) -> Option<(String, IpSetMember)> {
    let attributes = Attributes::parse(bytes)?;
    let parts = parts(&attributes);
    let key = parts.key(kind)?;
    let mut kept = Vec::new();
    let mut options = String::new();
    let mut has_timeout = false;
    for (kind, value) in attributes.sorted().iter() {
        let number = |value: &[u8]| be32(value).unwrap_or_default();
        match kind {
            TIMEOUT => has_timeout = number(value) != 0,
            COMMENT => options.push_str(&format!(" comment {:?}", text(value))),
            SKBMARK => {
                let mark = value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default();
                options.push_str(&format!(" skbmark {:#x}/{:#x}", mark >> 32, mark & 0xffff_ffff));
            }
            SKBPRIO => options.push_str(&format!(" skbprio {:x}:{:x}", number(value) >> 16, number(value) & 0xffff)),
            SKBQUEUE => options.push_str(&format!(" skbqueue {}", be16(value).unwrap_or_default())),
            CADT_FLAGS if number(value) & flag::NOMATCH != 0 => options.push_str(" nomatch"),
            CADT_FLAGS if number(value) & flag::WILDCARD != 0 => options.push_str(" wildcard"),
            _ => {}
        }
        if KEY.contains(&kind) {
            put(&mut kept, kind, value);
        }
    }
    let options = options.trim_start().to_owned();
    Some((key, IpSetMember { attributes: kept, options, has_timeout, refers_to: parts.name }))
}

const NESTED: u16 = 1 << 15;
const NET_BYTEORDER: u16 = 1 << 14;

/// Writes an attribute as the kernel takes it: addresses are nests, and numbers are marked as in network byte order,
/// which the kernel asks for but does not do itself.
fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    match kind {
        IP | IP2 => {
            let mut nest = Vec::new();
            for (kind, value) in Attributes::parse(value).unwrap_or_default().iter() {
                put_plain(&mut nest, kind | NET_BYTEORDER, value);
            }
            put_plain(out, kind | NESTED, &nest);
        }
        PORT | CADT_FLAGS | MARK => put_plain(out, kind | NET_BYTEORDER, value),
        _ => put_plain(out, kind, value),
    }
}

fn put_plain(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Reads a member as a request names it. What may be a range has no parts.
pub(super) fn mention(bytes: &[u8]) -> MemberMention {
    let Some(attributes) = Attributes::parse(bytes) else { return MemberMention::default() };
    let is_one = attributes.iter().all(|(kind, _)| KEY.contains(&kind) || HARMLESS.contains(&kind))
        && [IP_TO, PORT_TO, IP2_TO].iter().all(|range| attributes.get(*range).is_none());
    MemberMention { parts: is_one.then(|| parts(&attributes)) }
}
