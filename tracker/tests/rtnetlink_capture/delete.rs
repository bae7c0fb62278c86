//! Deletes take the one object they are for, and its siblings stay as they were.

use netdeed_tests::namespace::in_netns;
use netdeed_tracker::capture::rtnetlink::{Listing, dump_of};
use netdeed_tracker::decode::rtnl::selector_count;
use netdeed_tracker::host::rtnetlink::{delete_address, delete_ip_rule, delete_link, delete_route};
use netdeed_tracker::host::{HostError, Removal};
use netdeed_tracker::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use netdeed_tracker::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use netdeed_tracker::model::subject::{Snapshot, Subject};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::listing::{ip, ip_output, only, state, wait_for, without};

fn link(name: &str) -> (Subject, LinkSnapshot) {
    let is_it =
        |_: &Subject, snapshot: &Snapshot| matches!(snapshot, Snapshot::Link(link) if link.name.as_str() == name);
    match only(dump_of(Listing::Links).unwrap(), is_it) {
        (subject, Snapshot::Link(link)) => (subject, link),
        other => panic!("{other:?}"),
    }
}

/// The route whose description starts with `text`; of `count` such ones, in the kernel's order, the one at `index`.
fn route(text: &str, index: usize, count: usize) -> (RouteSubject, RouteSnapshot) {
    let mut found: Vec<_> = dump_of(Listing::Routes)
        .unwrap()
        .into_iter()
        .filter_map(|object| match object {
            (Subject::Route(subject), Snapshot::Route(snapshot)) if subject.to_string() == text => {
                Some((subject, snapshot))
            }
            _ => None,
        })
        .collect();
    assert_eq!(found.len(), count, "{text}: {found:#?}");
    found.remove(index)
}

fn address(text: &str) -> (AddressSubject, AddressSnapshot) {
    let is_it = |subject: &Subject, _: &Snapshot| matches!(subject, Subject::Address(address) if format!("{}/{}", address.address, address.prefix) == text);
    match only(dump_of(Listing::Addresses).unwrap(), is_it) {
        (Subject::Address(subject), Snapshot::Address(snapshot)) => (subject, snapshot),
        other => panic!("{other:?}"),
    }
}

/// Two links with addresses, both with carrier and without anything that changes by itself.
fn two_links() {
    ip("link set lo up");
    ip("link add nd0 type veth peer name nd1");
    for link in ["nd0", "nd1"] {
        ip(&format!("link set {link} addrgenmode none up"));
    }
    ip("addr add 10.1.0.1/24 dev nd0");
    ip("addr add 10.2.0.1/24 dev nd1");
    ip("addr add fd00:1::1/64 dev nd0 nodad");
    ip("addr add fd00:2::1/64 dev nd1 nodad");
    let is_settled = || {
        let links = ip_output("-o link show up");
        let addresses = ip_output("-6 -o addr");
        !ip_output("route").contains("linkdown")
            && links.matches("state UP").count() == 2
            && !addresses.contains("tentative")
    };
    assert!(wait_for(is_settled), "the links come up");
}

fn delete_just_the_route(text: &str, index: usize, count: usize, line: &str) {
    let (subject, snapshot) = route(text, index, count);
    let expected = without(&state(), line);
    assert_eq!(delete_route(&subject, &snapshot).unwrap(), Removal::Removed, "{text}");
    assert_eq!(state(), expected, "{text}");
    if count == 1 {
        assert_eq!(delete_route(&subject, &snapshot).unwrap(), Removal::AlreadyGone, "{text}");
        assert_eq!(state(), expected, "{text}");
    }
}

#[test]
fn an_ipv4_route_goes_without_its_siblings() {
    in_netns(|| {
        two_links();
        ip("route add 10.9.0.0/16 via 10.1.0.5");
        ip("route add 10.9.0.0/16 via 10.1.0.5 metric 100");
        ip("route add 10.9.0.0/16 via 10.1.0.5 metric 200 proto static");
        ip("route add 10.9.0.0/16 via 10.1.0.5 tos 0x10");
        ip("route add 10.9.0.0/16 via 10.1.0.5 table 77");
        ip("route add 10.9.0.0/17 via 10.1.0.5");
        ip("route add blackhole 10.9.0.0/16 metric 300");
        ip("route add 10.11.0.0/16 nexthop via 10.1.0.5 weight 3 nexthop via 10.2.0.5");
        ip("route add 10.11.0.0/16 via 10.1.0.5 metric 4 mtu 1300 initcwnd 20");
        ip("route add default via 10.1.0.7");
        ip("route add default via 10.2.0.7 metric 10");
        ip("nexthop add id 5 via 10.1.0.5 dev nd0");
        ip("route add 10.13.0.0/16 nhid 5");
        ip("route add 10.13.0.0/16 via 10.1.0.5 metric 3");
        delete_just_the_route(
            "10.9.0.0/16 table main",
            0,
            1,
            "10.9.0.0/16 via 10.1.0.5 dev nd0 table main proto boot scope global$",
        );
        delete_just_the_route("10.9.0.0/16 table main metric 200", 0, 1, "metric 200");
        delete_just_the_route("10.9.0.0/16 table main metric 300", 0, 1, "blackhole");
        delete_just_the_route("10.9.0.0/16 table 77", 0, 1, "table 77");
        delete_just_the_route("10.9.0.0/16 table main tos 0x10", 0, 1, "tos 0x10");
        delete_just_the_route("10.11.0.0/16 table main", 0, 1, "10.11.0.0/16 table main proto boot");
        delete_just_the_route("10.11.0.0/16 table main metric 4", 0, 1, "metric 4");
        delete_just_the_route("10.13.0.0/16 table main", 0, 1, "nhid 5");
        delete_just_the_route("default table main", 0, 1, "default via 10.1.0.7");
        assert!(ip_output("route").contains("10.9.0.0/16 via 10.1.0.5 dev nd0 metric 100"));
    });
}

#[test]
fn an_ipv6_route_goes_without_its_siblings() {
    in_netns(|| {
        two_links();
        ip("-6 route add fd00:9::/64 via fd00:1::5");
        ip("-6 route append fd00:9::/64 via fd00:1::6");
        ip("-6 route append fd00:9::/64 via fd00:2::6");
        ip("-6 route add fd00:9::/64 via fd00:1::5 metric 7");
        ip("-6 route add fd00:a::/64 dev nd0 metric 9");
        ip("-6 route add fd00:a::/64 dev nd1 metric 10");
        ip("-6 route add fd00:c::/64 dev nd0");
        ip("-6 route append fd00:c::/64 dev nd1");
        ip("-6 route append fd00:c::/64 via fd00:2::6 dev nd1");
        ip("-6 route add unreachable fd00:b::/64 metric 20");
        ip("-6 route add fd00:b::/64 dev nd0 metric 21");
        ip("nexthop add id 6 via fd00:1::5 dev nd0");
        ip("-6 route add fd00:d::/64 nhid 6");
        ip("-6 route add fd00:d::/64 via fd00:1::5 metric 3");
        delete_just_the_route("fd00:9::/64 via fd00:1::6 table main metric 1024", 0, 1, "nexthop via fd00:1::6");
        delete_just_the_route("fd00:9::/64 via fd00:1::5 table main metric 7", 0, 1, "metric 7 ");
        delete_just_the_route("fd00:a::/64 table main metric 9", 0, 1, "fd00:a::/64 dev nd0");
        delete_just_the_route("fd00:c::/64 table main metric 1024", 0, 2, "fd00:c::/64 dev nd0");
        delete_just_the_route("fd00:c::/64 table main metric 1024", 0, 1, "fd00:c::/64 dev nd1");
        delete_just_the_route("fd00:b::/64 table main metric 20", 0, 1, "unreachable fd00:b::/64");
        delete_just_the_route("fd00:d::/64 table main metric 1024", 0, 1, "nhid 6");
        assert!(ip_output("-6 route").contains("fd00:b::/64 dev nd0"));
        assert_eq!(ip_output("-6 route show fd00:9::/64").matches("nexthop").count(), 2);
    });
}

#[test]
fn a_route_that_changed_is_drifted_and_one_hidden_behind_another_is_refused() {
    in_netns(|| {
        two_links();
        ip("route add 10.9.0.0/16 via 10.1.0.5");
        let (subject, snapshot) = route("10.9.0.0/16 table main", 0, 1);
        ip("route replace 10.9.0.0/16 via 10.1.0.6");
        let before = state();
        assert!(matches!(delete_route(&subject, &snapshot), Err(HostError::Drifted { .. })));
        assert_eq!(state(), before);
        // one in the same place that the kernel finds first: asked for a multipath-less `dev nd0` it takes any gateway
        ip("route add 10.12.0.0/16 via 10.1.0.5 dev nd0 onlink");
        ip("route append 10.12.0.0/16 dev nd0 scope global");
        let (subject, snapshot) = route("10.12.0.0/16 table main", 1, 2);
        let before = state();
        let refusal = delete_route(&subject, &snapshot);
        assert!(matches!(refusal, Err(HostError::Collateral { .. })), "{refusal:?}");
        assert_eq!(state(), before);
    });
}

fn delete_just_the_rule(text: &str, priority: u32, line: &str) {
    let (subject, snapshot) = ip_rule(text, priority);
    let expected = without(&state(), line);
    assert_eq!(delete_ip_rule(&subject, &snapshot).unwrap(), Removal::Removed, "{text}");
    assert_eq!(state(), expected, "{text}");
    assert_eq!(delete_ip_rule(&subject, &snapshot).unwrap(), Removal::AlreadyGone, "{text}");
}

#[test]
fn an_ip_rule_goes_without_others_of_its_priority() {
    in_netns(|| {
        ip("rule add from 10.0.0.5 lookup 2 priority 500");
        ip("rule add from 10.0.0.5 to 192.168.0.0/16 lookup 2 priority 500");
        ip("rule add from 10.0.0.5 fwmark 0x1/0xff lookup 2 priority 500");
        ip("rule add from 10.0.0.5 lookup 3 priority 500");
        ip("rule add from 10.0.0.5 lookup 2 priority 501");
        ip("rule add not from 10.0.0.6 lookup 2 priority 500");
        ip("rule add iif lo ipproto tcp dport 80 lookup 2 priority 500 protocol 99");
        ip("-6 rule add from fd00::5 lookup 2 priority 500");
        ip("rule add lookup 2 priority 0");
        delete_just_the_rule("from 10.0.0.5/32 fwmark 0x1/0xff lookup 2", 500, "fwmark 0x1/0xff");
        delete_just_the_rule("from all iif lo ipproto 6 dport 80 lookup 2", 500, "dport 80");
        delete_just_the_rule("not from 10.0.0.6/32 lookup 2", 500, "not from");
        delete_just_the_rule("from fd00::5/128 lookup 2", 500, "fd00::5");
        delete_just_the_rule("from 10.0.0.5/32 to 192.168.0.0/16 lookup 2", 500, "192.168.0.0/16");
        delete_just_the_rule("from all lookup 2", 0, "0:\tfrom all lookup 2");
        delete_just_the_rule("from 10.0.0.5/32 lookup 2", 500, "500:\tfrom 10.0.0.5 lookup 2");
        let left = ip_output("-4 rule");
        assert_eq!(left.lines().count(), 5, "{left}");
    });
}

#[test]
fn an_ip_rule_hidden_behind_a_narrower_one_is_refused() {
    in_netns(|| {
        ip("rule add from 10.0.0.5 lookup 2 priority 500");
        let (subject, snapshot) = ip_rule("from 10.0.0.5/32 lookup 2", 500);
        ip("rule del priority 500");
        ip("rule add from 10.0.0.5 to 192.168.0.0/16 lookup 2 priority 500");
        assert_eq!(delete_ip_rule(&subject, &snapshot).unwrap(), Removal::AlreadyGone, "the narrower one is not it");
        add_ip_rule(&snapshot);
        let before = state();
        let refusal = delete_ip_rule(&subject, &snapshot);
        assert!(matches!(refusal, Err(HostError::Collateral { .. })), "{refusal:?}");
        assert_eq!(state(), before);
        let (narrow, of_narrow) = ip_rule("from 10.0.0.5/32 to 192.168.0.0/16 lookup 2", 500);
        assert!(selector_count(&of_narrow) > selector_count(&snapshot), "the order to delete them in");
        assert_eq!(delete_ip_rule(&narrow, &of_narrow).unwrap(), Removal::Removed);
        assert_eq!(delete_ip_rule(&subject, &snapshot).unwrap(), Removal::Removed);
    });
}

/// Adds a rule after all of its priority. `ip` cannot: it asks the kernel to refuse what a narrower rule "exists" for.
fn add_ip_rule(snapshot: &IpRuleSnapshot) {
    let mut request = Vec::new();
    request.extend((16 + snapshot.message.len() as u32).to_ne_bytes());
    request.extend(libc::RTM_NEWRULE.to_ne_bytes());
    request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16).to_ne_bytes());
    request.extend([1, 0, 0, 0, 0, 0, 0, 0]); // sequence number and portid
    request.extend(&snapshot.message);
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.send_to(&request, &SocketAddr::new(0, 0), 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    assert_eq!(answer[16..20], [0; 4], "the kernel's answer");
}

fn ip_rule(text: &str, priority: u32) -> (IpRuleSubject, IpRuleSnapshot) {
    let is_it = |subject: &Subject, snapshot: &Snapshot| match (subject, snapshot) {
        (Subject::IpRule(subject), Snapshot::IpRule(rule)) => subject.priority == priority && rule.text == text,
        _ => false,
    };
    match only(dump_of(Listing::IpRules).unwrap(), is_it) {
        (Subject::IpRule(subject), Snapshot::IpRule(snapshot)) => (subject, snapshot),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_goes_without_its_neighbours() {
    in_netns(|| {
        two_links();
        ip("addr add 10.1.0.2/24 dev nd0");
        ip("addr add 10.1.0.3/25 dev nd0");
        ip("addr add 10.1.0.1/16 dev nd0 label nd0:x");
        ip("addr add fd00:1::2/64 dev nd0 nodad");
        // a primary without promotion would take its secondary along
        let (subject, snapshot) = address("10.1.0.1/24");
        let before = state();
        let refusal = delete_address(&subject, &snapshot);
        assert!(matches!(refusal, Err(HostError::Collateral { .. })), "{refusal:?}");
        assert_eq!(state(), before);
        // the secondary goes alone
        let (secondary, of_secondary) = address("10.1.0.2/24");
        assert_eq!(delete_address(&secondary, &of_secondary).unwrap(), Removal::Removed);
        assert_eq!(delete_address(&secondary, &of_secondary).unwrap(), Removal::AlreadyGone);
        // with promotion the primary goes alone, too
        ip("addr add 10.1.0.2/24 dev nd0");
        std::fs::write("/proc/sys/net/ipv4/conf/nd0/promote_secondaries", "1").unwrap();
        assert_eq!(delete_address(&subject, &snapshot).unwrap(), Removal::Removed);
        let (subject, snapshot) = address("fd00:1::1/64");
        assert_eq!(delete_address(&subject, &snapshot).unwrap(), Removal::Removed);
        let left = ip_output("-o addr show dev nd0");
        let found: Vec<&str> = left.lines().filter_map(|line| line.split_whitespace().nth(3)).collect();
        assert_eq!(found, ["10.1.0.3/25", "10.1.0.1/16", "10.1.0.2/24", "fd00:1::2/64"], "{left}");
    });
}

#[test]
fn a_link_goes_by_number_if_it_is_still_the_same() {
    in_netns(|| {
        two_links();
        ip("link add br0 type bridge");
        let (subject, recorded) = link("br0");
        ip("link add nd2 type veth peer name nd3");
        ip("link set br0 name br1");
        let refusal = delete_link(&subject, &recorded);
        assert!(
            matches!(&refusal, Err(HostError::Drifted { expected, found, .. }) if expected.contains("br0") && found.contains("br1")),
            "{refusal:?}"
        );
        ip("link set br1 name br0");
        ip("link set nd2 master br0"); // gives the bridge another hardware address
        assert_ne!(link("br0").1.mac, recorded.mac);
        let before = state();
        assert_eq!(delete_link(&subject, &recorded).unwrap(), Removal::Removed);
        assert_eq!(delete_link(&subject, &recorded).unwrap(), Removal::AlreadyGone);
        assert_eq!(state(), before, "addresses and routes of others stay");
        let (nd2, mut recorded) = link("nd2");
        recorded.mac[5] ^= 1;
        assert!(matches!(delete_link(&nd2, &recorded), Err(HostError::Drifted { .. })));
        assert_eq!(delete_link(&nd2, &link("nd2").1).unwrap(), Removal::Removed);
        let (lo, recorded) = link("lo");
        let refusal = delete_link(&lo, &recorded);
        assert!(matches!(refusal, Err(HostError::Io { .. })), "{refusal:?}");
        let names: Vec<String> =
            ip_output("-o link").lines().map(|line| line.split(':').nth(1).unwrap().trim().to_owned()).collect();
        assert_eq!(names, ["lo", "nd1@nd0", "nd0@nd1"]);
    });
}
