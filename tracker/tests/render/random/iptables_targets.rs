//! Targets of iptables with random options.

use super::generator::Generator;
use super::iptables_matches::Place;

/// `-j ...` or `-g ...` for a rule with these matches.
pub(crate) fn target(g: &mut Generator, place: Place, matches: &str) -> String {
    let is_tcp = matches.contains("-p tcp");
    let has_ports = is_tcp || matches.contains("-p udp ") || matches.ends_with("-p udp");
    let common = match g.below(12) {
        // the nat table is not for dropping
        0..=2 if place.table == "nat" => g.pick(&["-j ACCEPT", "-j RETURN"]).to_owned(),
        0..=2 => g.pick(&["-j ACCEPT", "-j DROP", "-j RETURN"]).to_owned(),
        3 => "-j OTHER".to_owned(),
        4 => "-g OTHER".to_owned(),
        5 => log(g),
        6 => nflog(g),
        7 => set(g, place),
        8 => nfqueue(g),
        9 => format!("-j MARK {}", marked(g)),
        _ => String::new(),
    };
    if !common.is_empty() {
        return common;
    }
    match place.table {
        "filter" if is_tcp && g.chance(30) => "-j REJECT --reject-with tcp-reset".to_owned(),
        "filter" => reject(g, place),
        "nat" => nat(g, has_ports),
        "mangle" => mangle(g, place, is_tcp, has_ports),
        _ => raw(g, is_tcp),
    }
}

fn log(g: &mut Generator) -> String {
    let mut text = "-j LOG".to_owned();
    if g.chance(60) {
        text = format!("{text} --log-prefix \"{}\"", g.text(29));
    }
    if g.chance(40) {
        text = format!("{text} --log-level {}", g.below(8));
    }
    for option in ["tcp-sequence", "tcp-options", "ip-options", "uid", "macdecode"] {
        text.push_str(&g.maybe(15, &format!(" --log-{option}")));
    }
    text
}

fn nflog(g: &mut Generator) -> String {
    let mut text = "-j NFLOG".to_owned();
    if g.chance(50) {
        text = format!("{text} --nflog-group {}", g.within(0, 65535));
    }
    if g.chance(50) {
        text = format!("{text} --nflog-prefix \"{}\"", g.text(63));
    }
    if g.chance(30) {
        text = format!("{text} --nflog-size {}", g.within(1, 65535));
    }
    if g.chance(30) {
        text = format!("{text} --nflog-threshold {}", g.within(1, 65535));
    }
    text
}

fn set(g: &mut Generator, place: Place) -> String {
    let name = if place.is_ipv6 { "s6" } else { "s1" };
    let how = g.pick(&["src", "src,dst", "dst,src", "dst,dst"]);
    match g.chance(50) {
        true => format!("-j SET --del-set {name} {how}"),
        false => {
            let timeout = if g.chance(40) { format!(" --timeout {}", g.below(2_000_000)) } else { String::new() };
            format!("-j SET --add-set {name} {how}{}{timeout}", g.maybe(40, " --exist"))
        }
    }
}

fn nfqueue(g: &mut Generator) -> String {
    let (from, to) = g.pair(0, 65535);
    let bypass = g.maybe(40, " --queue-bypass");
    match g.chance(50) || from == to {
        true => format!("-j NFQUEUE --queue-num {from}{bypass}"),
        false => format!("-j NFQUEUE --queue-balance {from}:{to}{bypass}{}", g.maybe(30, " --queue-cpu-fanout")),
    }
}

fn marked(g: &mut Generator) -> String {
    let (value, mask) = (g.mark(), g.mark());
    match g.below(5) {
        0 => format!("--set-mark {value:#x}"),
        1 => format!("--set-xmark {value:#x}/{mask:#x}"),
        2 => format!("--and-mark {value:#x}"),
        3 => format!("--or-mark {value:#x}"),
        _ => format!("--xor-mark {value:#x}"),
    }
}

fn reject(g: &mut Generator, place: Place) -> String {
    let codes: &[&str] = match place.is_ipv6 {
        true => &["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"],
        false => &[
            "icmp-net-unreachable",
            "icmp-host-unreachable",
            "icmp-port-unreachable",
            "icmp-proto-unreachable",
            "icmp-net-prohibited",
            "icmp-host-prohibited",
            "icmp-admin-prohibited",
        ],
    };
    format!("-j REJECT --reject-with {}", g.pick(codes))
}

fn nat(g: &mut Generator, has_ports: bool) -> String {
    let addresses = |g: &mut Generator| if g.chance(50) { g.ipv4() } else { g.ipv4_range("-") };
    let ports = |g: &mut Generator, separator: &str| {
        let (from, to) = g.pair(1, 65535);
        if g.chance(50) { format!("{from}") } else { format!("{from}{separator}{to}") }
    };
    let random = g.maybe(30, " --random");
    let persistent = g.maybe(20, " --persistent");
    match g.below(6) {
        0 | 1 => {
            let port = if has_ports && g.chance(60) { format!(":{}", ports(g, "-")) } else { String::new() };
            format!("-j DNAT --to-destination {}{port}{random}{persistent}", addresses(g))
        }
        2 => {
            let port = if has_ports && g.chance(60) { format!(":{}", ports(g, "-")) } else { String::new() };
            format!(
                "-j SNAT --to-source {}{port}{}{persistent}",
                addresses(g),
                g.pick(&["", " --random", " --random-fully"])
            )
        }
        3 => {
            let port = if has_ports && g.chance(60) { format!(" --to-ports {}", ports(g, "-")) } else { String::new() };
            format!("-j MASQUERADE{port}{}", g.pick(&["", " --random", " --random-fully"]))
        }
        4 => {
            let port = if has_ports { format!(" --to-ports {}", ports(g, "-")) } else { String::new() };
            format!("-j REDIRECT{port}{}", if port.is_empty() { "" } else { &random })
        }
        _ => format!("-j NETMAP --to {}", g.ipv4_network()),
    }
}

fn mangle(g: &mut Generator, place: Place, is_tcp: bool, has_ports: bool) -> String {
    let (name, hops) = if place.is_ipv6 { ("HL", "hl") } else { ("TTL", "ttl") };
    match g.below(9) {
        0 => format!("-j CLASSIFY --set-class {:x}:{:x}", g.within(0, 65535), g.within(0, 65535)),
        1 => format!("-j DSCP --set-dscp {:#04x}", g.within(0, 63)),
        2 => format!("-j TOS --set-tos {:#04x}/{:#04x}", g.within(0, 255), g.within(0, 255)),
        3 => format!("-j {name} --{hops}-{} {}", g.pick(&["set", "inc", "dec"]), g.within(1, 255)),
        4 if is_tcp => {
            format!("-j TCPOPTSTRIP --strip-options {}", g.some(&["2", "3", "4", "5", "8", "19", "254"]).join(","))
        }
        5 if has_ports => {
            let address = if place.is_ipv6 { g.ipv6() } else { g.ipv4() };
            let (mark, mask) = (g.mark(), g.mark());
            format!("-j TPROXY --on-port {} --on-ip {address} --tproxy-mark {mark:#x}/{mask:#x}", g.within(0, 65535))
        }
        6 => "-j CHECKSUM --checksum-fill".to_owned(),
        7 => format!("-j CONNMARK {}", marked(g)),
        _ => {
            let how = g.pick(&["save", "restore"]);
            format!("-j CONNMARK --{how}-mark --nfmask {:#x} --ctmask {:#x}", g.mark(), g.mark())
        }
    }
}

fn raw(g: &mut Generator, is_tcp: bool) -> String {
    match g.below(5) {
        0 => "-j NOTRACK".to_owned(),
        1 => "-j TRACE".to_owned(),
        2 if is_tcp => "-j CT --helper ftp".to_owned(),
        3 => format!("-j CT --{} {}", g.pick(&["zone", "zone-orig", "zone-reply"]), g.within(0, 65535)),
        _ => {
            let events = ["new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark"];
            format!("-j CT --ctevents {}", g.some(&events).join(","))
        }
    }
}
