//! Requests: what a task asks of the subsystem, in the bytes that were captured.

use super::SUBSYSTEM;
use super::attribute::{ADT, DATA, SETNAME, SETNAME2};
use super::member::mention;
use crate::decode::request::Walk;
use crate::decode::rtnl::attributes::text;
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetOrder, IpSetVerb, MemberMention};

/// `struct nlmsghdr` and `struct nfgenmsg`.
const MESSAGE_HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// What the captured beginning of a netfilter request of `total` bytes asks of the ip_set subsystem, in its order;
/// nothing for requests to others.
pub fn orders(bytes: &[u8], total: u64) -> Vec<IpSetOrder> {
    let mut orders = Vec::new();
    let mut is_ours = false;
    let mut seen = 0_u64;
    let mut rest = bytes;
    while let Some(&header) = rest.first_chunk::<MESSAGE_HEADER>() {
        let [l0, l1, l2, l3, command, subsystem, ..] = header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if length < MESSAGE_HEADER {
            break;
        }
        let body = rest.get(MESSAGE_HEADER + FAMILY_HEADER..length.min(rest.len())).unwrap_or_default();
        if subsystem == SUBSYSTEM {
            is_ours = true;
            orders.extend(verb(command).map(|verb| order(verb, body, length > rest.len())));
        }
        seen = seen.saturating_add(length.next_multiple_of(4) as u64);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // messages that were not captured
    if is_ours && seen < total {
        orders.push(IpSetOrder {
            verb: IpSetVerb::Anything,
            set: None,
            other: None,
            members: Vec::new(),
            is_cut: true,
        });
    }
    orders
}

fn verb(command: u8) -> Option<IpSetVerb> {
    Some(match command {
        2 => IpSetVerb::Create,
        3 => IpSetVerb::Destroy,
        4 => IpSetVerb::Flush,
        5 => IpSetVerb::Rename,
        6 => IpSetVerb::Swap,
        9 => IpSetVerb::Add,
        10 => IpSetVerb::Del,
        _ => return None,
    })
}

fn order(verb: IpSetVerb, body: &[u8], is_cut: bool) -> IpSetOrder {
    let mut order = IpSetOrder { verb, set: None, other: None, members: Vec::new(), is_cut };
    let name = |value: &[u8]| Some(IpSetName::new(text(value)));
    let mut walk = Walk::new(body);
    for attribute in &mut walk {
        match (attribute.kind, attribute.whole()) {
            (SETNAME, Some(value)) => order.set = name(value),
            (SETNAME2, Some(value)) if matches!(verb, IpSetVerb::Rename | IpSetVerb::Swap) => {
                order.other = name(value);
            }
            (DATA, Some(value)) if matches!(verb, IpSetVerb::Add | IpSetVerb::Del) => {
                order.members.push(mention(value));
            }
            (ADT, _) => order.is_cut |= members(attribute.value, &mut order.members),
            _ => {}
        }
    }
    order.is_cut |= walk.is_cut;
    order
}

/// The members of a list of them; returns whether it was cut.
fn members(list: &[u8], out: &mut Vec<MemberMention>) -> bool {
    let mut walk = Walk::new(list);
    for attribute in &mut walk {
        if let (DATA, Some(value)) = (attribute.kind, attribute.whole()) {
            out.push(mention(value));
        }
    }
    walk.is_cut
}
