//! IPVS over generic netlink and over its older `setsockopt`: what its listings say, and what requests to it ask for.
//!
//! It notifies nobody, so requests say who, and listings say what came of it.

mod listing;
mod order;
mod sockopt;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decode::rtnl::attributes::{Attributes, push};
use crate::model::ipvs::{INET, INET6, IpvsService};

pub use listing::{ListedService, destination, family_of, into_objects, service};
pub use order::orders;
pub use sockopt::order as sockopt_order;

/// `NETLINK_GENERIC`.
pub const NETLINK_GENERIC: u32 = 16;
/// `IPVS_GENL_NAME`: the family's name. Its number is given out when the subsystem is loaded.
pub const FAMILY: &str = "IPVS";
/// `IPVS_GENL_VERSION`.
pub const VERSION: u8 = 1;
/// `struct nlmsghdr` and `struct genlmsghdr`.
pub const HEADERS: usize = 20;

/// `IPVS_CMD_*` of `include/uapi/linux/ip_vs.h`.
pub mod command {
    #![expect(missing_docs, reason = "the kernel's own names")]
    pub const NEW_SERVICE: u8 = 1;
    pub const SET_SERVICE: u8 = 2;
    pub const DEL_SERVICE: u8 = 3;
    pub const GET_SERVICE: u8 = 4;
    pub const NEW_DEST: u8 = 5;
    pub const SET_DEST: u8 = 6;
    pub const DEL_DEST: u8 = 7;
    pub const GET_DEST: u8 = 8;
    pub const FLUSH: u8 = 17;
}

/// `IPVS_CMD_ATTR_*`, `IPVS_SVC_ATTR_*` and `IPVS_DEST_ATTR_*` of `include/uapi/linux/ip_vs.h`.
pub mod attribute {
    #![expect(missing_docs, reason = "the kernel's own names")]
    pub const SERVICE: u16 = 1;
    pub const DEST: u16 = 2;

    pub const SVC_AF: u16 = 1;
    pub const SVC_PROTOCOL: u16 = 2;
    pub const SVC_ADDR: u16 = 3;
    pub const SVC_PORT: u16 = 4;
    pub const SVC_FWMARK: u16 = 5;
    pub const SVC_SCHED_NAME: u16 = 6;
    pub const SVC_FLAGS: u16 = 7;
    pub const SVC_TIMEOUT: u16 = 8;
    pub const SVC_NETMASK: u16 = 9;
    pub const SVC_PE_NAME: u16 = 11;

    pub const DEST_ADDR: u16 = 1;
    pub const DEST_PORT: u16 = 2;
    pub const DEST_FWD_METHOD: u16 = 3;
    pub const DEST_WEIGHT: u16 = 4;
    pub const DEST_U_THRESH: u16 = 5;
    pub const DEST_L_THRESH: u16 = 6;
    pub const DEST_ADDR_FAMILY: u16 = 11;
    pub const DEST_TUN_TYPE: u16 = 13;
    pub const DEST_TUN_PORT: u16 = 14;
    pub const DEST_TUN_FLAGS: u16 = 15;
}

/// A two-byte number in host order.
fn number(attributes: &Attributes<'_>, kind: u16) -> Option<u16> {
    attributes.get(kind)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// Ports are in network byte order.
fn port(attributes: &Attributes<'_>, kind: u16) -> Option<u16> {
    attributes.get(kind)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The kernel keeps addresses of both families in 16 bytes, and fills up shorter ones with zeros.
fn address(family: u16, bytes: &[u8]) -> Option<IpAddr> {
    let mut whole = [0; 16];
    let length = bytes.len().min(whole.len());
    whole.get_mut(..length)?.copy_from_slice(bytes.get(..length)?);
    let [a, b, c, d, ..] = whole;
    match family {
        INET => Some(Ipv4Addr::new(a, b, c, d).into()),
        INET6 => Some(Ipv6Addr::from(whole).into()),
        _ => None,
    }
}

/// The service that attributes name: a mark decides over an address.
fn key(attributes: &Attributes<'_>) -> Option<IpvsService> {
    let family = number(attributes, attribute::SVC_AF).filter(|family| matches!(*family, INET | INET6))?;
    if let Some(mark) = attributes.u32(attribute::SVC_FWMARK).filter(|mark| *mark != 0) {
        return Some(IpvsService::Mark { family, mark });
    }
    Some(IpvsService::Address {
        protocol: number(attributes, attribute::SVC_PROTOCOL)?,
        address: address(family, attributes.get(attribute::SVC_ADDR)?)?,
        port: port(attributes, attribute::SVC_PORT)?,
    })
}

/// An address as the kernel takes it.
pub fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

/// The attributes that name a service.
pub fn name_of(service: IpvsService) -> Vec<u8> {
    let mut attributes = Vec::new();
    push(&mut attributes, attribute::SVC_AF, &service.family().to_ne_bytes());
    match service {
        IpvsService::Mark { mark, .. } => push(&mut attributes, attribute::SVC_FWMARK, &mark.to_ne_bytes()),
        IpvsService::Address { protocol, address, port } => {
            push(&mut attributes, attribute::SVC_PROTOCOL, &protocol.to_ne_bytes());
            push(&mut attributes, attribute::SVC_ADDR, &address_bytes(address));
            push(&mut attributes, attribute::SVC_PORT, &port.to_be_bytes());
        }
    }
    attributes
}
