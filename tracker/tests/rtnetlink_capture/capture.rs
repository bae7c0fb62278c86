//! What is notified adds up to what is listed.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use netdeed_tests::namespace::{in_netns, run};
use netdeed_tracker::capture::rtnetlink::{Listing, RtSource, dump, dump_of};
use netdeed_tracker::capture::{Raw, RawSource};
use netdeed_tracker::decode::rtnl::{decode, fill_names, may_drop_routes};
use netdeed_tracker::model::gap::Source;
use netdeed_tracker::model::ids::{Ifindex, Ifname, NetlinkSeq, Portid};
use netdeed_tracker::model::observation::Observation;
use netdeed_tracker::model::subject::{Class, Snapshot, Subject};
use netdeed_tracker::model::traffic::FilterSubject;

use crate::listing::{ip, only, wait_for};

const BUFFER: usize = 4 << 20;

/// What is known of the namespace from notifications.
struct Mirror {
    source: RtSource,
    known: BTreeMap<Subject, Snapshot>,
    /// Every observation in order.
    seen: Vec<Observation>,
}

impl Mirror {
    fn open() -> Self {
        let source = RtSource::open(BUFFER).unwrap();
        assert!(source.receive_buffer().unwrap() >= 2 * BUFFER, "the buffer is granted by force");
        Self { source, known: dump().unwrap().into_iter().collect(), seen: Vec::new() }
    }

    fn catch_up(&mut self) {
        let mut raw = Vec::new();
        while self.source.drain(&mut raw, 100).unwrap() {}
        let mut observations = Vec::new();
        for raw in raw {
            let Raw::Rtnetlink(datagram) = raw else { panic!("expected a datagram but found {raw:?}") };
            assert_eq!(decode(&datagram, &mut observations), 0, "not understood: {datagram:02x?}");
        }
        for observation in &observations {
            let Observation::Rtnetlink { subject, after, .. } = observation else { panic!("{observation:?}") };
            match after {
                // the kernel keeps one for each port of a bridge, which a listing leaves out
                Some(Snapshot::Neighbour(neighbour)) if neighbour.is_bridges_own() => None,
                Some(snapshot) => self.known.insert(subject.clone(), snapshot.clone()),
                None => self.forget(subject),
            };
        }
        if observations.iter().any(may_drop_routes) {
            let live: BTreeMap<_, _> = dump_of(Listing::Routes).unwrap().into_iter().collect();
            self.known.retain(|subject, _| !matches!(subject, Subject::Route(_)) || live.contains_key(subject));
        }
        self.seen.extend(observations);
    }

    /// Forgets what went, with what goes unannounced: what is part of a link, and the filters that one number stands for.
    fn forget(&mut self, gone: &Subject) -> Option<Snapshot> {
        self.known.retain(|subject, _| match (gone, subject) {
            (Subject::Link(link), subject) => subject.link() != Some(*link),
            (Subject::Filter(all), Subject::Filter(filter)) if all.handle == 0 => {
                FilterSubject { handle: 0, ..filter.clone() } != *all
            }
            _ => true,
        });
        self.known.remove(gone)
    }

    /// Waits until what is known is what is there.
    fn assert_equals_listing(&mut self) {
        let mut difference = Vec::new();
        let mut attempts = 0;
        let is_equal = wait_for(|| {
            self.catch_up();
            let live: BTreeMap<_, _> = dump().unwrap().into_iter().collect();
            difference.clear();
            for (subject, snapshot) in &live {
                if !self.known.get(subject).is_some_and(|known| is_same(known, snapshot)) {
                    difference.push(format!("live {subject:?} {snapshot:?}, known {:?}", self.known.get(subject)));
                }
            }
            for subject in self.known.keys().filter(|subject| !live.contains_key(subject)) {
                difference.push(format!("gone {subject:?}"));
            }
            attempts += 1;
            difference.is_empty()
        });
        assert!(is_equal, "after {attempts} attempts: {difference:#?}");
    }

    /// Portid and sequence number of the observation of what `matches`.
    fn requester(&self, matches: impl Fn(&Subject, Option<&Snapshot>) -> bool) -> Vec<(Portid, NetlinkSeq)> {
        self.seen
            .iter()
            .filter_map(|observation| match observation {
                Observation::Rtnetlink { subject, after, portid, seq, .. } if matches(subject, after.as_ref()) => {
                    Some((*portid, *seq))
                }
                _ => None,
            })
            .collect()
    }
}

fn is_same(known: &Snapshot, live: &Snapshot) -> bool {
    match (known, live) {
        (Snapshot::Link(known), Snapshot::Link(live)) => {
            let (mut known, mut live) = (known.clone(), live.clone());
            known.info_data.clear(); // bridges put timers there
            live.info_data.clear();
            known == live
        }
        _ => known.digest() == live.digest(),
    }
}

fn make_links() {
    ip("link set lo up");
    ip("link add nd0 type veth peer name nd1");
    ip("link add br0 type bridge");
    ip("link add vx0 type vxlan id 7 dev nd0 dstport 4789");
    ip("link add mv0 link nd1 type macvlan mode bridge");
    ip("tuntap add tap0 mode tap");
    ip("link set tap0 name tap1");
    ip("link property add dev br0 altname bridge-of-the-test");
    ip("link set vx0 master br0");
    ip("link set tap1 master br0");
    ip("link set br0 mtu 1400");
    for link in ["nd0", "nd1", "br0", "mv0"] {
        ip(&format!("link set {link} up"));
    }
}

fn make_addresses() {
    ip("addr add 10.1.0.1/24 dev nd0");
    ip("addr add 10.1.0.2/24 dev nd0"); // a secondary
    ip("addr add 10.2.0.1 peer 10.2.0.9/32 dev nd0 label nd0:ptp");
    ip("addr add 10.1.0.77/24 dev mv0"); // its connected route is appended to nd0's
    ip("addr add fd00:1::1/64 dev nd0 nodad");
    ip("addr add fd00:1::2/64 dev nd0 nodad preferred_lft 500 valid_lft 1000");
    ip("addr add 10.3.0.1/24 dev br0");
    ip("addr del 10.3.0.1/24 dev br0");
}

fn make_routes() {
    ip("route add 10.9.0.0/16 via 10.1.0.5");
    ip("route add 10.9.0.0/16 via 10.1.0.5 metric 100 proto static");
    ip("route add 10.9.0.0/16 via 10.1.0.6 table 77");
    ip("route replace 10.9.0.0/16 via 10.1.0.6 src 10.1.0.2");
    ip("route add blackhole 10.10.0.0/16 metric 5 table 1000");
    ip("route add 10.11.0.0/16 nexthop via 10.1.0.5 weight 3 nexthop via 10.1.0.6 weight 1");
    ip("route add default via 10.1.0.7 mtu 1300 initcwnd 20 onlink dev nd0");
    ip("route add throw 10.12.0.0/16 tos 0x10");
    ip("-6 route add fd00:9::/64 via fd00:1::5");
    ip("-6 route append fd00:9::/64 via fd00:1::6");
    ip("-6 route append fd00:9::/64 via fd00:1::7");
    ip("-6 route del fd00:9::/64 via fd00:1::6");
    ip("-6 route add fd00:a::/64 nexthop via fd00:1::5 dev nd0 weight 9 nexthop via fd00:1::6 dev nd0");
    ip("-6 route add unreachable fd00:b::/64 metric 20");
    ip("-6 route add default via fd00:1::9 table 300");
}

fn make_ip_rules() {
    ip("rule add from 10.0.0.0/8 fwmark 0x1/0xff lookup 100 priority 500");
    ip("rule add from 10.0.0.0/8 to 10.9.0.0/16 lookup 100 priority 500");
    ip("rule add not iif nd0 ipproto tcp dport 80-90 sport 7 uidrange 0-99 blackhole priority 501");
    ip("rule add tos 0x10 suppress_prefixlength 0 lookup main priority 502 protocol 77");
    ip("rule add oif nosuch goto 32766 priority 503");
    ip("-6 rule add from fd00::/8 lookup 300 priority 600");
    ip("rule add lookup 5 priority 700");
    ip("rule del lookup 5 priority 700");
}

fn make_traffic_and_neighbours() {
    let tc = |arguments: &str| run(&format!("tc {arguments}"));
    tc("qdisc add dev nd0 root handle 1: htb default 10");
    tc("class add dev nd0 parent 1: classid 1:10 htb rate 1mbit");
    tc("class add dev nd0 parent 1:10 classid 1:20 htb rate 512kbit");
    tc("qdisc add dev nd0 parent 1:20 handle 20: pfifo limit 5");
    tc("filter add dev nd0 parent 1: protocol ip pref 3 u32 match ip dst 10.1.0.0/16 flowid 1:20");
    tc("qdisc add dev nd1 clsact");
    tc("filter add dev nd1 ingress protocol all pref 1 u32 match u32 0 0 action mirred egress redirect dev lo");
    tc("filter add dev nd1 egress protocol ip pref 2 u32 match ip src 10.2.0.0/16 classid 1:1");
    tc("filter add dev nd1 egress protocol ip pref 5 u32 match ip src 10.2.0.0/16 classid 1:1");
    tc("filter del dev nd1 egress protocol ip pref 5");
    ip("neigh add 10.1.0.50 lladdr 02:00:00:00:00:50 nud permanent dev nd0");
    ip("neigh add fd00:1::50 lladdr 02:00:00:00:00:50 nud permanent dev nd0");
    ip("neigh add 10.1.0.51 lladdr 02:00:00:00:00:51 nud reachable dev nd0");
    ip("neigh add 10.1.0.52 lladdr 02:00:00:00:00:52 nud permanent dev nd0");
    ip("neigh replace 10.1.0.52 lladdr 02:00:00:00:00:52 nud stale dev nd0");
    ip("neigh add 10.1.0.53 lladdr 02:00:00:00:00:53 nud permanent dev nd0");
    ip("neigh change 10.1.0.53 lladdr 02:00:00:00:00:54 nud permanent dev nd0");
    run("bridge fdb add 02:00:00:00:00:60 dev vx0 dst 192.0.2.7 self permanent");
    run("bridge fdb add 02:00:00:00:00:61 dev tap1 master static");
    run("bridge fdb add 02:00:00:00:00:62 dev tap1 master static");
    run("bridge fdb del 02:00:00:00:00:62 dev tap1 master");
}

#[test]
fn notifications_add_up_to_a_listing() {
    in_netns(|| {
        let mut mirror = Mirror::open();
        make_links();
        mirror.assert_equals_listing();
        make_addresses();
        mirror.assert_equals_listing();
        make_routes();
        mirror.assert_equals_listing();
        make_ip_rules();
        mirror.assert_equals_listing();
        make_traffic_and_neighbours();
        mirror.assert_equals_listing();
        let told = |class: Class| mirror.known.iter().filter(|(subject, now)| Class::of(subject, now) == class).count();
        let counts = [Class::Qdisc, Class::Tclass, Class::Filter, Class::Neighbour].map(told);
        assert_eq!(counts, [3, 2, 3, 5]);
        assert!(mirror.known.len() > 60, "{}", mirror.known.len());
        let hops = mirror.known.keys().filter(|subject| match subject {
            Subject::Route(route) => route.to_string().starts_with("fd00:9::/64") && route.gateway.is_some(),
            _ => false,
        });
        assert_eq!(hops.count(), 2, "siblings are routes of their own");
        // ports leave, links go down and away, and with them addresses and routes
        ip("link set tap1 nomaster");
        ip("link set nd0 down");
        mirror.assert_equals_listing();
        ip("link set nd0 up");
        ip("route add 10.9.0.0/16 via 10.1.0.5 dev nd0 onlink");
        ip("link del nd0");
        ip("link del br0");
        mirror.assert_equals_listing();
        assert!(
            !mirror
                .known
                .values()
                .any(|snapshot| matches!(snapshot, Snapshot::Link(link) if link.name.as_str() == "nd1"))
        );
    });
}

#[test]
fn a_bridge_port_that_leaves_is_no_deleted_link() {
    in_netns(|| {
        ip("link add br0 type bridge");
        ip("link add nd0 type veth peer name nd1");
        ip("link set nd0 master br0 up");
        let mut mirror = Mirror::open();
        ip("link set nd0 nomaster"); // notifies an RTM_DELLINK of family AF_BRIDGE
        mirror.catch_up();
        let is_nd0 = |snapshot: &Snapshot| matches!(snapshot, Snapshot::Link(link) if link.name.as_str() == "nd0");
        assert!(mirror.known.values().any(is_nd0));
        assert!(mirror.requester(|subject, after| matches!(subject, Subject::Link(_)) && after.is_none()).is_empty());
        mirror.assert_equals_listing();
    });
}

#[test]
fn a_veth_peer_in_another_namespace_is_known_by_its_namespace() {
    in_netns(|| {
        ip("link add nd0 type veth peer name nd1");
        let mut mirror = Mirror::open();
        let link = |name: &str| {
            only(
                dump_of(Listing::Links).unwrap(),
                |_, found| matches!(found, Snapshot::Link(link) if link.name.as_str() == name),
            )
        };
        let (nd1, _) = link("nd1");
        let mut other = Command::new("unshare").args(["-n", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        // `unshare` has the namespace once it is `cat`
        let comm = format!("/proc/{}/comm", other.id());
        assert!(wait_for(|| std::fs::read_to_string(&comm).is_ok_and(|comm| comm.trim() == "cat")));
        ip(&format!("link set nd1 netns {}", other.id()));
        mirror.catch_up();
        assert!(!mirror.known.contains_key(&nd1), "a link that is moved away is gone from here");
        // the end that stays is not notified: only a listing, or its next change, tells where the other one is
        ip("link set nd0 up");
        mirror.assert_equals_listing();
        let (_, nd0) = link("nd0");
        let Snapshot::Link(nd0) = nd0 else { panic!("{nd0:?}") };
        assert!(nd0.peer_netns.is_some(), "{nd0:?}");
        assert_eq!(nd0.lower.map(Subject::Link), Some(nd1));
        drop(other.stdin.take());
        other.wait().unwrap();
    });
}

#[test]
fn the_kernel_says_who_asked_for_addresses_routes_and_ip_rules() {
    in_netns(|| {
        let mut mirror = Mirror::open();
        ip("link add nd0 type veth peer name nd1");
        ip("link set nd0 up");
        ip("addr add 10.1.0.1/24 dev nd0");
        ip("addr add fd00:1::1/64 dev nd0 nodad");
        ip("route add 10.9.0.0/16 via 10.1.0.5");
        ip("-6 route add fd00:9::/64 via fd00:1::5");
        ip("rule add from 10.0.0.0/8 lookup 100");
        ip("-6 rule add from fd00::/8 lookup 100");
        ip("rule del from 10.0.0.0/8 lookup 100");
        ip("route del 10.9.0.0/16 via 10.1.0.5");
        ip("addr del 10.1.0.1/24 dev nd0");
        ip("link del nd0");
        mirror.catch_up();
        let is_told = |requests: Vec<(Portid, NetlinkSeq)>, count: usize| {
            assert_eq!(requests.len(), count, "{requests:?}");
            assert!(requests.iter().all(|(portid, seq)| portid.0 != 0 && seq.0 != 0), "{requests:?}");
        };
        let of = |text: &'static str| {
            mirror.requester(move |subject, after| {
                matches!(subject, Subject::Address(address) if address.address.to_string() == text) && after.is_some()
            })
        };
        is_told(of("10.1.0.1"), 1);
        // IPv6 addresses and links are announced by workers and without their requester
        assert_eq!(of("fd00:1::1"), [(Portid(0), NetlinkSeq(0))]);
        let links = mirror.requester(|subject, _| matches!(subject, Subject::Link(_)));
        assert!(links.len() >= 4 && links.iter().all(|(_, seq)| seq.0 == 0), "{links:?}");
        let of_route = |text: &'static str, is_new: bool| {
            mirror.requester(move |subject, after| {
                matches!(subject, Subject::Route(route) if route.to_string().starts_with(text))
                    && after.is_some() == is_new
            })
        };
        is_told(of_route("10.9.0.0/16", true), 1);
        is_told(of_route("10.9.0.0/16", false), 1);
        is_told(of_route("fd00:9::/64", true), 1);
        is_told(mirror.requester(|subject, _| matches!(subject, Subject::IpRule(_))), 3);
    });
}

#[test]
fn names_are_filled_in_from_numbers() {
    in_netns(|| {
        ip("link set lo up");
        ip("link add nd0 type veth peer name nd1");
        ip("addr add fd00:1::1/64 dev nd0 nodad");
        ip("route add 10.9.0.0/16 dev lo");
        let lookup = |ifindex: Ifindex| Some(Ifname::new(format!("number{ifindex}")));
        let (subject, mut address) = only(
            dump_of(Listing::Addresses).unwrap(),
            |subject, _| matches!(subject, Subject::Address(address) if address.address.to_string() == "fd00:1::1"),
        );
        fill_names(&mut address, lookup);
        let (Subject::Address(subject), Snapshot::Address(address)) = (subject, address) else { panic!("an address") };
        assert_eq!(address.ifname, lookup(subject.ifindex));
        let (_, mut route) = only(
            dump_of(Listing::Routes).unwrap(),
            |subject, _| matches!(subject, Subject::Route(route) if route.to_string().starts_with("10.9.0.0/16")),
        );
        fill_names(&mut route, lookup);
        assert!(matches!(route, Snapshot::Route(route) if route.ifname.as_deref() == Some("number1")));
    });
}

#[test]
fn an_overrun_is_a_loss_in_its_place() {
    in_netns(|| {
        let mut source = RtSource::open(4096).unwrap();
        ip("link set lo up");
        for number in 0..200 {
            ip(&format!("route add 10.9.{number}.0/24 dev lo"));
        }
        let mut raw = Vec::new();
        while source.drain(&mut raw, 10).unwrap() {}
        let lost = Raw::Lost { source: Source::Rtnetlink, lost: None };
        assert!(raw.contains(&lost), "{} datagrams came through", raw.len());
        assert!(raw.len() < 200);
        // afterwards the stream goes on
        raw.clear();
        ip("route add 10.8.0.0/24 dev lo");
        while source.drain(&mut raw, 10).unwrap() {}
        assert!(matches!(raw.as_slice(), [Raw::Rtnetlink(_)]), "{raw:?}");
    });
}
