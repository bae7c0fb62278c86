//! Messages captured on Linux 6.18, byte by byte.

use libc::{
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
};
use proptest::prelude::*;

use super::attributes::{Attributes, push};
use super::*;
use crate::model::link::{AddressSnapshot, LinkSnapshot};
use crate::model::route::{IpRuleSnapshot, RouteSnapshot};

/// `ip route add 10.9.0.0/16 via 10.1.0.5`: flags CREATE|EXCL, with the requester's seq and portid.
#[rustfmt::skip]
const ROUTE: [u8; 60] = [
    60, 0, 0, 0,  24, 0,  0x00, 0x06,  0x04, 0x98, 0x00, 0x6b,  0x1c, 0x3e, 0, 0,
    // rtmsg: family, dst_len, src_len, tos, table main, protocol boot, scope global, unicast, flags
    2, 16, 0, 0,  254, 3, 0, 1,  0, 0, 0, 0,
    8, 0, 15, 0,  254, 0, 0, 0,   // RTA_TABLE
    8, 0, 1, 0,   10, 9, 0, 0,    // RTA_DST
    8, 0, 5, 0,   10, 1, 0, 5,    // RTA_GATEWAY
    8, 0, 4, 0,   3, 0, 0, 0,     // RTA_OIF
];

/// `ip addr add 10.1.0.1/24 dev v0 label v0:x`.
#[rustfmt::skip]
const ADDRESS: [u8; 80] = [
    80, 0, 0, 0,  20, 0,  0, 0,  0x04, 0x98, 0x00, 0x6b,  0x1a, 0x3e, 0, 0,
    2, 24, 0x80, 0,  3, 0, 0, 0,         // ifaddrmsg: family, prefix, IFA_F_PERMANENT, scope, ifindex
    8, 0, 1, 0,  10, 1, 0, 1,            // IFA_ADDRESS
    8, 0, 2, 0,  10, 1, 0, 1,            // IFA_LOCAL
    9, 0, 3, 0,  b'v', b'0', b':', b'x', 0, 0, 0, 0, // IFA_LABEL
    8, 0, 8, 0,  0x80, 0, 0, 0,          // IFA_FLAGS
    20, 0, 6, 0,                         // IFA_CACHEINFO: lifetimes, created, changed
    255, 255, 255, 255,  255, 255, 255, 255,  0x04, 0xc1, 0x04, 0,  0x04, 0xc1, 0x04, 0,
];

/// `ip -6 route add fd01::/64 nexthop via fd00::5 nexthop via fd00::6`.
#[rustfmt::skip]
const MULTIPATH6: [u8; 168] = [
    168, 0, 0, 0,  24, 0,  0x00, 0x04,  0x04, 0x98, 0x00, 0x6b,  0x22, 0x3e, 0, 0,
    10, 64, 0, 0,  254, 3, 0, 1,  0, 0, 0, 0,
    8, 0, 15, 0,  254, 0, 0, 0,
    20, 0, 1, 0,  0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 0, 6, 0,  0, 4, 0, 0,                                                // RTA_PRIORITY 1024
    60, 0, 9, 0,                                                            // RTA_MULTIPATH
    28, 0, 0, 0,  3, 0, 0, 0,                                               // rtnexthop: length, flags, hops, ifindex
    20, 0, 5, 0,  0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,        // RTA_GATEWAY
    28, 0, 0, 0,  3, 0, 0, 0,
    20, 0, 5, 0,  0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6,
    36, 0, 12, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,          // RTA_CACHEINFO
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    5, 0, 20, 0,  0, 0, 0, 0,                                               // RTA_PREF medium
];

/// `ip rule add from 10.0.0.0/8 fwmark 1/0xff lookup 100`.
#[rustfmt::skip]
const RULE: [u8; 84] = [
    84, 0, 0, 0,  32, 0,  0, 0,  0x04, 0x98, 0x00, 0x6b,  0x24, 0x3e, 0, 0,
    2, 0, 8, 0,  100, 0, 0, 1,  0, 0, 0, 0, // fib_rule_hdr: family, dst_len, src_len, tos, table, -, -, to table, flags
    8, 0, 15, 0,  100, 0, 0, 0,             // FRA_TABLE
    8, 0, 14, 0,  255, 255, 255, 255,       // FRA_SUPPRESS_PREFIXLEN: none
    5, 0, 21, 0,  0, 0, 0, 0,               // FRA_PROTOCOL
    8, 0, 6, 0,  0xfd, 0x7f, 0, 0,          // FRA_PRIORITY 32765
    8, 0, 10, 0,  1, 0, 0, 0,               // FRA_FWMARK
    8, 0, 16, 0,  255, 0, 0, 0,             // FRA_FWMASK
    8, 0, 2, 0,  10, 0, 0, 0,               // FRA_SRC
];

/// `ip link set v1 nomaster`: the bridge lets go of its port.
#[rustfmt::skip]
const PORT_LEFT: [u8; 84] = [
    84, 0, 0, 0,  17, 0,  0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
    7, 0, 1, 0,  2, 0, 0, 0,  0x43, 0x10, 1, 0,  0, 0, 0, 0, // ifinfomsg of family AF_BRIDGE
    7, 0, 3, 0,  b'v', b'1', 0, 0,
    8, 0, 10, 0,  4, 0, 0, 0,
    8, 0, 4, 0,  0xdc, 5, 0, 0,
    5, 0, 16, 0,  6, 0, 0, 0,
    10, 0, 1, 0,  0x0a, 0x7b, 0x4a, 0x9d, 0xfc, 0xd3, 0, 0,
    8, 0, 5, 0,  3, 0, 0, 0,
];

/// A link message with the attributes that matter here.
fn link(kind: u16, is_up: bool) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4] = 7; // ifi_index
    body[8] = u8::from(is_up); // ifi_flags
    push(&mut body, IFLA_IFNAME, b"veth1\0");
    push(&mut body, IFLA_MTU, &1450_u32.to_ne_bytes());
    push(&mut body, IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]);
    push(&mut body, IFLA_MASTER, &4_u32.to_ne_bytes());
    push(&mut body, IFLA_LINK, &2_u32.to_ne_bytes());
    push(&mut body, 37, &0_u32.to_ne_bytes()); // IFLA_LINK_NETNSID
    let mut info = Vec::new();
    push(&mut info, IFLA_INFO_KIND, b"veth\0");
    push(&mut info, IFLA_INFO_DATA, &[1, 2, 3, 4]);
    push(&mut body, IFLA_LINKINFO, &info);
    let mut names = Vec::new();
    push(&mut names, 53, b"pod-eth0\0"); // IFLA_ALT_IFNAME
    push(&mut body, 52 | 0x8000, &names); // IFLA_PROP_LIST
    message(kind, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut message = (16 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend([0; 10]);
    message.extend(body);
    message
}

fn decoded(datagram: &[u8]) -> Vec<Observation> {
    let mut observations = Vec::new();
    assert_eq!(decode(datagram, &mut observations), 0);
    observations
}

fn only(datagram: &[u8]) -> (Subject, Option<Snapshot>, (u32, u32)) {
    match decoded(datagram).as_slice() {
        [Observation::Rtnetlink { subject, after, portid, seq, .. }] => {
            (subject.clone(), after.clone(), (portid.0, seq.0))
        }
        other => panic!("{other:?}"),
    }
}

fn route(datagram: &[u8]) -> (Subject, RouteSnapshot) {
    match only(datagram) {
        (subject, Some(Snapshot::Route(route)), _) => (subject, route),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_link_is_read_whole() {
    let (subject, after, _) = only(&link(RTM_NEWLINK, true));
    assert_eq!(subject, Subject::Link(Ifindex(7)));
    let expected = LinkSnapshot {
        name: Ifname::new("veth1"),
        kind: Some("veth".to_owned()),
        mac: vec![2, 0, 0, 0, 0, 9],
        controller: Some(Ifindex(4)),
        lower: Some(Ifindex(2)),
        peer_netns: Some(0),
        mtu: 1450,
        altnames: vec!["pod-eth0".to_owned()],
        info_data: vec![1, 2, 3, 4],
        is_up: true,
    };
    assert_eq!(after, Some(Snapshot::Link(expected)));
    let removal = decoded(&link(RTM_DELLINK, false));
    let [Observation::Rtnetlink { after: None, ifname, .. }] = removal.as_slice() else { panic!("{removal:?}") };
    assert_eq!(ifname.as_deref(), Some("veth1"));
}

#[test]
fn a_port_that_leaves_its_bridge_is_no_removed_link() {
    assert_eq!(decoded(&PORT_LEFT), []);
    let mut as_link = PORT_LEFT;
    as_link[16] = 0; // the same, but of the link itself
    assert!(matches!(only(&as_link), (Subject::Link(Ifindex(2)), None, _)));
}

#[test]
fn a_datagram_may_hold_several_messages() {
    let datagram = [&ROUTE[..], &PORT_LEFT, &RULE].concat();
    let observations = decoded(&datagram);
    assert!(matches!(
        observations.as_slice(),
        [
            Observation::Rtnetlink { subject: Subject::Route(_), .. },
            Observation::Rtnetlink { subject: Subject::IpRule(_), .. }
        ]
    ));
}

#[test]
fn a_route_knows_its_requester_and_its_place() {
    let (subject, after, requester) = only(&ROUTE);
    assert_eq!(subject_text(&subject), "10.9.0.0/16 table main");
    assert_eq!(requester, (0x3e1c, 0x6b00_9804));
    let Some(Snapshot::Route(route)) = after else { panic!("{after:?}") };
    assert_eq!((route.protocol, route.kind), (3, 1));
    assert_eq!(route.message, ROUTE[16..]);
}

fn subject_text(subject: &Subject) -> String {
    let Subject::Route(route) = subject else { panic!("{subject:?}") };
    route.to_string()
}

#[test]
fn replacing_an_ipv4_next_hop_changes_the_content_and_not_the_subject() {
    let mut replaced = ROUTE;
    replaced[51] = 6; // via 10.1.0.6
    let ((before, of_before), (after, of_after)) = (route(&ROUTE), route(&replaced));
    assert_eq!(before, after);
    assert_ne!(of_before.content, of_after.content);
}

#[test]
fn connected_routes_of_two_links_are_two() {
    let (mut one, mut other) = (ROUTE, ROUTE);
    one[21] = 2; // protocol kernel
    other[21] = 2;
    other[56] = 9; // another link
    assert_ne!(route(&one).0, route(&other).0);
}

#[test]
fn a_routes_content_is_what_was_chosen_for_it() {
    let chosen = route(&ROUTE).1.content;
    let changed = |change: &dyn Fn(&mut [u8; 60])| {
        let mut bytes = ROUTE;
        change(&mut bytes);
        route(&bytes).1.content
    };
    assert_eq!(changed(&|bytes| bytes[24] = 1 | 16), chosen, "dead and linkdown are states");
    assert_ne!(changed(&|bytes| bytes[24] = 4), chosen, "onlink is a choice");
    assert_ne!(changed(&|bytes| bytes[21] = 4), chosen, "protocol");
    assert_ne!(changed(&|bytes| bytes[22] = 253), chosen, "scope");
    assert_ne!(changed(&|bytes| bytes[23] = 6), chosen, "blackhole");
    assert_ne!(changed(&|bytes| bytes[32] = 253), chosen, "table");
}

#[test]
fn ipv6_next_hops_are_routes_of_their_own() {
    let observations = decoded(&MULTIPATH6);
    let texts: Vec<String> = observations
        .iter()
        .map(|observation| match observation {
            Observation::Rtnetlink { subject, .. } => subject_text(subject),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["fd01::/64 via fd00::5 table main metric 1024", "fd01::/64 via fd00::6 table main metric 1024"]);
    // what the kernel says of the first one when it is alone
    let mut body = MULTIPATH6[16..28].to_vec();
    for (kind, value) in Attributes::parse(&MULTIPATH6[28..]).unwrap().iter().filter(|(kind, _)| *kind != 9) {
        push(&mut body, kind, value);
    }
    push(&mut body, 5, &MULTIPATH6[80..96]);
    push(&mut body, 4, &3_u32.to_ne_bytes());
    let (alone, snapshot) = route(&message(RTM_NEWROUTE, &body));
    let [Observation::Rtnetlink { subject, after: Some(Snapshot::Route(first)), .. }, _] = observations.as_slice()
    else {
        panic!("{observations:?}")
    };
    assert_eq!((subject, first.content), (&alone, snapshot.content));
}

#[test]
fn an_address_keeps_its_digest_through_detection_renewal_and_renaming() {
    let content = |bytes: &[u8]| match only(bytes) {
        (_, Some(Snapshot::Address(address)), _) => address,
        other => panic!("{other:?}"),
    };
    let address: AddressSnapshot = content(&ADDRESS);
    assert_eq!(address.ifname, Some(Ifname::new("v0")));
    assert!(!address.is_dynamic);
    let mut later = ADDRESS;
    later[56] |= 0x40; // tentative
    later[64] = 1; // preferred lifetime
    later[44] = b'w'; // the link is `w0` now
    assert_eq!(content(&later).content, address.content);
    let mut other_scope = ADDRESS;
    other_scope[19] = 253;
    assert_ne!(content(&other_scope).content, address.content);
    let mut by_dhcp = ADDRESS;
    by_dhcp[56] = 0;
    assert!(content(&by_dhcp).is_dynamic);
}

#[test]
fn an_ip_rules_selector_is_all_but_priority_and_protocol() {
    let rule = |bytes: &[u8]| match only(bytes) {
        (Subject::IpRule(subject), Some(Snapshot::IpRule(snapshot)), _) => (subject, snapshot),
        other => panic!("{other:?}"),
    };
    let (subject, snapshot): (_, IpRuleSnapshot) = rule(&RULE);
    assert_eq!(snapshot.text, "from 10.0.0.0/8 fwmark 0x1/0xff lookup 100");
    assert_eq!((subject.family, subject.priority), (2, 32765));
    assert_eq!(selector_count(&snapshot), 3);
    let mut other = RULE;
    other[48] = 4; // protocol
    other[56] = 0; // priority
    assert_eq!(rule(&other).0.selector, subject.selector);
    assert_ne!(rule(&other).0, subject);
    for (at, value, text) in [
        (64, 2, "from 10.0.0.0/8 fwmark 0x2/0xff lookup 100"),
        (24, 2, "not from 10.0.0.0/8 fwmark 0x1/0xff lookup 100"),
        (32, 254, "from 10.0.0.0/8 fwmark 0x1/0xff lookup main"),
        (18, 9, "from 10.0.0.0/9 fwmark 0x1/0xff lookup 100"),
        (40, 0, "from 10.0.0.0/8 fwmark 0x1/0xff lookup 100 suppress_prefixlength 4294967040"),
        (23, 6, "from 10.0.0.0/8 fwmark 0x1/0xff blackhole"),
    ] {
        let mut other = RULE;
        other[at] = value;
        let (changed, snapshot) = rule(&other);
        assert_eq!(snapshot.text, text);
        assert_ne!(changed.selector, subject.selector, "{text}");
    }
}

#[test]
fn what_may_drop_routes_is_a_link_that_goes_or_is_down_and_an_ipv4_address_that_goes() {
    let may = |datagram: &[u8]| decoded(datagram).iter().any(may_drop_routes);
    assert!(!may(&link(RTM_NEWLINK, true)));
    assert!(may(&link(RTM_NEWLINK, false)));
    assert!(may(&link(RTM_DELLINK, true)));
    assert!(!may(&ADDRESS));
    let mut removed = ADDRESS;
    removed[4] = RTM_DELADDR as u8;
    assert!(may(&removed));
    assert!(!may(&ROUTE));
}

#[test]
fn what_is_not_understood_is_counted_and_the_rest_is_read() {
    let mut cut = ROUTE;
    cut[28] = 200; // RTA_TABLE is longer than the message
    let mut observations = Vec::new();
    assert_eq!(decode(&[&cut[..], &message(99, &[0; 8]), &RULE].concat(), &mut observations), 2);
    assert_eq!(observations.len(), 1);
    assert_eq!(decode(&ROUTE[..40], &mut observations), 1);
    // an IPv6 route for one source prefix is not told from its siblings, so it is none of ours
    let mut from = MULTIPATH6;
    from[18] = 64;
    assert_eq!(decode(&from, &mut observations), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode(&bytes, &mut Vec::new());
        for kind in 16..40 {
            objects(kind, &bytes);
        }
    }

    #[test]
    fn any_damage_to_real_messages_is_answered(
        which in 0..6_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = match which {
            0 => ROUTE.to_vec(),
            1 => ADDRESS.to_vec(),
            2 => MULTIPATH6.to_vec(),
            3 => RULE.to_vec(),
            4 => link(RTM_NEWLINK, true),
            _ => PORT_LEFT.to_vec(),
        };
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut observations = Vec::new();
        decode(&bytes, &mut observations);
        for observation in &mut observations {
            may_drop_routes(observation);
            if let Observation::Rtnetlink { after: Some(snapshot), .. } = observation {
                fill_names(snapshot, |ifindex| Some(Ifname::new(ifindex.to_string())));
                if let Snapshot::IpRule(rule) = snapshot {
                    selector_count(rule);
                }
            }
        }
        decode(&bytes[..cut.index(bytes.len())], &mut observations);
    }
}
