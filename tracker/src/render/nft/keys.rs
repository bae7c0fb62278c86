//! What `meta`, `ct`, `rt`, `socket`, `fib` and others load, in nft's words.

use std::borrow::Cow;

use super::datatype::Datatype;
use super::registers::{Key, Load, Source};
use crate::decode::nft::expr::{Ct, Fib, Meta, Numgen, Osf, Rt, Socket, Xfrm};
use crate::model::nft::Family;

/// `NFT_META_*`: words, type, length in bytes. Those without words are not written.
const META: [(&str, Datatype, usize); 34] = [
    ("meta length", Datatype::HostInteger, 4),
    ("meta protocol", Datatype::EtherType, 2),
    ("meta priority", Datatype::ClassId, 4),
    ("meta mark", Datatype::Mark, 4),
    ("iif", Datatype::Ifindex, 4),
    ("oif", Datatype::Ifindex, 4),
    ("iifname", Datatype::Ifname, 16),
    ("oifname", Datatype::Ifname, 16),
    ("meta iiftype", Datatype::Arphrd, 2),
    ("meta oiftype", Datatype::Arphrd, 2),
    ("meta skuid", Datatype::Id, 4),
    ("meta skgid", Datatype::Id, 4),
    ("meta nftrace", Datatype::HostInteger, 1),
    ("meta rtclassid", Datatype::Realm, 4),
    ("", Datatype::HostInteger, 4),
    ("meta nfproto", Datatype::NfProto, 1),
    ("meta l4proto", Datatype::Protocol, 1),
    ("meta ibrname", Datatype::Ifname, 16),
    ("meta obrname", Datatype::Ifname, 16),
    ("meta pkttype", Datatype::PacketType, 1),
    ("meta cpu", Datatype::HostInteger, 4),
    ("iifgroup", Datatype::DevGroup, 4),
    ("oifgroup", Datatype::DevGroup, 4),
    ("meta cgroup", Datatype::HostInteger, 4),
    ("meta random", Datatype::Integer, 4),
    ("meta ipsec", Datatype::Boolean, 1),
    ("meta iifkind", Datatype::Ifname, 16),
    ("meta oifkind", Datatype::Ifname, 16),
    ("", Datatype::HostInteger, 2),
    ("", Datatype::HostInteger, 2),
    ("meta time", Datatype::Local, 8),
    ("meta day", Datatype::Day, 1),
    ("meta hour", Datatype::Local, 4),
    ("meta sdif", Datatype::Ifindex, 4),
];

/// `NFT_CT_*`: words after `ct` and the direction, type, length in bytes.
const CT: [(&str, Datatype, usize); 24] = [
    ("state", Datatype::CtState, 4),
    ("direction", Datatype::CtDirection, 1),
    ("status", Datatype::CtStatus, 4),
    ("mark", Datatype::Mark, 4),
    ("", Datatype::HostInteger, 4),
    ("expiration", Datatype::Time, 4),
    ("helper", Datatype::String, 16),
    ("l3proto", Datatype::NfProto, 1),
    ("", Datatype::Ipv4, 16),
    ("", Datatype::Ipv4, 16),
    ("protocol", Datatype::Protocol, 1),
    ("proto-src", Datatype::Service, 2),
    ("proto-dst", Datatype::Service, 2),
    ("label", Datatype::CtLabel, 16),
    ("packets", Datatype::HostInteger, 8),
    ("bytes", Datatype::HostInteger, 8),
    ("avgpkt", Datatype::HostInteger, 8),
    ("zone", Datatype::HostInteger, 2),
    ("event", Datatype::CtEvent, 4),
    ("ip saddr", Datatype::Ipv4, 4),
    ("ip daddr", Datatype::Ipv4, 4),
    ("ip6 saddr", Datatype::Ipv6, 16),
    ("ip6 daddr", Datatype::Ipv6, 16),
    ("id", Datatype::Integer, 4),
];

/// Something loaded by name.
pub(super) fn named(text: impl Into<Cow<'static, str>>, kind: Datatype, length: usize) -> Load<'static> {
    keyed(text, kind, length, Key::None)
}

fn keyed(text: impl Into<Cow<'static, str>>, kind: Datatype, length: usize, key: Key) -> Load<'static> {
    let source = Source::Named { text: text.into(), kind, key };
    Load { source, length, is_swapped: false, operations: Vec::new() }
}

pub(super) fn meta(meta: &Meta<'_>) -> Option<Load<'static>> {
    // NFT_META_SDIFNAME, the last one known
    if meta.key == 34 {
        return Some(named("meta sdifname", Datatype::Ifname, 16));
    }
    let (text, kind, length) = *META.get(usize::try_from(meta.key).ok()?).filter(|(text, ..)| !text.is_empty())?;
    let key = match meta.key {
        1 => Key::EtherType,
        8 => Key::LinkType,
        15 => Key::NfProto,
        16 => Key::L4Proto,
        _ => Key::None,
    };
    Some(keyed(text, kind, length, key))
}

pub(super) fn ct(ct: &Ct<'_>, family: Family) -> Option<Load<'static>> {
    // NFT_CT_SRC and NFT_CT_DST are of the table's family
    let key = match (ct.key, family) {
        (8 | 9, Family::Ip) => ct.key + 11,
        (8 | 9, Family::Ip6) => ct.key + 13,
        (key, _) => key,
    };
    let (text, kind, length) = *CT.get(usize::try_from(key).ok()?).filter(|(text, ..)| !text.is_empty())?;
    let direction = match ct.direction {
        None => "",
        Some(0) => "original ",
        Some(1) => "reply ",
        Some(_) => return None,
    };
    // without direction their types depend on the rule
    (ct.direction.is_none() || !matches!(ct.key, 7 | 10..=12)).then_some(())?;
    let key = match ct.key {
        7 => Key::NfProto,
        10 => Key::L4Proto,
        _ => Key::None,
    };
    Some(keyed(format!("ct {direction}{text}"), kind, length, key))
}

pub(super) fn rt(rt: &Rt<'_>) -> Option<Load<'static>> {
    Some(match rt.key {
        0 => named("rt classid", Datatype::Realm, 4),
        1 => named("rt ip nexthop", Datatype::Ipv4, 4),
        2 => named("rt ip6 nexthop", Datatype::Ipv6, 16),
        3 => named("rt mtu", Datatype::HostInteger, 2),
        4 => named("rt ipsec", Datatype::Boolean, 1),
        _ => return None,
    })
}

/// But cgroups, whose path is not in the rule.
pub(super) fn socket(socket: &Socket<'_>) -> Option<Load<'static>> {
    Some(match socket.key {
        0 => named("socket transparent", Datatype::HostInteger, 1),
        1 => named("socket mark", Datatype::Mark, 4),
        2 => named("socket wildcard", Datatype::HostInteger, 1),
        _ => return None,
    })
}

pub(super) fn osf(osf: &Osf<'_>) -> Option<Load<'static>> {
    let ttl = ["", " ttl loose", " ttl skip"].get(usize::from(osf.ttl.unwrap_or_default()))?;
    let what = if osf.flags.unwrap_or_default() & 1 != 0 { "version" } else { "name" };
    Some(named(format!("osf{ttl} {what}"), Datatype::String, 16))
}

pub(super) fn fib(fib: &Fib<'_>) -> Option<Load<'static>> {
    let names = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    (fib.flags & !0x3f == 0).then_some(())?;
    let selected: Vec<&str> = names.into_iter().filter(|(bit, _)| fib.flags & bit != 0).map(|(_, name)| name).collect();
    let is_presence = fib.flags & 32 != 0;
    let (result, kind, length) = match fib.result {
        1 if is_presence => ("oif", Datatype::Boolean, 1),
        1 => ("oif", Datatype::Ifindex, 4),
        2 if is_presence => ("oifname", Datatype::Boolean, 1),
        2 => ("oifname", Datatype::Ifname, 16),
        3 => ("type", Datatype::FibAddress, 4),
        _ => return None,
    };
    Some(named(format!("fib {} {result}", selected.join(" . ")), kind, length))
}

pub(super) fn numgen(numgen: &Numgen<'_>) -> Option<Load<'static>> {
    let mode = ["inc", "random"].get(usize::try_from(numgen.mode).ok()?)?;
    let mut text = format!("numgen {mode} mod {}", numgen.modulus);
    if let Some(offset) = numgen.offset.filter(|offset| *offset != 0) {
        text.push_str(&format!(" offset {offset}"));
    }
    Some(named(text, Datatype::HostInteger, 4))
}

pub(super) fn xfrm(xfrm: &Xfrm<'_>) -> Option<Load<'static>> {
    let direction = match xfrm.direction {
        0 => "in",
        1 => "out",
        _ => return None,
    };
    let index = match xfrm.index.unwrap_or_default() {
        0 => String::new(),
        index => format!(" spnum {index}"),
    };
    let (text, kind, length) = match xfrm.key {
        1 => ("ip daddr", Datatype::Ipv4, 4),
        2 => ("ip6 daddr", Datatype::Ipv6, 16),
        3 => ("ip saddr", Datatype::Ipv4, 4),
        4 => ("ip6 saddr", Datatype::Ipv6, 16),
        5 => ("reqid", Datatype::HostInteger, 4),
        6 => ("spi", Datatype::Integer, 4),
        _ => return None,
    };
    Some(named(format!("ipsec {direction}{index} {text}"), kind, length))
}
