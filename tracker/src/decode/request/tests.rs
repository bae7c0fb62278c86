//! Requests as captured from the kernel, each byte explained, and arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::decode::rtnl::attributes::push;

const ROUTE: u32 = 0;
const NETFILTER: u32 = 12;

/// `ip link add veth0 mtu 1450 type veth peer name veth1 netns PID`, as iproute2 6.1 sends it.
#[rustfmt::skip]
const IP_LINK_ADD_VETH: [u8; 108] = [
    // nlmsghdr: 108 bytes, RTM_NEWLINK, REQUEST|ACK|EXCL|CREATE, seq 0x6b007d91, pid 0
    0x6c, 0, 0, 0,  0x10, 0,  0x05, 0x06,  0x91, 0x7d, 0x00, 0x6b,  0, 0, 0, 0,
    // ifinfomsg: all zero
    0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
    // IFLA_MTU 1450
    8, 0, 4, 0,  0xaa, 0x05, 0, 0,
    // IFLA_IFNAME "veth0\0"
    10, 0, 3, 0,  b'v', b'e', b't', b'h', b'0', 0, 0, 0,
    // IFLA_LINKINFO, 56 bytes
    56, 0, 18, 0,
    //   IFLA_INFO_KIND "veth", without NUL
    8, 0, 1, 0,  b'v', b'e', b't', b'h',
    //   IFLA_INFO_DATA, 44 bytes
    44, 0, 2, 0,
    //     VETH_INFO_PEER, 40 bytes: ifinfomsg
    40, 0, 1, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
    //       IFLA_NET_NS_PID 2
    8, 0, 19, 0,  2, 0, 0, 0,
    //       IFLA_IFNAME "veth1\0"
    10, 0, 3, 0,  b'v', b'e', b't', b'h', b'1', 0, 0, 0,
];

/// `ip link set veth0 netns PID`: `IFLA_NET_NS_PID` on ifindex 5.
#[rustfmt::skip]
const IP_LINK_SET_NETNS: [u8; 40] = [
    0x28, 0, 0, 0,  0x10, 0,  0x05, 0x00,  0x91, 0x7d, 0x00, 0x6b,  0, 0, 0, 0,
    0, 0, 0, 0,  5, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
    8, 0, 19, 0,  2, 0, 0, 0,
];

/// What Go's vishvananda/netlink sends for a veth pair whose peer goes to a namespace by descriptor: nested attributes
/// in the order name, link info (kind, data), the name of the peer before its namespace, a queue length in both.
fn go_style_veth() -> Vec<u8> {
    let mut peer = vec![0; LINK_HEADER];
    push(&mut peer, IFLA_IFNAME, b"eth0\0");
    push(&mut peer, 13, &0_u32.to_ne_bytes()); // IFLA_TXQLEN
    push(&mut peer, IFLA_NET_NS_FD, &9_u32.to_ne_bytes());
    let mut data = Vec::new();
    push(&mut data, INFO_PEER, &peer);
    let mut info = Vec::new();
    push(&mut info, IFLA_INFO_KIND, b"veth");
    push(&mut info, IFLA_INFO_DATA, &data);
    let mut body = vec![0; LINK_HEADER];
    push(&mut body, IFLA_IFNAME, b"vethd1f8a9c2\0");
    push(&mut body, 4, &1450_u32.to_ne_bytes()); // IFLA_MTU
    push(&mut body, IFLA_LINKINFO, &info);
    message(RTM_NEWLINK, 0x605, 7, &body)
}

fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend((16 + body.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(seq.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

fn only(bytes: &[u8], total: usize) -> (RequestMessage, bool) {
    let (mut found, is_cut) = messages(ROUTE, bytes, total as u64);
    assert_eq!(found.len(), 1, "{found:?}");
    (found.remove(0), is_cut)
}

#[test]
fn iproute2s_veth_request_names_both_ends() {
    let (message, is_cut) = only(&IP_LINK_ADD_VETH, IP_LINK_ADD_VETH.len());
    assert!(!is_cut);
    let link = LinkMention {
        ifindex: None,
        ifname: Some("veth0".to_owned()),
        peer_ifname: Some("veth1".to_owned()),
        kind: Some("veth".to_owned()),
        moves_netns: true,
    };
    let (seq, about) = (NetlinkSeq(0x6b00_7d91), Vec::new());
    assert_eq!(message, RequestMessage { kind: 16, flags: 0x605, seq, link, about, is_deferred: false });
}

#[test]
fn a_go_programs_veth_request_names_both_ends() {
    let bytes = go_style_veth();
    let (message, is_cut) = only(&bytes, bytes.len());
    assert!(!is_cut);
    assert_eq!(message.link.ifname.as_deref(), Some("vethd1f8a9c2"));
    assert_eq!(message.link.peer_ifname.as_deref(), Some("eth0"));
    assert!(message.link.moves_netns);
}

#[test]
fn a_move_names_the_link_by_number() {
    let (message, is_cut) = only(&IP_LINK_SET_NETNS, 40);
    assert!(!is_cut);
    assert_eq!(message.link, LinkMention { ifindex: Some(Ifindex(5)), moves_netns: true, ..LinkMention::default() });
}

#[test]
fn every_cut_keeps_the_complete_attributes_and_says_so() {
    for length in 16..IP_LINK_ADD_VETH.len() {
        let (message, is_cut) = only(&IP_LINK_ADD_VETH[..length], IP_LINK_ADD_VETH.len());
        assert!(is_cut, "cut at {length}");
        // the name ends at 52 (its padding does not matter at 50), the kind at 64, the peer's namespace at 96
        assert_eq!(message.link.ifname.is_some(), length >= 50, "cut at {length}");
        assert_eq!(message.link.kind.is_some(), length >= 64, "cut at {length}");
        assert_eq!(message.link.moves_netns, length >= 96, "cut at {length}");
        assert_eq!(message.link.peer_ifname.is_some(), length >= 106, "cut at {length}");
    }
    let (found, is_cut) = messages(ROUTE, &IP_LINK_ADD_VETH[..15], 108);
    assert!(found.is_empty() && is_cut);
}

#[test]
fn a_capture_shorter_than_the_request_is_cut_even_at_a_message_boundary() {
    let mut bytes = message(RTM_DELLINK, 5, 1, &[0; 16]);
    let whole = bytes.len() as u64;
    bytes.extend(message(RTM_DELLINK, 5, 2, &[0; 16]));
    assert_eq!(messages(ROUTE, &bytes[..32], 64).0.len(), 1);
    assert!(messages(ROUTE, &bytes[..32], 64).1);
    assert!(!messages(ROUTE, &bytes[..32], whole).1);
    let (both, is_cut) = messages(ROUTE, &bytes, 64);
    assert_eq!(both.iter().map(|message| message.seq.0).collect::<Vec<_>>(), [1, 2]);
    assert!(!is_cut);
}

#[test]
fn a_bridges_settings_are_no_peer() {
    let mut info = Vec::new();
    let mut data = Vec::new();
    push(&mut data, 1, &[0; 40]); // IFLA_BR_FORWARD_DELAY has the number VETH_INFO_PEER has
    push(&mut info, IFLA_INFO_DATA, &data);
    push(&mut info, IFLA_INFO_KIND, b"bridge\0");
    let mut body = vec![0; LINK_HEADER];
    push(&mut body, IFLA_LINKINFO, &info);
    let bytes = message(RTM_NEWLINK, 5, 1, &body);
    let (message, is_cut) = only(&bytes, bytes.len());
    assert!(!is_cut);
    assert_eq!(message.link, LinkMention { kind: Some("bridge".to_owned()), ..LinkMention::default() });
}

#[test]
fn of_netfilter_requests_only_the_headers_are_read() {
    // NFNL_MSG_BATCH_BEGIN, NFT_MSG_NEWRULE with its rule cut
    let mut bytes = message(0x10, 1, 0, &[0, 0, 0, 10]);
    bytes.extend(message(0x0a06, 0xc05, 1, &[2, 0, 0, 0, 8, 0, 1, 0, b'n', b'a', b't', 0]));
    let (found, is_cut) = messages(NETFILTER, &bytes[..bytes.len() - 6], 4000);
    assert!(is_cut);
    assert_eq!(found.iter().map(|message| (message.kind, message.seq.0)).collect::<Vec<_>>(), [(0x10, 0), (0x0a06, 1)]);
    assert!(found.iter().all(|message| message.link == LinkMention::default()), "0x10 is no RTM_NEWLINK here");
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), total in any::<u64>()) {
        messages(ROUTE, &bytes, total);
        messages(NETFILTER, &bytes, total);
    }

    #[test]
    fn any_damage_to_a_real_request_is_answered(at in 0..108_usize, value in any::<u8>(), length in 0..=108_usize) {
        let mut bytes = IP_LINK_ADD_VETH;
        bytes[at] = value;
        let (found, _) = messages(ROUTE, &bytes[..length], 108);
        prop_assert!(found.len() <= 108 / MESSAGE_HEADER);
    }
}
