//! Neighbour messages as the kernel sends them, and arbitrary bytes.

use libc::{RTM_DELNEIGH, RTM_NEWNEIGH};
use proptest::prelude::*;

use super::*;
use crate::decode::rtnl::{decode as decode_datagram, objects};
use crate::model::observation::Observation;
use crate::model::subject::describe;

const NUD_REACHABLE: u16 = 2;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn message(family: i32, state: u16, flags: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![family as u8, 0, 0, 0, 7, 0, 0, 0, 0, 0, flags, 0];
    body[8..10].copy_from_slice(&state.to_ne_bytes());
    attributes.iter().for_each(|(kind, value)| push(&mut body, *kind, value));
    body
}

/// What a notification tells: `+` of one that is set, `-` of one that is not or is gone.
fn said(kind: u16, body: &[u8]) -> String {
    let mut datagram = (16 + body.len() as u32).to_ne_bytes().to_vec();
    datagram.extend(kind.to_ne_bytes());
    datagram.extend([0; 10]);
    datagram.extend(body);
    let mut out = Vec::new();
    assert_eq!(decode_datagram(&datagram, &mut out), 0);
    let texts = out.into_iter().map(|observation| {
        let Observation::Rtnetlink { subject, after, .. } = observation else { panic!("{observation:?}") };
        let sign = if after.is_some() { '+' } else { '-' };
        let known = objects(kind, body).expect("understood").remove(0).1;
        format!("{sign} {}", describe(&subject, &known))
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[test]
fn what_is_learnt_from_traffic_counts_as_gone() {
    let arp =
        |state| message(AF_INET, state, 0, &[(NDA_DST, &[10, 0, 0, 9]), (NDA_LLADDR, &MAC), (NDA_PROBES, &[0; 4])]);
    assert_eq!(said(RTM_NEWNEIGH, &arp(NUD_PERMANENT)), "+ neighbour 10.0.0.9 dev #7");
    assert_eq!(said(RTM_NEWNEIGH, &arp(NUD_REACHABLE)), "- neighbour 10.0.0.9 dev #7");
    assert_eq!(said(RTM_NEWNEIGH, &arp(NUD_NOARP)), "- neighbour 10.0.0.9 dev #7", "what the kernel needs not ask for");
    assert_eq!(said(RTM_DELNEIGH, &arp(NUD_PERMANENT)), "- neighbour 10.0.0.9 dev #7");
    let kept_up = message(AF_INET, NUD_REACHABLE, NTF_EXT_LEARNED, &[(NDA_DST, &[10, 0, 0, 9])]);
    assert_eq!(said(RTM_NEWNEIGH, &kept_up), "+ neighbour 10.0.0.9 dev #7");
    let proxy = message(AF_INET, NUD_PERMANENT, NTF_PROXY, &[(NDA_DST, &[10, 0, 0, 9])]);
    assert_eq!(said(RTM_NEWNEIGH, &proxy), "");
}

#[test]
fn forwarding_entries_of_bridges_and_vxlan_links() {
    let bridge = 3_u32.to_ne_bytes();
    let of_bridge =
        |state| message(AF_BRIDGE, state, 0, &[(NDA_LLADDR, &MAC), (NDA_MASTER, &bridge), (NDA_VLAN, &[5, 0])]);
    assert_eq!(said(RTM_NEWNEIGH, &of_bridge(NUD_NOARP)), "+ neighbour 02:00:00:00:00:09 dev #7 vlan 5 master");
    assert_eq!(said(RTM_NEWNEIGH, &of_bridge(NUD_REACHABLE)), "- neighbour 02:00:00:00:00:09 dev #7 vlan 5 master");
    let vxlan = message(AF_BRIDGE, NUD_PERMANENT, NTF_SELF, &[(NDA_LLADDR, &MAC), (NDA_DST, &[192, 0, 2, 7])]);
    assert_eq!(said(RTM_NEWNEIGH, &vxlan), "+ neighbour 02:00:00:00:00:09 dev #7 dst 192.0.2.7 self");
    let filter_list = message(AF_BRIDGE, NUD_PERMANENT, NTF_SELF, &[(NDA_LLADDR, &[0x33, 0x33, 0, 0, 0, 1])]);
    assert_eq!(said(RTM_NEWNEIGH, &filter_list), "");
}

#[test]
fn a_request_covers_what_the_kernel_makes_of_it() {
    let asked = |flags| requested(&message(AF_BRIDGE, NUD_NOARP, flags, &[(NDA_LLADDR, &MAC)])).expect("understood");
    let told = |body: &[u8]| match objects(RTM_NEWNEIGH, body).expect("understood").remove(0).0 {
        Subject::Neighbour(told) => told,
        other => panic!("{other:?}"),
    };
    let in_vlan = told(&message(
        AF_BRIDGE,
        NUD_NOARP,
        0,
        &[(NDA_LLADDR, &MAC), (NDA_MASTER, &[3, 0, 0, 0]), (NDA_VLAN, &[5, 0])],
    ));
    let elsewhere = told(&message(AF_BRIDGE, NUD_NOARP, 0, &[(NDA_LLADDR, &[2; 6]), (NDA_MASTER, &[3, 0, 0, 0])]));
    assert_eq!(asked(NTF_SELF | NTF_MASTER).len(), 2);
    for subject in asked(0).into_iter().chain(asked(NTF_MASTER)).chain(asked(NTF_SELF)) {
        let Subject::Neighbour(subject) = subject else { panic!("{subject:?}") };
        assert!(subject.covers(&in_vlan) && !subject.covers(&elsewhere));
    }
    let arp = requested(&message(AF_INET, NUD_PERMANENT, 0, &[(NDA_DST, &[10, 0, 0, 9])])).expect("understood");
    let Subject::Neighbour(arp) = &arp[0] else { panic!("{arp:?}") };
    assert!(arp.covers(arp) && !arp.covers(&in_vlan));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(kind in 28_u16..31, body: Vec<u8>) {
        drop(objects(kind, &body));
        drop(requested(&body));
    }
}
