//! Matches of iptables with random options.

use super::batch::Pieces;
use super::generator::Generator;

/// Where a rule is put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) is_ipv6: bool,
    pub(crate) table: &'static str,
}

/// Makes one match.
type Make = fn(&mut Generator, Place) -> String;

/// Those for any protocol.
const ANY: &[Make] = &[
    comment, comment, conntrack, conntrack, state, addrtype, mark, connmark, iprange, statistic, recent, limit,
    hashlimit, physdev, mac, owner, policy, u32_match, bpf, cgroup, time, string, length, hop_limit, dscp, tos,
    pkttype, helper, cpu, devgroup, quota, connbytes, connlabel, cluster, set, by_table,
];

/// Appends a protocol sometimes, with its matches, and others.
pub(crate) fn matches(g: &mut Generator, place: Place, pieces: &mut Pieces) {
    if g.chance(60) {
        protocol(g, place, pieces);
    }
    for _ in 0..g.below(4) {
        let make = ANY[usize::try_from(g.below(ANY.len() as u64)).expect("an index")];
        pieces.push(make(g, place));
    }
}

fn not(g: &mut Generator) -> String {
    g.maybe(30, "! ")
}

/// A match that is tied to a protocol is one piece with it.
fn protocol(g: &mut Generator, place: Place, pieces: &mut Pieces) {
    let icmp = if place.is_ipv6 { "ipv6-icmp" } else { "icmp" };
    let name = g.pick(&["tcp", "tcp", "tcp", "udp", "udp", "sctp", "icmp", "esp", "ah", "dccp", "47", "udplite"]);
    let mut text = format!("-p {}", if name == "icmp" { icmp } else { name });
    let with = match name {
        "tcp" => match g.below(6) {
            0 => multiport(g),
            1 => flags(g),
            2 => format!("-m tcpmss {}--mss {}", not(g), range(g, 1, 65535)),
            3 => connlimit(g, place),
            _ => ports(g, "tcp"),
        },
        "udp" => {
            if g.chance(20) {
                multiport(g)
            } else {
                ports(g, "udp")
            }
        }
        "udplite" => multiport(g),
        "sctp" => {
            if g.chance(50) {
                ports(g, "sctp")
            } else {
                chunks(g)
            }
        }
        "icmp" => icmp_type(g, place),
        "esp" => format!("-m esp {}--espspi {}", not(g), range(g, 0, 0xffff_ffff)),
        "ah" if place.is_ipv6 => return,
        "ah" => format!("-m ah {}--ahspi {}", not(g), range(g, 0, 0xffff_ffff)),
        "dccp" => ports(g, "dccp"),
        _ => String::new(),
    };
    if !with.is_empty() {
        text = format!("{text} {with}");
    }
    pieces.push(text);
}

fn range(g: &mut Generator, first: u64, last: u64) -> String {
    let (from, to) = g.pair(first, last);
    if g.chance(50) { from.to_string() } else { format!("{from}:{to}") }
}

fn ports(g: &mut Generator, name: &str) -> String {
    let mut text = format!("-m {name}");
    for option in ["--sport", "--dport"] {
        if g.chance(60) {
            text = format!("{text} {}{option} {}", not(g), range(g, 0, 65535));
        }
    }
    text
}

fn flags(g: &mut Generator) -> String {
    let all = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    let mask = g.some(&all);
    let set = if g.chance(20) { "NONE".to_owned() } else { g.some(&mask).join(",") };
    let port = if g.chance(40) { format!(" --dport {}", range(g, 0, 65535)) } else { String::new() };
    format!("-m tcp{port} {}--tcp-flags {} {set}", not(g), mask.join(","))
}

fn multiport(g: &mut Generator) -> String {
    let mut ports = Vec::new();
    let mut used = 0;
    while used < 12 && (ports.is_empty() || g.chance(70)) {
        let (from, to) = g.pair(0, 65535);
        let text = if from == to || g.chance(50) { from.to_string() } else { format!("{from}:{to}") };
        used += 1 + usize::from(text.contains(':'));
        ports.push(text);
    }
    format!("-m multiport {}--{} {}", not(g), g.pick(&["sports", "dports", "ports"]), ports.join(","))
}

fn chunks(g: &mut Generator) -> String {
    let names =
        ["DATA", "INIT", "INIT_ACK", "SACK", "HEARTBEAT", "ABORT", "SHUTDOWN", "ERROR", "COOKIE_ECHO", "ASCONF"];
    let how = g.pick(&["any", "all", "only"]);
    format!("-m sctp {}--chunk-types {how} {}", not(g), g.some(&names).join(","))
}

fn icmp_type(g: &mut Generator, place: Place) -> String {
    let kind = g.below(255);
    let code = if g.chance(40) { format!("/{}", g.below(16)) } else { String::new() };
    match place.is_ipv6 {
        true => format!("-m icmp6 {}--icmpv6-type {kind}{code}", not(g)),
        false => format!("-m icmp {}--icmp-type {kind}{code}", not(g)),
    }
}

fn connlimit(g: &mut Generator, place: Place) -> String {
    let longest = if place.is_ipv6 { 128 } else { 32 };
    let which = g.pick(&["--connlimit-saddr", "--connlimit-daddr"]);
    let how = g.pick(&["upto", "above"]);
    format!("-m connlimit --connlimit-{how} {} --connlimit-mask {} {which}", g.within(0, 1 << 31), g.within(0, longest))
}

fn comment(g: &mut Generator, _: Place) -> String {
    format!("-m comment --comment \"{}\"", g.text(255))
}

fn conntrack(g: &mut Generator, place: Place) -> String {
    let states = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];
    let mut text = "-m conntrack".to_owned();
    let mut options = vec![format!("--ctstate {}", g.some(&states).join(","))];
    options.push(format!("--ctstatus {}", g.some(&["EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"]).join(",")));
    options.push(format!("--ctproto {}", g.pick(&["tcp", "udp", "47", "253"])));
    options.push(format!("--ctexpire {}", range(g, 0, 0xffff_ffff)));
    for option in ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"] {
        let address = if place.is_ipv6 { g.ipv6_network() } else { g.ipv4_network() };
        options.push(format!("--{option} {address}"));
    }
    for option in ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"] {
        options.push(format!("--{option} {}", range(g, 0, 65535)));
    }
    let mut is_used = false;
    for option in &options {
        if g.chance(18) {
            text = format!("{text} {}{option}", not(g));
            is_used = true;
        }
    }
    if g.chance(15) || !is_used {
        text = format!("{text} --ctdir {}", g.pick(&["ORIGINAL", "REPLY"]));
    }
    text
}

fn state(g: &mut Generator, _: Place) -> String {
    let states = g.some(&["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"]);
    format!("-m state {}--state {}", not(g), states.join(","))
}

fn addrtype(g: &mut Generator, _: Place) -> String {
    let types =
        ["UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT"];
    let mut text = format!("-m addrtype {}--dst-type {}", not(g), g.some(&types).join(","));
    if g.chance(30) {
        text = format!("{text} {}--src-type {}", not(g), g.some(&types).join(","));
    }
    text
}

fn masked(g: &mut Generator) -> String {
    let value = g.mark();
    if g.chance(50) { format!("{value:#x}") } else { format!("{:#x}/{:#x}", value, g.mark() | value) }
}

fn mark(g: &mut Generator, _: Place) -> String {
    format!("-m mark {}--mark {}", not(g), masked(g))
}

fn connmark(g: &mut Generator, _: Place) -> String {
    format!("-m connmark {}--mark {}", not(g), masked(g))
}

fn iprange(g: &mut Generator, place: Place) -> String {
    let range = |g: &mut Generator| if place.is_ipv6 { g.ipv6_range("-") } else { g.ipv4_range("-") };
    let mut text = format!("-m iprange {}--src-range {}", not(g), range(g));
    if g.chance(30) {
        text = format!("{text} {}--dst-range {}", not(g), range(g));
    }
    text
}

fn statistic(g: &mut Generator, _: Place) -> String {
    if g.chance(60) {
        return format!("-m statistic --mode random {}--probability 0.{:010}", not(g), g.below(10_000_000_000));
    }
    let every = g.within(1, 65535);
    format!("-m statistic --mode nth {}--every {every} --packet {}", not(g), g.below(every))
}

fn recent(g: &mut Generator, place: Place) -> String {
    let mut text = format!("-m recent {}--{}", not(g), g.pick(&["rcheck", "update", "set", "remove"]));
    if text.ends_with("rcheck") || text.ends_with("update") {
        if g.chance(60) {
            text = format!("{text} --seconds {}", g.within(1, 86400));
            text.push_str(&g.maybe(30, " --reap"));
        }
        if g.chance(40) {
            text = format!("{text} --hitcount {}", g.within(1, 20));
        }
        text.push_str(&g.maybe(30, " --rttl"));
    }
    if g.chance(30) {
        let mask = if place.is_ipv6 { "ffff:ffff::" } else { "255.255.255.0" };
        text = format!("{text} --mask {mask}");
    }
    format!("{text} --name {} {}", g.pick(&["a", "ssh", "bad-guys"]), g.pick(&["--rsource", "--rdest"]))
}

fn limit(g: &mut Generator, _: Place) -> String {
    let unit = g.pick(&["sec", "min", "hour", "day"]);
    let burst = if g.chance(50) { format!(" --limit-burst {}", g.within(1, 10000)) } else { String::new() };
    format!("-m limit --limit {}/{unit}{burst}", g.within(1, 10000))
}

fn hashlimit(g: &mut Generator, place: Place) -> String {
    let longest = if place.is_ipv6 { 128 } else { 32 };
    let mode = g.some(&["srcip", "srcport", "dstip", "dstport"]).join(",");
    let how = g.pick(&["upto", "above"]);
    // the table of a name has the settings of its first rule, each rule keeps its own
    let name = g.word(14);
    let rate = match g.chance(70) {
        true => {
            let unit = g.pick(&["sec", "min", "hour", "day"]);
            let burst = if g.chance(50) { format!(" --hashlimit-burst {}", g.within(1, 10000)) } else { String::new() };
            format!("{}/{unit}{burst}", g.within(1, 10000))
        }
        false => format!("{}{}b/s", g.within(16, 4000), g.pick(&["", "k", "m"])),
    };
    let mut text = format!("-m hashlimit --hashlimit-{how} {rate} --hashlimit-mode {mode} --hashlimit-name {name}");
    for (option, first, last) in [
        ("srcmask", 0, longest),
        ("dstmask", 0, longest),
        ("htable-size", 1, 4096),
        ("htable-max", 1, 65535),
        ("htable-expire", 1, 100_000),
        ("htable-gcinterval", 1, 100_000),
    ] {
        if g.chance(20) {
            text = format!("{text} --hashlimit-{option} {}", g.within(first, last));
        }
    }
    text
}

fn physdev(g: &mut Generator, _: Place) -> String {
    let name = |g: &mut Generator| g.pick(&["veth0", "tap+", "cni0"]).to_owned();
    let mut text = "-m physdev".to_owned();
    if g.chance(50) {
        text = format!("{text} {}--physdev-in {}", not(g), name(g));
    }
    if g.chance(40) {
        text = format!("{text} {}--physdev-out {}", not(g), name(g));
    }
    format!("{text} --physdev-is-bridged")
}

fn mac(g: &mut Generator, _: Place) -> String {
    format!("-m mac {}--mac-source {}", not(g), g.mac())
}

fn owner(g: &mut Generator, _: Place) -> String {
    let ids = |g: &mut Generator| {
        let (from, to) = g.pair(0, 4_000_000_000);
        if g.chance(50) { from.to_string() } else { format!("{from}-{to}") }
    };
    match g.below(4) {
        0 => format!("-m owner {}--socket-exists", not(g)),
        1 => format!("-m owner {}--gid-owner {}{}", not(g), ids(g), g.maybe(30, " --suppl-groups")),
        2 => format!("-m owner {}--uid-owner {}", not(g), ids(g)),
        _ => format!("-m owner {}--uid-owner {} {}--gid-owner {}", not(g), ids(g), not(g), ids(g)),
    }
}

fn policy(g: &mut Generator, _: Place) -> String {
    let direction = g.pick(&["in", "out"]);
    if g.chance(30) {
        return format!("-m policy --dir {direction} --pol none");
    }
    let element = |g: &mut Generator| {
        let mode = if g.chance(40) {
            format!(" {}--mode {}", not(g), g.pick(&["transport", "tunnel"]))
        } else {
            String::new()
        };
        let spi = if g.chance(40) { format!(" {}--spi {:#x}", not(g), g.mark()) } else { String::new() };
        let proto = if g.chance(40) {
            format!(" {}--proto {}", not(g), g.pick(&["esp", "ah", "ipcomp"]))
        } else {
            String::new()
        };
        format!(" {}--reqid {}{spi}{proto}{mode}", not(g), g.below(1 << 32))
    };
    let mut text = format!("-m policy --dir {direction} --pol ipsec");
    if g.chance(40) {
        text = format!("{text} --strict{}", element(g));
        while g.chance(30) && text.matches("--next").count() < 3 {
            text = format!("{text} --next{}", element(g));
        }
        return text;
    }
    text + &element(g)
}

fn u32_match(g: &mut Generator, _: Place) -> String {
    let mut tests = Vec::new();
    for _ in 0..=g.below(3) {
        let mut text = format!("{:#x}", g.below(64));
        for _ in 0..g.below(3) {
            let operation = g.pick(&["&", "<<", ">>", "@"]);
            let number = if operation == "&" { u64::from(g.mark()) } else { g.below(32) };
            text = format!("{text}{operation}{number:#x}");
        }
        let mut values = Vec::new();
        for _ in 0..=g.below(3) {
            let (from, to) = g.pair(0, 0xffff_ffff);
            values.push(if g.chance(50) { format!("{from:#x}") } else { format!("{from:#x}:{to:#x}") });
        }
        tests.push(format!("{text}={}", values.join(",")));
    }
    format!("-m u32 {}--u32 \"{}\"", not(g), tests.join("&&"))
}

fn bpf(g: &mut Generator, _: Place) -> String {
    let loads: Vec<String> = (0..g.within(1, 20)).map(|_| format!("48 0 0 {}", g.below(60))).collect();
    format!("-m bpf --bytecode \"{},{},6 0 0 1\"", loads.len() + 1, loads.join(","))
}

fn cgroup(g: &mut Generator, _: Place) -> String {
    format!("-m cgroup {}--cgroup {}", not(g), g.mark())
}

fn time(g: &mut Generator, _: Place) -> String {
    let clock = |g: &mut Generator| format!("{:02}:{:02}:{:02}", g.below(24), g.below(60), g.below(60));
    let mut text = "-m time".to_owned();
    if g.chance(60) {
        text = format!("{text} --timestart {} --timestop {}", clock(g), clock(g));
        text.push_str(&g.maybe(15, " --contiguous"));
    }
    if g.chance(50) {
        text = format!(
            "{text} {}--weekdays {}",
            not(g),
            g.some(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]).join(",")
        );
    }
    if g.chance(30) {
        text = format!("{text} --monthdays {}", g.some(&["1", "2", "15", "28", "29", "30", "31"]).join(","));
    }
    if g.chance(30) {
        text = format!(
            "{text} --datestart {}-{:02}-{:02}T{}",
            g.within(1971, 2020),
            g.within(1, 12),
            g.within(1, 28),
            clock(g)
        );
        text = format!(
            "{text} --datestop {}-{:02}-{:02}T{}",
            g.within(2021, 2037),
            g.within(1, 12),
            g.within(1, 28),
            clock(g)
        );
    }
    text + &g.maybe(15, " --kerneltz")
}

fn string(g: &mut Generator, _: Place) -> String {
    let (from, to) = g.pair(0, 65535);
    let bounds = if g.chance(40) { format!(" --from {from} --to {to}") } else { String::new() };
    let icase = g.maybe(20, " --icase");
    let algorithm = g.pick(&["bm", "kmp"]);
    let pattern = match g.chance(70) {
        true => format!("--string \"{}\"", g.text(60).replace('|', "/")),
        false => {
            let bytes: String = (0..g.within(1, 20)).map(|_| format!("{:02x}", g.below(256))).collect();
            format!("--hex-string \"|{bytes}|{}\"", g.word(20))
        }
    };
    format!("-m string {}{pattern} --algo {algorithm}{bounds}{icase}", not(g))
}

fn length(g: &mut Generator, _: Place) -> String {
    format!("-m length {}--length {}", not(g), range(g, 0, 65535))
}

fn hop_limit(g: &mut Generator, place: Place) -> String {
    let name = if place.is_ipv6 { "hl" } else { "ttl" };
    match g.below(3) {
        0 => format!("-m {name} {}--{name}-eq {}", not(g), g.within(0, 255)),
        1 => format!("-m {name} --{name}-lt {}", g.within(1, 255)),
        _ => format!("-m {name} --{name}-gt {}", g.within(0, 254)),
    }
}

fn dscp(g: &mut Generator, _: Place) -> String {
    format!("-m dscp {}--dscp {:#04x}", not(g), g.within(0, 63))
}

fn tos(g: &mut Generator, _: Place) -> String {
    let value = g.within(0, 255);
    format!("-m tos {}--tos {value:#04x}/{:#04x}", not(g), value | g.within(0, 255))
}

fn pkttype(g: &mut Generator, _: Place) -> String {
    format!("-m pkttype {}--pkt-type {}", not(g), g.pick(&["unicast", "broadcast", "multicast"]))
}

fn helper(g: &mut Generator, _: Place) -> String {
    format!("-m helper {}--helper \"{}\"", not(g), g.word(29))
}

fn cpu(g: &mut Generator, _: Place) -> String {
    format!("-m cpu {}--cpu {}", not(g), g.mark())
}

fn devgroup(g: &mut Generator, _: Place) -> String {
    let mut text = format!("-m devgroup {}--src-group {}", not(g), masked(g));
    if g.chance(30) {
        text = format!("{text} {}--dst-group {}", not(g), masked(g));
    }
    text
}

fn quota(g: &mut Generator, _: Place) -> String {
    format!("-m quota {}--quota {}", not(g), g.next() >> g.below(60))
}

fn connbytes(g: &mut Generator, _: Place) -> String {
    let (from, to) = g.pair(0, 1 << 40);
    let range = if g.chance(50) { format!("{from}:{to}") } else { format!("{from}") };
    let mode = g.pick(&["packets", "bytes", "avgpkt"]);
    format!(
        "-m connbytes {}--connbytes {range} --connbytes-mode {mode} --connbytes-dir {}",
        not(g),
        g.pick(&["original", "reply", "both"])
    )
}

fn connlabel(g: &mut Generator, _: Place) -> String {
    format!("-m connlabel {}--label {}{}", not(g), g.within(0, 127), g.maybe(30, " --set"))
}

fn cluster(g: &mut Generator, _: Place) -> String {
    let nodes = g.within(2, 32);
    let node = g.within(1, nodes);
    format!(
        "-m cluster --cluster-total-nodes {nodes} {}--cluster-local-node {node} --cluster-hash-seed {:#x}",
        not(g),
        g.mark()
    )
}

fn set(g: &mut Generator, place: Place) -> String {
    let name = if place.is_ipv6 { "s6" } else { "s1" };
    let how = g.pick(&["src", "dst", "src,src", "src,dst", "dst,src", "dst,dst"]);
    let mut text = format!("-m set {}--match-set {name} {how}", not(g));
    text.push_str(&g.maybe(20, " --return-nomatch"));
    for option in ["packets", "bytes"] {
        if g.chance(15) {
            text = match g.below(3) {
                0 => format!("{text} {}--{option}-eq {}", not(g), g.mark()),
                1 => format!("{text} --{option}-lt {}", g.mark()),
                _ => format!("{text} --{option}-gt {}", g.mark()),
            };
        }
    }
    text
}

/// What only some tables have.
fn by_table(g: &mut Generator, place: Place) -> String {
    match place.table {
        "mangle" | "raw" if g.chance(50) => {
            let options = g.some(&["--loose", "--validmark", "--accept-local", "--invert"]);
            format!("-m rpfilter {}", options.join(" "))
        }
        "mangle" => format!("-m socket {}", g.some(&["--transparent", "--nowildcard", "--restore-skmark"]).join(" ")),
        _ if place.is_ipv6 => format!("-m frag {}--fragid {}", not(g), range(g, 0, 0xffff_ffff)),
        _ => format!("-m realm {}--realm {}", not(g), masked(g)),
    }
}
