//! Arguments of ioctls as tools pass them, and arbitrary bytes.

use proptest::prelude::*;

use super::*;

/// `struct ifreq`, or a name alone, with what is behind the name.
fn ifreq(name: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(PARAMETER_NAME_BYTES, 0);
    bytes.extend(data);
    bytes.resize(bytes.len().max(IFREQ_BYTES), 0);
    bytes
}

fn with_parameters(name: &str, tunnel: &str) -> Vec<u8> {
    let mut bytes = ifreq(name, &[0; 8]);
    bytes.extend(tunnel.as_bytes());
    bytes.resize(IFREQ_BYTES + PARAMETER_NAME_BYTES, 0);
    bytes
}

/// `new br7 bridge`, `set br7`, `del br7`; a link by number as `#7`.
fn said(command: u32, data: &[u8]) -> Vec<String> {
    let text = |message: &RequestMessage| {
        let LinkMention { ifindex, ifname, kind, peer_ifname, moves_netns } = &message.link;
        assert!(peer_ifname.is_none() && !moves_netns && message.about.is_empty() && !message.is_deferred);
        let word = match message.kind {
            RTM_NEWLINK if message.flags & NLM_F_CREATE as u16 != 0 => "new",
            RTM_SETLINK => "set",
            RTM_DELLINK => "del",
            other => panic!("{other}"),
        };
        let name = ifname.clone().or_else(|| ifindex.map(|number| format!("#{number}")));
        let words = [Some(word.to_owned()), name, kind.clone()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    messages(command, data).iter().map(text).collect()
}

#[test]
fn bridges_and_their_ports() {
    // `brctl addbr br7`: a name without an `ifreq` around it
    assert_eq!(said(SIOCBRADDBR, b"br7\0\0\0\0\0\0\0\0\0\0\0\0\0"), ["new br7 bridge"]);
    assert_eq!(said(SIOCBRDELBR, b"br7\0\0\0\0\0\0\0\0\0\0\0\0\0"), ["del br7"]);
    // `brctl addif br7 eth1`, whose number is 3
    assert_eq!(said(SIOCBRADDIF, &ifreq("br7", &3_u32.to_ne_bytes())), ["set br7", "set #3"]);
}

#[test]
fn tun_and_tap_links_with_and_without_a_name() {
    assert_eq!(said(TUNSETIFF, &ifreq("tun5", &0x1001_u16.to_ne_bytes())), ["new tun5 tun"]);
    assert_eq!(said(TUNSETIFF, &ifreq("", &0x1001_u16.to_ne_bytes())), ["new tun%d tun"]);
    assert_eq!(said(TUNSETIFF, &ifreq("", &0x1002_u16.to_ne_bytes())), ["new tap%d tun"]);
}

#[test]
fn tunnels_are_made_by_way_of_the_fallback_link_of_their_kind() {
    assert_eq!(said(SIOCADDTUNNEL, &with_parameters("tunl0", "ipip7")), ["new ipip7 ipip"]);
    assert_eq!(said(SIOCADDTUNNEL, &with_parameters("gre0", "")), ["new gre"], "the kernel chooses the name");
    assert_eq!(said(SIOCADDTUNNEL, &with_parameters("sit0", "six")), ["new six sit"]);
    assert_eq!(said(SIOCCHGTUNNEL, &with_parameters("six", "six")), ["set six"]);
    assert_eq!(said(SIOCDELTUNNEL, &with_parameters("six", "")), ["del six"]);
    assert_eq!(said(SIOCDELTUNNEL, &with_parameters("sit0", "six")), ["del six"]);
    // the number means something else on other links
    assert!(said(SIOCADDTUNNEL, &with_parameters("eth0", "x")).is_empty());
    assert!(said(SIOCADDTUNNEL, &ifreq("eth0", &[])).is_empty());
}

#[test]
fn vlans_names_and_flags() {
    let vlan = |command: u32, device: &str, id: u32| {
        let mut bytes = command.to_ne_bytes().to_vec();
        bytes.extend(device.as_bytes());
        bytes.resize(28, 0);
        bytes.extend(id.to_ne_bytes());
        bytes.resize(56, 0);
        bytes
    };
    assert_eq!(said(SIOCSIFVLAN, &vlan(0, "eth0", 5)), ["new vlan%d vlan", "new eth0.%d vlan"]);
    assert_eq!(said(SIOCSIFVLAN, &vlan(1, "eth0.5", 0)), ["del eth0.5"]);
    assert!(said(SIOCSIFVLAN, &vlan(6, "eth0", 0)).is_empty(), "asks for the name type");
    assert_eq!(said(SIOCSIFNAME, &ifreq("eth7", b"wan0\0")), ["set eth7", "set wan0"]);
    assert_eq!(said(SIOCSIFFLAGS, &ifreq("eth7", &[0x43, 0x10])), ["set eth7"]);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(command in prop_oneof![any::<u32>(), 0x8900_u32..0x8a00, Just(TUNSETIFF)], data: Vec<u8>) {
        let messages = messages(command, &data);
        prop_assert!(messages.len() <= 2);
    }
}
