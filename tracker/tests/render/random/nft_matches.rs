//! Matches of nft with random values.

use super::batch::Pieces;
use super::generator::Generator;

/// What is on the left, and what may be on its right.
type Field = (&'static str, Value);

/// Which values a field has.
#[derive(Debug, Clone, Copy)]
enum Value {
    V4,
    V6,
    /// Numbers up to this one.
    Number(u64),
    Mark,
    Ether,
    Link,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A set of these words.
    Bits(&'static [&'static str]),
}

use Value::{Bits, Ether, Link, Mark, Number, V4, V6, Words};

const PROTOCOLS: &[&str] = &["tcp", "udp", "icmp", "esp", "gre", "sctp", "99", "253"];
const STATES: &[&str] = &["invalid", "established", "related", "new", "untracked"];

const ANYWHERE: &[Field] = &[
    ("meta mark", Mark),
    ("meta length", Number(65535)),
    ("meta l4proto", Words(PROTOCOLS)),
    ("iifname", Link),
    ("meta cpu", Number(63)),
    ("meta pkttype", Words(&["host", "broadcast", "multicast", "other"])),
    ("iiftype", Words(&["ether", "loopback", "ppp", "77"])),
    ("meta priority", Words(&["1:2", "none", "ffff:1"])),
    ("iifgroup", Number(4_000_000_000)),
];
const ROUTED: &[Field] = &[
    ("oifname", Link),
    ("meta skuid", Number(4_000_000_000)),
    ("meta skgid", Number(65535)),
    ("meta cgroup", Number(4_000_000_000)),
    ("ct state", Bits(STATES)),
    ("ct mark", Mark),
    ("ct status", Bits(&["expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"])),
    ("ct direction", Words(&["original", "reply"])),
    ("ct zone", Number(65535)),
    ("ct expiration", Words(&["5s", "1h2m", "1d"])),
    ("rt classid", Number(255)),
];
const TRANSPORT: &[Field] = &[
    ("tcp dport", Number(65535)),
    ("tcp dport", Number(65535)),
    ("tcp sport", Number(65535)),
    ("tcp flags", Bits(&["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"])),
    ("tcp sequence", Number(4_000_000_000)),
    ("tcp window", Number(65535)),
    ("tcp doff", Number(15)),
    ("udp dport", Number(65535)),
    ("udp length", Number(65535)),
    ("sctp dport", Number(65535)),
    ("dccp sport", Number(65535)),
    ("th dport", Number(65535)),
    ("esp spi", Number(4_000_000_000)),
];
const V4_FIELDS: &[Field] = &[
    ("ip saddr", V4),
    ("ip daddr", V4),
    ("ip saddr", V4),
    ("ip protocol", Words(PROTOCOLS)),
    ("ip ttl", Number(255)),
    ("ip length", Number(65535)),
    ("ip id", Number(65535)),
    ("ip dscp", Words(&["cs1", "af21", "ef", "0x05", "0x3f"])),
    ("ip ecn", Words(&["ce", "ect0", "ect1", "not-ect"])),
    ("icmp type", Words(&["echo-request", "destination-unreachable", "77"])),
];
const V6_FIELDS: &[Field] = &[
    ("ip6 saddr", V6),
    ("ip6 daddr", V6),
    ("ip6 saddr", V6),
    ("ip6 nexthdr", Words(&["tcp", "udp", "ipv6-icmp", "99"])),
    ("ip6 hoplimit", Number(255)),
    ("ip6 length", Number(65535)),
    ("icmpv6 type", Words(&["echo-request", "nd-neighbor-solicit", "77"])),
];
const LINK_FIELDS: &[Field] = &[
    ("ether saddr", Ether),
    ("ether daddr", Ether),
    ("vlan id", Number(4095)),
    ("ether type", Words(&["ip", "ip6", "arp", "0x88a8"])),
];
const ARP_FIELDS: &[Field] = &[
    ("arp operation", Words(&["request", "reply", "5"])),
    ("arp saddr ip", V4),
    ("arp daddr ip", V4),
    ("arp saddr ether", Ether),
    ("arp htype", Number(65535)),
];

/// The fields of a rule: those of one network and one transport protocol, as others contradict each other.
fn fields(g: &mut Generator, family: &str) -> Vec<Field> {
    let network = match family {
        "ip" => "ip ",
        "ip6" => "ip6 ",
        "arp" => "arp ",
        _ => g.pick(&["ip ", "ip6 "]),
    };
    let transport = g.pick(&["tcp ", "tcp ", "udp ", "sctp ", "dccp ", "esp ", "th ", "icmp ", "none "]);
    let lists: &[&[Field]] = match family {
        "ip" => &[ANYWHERE, ROUTED, TRANSPORT, V4_FIELDS],
        "ip6" => &[ANYWHERE, ROUTED, TRANSPORT, V6_FIELDS],
        "inet" => &[ANYWHERE, ROUTED, TRANSPORT, V4_FIELDS, V6_FIELDS],
        "bridge" | "netdev" => &[ANYWHERE, TRANSPORT, V4_FIELDS, V6_FIELDS, LINK_FIELDS],
        _ => &[ANYWHERE, ARP_FIELDS],
    };
    let mut fields = lists.concat();
    fields.retain(|(name, _)| {
        let is_of = |headers: &[&str]| headers.iter().any(|header| name.starts_with(header));
        let tells = ["meta l4proto", "ip protocol", "ip6 nexthdr"].contains(name);
        match () {
            () if tells => transport == "none " && (name.starts_with("meta") || name.starts_with(network)),
            () if is_of(&["icmp "]) => transport == "icmp " && network == "ip ",
            () if is_of(&["icmpv6 "]) => transport == "icmp " && network == "ip6 ",
            () if is_of(&["tcp ", "udp ", "sctp ", "dccp ", "esp ", "th "]) => name.starts_with(transport),
            () if is_of(&["ip ", "ip6 "]) => name.starts_with(network),
            () => *name != "ether type",
        }
    });
    fields
}

fn any(g: &mut Generator, fields: &[Field]) -> Field {
    fields[usize::try_from(g.below(fields.len() as u64)).expect("an index")]
}

fn one(g: &mut Generator, value: Value) -> String {
    match value {
        V4 => g.ipv4(),
        V6 => g.ipv6(),
        Number(last) => g.within(0, last).to_string(),
        Mark => format!("{:#x}", g.mark()),
        Ether => g.mac(),
        Link => format!("\"{}\"", g.pick(&["lo", "eth0", "veth1a2b3c4d", "br-0123456789a", "x.100"])),
        Words(words) | Bits(words) => g.pick(words).to_owned(),
    }
}

/// A prefix or range, where the type has them.
fn many(g: &mut Generator, value: Value) -> String {
    match value {
        V4 if g.chance(60) => g.ipv4_network(),
        V4 => g.ipv4_range("-"),
        V6 if g.chance(60) => g.ipv6_network(),
        V6 => g.ipv6_range("-"),
        Number(last) => {
            let (from, to) = g.pair(0, last);
            if from == to { from.to_string() } else { format!("{from}-{to}") }
        }
        other => one(g, other),
    }
}

fn elements(g: &mut Generator, value: Value, with_ranges: bool) -> Vec<String> {
    let mut elements: Vec<String> = Vec::new();
    for _ in 0..=g.below(5) {
        let element = if with_ranges && g.chance(40) { many(g, value) } else { one(g, value) };
        if !elements.contains(&element) {
            elements.push(element);
        }
    }
    // overlapping intervals are refused
    if with_ranges && elements.iter().any(|element| element.contains(['-', '/'])) {
        elements.truncate(1);
    }
    elements
}

fn comparison(g: &mut Generator, (name, value): Field) -> String {
    let not = g.maybe(30, "!= ");
    match (g.below(10), value) {
        (0 | 1, Bits(words)) => {
            let bits = g.some(words);
            format!("{name} {not}{}", bits.join(","))
        }
        (2, Bits(words)) => {
            let mask = g.some(words);
            format!("{name} & ({}) {} {}", mask.join("|"), g.pick(&["==", "!="]), g.some(&mask).join("|"))
        }
        (3, Bits(words)) => format!("{name} {not}{{ {} }}", g.some(words).join(", ")),
        (0..=2, Mark) => {
            let mask = g.mark();
            format!("{name} & {mask:#x} {} {:#x}", g.pick(&["==", "!="]), g.mark() & mask)
        }
        (0..=2, Number(_) | V4 | V6) => format!("{name} {not}{}", many(g, value)),
        (3, Number(last)) => format!("{name} {} {}", g.pick(&["<", ">", "<=", ">="]), g.within(1, last - 1)),
        (4..=6, value) if !matches!(value, Bits(_)) => {
            let with_ranges = !matches!(value, Ether | Link | Mark);
            format!("{name} {not}{{ {} }}", elements(g, value, with_ranges).join(", "))
        }
        _ => format!("{name} {not}{}", one(g, value)),
    }
}

/// `a . b { x . y, ... }`, or a verdict map of it.
fn concatenation(g: &mut Generator, fields: &[Field]) -> String {
    // nft fails to print these as parts of a concatenation
    let mut fields = fields.to_vec();
    fields.retain(|(name, _)| !["tcp doff", "ip dscp", "ip ecn"].contains(name));
    let (a, b) = (any(g, &fields), any(g, &fields));
    let mut rows: Vec<String> = (0..=g.below(3)).map(|_| format!("{} . {}", one(g, a.1), one(g, b.1))).collect();
    rows.sort();
    rows.dedup();
    if g.chance(30) {
        rows.iter_mut()
            .for_each(|row| row.push_str(&format!(" : {}", ["accept", "drop", "jump other"][row.len() % 3])));
        return format!("{} . {} vmap {{ {} }}", a.0, b.0, rows.join(", "));
    }
    format!("{} . {} {{ {} }}", a.0, b.0, rows.join(", "))
}

fn verdict_map(g: &mut Generator, fields: &[Field]) -> String {
    let (name, value) = any(g, fields);
    let rows: Vec<String> = elements(g, value, false)
        .into_iter()
        .map(|element| format!("{element} : {}", g.pick(&["accept", "drop", "jump other", "goto other", "return"])))
        .collect();
    format!("{name} vmap {{ {} }}", rows.join(", "))
}

/// Things with a form of their own.
fn special(g: &mut Generator, family: &str) -> String {
    let routed = ["ip", "ip6", "inet"].contains(&family);
    match g.below(6) {
        0 if routed => format!(
            "fib {} type {}",
            g.pick(&["daddr", "saddr"]),
            g.pick(&["local", "unicast", "broadcast", "blackhole"])
        ),
        1 if routed => "fib saddr . iif oif missing".to_owned(),
        2 => format!("meta mark & {:#x} != {:#x}", 0xff0000, 0x120000),
        3 => format!("numgen {} mod {} {}", g.pick(&["inc", "random"]), g.within(2, 100), g.below(2)),
        4 if routed => format!("ct {} packets > {}", g.pick(&["original", "reply"]), g.below(100_000)),
        5 => format!(
            "limit rate {}{}/{}",
            g.maybe(30, "over "),
            g.within(1, 10000),
            g.pick(&["second", "minute", "hour", "day", "week"])
        ),
        _ => format!("@th,{},{} {:#x}", g.below(20) * 8, 16, g.below(65536)),
    }
}

/// Appends matches.
pub(crate) fn matches(g: &mut Generator, family: &str, pieces: &mut Pieces) {
    let fields = fields(g, family);
    for _ in 0..=g.below(4) {
        let piece = match g.below(12) {
            0 => concatenation(g, &fields),
            1 => special(g, family),
            _ => {
                let field = any(g, &fields);
                comparison(g, field)
            }
        };
        pieces.push(piece);
    }
    if g.chance(8) {
        pieces.push(verdict_map(g, &fields));
    }
}
