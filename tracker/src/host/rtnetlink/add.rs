//! Making links, addresses, routes and ip rules anew, each as it was recorded and only where there is none.

use libc::{
    AF_UNSPEC, IFA_CACHEINFO, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST,
    RTA_CACHEINFO, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RTM_NEWRULE,
};

use super::{refused, send, unusable};
use crate::decode::rtnl::attributes::{Attributes, push};
use crate::decode::rtnl::ip_rule::{FIB_RULE_INVERT, fra};
use crate::decode::rtnl::wire::Wire;
use crate::host::HostError;
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject, describe};

/// `RTM_NEWLINKPROP` (5.5), `IFLA_PROP_LIST`, `IFLA_ALT_IFNAME`.
const RTM_NEWLINKPROP: u16 = 108;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
/// `VETH_INFO_PEER`.
const VETH_INFO_PEER: u16 = 1;
/// Flag of an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// `RTNH_F_ONLINK`: the one flag of a route that is asked for; the others are its state.
const RTNH_F_ONLINK: u32 = 4;
const CREATE: i32 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

/// Makes a link with the number, name, hardware address and settings it had, with its other end if it is one of a veth
/// pair. `keeps_mac`: whether its hardware address was its own (a bridge takes a port's).
///
/// # Errors
/// [`HostError::Io`]: the number or the name is taken (`EEXIST`), or the kernel refuses the settings.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn create_link(
    link: (Ifindex, &LinkSnapshot),
    peer: Option<(Ifindex, &LinkSnapshot)>,
    keeps_mac: bool,
) -> Result<(), HostError> {
    let object = described(link);
    let mut info = Vec::new();
    push(&mut info, IFLA_INFO_KIND, link.1.kind.as_deref().unwrap_or_default().as_bytes());
    match peer {
        Some((ifindex, peer)) => {
            let mut data = Vec::new();
            push(&mut data, VETH_INFO_PEER | NESTED, &message(ifindex, peer, true, None));
            push(&mut info, IFLA_INFO_DATA | NESTED, &data);
        }
        None if link.1.info_data.is_empty() => {}
        None => push(&mut info, IFLA_INFO_DATA | NESTED, &settings(link.1)),
    }
    let lower = link.1.lower.filter(|_| peer.is_none());
    let mut body = message(link.0, link.1, keeps_mac, lower);
    push(&mut body, IFLA_LINKINFO | NESTED, &info);
    send(Wire { kind: RTM_NEWLINK, body }, CREATE).map_err(|source| refused("make", &object, source))?;
    for end in std::iter::once(link).chain(peer) {
        finish(end)?;
    }
    Ok(())
}

/// The settings of a link as a request takes them: less what only the kernel says, and in the form it asks for.
fn settings(link: &LinkSnapshot) -> Vec<u8> {
    /// `IFLA_BR_ROOT_ID` to `IFLA_BR_GC_TIMER`, `IFLA_BR_FDB_FLUSH`, `IFLA_BR_PAD`, `IFLA_BR_MCAST_QUERIER_STATE`,
    /// `IFLA_BR_FDB_N_LEARNED`.
    const BRIDGE_STATE: [u16; 14] = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 40, 47, 48];
    /// `IFLA_BR_GROUP_ADDR` and what it is unless set.
    const GROUP_ADDRESS: (u16, &[u8]) = (20, &[0x01, 0x80, 0xc2, 0, 0, 0]);
    /// `IFLA_BR_VLAN_FILTERING` and `IFLA_BR_MULTI_BOOLOPT`: off is what a new bridge has, and a kernel without VLANs
    /// refuses even that.
    const BRIDGE_SWITCHES: [u16; 2] = [7, 46];
    /// `IFLA_MACVLAN_MACADDR*` and `IFLA_MACVLAN_BC_QUEUE_LEN_USED`.
    const MACVLAN_STATE: [u16; 4] = [4, 5, 6, 8];
    /// `IFLA_VXLAN_TTL_INHERIT`: a number when told, a flag when asked for.
    const TTL_INHERIT: u16 = 28;
    /// `IFLA_VXLAN_REMCSUM_TX` and `_RX`: even switched off they do not go with the reserved bits told (6.14).
    const VXLAN_SWITCHES: [u16; 2] = [21, 22];
    let Some(told) = Attributes::parse(&link.info_data) else { return Vec::new() };
    let mut settings = Vec::new();
    for (kind, value) in told.iter() {
        match link.kind.as_deref() {
            Some("bridge") if BRIDGE_STATE.contains(&kind) || (kind, value) == GROUP_ADDRESS => {}
            Some("bridge") if BRIDGE_SWITCHES.contains(&kind) && value.iter().take(4).all(|byte| *byte == 0) => {}
            Some("macvlan" | "macvtap") if MACVLAN_STATE.contains(&kind) => {}
            Some("vxlan") if VXLAN_SWITCHES.contains(&kind) && value == [0] => {}
            Some("vxlan") if kind == TTL_INHERIT => {
                if value.first().is_some_and(|is_set| *is_set != 0) {
                    push(&mut settings, kind, &[]);
                }
            }
            _ => push(&mut settings, kind, value),
        }
    }
    settings
}

fn described((ifindex, link): (Ifindex, &LinkSnapshot)) -> String {
    describe(&Subject::Link(ifindex), &Snapshot::Link(link.clone()))
}

/// What can only be set when the link is there: further names, its controller, and that it is up.
fn finish((ifindex, link): (Ifindex, &LinkSnapshot)) -> Result<(), HostError> {
    let object = described((ifindex, link));
    if !link.altnames.is_empty() {
        let mut names = Vec::new();
        for name in &link.altnames {
            push(&mut names, IFLA_ALT_IFNAME, &nul_terminated(name));
        }
        let mut body = header(ifindex, false);
        push(&mut body, IFLA_PROP_LIST | NESTED, &names);
        let request = Wire { kind: RTM_NEWLINKPROP, body };
        send(request, CREATE).map_err(|source| refused("give its further names to", &object, source))?;
    }
    attach_link((ifindex, link))
}

/// Attaches a link to its controller, and switches it on if it was.
///
/// # Errors
/// [`HostError::Io`]: the controller is not there, or the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn attach_link((ifindex, link): (Ifindex, &LinkSnapshot)) -> Result<(), HostError> {
    let object = described((ifindex, link));
    let mut body = header(ifindex, link.is_up);
    if let Some(controller) = link.controller {
        push(&mut body, IFLA_MASTER, &controller.0.to_ne_bytes());
    }
    let request = Wire { kind: RTM_NEWLINK, body };
    send(request, NLM_F_REQUEST | NLM_F_ACK).map_err(|source| refused("set up", &object, source))
}

/// `struct ifinfomsg` for a link, switching it on or leaving it as it is.
fn header(ifindex: Ifindex, is_up: bool) -> Vec<u8> {
    let up = if is_up { (IFF_UP as u32).to_ne_bytes() } else { [0; 4] };
    let mut body = vec![AF_UNSPEC as u8, 0, 0, 0];
    body.extend(ifindex.0.to_ne_bytes());
    // ifi_flags, ifi_change
    body.extend(up);
    body.extend(up);
    body
}

fn message(ifindex: Ifindex, link: &LinkSnapshot, keeps_mac: bool, lower: Option<Ifindex>) -> Vec<u8> {
    let mut body = header(ifindex, false);
    push(&mut body, IFLA_IFNAME, &nul_terminated(link.name.as_str()));
    // a bridge that lost its last port has none, which nobody may choose
    if keeps_mac && link.mac.iter().any(|byte| *byte != 0) {
        push(&mut body, IFLA_ADDRESS, &link.mac);
    }
    push(&mut body, IFLA_MTU, &link.mtu.to_ne_bytes());
    if let Some(lower) = lower {
        push(&mut body, IFLA_LINK, &lower.0.to_ne_bytes());
    }
    body
}

fn nul_terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Adds an address.
///
/// # Errors
/// [`HostError::Io`]: it is there (`EEXIST`), its link is not, or the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn add_address(subject: &AddressSubject, snapshot: &AddressSnapshot) -> Result<(), HostError> {
    let object = describe(&Subject::Address(subject.clone()), &Snapshot::Address(snapshot.clone()));
    let body = without(&snapshot.message, 8, &[IFA_CACHEINFO]).ok_or_else(|| unusable(&object))?;
    send(Wire { kind: RTM_NEWADDR, body }, CREATE).map_err(|source| refused("add", &object, source))
}

/// Adds a route.
///
/// # Errors
/// [`HostError::Io`]: it is there (`EEXIST`), its link or gateway is not, or the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn add_route(subject: &RouteSubject, snapshot: &RouteSnapshot) -> Result<(), HostError> {
    let object = describe(&Subject::Route(subject.clone()), &Snapshot::Route(snapshot.clone()));
    let mut body = without(&snapshot.message, 12, &[RTA_CACHEINFO]).ok_or_else(|| unusable(&object))?;
    let flags = u32::from_ne_bytes([body[8], body[9], body[10], body[11]]) & RTNH_F_ONLINK;
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    // IPv6 keeps siblings that differ in their next hop only; EXCL would refuse the second
    let is_ipv6 = subject.family != libc::AF_INET as u8;
    let how = if is_ipv6 { NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND } else { CREATE };
    send(Wire { kind: RTM_NEWROUTE, body }, how).map_err(|source| refused("add", &object, source))
}

/// Adds an ip rule.
///
/// # Errors
/// [`HostError::Io`]: it is there (`EEXIST`), or the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn add_ip_rule(subject: &IpRuleSubject, snapshot: &IpRuleSnapshot) -> Result<(), HostError> {
    let object = describe(&Subject::IpRule(subject.clone()), &Snapshot::IpRule(snapshot.clone()));
    let mut body = without(&snapshot.message, 12, &[fra::PAD, fra::PRIORITY]).ok_or_else(|| unusable(&object))?;
    let flags = u32::from_ne_bytes([body[8], body[9], body[10], body[11]]) & FIB_RULE_INVERT;
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    push(&mut body, fra::PRIORITY, &subject.priority.to_ne_bytes());
    send(Wire { kind: RTM_NEWRULE, body }, CREATE).map_err(|source| refused("add", &object, source))
}

/// A message less some of its attributes.
fn without(message: &[u8], header: usize, left_out: &[u16]) -> Option<Vec<u8>> {
    let mut body = message.get(..header)?.to_vec();
    for (kind, value) in Attributes::parse(message.get(header..)?)?.iter().filter(|(kind, _)| !left_out.contains(kind))
    {
        push(&mut body, kind, value);
    }
    Some(body)
}
