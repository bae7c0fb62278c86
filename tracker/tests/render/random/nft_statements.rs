//! Statements of nft with random values.

use super::batch::Pieces;
use super::generator::Generator;

/// Appends statements, a verdict at last sometimes, and a comment.
pub(crate) fn statements(g: &mut Generator, family: &str, pieces: &mut Pieces) {
    for _ in 0..g.below(3) {
        pieces.push(statement(g, family));
    }
    if g.chance(60) && !pieces.iter().any(|piece| piece.contains("vmap")) {
        // ports are changed of what is known to have them
        let before = pieces.join(" ");
        let last = last(g, family, &before);
        pieces.push(last);
    }
    if g.chance(25) || pieces.is_empty() {
        pieces.push(format!("comment \"{}\"", g.text(100).replace('*', "")));
    }
}

fn statement(g: &mut Generator, family: &str) -> String {
    let is_routed = ["ip", "ip6", "inet"].contains(&family);
    match g.below(12) {
        0..=2 => "counter".to_owned(),
        3 => log(g),
        4 => format!("meta mark set {:#x}", g.mark()),
        5 => {
            let (mask, xor) = (g.mark(), g.mark());
            match g.below(3) {
                0 => format!("meta mark set meta mark | {xor:#x}"),
                1 => format!("meta mark set meta mark & {mask:#x}"),
                _ => format!("meta mark set meta mark & {mask:#x} ^ {:#x}", xor & !mask),
            }
        }
        6 if is_routed => format!("ct mark set {}", g.pick(&["meta mark", "0x5", "0xffffffff", "ct mark | 0x10"])),
        7 => format!("limit rate {} {}bytes/second", g.within(1, 5000), g.pick(&["", "k", "m"])),
        8 => format!("quota {}{} {}bytes", g.maybe(50, "over "), g.within(1, 5000), g.pick(&["", "k", "m"])),
        9 if family == "ip" => format!("ip dscp set {}", g.pick(&["cs1", "af21", "ef", "0x05"])),
        9 if family == "ip6" => format!("ip6 hoplimit set {}", g.within(0, 255)),
        10 if is_routed => "notrack".to_owned(),
        _ => format!("meta priority set {:x}:{:x}", g.within(0, 65535), g.within(1, 65535)),
    }
}

fn log(g: &mut Generator) -> String {
    let mut text = "log".to_owned();
    if g.chance(60) {
        text = format!("{text} prefix \"{}\"", g.text(60).replace('*', ""));
    }
    match g.below(3) {
        0 => {
            text = format!(
                "{text} level {}",
                g.pick(&["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"])
            );
        }
        1 => {
            text = format!("{text} group {}", g.within(0, 65535));
            if g.chance(40) {
                text = format!("{text} snaplen {}", g.within(1, 65535));
            }
            if g.chance(40) {
                text = format!("{text} queue-threshold {}", g.within(1, 65535));
            }
        }
        _ => text.push_str(&g.maybe(30, " flags all")),
    }
    text
}

/// What ends a rule with these pieces.
fn last(g: &mut Generator, family: &str, pieces: &str) -> String {
    // ports are changed of what is known to have them
    let has_others =
        ["udp", "sctp", "dccp", "esp", "icmp", "proto", "nexthdr"].iter().any(|word| pieces.contains(word));
    let ports = |g: &mut Generator| {
        let (from, to) = g.pair(1, 65535);
        if from == to || g.chance(50) { from.to_string() } else { format!("{from}-{to}") }
    };
    let (v4, v6) = (g.ipv4(), g.ipv6());
    match (g.below(9), family) {
        (0, "ip") => {
            format!("reject with icmp {}", g.pick(&["host-unreachable", "port-unreachable", "admin-prohibited"]))
        }
        (0, "ip6") => format!("reject with icmpv6 {}", g.pick(&["no-route", "port-unreachable", "admin-prohibited"])),
        (0, "inet") => g.pick(&["reject", "reject with icmpx admin-prohibited", "reject with tcp reset"]).to_owned(),
        (1, "ip" | "ip6" | "inet") => {
            format!("masquerade{}", g.pick(&["", " random", " fully-random", " persistent", " random,persistent"]))
        }
        (2, "ip") => format!("dnat to {v4}"),
        (2, "ip6") => format!("dnat to {v6}"),
        (2, "inet") if !pieces.contains("ip6 ") && !pieces.contains("icmpv6") => format!("dnat ip to {v4}"),
        (3, "ip") => format!("snat to {}", g.ipv4_range("-")),
        (3, "inet") if !pieces.contains("ip ") && !pieces.contains("icmp ") => format!("snat ip6 to {v6}"),
        (4, "ip") if !has_others => format!("meta l4proto tcp dnat to {v4}:{}", ports(g)),
        (4, "ip6") if !has_others => format!("meta l4proto tcp dnat to [{v6}]:{}", ports(g)),
        (5, "ip" | "ip6" | "inet") if !has_others => format!("meta l4proto tcp redirect to :{}", ports(g)),
        (6, "netdev") => g.pick(&["fwd to \"lo\"", "dup to \"lo\""]).to_owned(),
        _ => g.pick(&["accept", "drop", "jump other", "goto other", "return", "continue"]).to_owned(),
    }
}
