//! Requests by `setsockopt`, as tools make them that know no generic netlink: IPv4 only.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tracker_ebpf::abi::sockopt as option;

use crate::model::ipvs::{INET, IpvsOrder, IpvsService, IpvsVerb};

/// `sizeof(struct ip_vs_service_user)`, behind which a `struct ip_vs_dest_user` follows.
const SERVICE_BYTES: usize = 44;

/// What an option and the beginning of its value ask for; `None` for other options, and values the kernel refuses.
pub fn order(number: u32, value: &[u8]) -> Option<IpvsOrder> {
    let verb = match number {
        option::IP_VS_SO_SET_ADD => IpvsVerb::NewService,
        option::IP_VS_SO_SET_EDIT => IpvsVerb::SetService,
        option::IP_VS_SO_SET_DEL => IpvsVerb::DelService,
        option::IP_VS_SO_SET_FLUSH => {
            return Some(IpvsOrder { verb: IpvsVerb::Flush, service: None, destination: None });
        }
        option::IP_VS_SO_SET_ADDDEST => IpvsVerb::NewDestination,
        option::IP_VS_SO_SET_EDITDEST => IpvsVerb::SetDestination,
        option::IP_VS_SO_SET_DELDEST => IpvsVerb::DelDestination,
        _ => return None,
    };
    // __u16 protocol; __be32 addr; __be16 port; __u32 fwmark, each aligned
    let &[p0, p1, _, _, a, b, c, d, t0, t1, _, _, m0, m1, m2, m3] = value.first_chunk()?;
    let service = match u32::from_ne_bytes([m0, m1, m2, m3]) {
        0 => IpvsService::Address {
            protocol: u16::from_ne_bytes([p0, p1]),
            address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            port: u16::from_be_bytes([t0, t1]),
        },
        mark => IpvsService::Mark { family: INET, mark },
    };
    let destination = match verb {
        IpvsVerb::NewDestination | IpvsVerb::SetDestination | IpvsVerb::DelDestination => {
            // __be32 addr; __be16 port
            let &[a, b, c, d, t0, t1] = value.get(SERVICE_BYTES..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([t0, t1])))
        }
        _ => None,
    };
    Some(IpvsOrder { verb, service: Some(service), destination })
}
