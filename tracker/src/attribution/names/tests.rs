//! Every row is reached, and what says nothing stays without an owner.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::attribution::OwnerRules;
use crate::model::digest::Digest;
use crate::model::ids::{ChainName, Handle, Ifindex, Ifname, SetName};
use crate::model::ipset::{IpSetHeader, IpSetMember, IpSetSnapshot, IpSetSubject};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::nft::{ChainSnapshot, SetSnapshot, TableRef, TableSnapshot};
use crate::model::path::{AbsPath, Inode, PathKind, PathSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};

type Thing = (Subject, Snapshot);

fn nft(family: Family, table: &str, item: NftItem, content: NftSnapshot) -> Thing {
    let table = TableRef { family, name: table.into() };
    (Subject::Nft(NftSubject { table, item }), Snapshot::Nft(content))
}

fn chain_in(family: Family, table: &str, name: &str) -> Thing {
    let content = ChainSnapshot { handle: Handle(1), base: None, flags: 0, userdata: Vec::new() };
    nft(family, table, NftItem::Chain(name.into()), NftSnapshot::Chain(content))
}

fn table(family: Family, name: &str) -> Thing {
    let content = TableSnapshot { handle: Handle(1), flags: 0, userdata: Vec::new() };
    nft(family, name, NftItem::Table, NftSnapshot::Table(content))
}

fn set(name: &str) -> Thing {
    let content = SetSnapshot { handle: Handle(1), flags: 0, attributes: Vec::new() };
    nft(Family::Ip, "filter", NftItem::Set(name.into()), NftSnapshot::Set(content))
}

/// A rule of `ip filter` with a comment, jumps and sets.
fn rule(chain: &str, comment: Option<&str>, chains: &[&str], sets: &[&str]) -> Thing {
    let content = RuleSnapshot {
        expressions: Vec::new(),
        compat: Vec::new(),
        userdata: Vec::new(),
        content: Digest([0; 16]),
        chains: chains.iter().map(|name| ChainName::from(*name)).collect(),
        sets: sets.iter().map(|name| SetName::from(*name)).collect(),
        objects: Vec::new(),
        comment: comment.map(str::to_owned),
    };
    let item = NftItem::Rule { chain: chain.into(), handle: Handle(5) };
    nft(Family::Ip, "filter", item, NftSnapshot::Rule(content))
}

fn link(name: &str, kind: Option<&str>) -> Thing {
    let content = LinkSnapshot {
        name: Ifname::from(name),
        kind: kind.map(str::to_owned),
        mac: Vec::new(),
        controller: None,
        lower: None,
        peer_netns: None,
        mtu: 1500,
        altnames: Vec::new(),
        info_data: Vec::new(),
        is_up: true,
    };
    (Subject::Link(Ifindex(3)), Snapshot::Link(content))
}

fn route(table: u32, protocol: u8, ifname: Option<&str>) -> Thing {
    let subject = RouteSubject {
        family: 2,
        destination: None,
        prefix: 0,
        table,
        tos: 0,
        priority: 0,
        oif: Some(Ifindex(3)),
        gateway: None,
    };
    let ifname = ifname.map(str::to_owned);
    let content = RouteSnapshot { protocol, kind: 1, ifname, message: Vec::new(), content: Digest([0; 16]) };
    (Subject::Route(subject), Snapshot::Route(content))
}

fn ip_rule(table: u32, mark: Option<(u32, u32)>) -> Thing {
    // struct fib_rule_hdr: family, lengths, tos, table 0 (see FRA_TABLE), reserved, action 1, flags
    let mut message = vec![2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let mut attribute = |kind: u16, value: u32| {
        message.extend(8_u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value.to_ne_bytes());
    };
    attribute(15, table);
    if let Some((mark, mask)) = mark {
        attribute(10, mark);
        attribute(16, mask);
    }
    let subject = IpRuleSubject { family: 2, priority: 100, selector: Digest([0; 16]) };
    (Subject::IpRule(subject), Snapshot::IpRule(IpRuleSnapshot { message, text: String::new() }))
}

fn ip_set(name: &str) -> Thing {
    let header = IpSetHeader {
        kind: "hash:ip".to_owned(),
        family: 2,
        revision: 0,
        index: None,
        seed: None,
        options: String::new(),
        references: 0,
        has_timeout: false,
    };
    (Subject::IpSet(IpSetSubject::set(name.into())), Snapshot::IpSet(IpSetSnapshot::Set(header)))
}

fn member(set: &str) -> Thing {
    let (attributes, options, has_timeout, refers_to) = (Vec::new(), String::new(), false, None);
    let content = IpSetSnapshot::Member(IpSetMember { attributes, options, has_timeout, refers_to });
    (Subject::IpSet(IpSetSubject::member(set.into(), "10.0.0.1".to_owned())), Snapshot::IpSet(content))
}

fn path(path: &str) -> Thing {
    let content = PathSnapshot {
        kind: PathKind::Dir,
        inode: Inode { dev: 1, ino: 2, born: None },
        mode: 0o755,
        uid: 0,
        gid: 0,
        size: 0,
        modified: None,
    };
    (Subject::Path(AbsPath::new(Path::new(path)).expect("absolute")), Snapshot::Path(content))
}

fn address(ifname: &str) -> Thing {
    let subject = AddressSubject { ifindex: Ifindex(3), address: [10, 244, 0, 0].into(), prefix: 32 };
    let content = AddressSnapshot {
        ifname: Some(Ifname::from(ifname)),
        message: Vec::new(),
        content: Digest([0; 16]),
        is_dynamic: false,
    };
    (Subject::Address(subject), Snapshot::Address(content))
}

fn owner((subject, snapshot): &Thing) -> Option<String> {
    infer(subject, snapshot).map(|(owner, _)| owner.to_string())
}

/// A name that fits the pattern.
fn sample(pattern: &str) -> String {
    let mut text = pattern.replace('*', "x").replace("<n>", "7");
    while let Some((before, (class, after))) =
        text.split_once('<').and_then(|(b, rest)| Some((b, rest.split_once('>')?)))
    {
        let (kind, count) = class.split_once(':').expect("a counted class");
        let letter = if kind == "hex" { "a" } else { "A" };
        text = format!("{before}{}{after}", letter.repeat(count.parse().expect("a number")));
    }
    text
}

/// Things that show nothing but this sign.
fn things(sign: &Sign) -> Vec<Thing> {
    match sign {
        Sign::Table(families, pattern) => {
            let name = sample(pattern);
            let of_family = |family: &Family| [table(*family, &name), chain_in(*family, &name, "input")];
            families.iter().flat_map(of_family).collect()
        }
        Sign::Chain(pattern) => {
            let name = sample(pattern);
            vec![
                chain_in(Family::Ip, "filter", &name),
                rule(&name, None, &[], &[]),
                rule("FORWARD", None, &[&name], &[]),
            ]
        }
        Sign::SharedChain(pattern) => {
            vec![chain_in(Family::Ip, "filter", &sample(pattern)), rule("FORWARD", None, &[&sample(pattern)], &[])]
        }
        Sign::Comment(pattern) => vec![rule("FORWARD", Some(&sample(pattern)), &[], &[])],
        Sign::Set(pattern) => vec![set(&sample(pattern)), rule("FORWARD", None, &[], &[&sample(pattern)])],
        Sign::Link(pattern, kinds) => {
            let name = sample(pattern);
            let any = [None].into_iter().filter(|_| kinds.is_empty());
            let mut things: Vec<Thing> =
                kinds.iter().map(|kind| Some(*kind)).chain(any).map(|kind| link(&name, kind)).collect();
            things.extend([address(&name), route(254, 3, Some(&name))]);
            things
        }
        Sign::RouteProtocol(number) => vec![route(254, *number, Some("eth0"))],
        Sign::RouteTable(number) => vec![route(*number, 3, None)],
        Sign::RuleTable(number) => vec![ip_rule(*number, None)],
        Sign::RuleMark(mark, mask) => vec![ip_rule(254, Some((*mark, *mask)))],
        Sign::IpSet(pattern) => vec![ip_set(&sample(pattern)), member(&sample(pattern))],
        Sign::Path(pattern) => vec![path(&sample(pattern)), path(&format!("{}/below/it", sample(pattern)))],
    }
}

#[test]
fn every_row_is_reached() {
    for row in rows() {
        for (subject, snapshot) in things(&row.sign) {
            let (owner, evidence) = infer(&subject, &snapshot).unwrap_or_else(|| panic!("{}: {subject:?}", row.sign));
            assert_eq!(owner.as_str(), row.owner, "{}", row.sign);
            assert_eq!(evidence, Evidence::Name { pattern: row.sign.to_string() }, "an earlier row hides it");
        }
    }
}

#[test]
fn rows_are_unique_and_name_owners_that_rules_know() {
    let owners: BTreeSet<String> =
        OwnerRules::default().rules().iter().map(|rule| rule.owner.to_string().replace("/{program}", "")).collect();
    let mut signs = BTreeSet::new();
    for row in rows() {
        let prefix = format!("{}/", row.owner);
        let is_known = owners.iter().any(|owner| {
            owner == row.owner
                || owner.starts_with(&prefix)
                || row.owner.strip_prefix("cni/").is_some_and(|_| owner == "cni")
        });
        assert!(is_known, "no owner rule knows {}", row.owner);
        assert!(signs.insert(format!("{:?}", row.sign)), "twice: {}", row.sign);
    }
}

#[test]
fn what_others_use_too_says_nothing() {
    for thing in [
        link("veth12345678", Some("veth")),
        link("vethabcdef0", Some("veth")),
        link("dummy0", Some("dummy")),
        link("tunl0", Some("ipip")),
        link("br-int", Some("openvswitch")),
        link("wg0", Some("wireguard")),
        link("eth0", None),
        // a familiar name of another kind
        link("flannel.1", Some("bridge")),
        link("cni0", Some("dummy")),
        link("br-lan", Some("bridge")),
        link("calibration", Some("veth")),
        link("lxcbr", Some("veth")),
        chain_in(Family::Ip, "filter", "FORWARD"),
        chain_in(Family::Ip, "filter", "KUBE-ALLOW"),
        chain_in(Family::Ip, "nat", "KUBE-SVC-short"),
        chain_in(Family::Ip, "filter", "MY-DOCKER"),
        chain_in(Family::Inet, "calico", "forward"),
        table(Family::Ip, "filter"),
        table(Family::Netdev, "kube-proxy"),
        rule("FORWARD", None, &[], &[]),
        rule("POSTROUTING", Some("flannel is great"), &[], &[]),
        rule("INPUT", Some("MASQUERADE"), &["my-chain"], &["__set0"]),
        // chains for people to write rules into
        rule("DOCKER-USER", None, &[], &[]),
        rule("CNI-ADMIN", Some("office"), &[], &[]),
        set("blocklist"),
        route(254, 12, Some("eth0")),
        route(100, 4, Some("eth0")),
        route(255, 2, None),
        ip_rule(254, None),
        ip_rule(100, Some((0x2000, 0x2000))),
        ip_rule(254, Some((0x200, 0xffff_ffff))),
        path("/etc/cni/net.d"),
        path("/opt/cni/bin/bridge"),
        path("/var/lib/cni/networks"),
        path("/run/netns/cni-8a1e3a52"),
        path("/var/lib/etcd"),
        path("/var/lib/kubelets"),
        path("/home/cilium"),
        ip_set("blocklist"),
        ip_set("KUBE"),
        member("my-kube-router-set"),
        address("eth0"),
    ] {
        assert_eq!(owner(&thing), None, "{thing:?}");
    }
}

#[test]
fn signs_that_disagree_say_nothing() {
    // podman with CNI plugins: the network's name against the plugin's chain
    let podman = rule("CNI-HOSTPORT-DNAT", Some("dnat name: \"podman\" id: \"c1\""), &["CNI-DN-0123"], &[]);
    assert_eq!(owner(&podman), None);
    let kubernetes = rule("CNI-HOSTPORT-DNAT", Some("dnat name: \"cbr0\" id: \"c1\""), &["CNI-DN-0123"], &[]);
    assert_eq!(owner(&kubernetes).as_deref(), Some("cni/portmap"));
    assert_eq!(owner(&rule("DOCKER-FORWARD", None, &["KUBE-FORWARD"], &[])), None);
    assert_eq!(owner(&rule("KUBE-FORWARD", None, &["cali-FORWARD", "KUBE-FORWARD"], &[])), None);
}

#[test]
fn the_more_special_sign_counts() {
    let service = rule("KUBE-SVC-AAAAAAAAAAAAAAAA", None, &["KUBE-MARK-MASQ"], &[]);
    assert_eq!(owner(&service).as_deref(), Some("kubernetes/kube-proxy"));
    assert_eq!(owner(&chain_in(Family::Ip, "nat", "KUBE-MARK-MASQ")).as_deref(), Some("kubernetes"));
    assert_eq!(owner(&chain_in(Family::Ip, "filter", "KUBE-ROUTER-INPUT")).as_deref(), Some("cni/kube-router"));
    assert_eq!(owner(&chain_in(Family::Ip, "kube-proxy", "CILIUM_INPUT")).as_deref(), Some("kubernetes/kube-proxy"));
    assert_eq!(owner(&route(254, 17, Some("flannel.1"))).as_deref(), Some("cni/flannel"));
    assert_eq!(owner(&path("/var/run/flannel/subnet.env")).as_deref(), Some("cni/flannel"));
}

#[test]
fn no_bytes_of_an_ip_rule_do_harm() {
    let (subject, _) = ip_rule(0, None);
    for length in 0..40 {
        for fill in [0_u8, 1, 8, 0xff] {
            let snapshot = Snapshot::IpRule(IpRuleSnapshot { message: vec![fill; length], text: String::new() });
            assert_eq!(infer(&subject, &snapshot), None);
        }
    }
}
