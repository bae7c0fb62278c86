//! Requests by ioctl, as the rtnetlink messages that would ask for the same.

use libc::{NLM_F_CREATE, RTM_DELLINK, RTM_NEWLINK, RTM_SETLINK};
use tracker_ebpf::abi::ioctl::{
    IFREQ_BYTES, IFREQ_DATA, PARAMETER_NAME_BYTES, SIOCADDTUNNEL, SIOCBRADDBR, SIOCBRADDIF, SIOCBRDELBR, SIOCBRDELIF,
    SIOCCHGTUNNEL, SIOCDELTUNNEL, SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFNAME, SIOCSIFVLAN, TUNSETIFF,
};

use crate::decode::rtnl::attributes::text;
use crate::model::ids::{Ifindex, NetlinkSeq};
use crate::model::link::kind_of_fallback;
use crate::model::observation::{LinkMention, RequestMessage};

const IFF_TAP: u16 = 2;
const ADD_VLAN_CMD: u32 = 0;
const DEL_VLAN_CMD: u32 = 1;

/// What an ioctl asks for, of `data` as captured; nothing for one that is not recorded or was not readable.
pub fn messages(command: u32, data: &[u8]) -> Vec<RequestMessage> {
    ask(command, data).unwrap_or_default()
}

fn ask(command: u32, data: &[u8]) -> Option<Vec<RequestMessage>> {
    let name = named(data.get(..PARAMETER_NAME_BYTES)?);
    let data_name = || data.get(IFREQ_DATA..IFREQ_DATA + PARAMETER_NAME_BYTES).map(named);
    let set = |ifname: Option<String>| message(RTM_SETLINK, LinkMention { ifname, ..LinkMention::default() });
    Some(match command {
        SIOCBRADDBR => vec![create(name, Some("bridge"))],
        SIOCBRDELBR => vec![message(RTM_DELLINK, LinkMention { ifname: name, ..LinkMention::default() })],
        SIOCBRADDIF | SIOCBRDELIF => {
            let port = data.get(IFREQ_DATA..)?.first_chunk().map(|number| Ifindex(u32::from_ne_bytes(*number)));
            vec![set(name), message(RTM_SETLINK, LinkMention { ifindex: port, ..LinkMention::default() })]
        }
        SIOCSIFNAME => vec![set(name), set(data_name()?)],
        SIOCSIFFLAGS | SIOCSIFHWADDR => vec![set(name)],
        TUNSETIFF => vec![tun(name, data)?],
        SIOCADDTUNNEL | SIOCCHGTUNNEL | SIOCDELTUNNEL => tunnel(command, name, data)?,
        SIOCSIFVLAN => vlan(data)?,
        _ => return None,
    })
}

/// The kernel chooses a name by a pattern when none is given.
fn tun(name: Option<String>, data: &[u8]) -> Option<RequestMessage> {
    let flags = u16::from_ne_bytes(*data.get(IFREQ_DATA..)?.first_chunk()?);
    let pattern = if flags & IFF_TAP != 0 { "tap%d" } else { "tun%d" };
    Some(create(name.or_else(|| Some(pattern.to_owned())), Some("tun")))
}

/// The request names the fallback link of a kind (`tunl0`), the parameters behind it the tunnel; to delete one, the
/// request may name it itself.
fn tunnel(command: u32, name: Option<String>, data: &[u8]) -> Option<Vec<RequestMessage>> {
    let parameters = data.get(IFREQ_BYTES..IFREQ_BYTES + PARAMETER_NAME_BYTES).and_then(named);
    let kind = name.as_deref().and_then(kind_of_fallback);
    let delete = |ifname| message(RTM_DELLINK, LinkMention { ifname, ..LinkMention::default() });
    match command {
        SIOCADDTUNNEL => Some(vec![create(parameters, Some(kind?))]),
        SIOCCHGTUNNEL => Some(vec![message(
            RTM_SETLINK,
            LinkMention { ifname: if kind.is_some() { parameters } else { name }, ..LinkMention::default() },
        )]),
        _ if kind.is_some() => Some(vec![delete(Some(parameters?))]),
        _ => Some(vec![delete(name)]),
    }
}

/// `struct vlan_ioctl_args`: a command, the link below or the one to delete, and an id. How the kernel calls the new link
/// is a setting: `vlan0005`, `vlan5`, `eth0.0005` or `eth0.5`.
fn vlan(data: &[u8]) -> Option<Vec<RequestMessage>> {
    const DEVICE: std::ops::Range<usize> = 4..28;
    let device = named(data.get(DEVICE)?);
    match u32::from_ne_bytes(*data.first_chunk()?) {
        ADD_VLAN_CMD => {
            let patterns = ["vlan%d".to_owned(), format!("{}.%d", device?)];
            Some(patterns.into_iter().map(|pattern| create(Some(pattern), Some("vlan"))).collect())
        }
        DEL_VLAN_CMD => Some(vec![message(RTM_DELLINK, LinkMention { ifname: device, ..LinkMention::default() })]),
        _ => None,
    }
}

fn named(bytes: &[u8]) -> Option<String> {
    Some(text(bytes)).filter(|name| !name.is_empty())
}

fn create(ifname: Option<String>, kind: Option<&str>) -> RequestMessage {
    let link = LinkMention { ifname, kind: kind.map(str::to_owned), ..LinkMention::default() };
    RequestMessage { flags: NLM_F_CREATE as u16, ..message(RTM_NEWLINK, link) }
}

fn message(kind: u16, link: LinkMention) -> RequestMessage {
    RequestMessage { kind, flags: 0, seq: NetlinkSeq(0), link, about: Vec::new(), is_deferred: false }
}

#[cfg(test)]
mod tests;
