//! Links: `RTM_NEWLINK`, `RTM_DELLINK`.

use libc::{
    IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_MTU,
};
use netlink_packet_route::link::LinkHeader;

use super::Decoded;
use super::attributes::{Attributes, text};
use crate::model::ids::{Ifindex, Ifname};
use crate::model::link::LinkSnapshot;
use crate::model::subject::{Snapshot, Subject};

/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;
/// Wireless extensions announce scan results and the like in a link message that holds nothing of the link.
const IFLA_WIRELESS: u16 = 11;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;

/// Decodes an `ifinfomsg` with its attributes.
///
/// Messages of another family than `AF_UNSPEC` are about what that family keeps for a link (`AF_BRIDGE`: ports and
/// forwarding; `AF_INET6`: settings), and deleting *that* leaves the link in place: they are ignored.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let header = LinkHeader::parse(body).ok()?;
    if u8::from(header.interface_family) != libc::AF_UNSPEC as u8 {
        return Some(Decoded::new());
    }
    let attributes = Attributes::parse(body.get(HEADER..)?)?;
    if attributes.get(IFLA_WIRELESS).is_some() {
        return Some(Decoded::new());
    }
    let info = attributes.nested(IFLA_LINKINFO).unwrap_or_default();
    let snapshot = LinkSnapshot {
        name: Ifname::new(attributes.text(IFLA_IFNAME)?),
        kind: info.text(IFLA_INFO_KIND),
        mac: attributes.get(IFLA_ADDRESS).unwrap_or_default().to_vec(),
        controller: attributes.u32(IFLA_MASTER).map(Ifindex),
        lower: attributes.u32(IFLA_LINK).filter(|ifindex| *ifindex != 0).map(Ifindex),
        peer_netns: attributes.u32(IFLA_LINK_NETNSID).map(u32::cast_signed),
        mtu: attributes.u32(IFLA_MTU)?,
        altnames: altnames(&attributes),
        info_data: info.get(IFLA_INFO_DATA).unwrap_or_default().to_vec(),
        is_up: header.flags.bits() & IFF_UP as u32 != 0,
    };
    Some(vec![(Subject::Link(Ifindex(header.index)), Snapshot::Link(snapshot))])
}

fn altnames(attributes: &Attributes<'_>) -> Vec<String> {
    let properties = attributes.nested(IFLA_PROP_LIST).unwrap_or_default();
    properties.iter().filter(|(kind, _)| *kind == IFLA_ALT_IFNAME).map(|(_, value)| text(value)).collect()
}
