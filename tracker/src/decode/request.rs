//! Netlink requests as processes send them: the first bytes of a `sendmsg`, cut where the capture ended.
//!
//! A request says what a process *asked for*; whether the kernel did it is what notifications say.

use libc::{
    IFA_F_NODAD, IFA_F_OPTIMISTIC, IFLA_ALT_IFNAME, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO,
    IFLA_NET_NS_FD, IFLA_NET_NS_PID, IFLA_TARGET_NETNSID, NETLINK_ROUTE, NLA_TYPE_MASK, RTM_DELADDR, RTM_DELLINK,
    RTM_DELNEIGH, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_SETLINK,
};

use crate::decode::rtnl;
use crate::decode::rtnl::address::AddressView;
use crate::decode::rtnl::attributes::text;
use crate::model::ids::{Ifindex, NetlinkSeq};
use crate::model::observation::{LinkMention, RequestMessage};
use crate::model::subject::Subject;

/// Length of `struct nlmsghdr`.
const MESSAGE_HEADER: usize = 16;
/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;
/// `VETH_INFO_PEER`, `VXCAN_INFO_PEER` and `IFLA_NETKIT_PEER_INFO`: an `ifinfomsg` with attributes.
const INFO_PEER: u16 = 1;

/// Decodes the messages within `bytes`, the captured beginning of a request of `total_len` bytes to the netlink
/// protocol `protocol` (0 route, 12 netfilter). Second: whether messages or attributes were cut.
///
/// Of a cut message the complete attributes count, at any depth.
pub fn messages(protocol: u32, bytes: &[u8], total_len: u64) -> (Vec<RequestMessage>, bool) {
    let mut messages = Vec::new();
    let mut is_cut = (bytes.len() as u64) < total_len;
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(&header) = rest.first_chunk::<MESSAGE_HEADER>() else {
            is_cut = true;
            break;
        };
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let kind = u16::from_ne_bytes([k0, k1]);
        if length < MESSAGE_HEADER {
            is_cut = true;
            break;
        }
        let body = &rest[MESSAGE_HEADER..length.min(rest.len())];
        is_cut |= length > rest.len();
        let mut link = LinkMention::default();
        if protocol == NETLINK_ROUTE as u32 && is_link_request(kind) {
            is_cut |= mention(body, &mut link);
        }
        let (mut about, mut is_deferred) = (Vec::new(), false);
        if protocol == NETLINK_ROUTE as u32 && length <= rest.len() {
            about = subjects(kind, body).unwrap_or_default();
            is_deferred = kind == RTM_NEWADDR && announces_later(body);
        }
        messages.push(RequestMessage {
            kind,
            flags: u16::from_ne_bytes([f0, f1]),
            seq: NetlinkSeq(u32::from_ne_bytes([s0, s1, s2, s3])),
            link,
            about,
            is_deferred,
        });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (messages, is_cut)
}

/// The addresses or neighbours a whole request is about; `None` when it is about other things or malformed.
fn subjects(kind: u16, body: &[u8]) -> Option<Vec<Subject>> {
    match kind {
        RTM_NEWADDR | RTM_DELADDR => Some(rtnl::objects(kind, body)?.into_iter().map(|(subject, _)| subject).collect()),
        RTM_NEWNEIGH | RTM_DELNEIGH => rtnl::neighbour::requested(body),
        _ => None,
    }
}

/// Whether the kernel announces the address from a worker: an IPv6 address that is not checked for duplicates, or used
/// before it is. Others it announces at once.
fn announces_later(body: &[u8]) -> bool {
    AddressView::parse(body).is_some_and(|view| !view.is_ipv4() && view.flags & (IFA_F_NODAD | IFA_F_OPTIMISTIC) != 0)
}

fn is_link_request(kind: u16) -> bool {
    matches!(kind, RTM_NEWLINK | RTM_DELLINK | RTM_SETLINK | RTM_NEWLINKPROP | RTM_DELLINKPROP)
}

/// Reads what a link request names; returns whether it was cut.
fn mention(body: &[u8], link: &mut LinkMention) -> bool {
    let Some(&[_, _, _, _, a, b, c, d]) = body.first_chunk::<8>() else { return true };
    let ifindex = u32::from_ne_bytes([a, b, c, d]);
    link.ifindex = (ifindex != 0).then_some(Ifindex(ifindex));
    let mut walk = Walk::new(body.get(LINK_HEADER..).unwrap_or_default());
    let mut is_cut = body.len() < LINK_HEADER;
    for attribute in &mut walk {
        match attribute.kind {
            IFLA_IFNAME => link.ifname = attribute.whole().map(text).or(link.ifname.take()),
            // names the link instead where `IFLA_IFNAME` is too short for the name
            IFLA_ALT_IFNAME if link.ifname.is_none() => link.ifname = attribute.whole().map(text),
            IFLA_NET_NS_FD | IFLA_NET_NS_PID | IFLA_TARGET_NETNSID => link.moves_netns |= attribute.whole().is_some(),
            IFLA_LINKINFO => is_cut |= info(attribute.value, link),
            _ => {}
        }
    }
    is_cut | walk.is_cut
}

/// Reads `IFLA_LINKINFO`; returns whether it was cut.
fn info(bytes: &[u8], link: &mut LinkMention) -> bool {
    let mut walk = Walk::new(bytes);
    let mut data = None;
    for attribute in &mut walk {
        match attribute.kind {
            IFLA_INFO_KIND => link.kind = attribute.whole().map(text).or(link.kind.take()),
            IFLA_INFO_DATA => data = Some(attribute.value),
            _ => {}
        }
    }
    let is_cut = walk.is_cut;
    match (link.kind.as_deref(), data) {
        (Some("veth" | "vxcan" | "netkit"), Some(data)) => is_cut | peer(data, link),
        _ => is_cut,
    }
}

/// Reads the other end of a pair out of `IFLA_INFO_DATA`; returns whether it was cut.
fn peer(bytes: &[u8], link: &mut LinkMention) -> bool {
    let mut walk = Walk::new(bytes);
    let mut is_cut = false;
    for attribute in &mut walk {
        if attribute.kind != INFO_PEER {
            continue;
        }
        let mut inner = Walk::new(attribute.value.get(LINK_HEADER..).unwrap_or_default());
        for attribute in &mut inner {
            match attribute.kind {
                IFLA_IFNAME => link.peer_ifname = attribute.whole().map(text).or(link.peer_ifname.take()),
                IFLA_NET_NS_FD | IFLA_NET_NS_PID => link.moves_netns |= attribute.whole().is_some(),
                _ => {}
            }
        }
        is_cut |= inner.is_cut;
    }
    is_cut | walk.is_cut
}

/// One attribute, perhaps cut.
pub(super) struct Cut<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
    is_whole: bool,
}

impl<'a> Cut<'a> {
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        self.is_whole.then_some(self.value)
    }
}

/// Walks attributes up to where they are cut; the last one is handed out as far as it is there.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    pub(super) is_cut: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_cut: false }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Cut<'a>;

    fn next(&mut self) -> Option<Cut<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let Some(&[l0, l1, k0, k1]) = bytes.first_chunk() else {
            self.is_cut = true;
            return None;
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(value) = bytes.get(4..length.min(bytes.len())) else {
            self.is_cut = true; // shorter than its own header
            return None;
        };
        let is_whole = length <= bytes.len();
        self.is_cut |= !is_whole;
        self.rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Cut { kind: u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK as u16, value, is_whole })
    }
}

#[cfg(test)]
mod tests;
