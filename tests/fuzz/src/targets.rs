//! What is done with any bytes, by target. Panics where something does not hold: nothing panics by itself, nothing is
//! lost, what is rendered is marked where it is not all, and has nothing in it that upsets a terminal.
//!
//! Used by libFuzzer and, with the corpus and random mutations of it, by the tracker's tests.

use std::collections::BTreeSet;

use netdeed_tracker::capture::fanotify;
use netdeed_tracker::decode::ipset::Listing as IpSets;
use netdeed_tracker::decode::legacy::{self, Layout, TableInfo};
use netdeed_tracker::decode::{ioctl, ipset, ipvs, nft, request, rtnl, task};
use netdeed_tracker::model::digest::DigestBuilder;
use netdeed_tracker::model::ids::Handle;
use netdeed_tracker::model::legacy::{LegacyFamily, LegacyTable, table_digest};
use netdeed_tracker::model::nft::{ElementSnapshot, Family, NftSnapshot, NftSubject, RuleSnapshot, SetSnapshot};
use netdeed_tracker::model::observation::Observation;
use netdeed_tracker::model::subject::{Snapshot, Subject, describe};
use netdeed_tracker::render::{self, Handles, Listing, Rendered, Ruleset, SetContent, Surroundings};
use netlink_packet_core::NetlinkBuffer;

/// Name and what is done.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    ("nft", nft_messages),
    ("expressions", expressions),
    ("xt", xt),
    ("rtnl", rtnl_messages),
    ("request", requests),
    ("task", records),
    ("fanotify", fanotify_events),
    ("legacy", legacy_tables),
    ("ipset", ip_sets),
    ("ipvs", ipvs_services),
    ("ioctl", ioctls),
];

/// Commands whose arguments are read.
const IOCTLS: [u32; 12] = [
    0x89a0,      // SIOCBRADDBR
    0x89a2,      // SIOCBRADDIF
    0x8923,      // SIOCSIFNAME
    0x4004_54ca, // TUNSETIFF
    0x89f1,      // SIOCADDTUNNEL
    0x8983,      // SIOCSIFVLAN
    0x89a1,      // SIOCBRDELBR
    0x89a3,      // SIOCBRDELIF
    0x8914,      // SIOCSIFFLAGS
    0x8924,      // SIOCSIFHWADDR
    0x89f2,      // SIOCDELTUNNEL
    0x89f3,      // SIOCCHGTUNNEL
];

/// A datagram of nf_tables messages, and everything in it as text.
fn nft_messages(data: &[u8]) {
    let mut out = Vec::new();
    let report = nft::decode(data, &mut out);
    assert!(data.is_empty() || report.decoded + report.undecoded.len() > 0, "bytes without any trace");
    for undecoded in &report.undecoded {
        let found = data.windows(undecoded.bytes.len().max(1)).any(|window| window == undecoded.bytes);
        assert!(found, "what is not understood is kept as it was");
    }
    let objects: Vec<(&NftSubject, &NftSnapshot)> = out
        .iter()
        .filter_map(|observation| match observation {
            Observation::Nft { subject: Subject::Nft(subject), after: Some(Snapshot::Nft(snapshot)) } => {
                let _ = (subject.to_string(), snapshot.digest(), snapshot.handle());
                Some((subject, snapshot))
            }
            _ => None,
        })
        .collect();
    let ruleset = Ruleset::new(objects.iter().copied());
    sound_listing(&render::nft_ruleset(&ruleset, Handles::Shown, &()));
    for family in [Family::Ip, Family::Ip6] {
        sound_listing(&render::iptables_save(&ruleset, family, &()));
    }
    for (subject, snapshot) in objects {
        if let (NftSnapshot::Rule(rule), Some(table)) = (snapshot, ruleset.table(&subject.table)) {
            sound(&render::nft(subject.table.family, rule, &table.surroundings(&())));
            sound(&render::iptables(subject.table.family, "C", rule, &()));
        }
    }
}

/// First byte: the family; the rest is the list of expressions of a rule.
fn expressions(data: &[u8]) {
    let Some((first, list)) = data.split_first() else { return };
    let mut length = 0;
    for expression in nft::expr::decode(list) {
        length += expression.data.len();
        let kept: usize = expression.unknown.iter().map(|(_, value)| value.len()).sum();
        assert!(kept <= expression.data.len());
    }
    assert!(length <= list.len().saturating_mul(2));
    let rule = rule(list);
    let family = Family::ALL[usize::from(*first) % Family::ALL.len()];
    let known = OneSet::new(*first);
    for surroundings in [&() as &dyn Surroundings, &known] {
        sound(&render::nft(family, &rule, surroundings));
        sound(&render::iptables(family, "C", &rule, surroundings));
    }
}

/// First byte: 1 IPv6, 2 target; second: revision; third: length of the name; then name and structure.
fn xt(data: &[u8]) {
    let [flags, revision, length, rest @ ..] = data else { return };
    let Some((name, info)) = rest.split_at_checked(usize::from(*length)) else { return };
    let mut name = name.to_vec();
    name.push(0);
    let attributes =
        [attribute(1, &name), attribute(2, &u32::from(*revision).to_be_bytes()), attribute(3, info)].concat();
    let class: &[u8] = if flags & 2 != 0 { b"target\0" } else { b"match\0" };
    let list = attribute(1, &[attribute(1, class), attribute(2, &attributes)].concat());
    let family = if flags & 1 != 0 { Family::Ip6 } else { Family::Ip };
    let rendered = render::iptables(family, "C", &rule(&list), &OneSet::new(0));
    sound(&rendered);
    let printable: String = String::from_utf8_lossy(&name[..name.len() - 1]).into_owned();
    let is_shown = printable.is_empty() || printable.contains(|c: char| !c.is_ascii_alphanumeric());
    assert!(is_shown || rendered.text.len() > "-A C".len(), "an extension leaves a trace: {rendered:?}");
    sound(&render::nft(family, &rule(&list), &()));
}

/// A datagram of rtnetlink notifications.
fn rtnl_messages(data: &[u8]) {
    let mut out = Vec::new();
    let _ = rtnl::decode(data, &mut out);
    for observation in &mut out {
        let _ = rtnl::may_drop_routes(observation);
        if let Observation::Rtnetlink { subject, after, .. } = observation {
            let _ = format!("{subject:?}");
            if let Some(snapshot) = after {
                rtnl::fill_names(snapshot, |_| None);
                let _ = format!("{snapshot:?}");
            }
        }
    }
}

/// First byte: the netlink protocol; second: by how much the request was longer; then its bytes.
fn requests(data: &[u8]) {
    let [protocol, longer, bytes @ ..] = data else { return };
    let total = bytes.len() as u64 + u64::from(*longer);
    let (messages, is_cut) = request::messages(u32::from(*protocol), bytes, total);
    assert!(is_cut || *longer == 0, "a request that is longer than its bytes is cut");
    assert!(messages.len() <= bytes.len() / 16, "a message has a header");
}

/// A record of the BPF programs.
fn records(data: &[u8]) {
    match task::decode(data) {
        Ok(observation) => drop(format!("{observation:?}")),
        Err(error) => drop(error.to_string()),
    }
}

/// What a fanotify queue gives.
fn fanotify_events(data: &[u8]) {
    if let Some(count) = fanotify::count_events(data) {
        assert!(count <= data.len() / 24, "an event has a header");
    }
}

/// First byte: the family, and whether the kernel describes the table or a program hands it in; then the table.
fn legacy_tables(data: &[u8]) {
    let [first, bytes @ ..] = data else { return };
    let family = match first & 0x40 {
        0 => LegacyFamily::ALL[usize::from(*first) % 3],
        _ => LegacyFamily::Bridge,
    };
    let layout = Layout::of(family);
    let content = if first & 0x80 == 0 {
        legacy::replacement(family, bytes)
    } else if family == LegacyFamily::Bridge {
        let Some((info, entries)) = bytes.split_at_checked(legacy::bridge::REPLACEMENT_BYTES) else { return };
        let Ok(info) = legacy::bridge::info(info) else { return };
        let Ok(parsed) = legacy::bridge::parse(&info, entries) else { return };
        let spans = parsed.chains.iter().flat_map(|chain| chain.head.iter().chain(&chain.rules));
        let end = spans.into_iter().try_fold(0, |at, span| (span.start == at).then_some(span.end));
        assert_eq!(end, Some(entries.len()), "every byte is one entry's: {parsed:?}");
        legacy::content(LegacyTable { family, name: "filter".into() }, &parsed, entries)
    } else {
        let Some((info, entries)) = bytes.split_at_checked(layout.info_bytes()) else { return };
        let Ok(info) = TableInfo::read(layout, info) else { return };
        let Ok(parsed) = legacy::parse(layout, &info, entries) else { return };
        let mut spans: Vec<_> = parsed.chains.iter().flat_map(|chain| chain.head.iter().chain(&chain.rules)).collect();
        spans.extend(parsed.chains.iter().map(|chain| &chain.foot).chain([&parsed.tail]));
        spans.sort_by_key(|span| span.start);
        let end = spans.iter().try_fold(0, |at, span| (span.start == at).then_some(span.end));
        assert_eq!(end, Some(entries.len()), "every byte is one entry's: {parsed:?}");
        legacy::content(LegacyTable { family, name: "filter".into() }, &parsed, entries)
    };
    let Ok(content) = content else { return };
    let digest = content.digest();
    let (table, chains) = (content.table.clone(), content.chains.len());
    for chain in &content.chains {
        for rule in &chain.rules {
            assert!(!legacy::parts(layout, &rule.entry).is_empty(), "what is kept can be read again");
            let _ = ipset::used_by_legacy(family, rule);
            sound(&render::iptables_legacy(family, chain.name.as_str(), rule, &OneSet::new(0)));
        }
    }
    let objects = content.into_objects();
    let names: BTreeSet<_> = objects.iter().map(|(subject, _)| subject).collect();
    assert_eq!(names.len(), objects.len(), "each has its name");
    let again = table_digest(&table, objects.iter().map(|(subject, snapshot)| (subject, snapshot)));
    assert!(again == digest || chains == 0, "a listing is the same table");
}

/// First byte: 0 an answer of the ip_set subsystem, or several; 1 a request to it.
fn ip_sets(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    if first & 1 != 0 {
        let orders = ipset::orders(bytes, bytes.len() as u64 + u64::from(first >> 1));
        assert!(orders.len() <= bytes.len() / 4, "an order has attributes");
        return drop(format!("{orders:?}"));
    }
    let mut listing = IpSets::default();
    let mut rest = bytes;
    while let Ok(message) = NetlinkBuffer::new_checked(rest) {
        listing.add(&NetlinkBuffer::new(rest));
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    for (subject, snapshot) in listing.into_objects() {
        let _ = (format!("{subject:?}"), format!("{snapshot:?}"));
    }
}

/// First byte: 0 the attributes of an answer, 1 a request over generic netlink, 2 one by `setsockopt`.
fn ipvs_services(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    match first & 3 {
        0 => {
            let family = if first & 4 == 0 { 2 } else { 10 };
            let _ = ipvs::family_of(bytes);
            let (Some((service, settings)), destination) = (ipvs::service(bytes), ipvs::destination(family, bytes))
            else {
                return;
            };
            let text = service.to_string();
            assert_eq!(text.parse(), Ok(service), "{text}");
            let listed = ipvs::ListedService { service, settings, destinations: destination.into_iter().collect() };
            for (subject, snapshot) in ipvs::into_objects(vec![listed]) {
                let _ = (describe(&subject, &snapshot), snapshot.digest());
            }
        }
        1 => {
            let orders = ipvs::orders(bytes, bytes.len() as u64 + u64::from(first >> 2));
            assert!(orders.len() <= bytes.len() / 16 + 1, "an order has a header");
            orders.iter().for_each(|order| drop(order.to_string()));
        }
        _ => drop(ipvs::sockopt_order(1150 + u32::from(first >> 2), bytes).map(|order| order.to_string())),
    }
}

/// First byte: the command; the rest is its argument.
fn ioctls(data: &[u8]) {
    let Some((first, argument)) = data.split_first() else { return };
    let messages = ioctl::messages(IOCTLS[usize::from(*first) % IOCTLS.len()], argument);
    assert!(messages.len() <= 2, "an argument names two links at most");
}

fn sound(Rendered { text, is_exact }: &Rendered) {
    assert!(*is_exact || text.contains('['), "inexact without brackets: {text}");
    assert!(!text.chars().any(char::is_control), "a control character: {text:?}");
}

fn sound_listing(Listing { text, is_exact }: &Listing) {
    assert!(*is_exact || text.contains('['), "inexact without brackets: {text}");
    let is_layout = |c: char| c == '\n' || c == '\t';
    assert!(!text.chars().any(|c| c.is_control() && !is_layout(c)), "a control character: {text:?}");
}

fn rule(list: &[u8]) -> RuleSnapshot {
    RuleSnapshot {
        expressions: list.to_vec(),
        compat: Vec::new(),
        userdata: Vec::new(),
        content: DigestBuilder::new("fuzz").finish(),
        chains: Vec::new(),
        sets: Vec::new(),
        objects: Vec::new(),
        comment: None,
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// One set under every name.
#[derive(Debug)]
struct OneSet(SetSnapshot, Vec<ElementSnapshot>);

impl OneSet {
    /// Flags, type and key length vary with the byte.
    fn new(byte: u8) -> Self {
        let number = |number: u32| number.to_be_bytes();
        let kind = [7, 8, 12, 13, 19, 41, 7 << 6 | 13, 15][usize::from(byte >> 5)];
        let length = [4, 16, 1, 2, 4, 16, 8, 1][usize::from(byte >> 5)];
        let flags = u32::from(byte) & (1 | 4 | 8 | 64);
        let set = [
            attribute(4, &number(kind)),
            attribute(5, &number(length)),
            attribute(6, &number(7)),
            attribute(7, &number(4)),
        ];
        let element = |from: u8, flags: u32| {
            let key = attribute(1, &attribute(1, &vec![from; usize::try_from(length).unwrap_or(1)]));
            let data = attribute(2, &attribute(1, &[from; 4]));
            ElementSnapshot {
                attributes: [key, data, attribute(3, &number(flags))].concat(),
                chains: Vec::new(),
                content: DigestBuilder::new("fuzz").finish(),
                has_timeout: false,
            }
        };
        let elements = vec![element(1, 0), element(9, 1), element(200, 0)];
        Self(SetSnapshot { handle: Handle(1), flags, attributes: set.concat() }, elements)
    }
}

impl Surroundings for OneSet {
    fn set(&self, _name: &str) -> Option<SetContent<'_>> {
        Some(SetContent { set: &self.0, elements: self.1.iter().collect() })
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        Some(format!("link{ifindex}"))
    }

    fn ip_set(&self, _index: u16) -> Option<String> {
        Some("set".to_owned())
    }
}
