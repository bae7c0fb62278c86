//! Routes and ip rules.

use netlink_packet_core::Parseable;
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};

use super::{NameRow, Sign, first, links};
use crate::model::route::{RouteSnapshot, RouteSubject};

const fn row(sign: Sign, owner: &'static str) -> NameRow {
    NameRow { sign, owner }
}

/// The rows. Without one, because others use them too: protocols boot (3), static (4) and bird (12), tables and
/// priorities that people choose (100, 200 and the like).
pub(super) const ROWS: &[NameRow] = &[
    row(Sign::RouteProtocol(80), "cni/calico"),
    row(Sign::RouteProtocol(17), "cni/kube-router"),
    row(Sign::RouteTable(52), "tailscale"),
    row(Sign::RouteTable(2004), "cni/cilium"),
    row(Sign::RouteTable(2005), "cni/cilium"),
    row(Sign::RouteTable(10001), "cni/kube-ovn"),
    row(Sign::RuleTable(52), "tailscale"),
    row(Sign::RuleTable(2004), "cni/cilium"),
    row(Sign::RuleTable(2005), "cni/cilium"),
    row(Sign::RuleTable(10001), "cni/kube-ovn"),
    row(Sign::RuleMark(0x80000, 0xff0000), "tailscale"),
    row(Sign::RuleMark(0x200, 0xf00), "cni/cilium"),
    row(Sign::RuleMark(0xd00, 0xf00), "cni/cilium"),
    row(Sign::RuleMark(0xe00, 0xf00), "cni/cilium"),
];

/// The link it goes through says more than protocol and table.
pub(super) fn of_route(route: &RouteSubject, content: &RouteSnapshot) -> Option<&'static NameRow> {
    let link = content.ifname.as_deref().and_then(|name| links::of_link(name, None));
    link.or_else(|| {
        first(|sign| match sign {
            Sign::RouteProtocol(protocol) => *protocol == content.protocol,
            Sign::RouteTable(table) => *table == route.table,
            _ => false,
        })
    })
}

/// Length of `fib_rule_hdr`.
const HEADER: usize = 12;

pub(super) fn of_ip_rule(message: &[u8]) -> Option<&'static NameRow> {
    let message = (message.len() >= HEADER).then(|| RuleMessage::parse(message).ok())??;
    let (mut table, mut mark, mut mask) = (u32::from(message.header.table), None, u32::MAX);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::FwMark(number) => mark = Some(*number),
            RuleAttribute::FwMask(number) => mask = *number,
            _ => {}
        }
    }
    first(|sign| match sign {
        Sign::RuleTable(number) => *number == table,
        Sign::RuleMark(number, bits) => mark == Some(*number) && *bits == mask,
        _ => false,
    })
}
