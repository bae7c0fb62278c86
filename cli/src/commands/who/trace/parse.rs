//! Lines of packet traces: the kernel's (`TRACE: filter:FORWARD:rule:16 IN=...`), those of `nft monitor trace` and those of
//! `xtables-monitor --trace`. Any line gives something; what is no trace is [`Line::Other`].

use netdeed_tracker::control::api::TimeView;
use netdeed_tracker::model::nft::Family;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// What the packet is.
    Packet {
        packet: String,
        text: String,
    },
    /// Something of the ruleset that the packet met.
    Hit {
        packet: String,
        hit: Hit,
    },
    Other,
}

/// Something of the ruleset that a packet met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) family: Family,
    pub(super) table: String,
    pub(super) chain: String,
    pub(super) what: What,
    /// In nft's words: `drop`, `jump KUBE-FORWARD`. The kernel's lines do not say it of rules.
    pub(super) verdict: Option<String>,
    /// When, where the line says it.
    pub(super) time: Option<LineTime>,
    /// Whether the kernel's log has it, which the legacy backend writes.
    pub(super) is_logged: bool,
}

/// What a packet met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Position(u64),
    Handle(u64),
    Text(String),
    Policy,
    /// The end of a chain that was jumped to.
    Return,
}

/// When a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineTime {
    /// Microseconds since boot without suspend, as the kernel's log has them.
    SinceBoot(u64),
    At(TimeView),
}

/// Reads one line.
pub(super) fn parse(line: &str) -> Line {
    nft(line).or_else(|| xtables(line)).or_else(|| kernel(line)).unwrap_or(Line::Other)
}

/// `trace id 2d13fb5f ip filter FORWARD rule ip saddr 10.0.0.1 drop # handle 5 (verdict drop)`.
fn nft(line: &str) -> Option<Line> {
    let rest = line.trim().strip_prefix("trace id ")?;
    let (packet, rest) = rest.split_once(' ')?;
    let (family, rest) = rest.split_once(' ')?;
    let family: Family = family.parse().ok()?;
    let (table, rest) = rest.split_once(' ')?;
    let (chain, rest) = rest.split_once(' ')?;
    if let Some(text) = rest.strip_prefix("packet: ") {
        return Some(Line::Packet { packet: packet.to_owned(), text: text.trim().to_owned() });
    }
    let verdict_of = |text: &str| Some(text.trim().strip_prefix("verdict ")?.trim().to_owned());
    let (what, verdict) = if let Some(rule) = rest.strip_prefix("rule ") {
        let (rule, verdict) = split_verdict(rule);
        (rule_place(rule), verdict.and_then(verdict_of))
    } else if let Some(rule) = rest.strip_prefix("unknown rule handle ") {
        let (handle, verdict) = split_verdict(rule);
        (What::Handle(handle.trim().parse().ok()?), verdict.and_then(verdict_of))
    } else if let Some(policy) = rest.strip_prefix("policy ") {
        (What::Policy, Some(policy.trim().to_owned()))
    } else {
        (What::Return, Some(verdict_of(rest)?))
    };
    let hit = Hit { family, table: table.into(), chain: chain.into(), what, verdict, time: None, is_logged: false };
    Some(Line::Hit { packet: packet.to_owned(), hit })
}

/// What stands in the last brackets.
fn split_verdict(text: &str) -> (&str, Option<&str>) {
    match text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once(" (")) {
        Some((rule, verdict)) if verdict.starts_with("verdict ") => (rule, Some(verdict)),
        _ => (text, None),
    }
}

/// The handle that `nft -a` shows, or the text.
fn rule_place(text: &str) -> What {
    let handle = text.rsplit_once("# handle ").and_then(|(_, handle)| handle.trim().parse().ok());
    handle.map_or_else(|| What::Text(text.trim().to_owned()), What::Handle)
}

/// ` TRACE: 2 0e45c6a6 filter:FORWARD:rule:0x10:DROP  -4 -t filter -A FORWARD ...` and `PACKET: 2 0e45c6a6 IN=...`.
fn xtables(line: &str) -> Option<Line> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("PACKET: ") {
        let (_family, rest) = rest.split_once(' ')?;
        let (packet, text) = rest.split_once(' ')?;
        return Some(Line::Packet { packet: packet.to_owned(), text: text.trim().to_owned() });
    }
    let rest = line.strip_prefix("TRACE: ")?;
    let (family, rest) = rest.split_once(' ')?;
    let family = Family::from_nfproto(family.parse().ok()?)?;
    let (packet, rest) = rest.split_once(' ')?;
    let place = rest.split(' ').next()?;
    let mut parts = place.splitn(5, ':');
    let (table, chain, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let (what, verdict) = match kind {
        "rule" => {
            let handle = u64::from_str_radix(parts.next()?.strip_prefix("0x")?, 16).ok()?;
            (What::Handle(handle), parts.next().map(verdict_words))
        }
        "policy" => (What::Policy, parts.next().map(verdict_words)),
        "return" => (What::Return, Some("return".to_owned())),
        _ => return None,
    };
    let verdict = verdict.filter(|verdict| !verdict.is_empty());
    let hit = Hit { family, table: table.into(), chain: chain.into(), what, verdict, time: None, is_logged: false };
    Some(Line::Hit { packet: packet.to_owned(), hit })
}

/// `JUMP:KUBE-FORWARD` as nft writes it.
fn verdict_words(text: &str) -> String {
    match text.split_once(':') {
        Some((verdict, chain)) => format!("{} {chain}", verdict.to_lowercase()),
        None => text.to_lowercase(),
    }
}

/// `[ 1234.567890] TRACE: filter:FORWARD:rule:16 IN=eth0 OUT=eth1 SRC=...`.
fn kernel(line: &str) -> Option<Line> {
    let (before, rest) = line.split_once("TRACE: ")?;
    let (place, fields) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut parts = place.split(':');
    let (table, chain, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let number: u64 = parts.next()?.parse().ok()?;
    if parts.next().is_some() || table.is_empty() || chain.is_empty() {
        return None;
    }
    let what = match kind {
        "rule" => What::Position(number),
        "policy" => What::Policy,
        "return" => What::Return,
        _ => return None,
    };
    let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let family = if field("SRC").is_some_and(|source| source.contains(':')) { Family::Ip6 } else { Family::Ip };
    // one packet is told from another by what stays the same on its way
    let names = ["SRC", "DST", "ID", "FLOWLBL", "PROTO", "SPT", "DPT", "TYPE", "SEQ"];
    let packet: Vec<&str> = names.into_iter().filter_map(field).collect();
    let hit = Hit {
        family,
        table: table.to_owned(),
        chain: chain.to_owned(),
        what,
        verdict: None,
        time: line_time(before),
        is_logged: true,
    };
    Some(Line::Hit { packet: packet.join(" "), hit })
}

/// The packet's fields in a line of the kernel's.
pub(super) fn logged_packet(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("TRACE: ")?;
    rest.split_once(' ').map(|(_, fields)| fields.trim())
}

/// The time before a line of the kernel's log: `[ 1234.567890]`, or what `journalctl -o short-iso` and `dmesg
/// --time-format iso` write. Times without a year or a zone are none.
fn line_time(before: &str) -> Option<LineTime> {
    let stamp = before.split_whitespace().next()?;
    if let Ok(time) = iso(stamp).parse() {
        return Some(LineTime::At(time));
    }
    let (_, rest) = before.split_once('[')?;
    let (seconds, micros) = rest.split_once(']')?.0.trim().split_once('.')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(seconds) || micros.len() != 6 || !is_digits(micros) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    Some(LineTime::SinceBoot(seconds.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?))
}

/// RFC 3339 out of what the tools write: a comma before the fraction, a zone without its colon.
fn iso(stamp: &str) -> String {
    let mut text = stamp.replace(',', ".");
    let is_bare = |text: &str| {
        text.len() > 5 && text.is_char_boundary(text.len() - 5) && {
            let (_, zone) = text.split_at(text.len() - 5);
            zone.starts_with(['+', '-']) && zone.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        }
    };
    if text.contains('T') && is_bare(&text) {
        text.insert(text.len() - 2, ':');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(line: &str) -> (String, Hit) {
        match parse(line) {
            Line::Hit { packet, hit } => (packet, hit),
            other => panic!("expected a hit but found {other:?}"),
        }
    }

    fn place(hit: &Hit) -> String {
        format!("{} {} {}", hit.family, hit.table, hit.chain)
    }

    #[test]
    fn lines_of_nft_monitor() {
        let (packet, rule) = hit(
            "trace id 2d13fb5f ip filter FORWARD rule ip daddr 10.0.0.1 counter packets 3 bytes 9 reject (verdict drop)",
        );
        assert_eq!((packet.as_str(), place(&rule).as_str()), ("2d13fb5f", "ip filter FORWARD"));
        let text = "ip daddr 10.0.0.1 counter packets 3 bytes 9 reject";
        assert_eq!((rule.what, rule.verdict.as_deref()), (What::Text(text.to_owned()), Some("drop")));
        let (_, rule) = hit("trace id 00000001 inet t c rule meta nftrace set 1 # handle 12 (verdict continue)");
        assert_eq!((rule.what, rule.verdict.as_deref()), (What::Handle(12), Some("continue")));
        let (_, rule) =
            hit("trace id 1 ip nat PREROUTING rule counter jump KUBE (x) # handle 7 (verdict jump KUBE-SERVICES)");
        assert_eq!((rule.what, rule.verdict.as_deref()), (What::Handle(7), Some("jump KUBE-SERVICES")));
        let (_, rule) = hit("trace id 1 ip t c unknown rule handle 9 (verdict accept)");
        assert_eq!((rule.what, rule.verdict.as_deref()), (What::Handle(9), Some("accept")));
        let (_, policy) = hit("trace id 1 ip6 filter INPUT policy drop ");
        assert_eq!((policy.what, policy.verdict.as_deref()), (What::Policy, Some("drop")));
        let (_, end) = hit("trace id 1 ip filter KUBE-FORWARD verdict continue ");
        assert_eq!((end.what, end.verdict.as_deref()), (What::Return, Some("continue")));
        let packet = parse("trace id 1 ip raw PREROUTING packet: iif \"v0\" ip saddr 10.0.0.2 udp dport 53 ");
        let text = "iif \"v0\" ip saddr 10.0.0.2 udp dport 53".to_owned();
        assert_eq!(packet, Line::Packet { packet: "1".to_owned(), text });
    }

    #[test]
    fn lines_of_xtables_monitor() {
        let (packet, rule) = hit(" TRACE: 2 0e45c6a6 filter:FORWARD:rule:0x1c:DROP  -4 -t filter -A FORWARD -j REJECT");
        assert_eq!((packet.as_str(), place(&rule).as_str()), ("0e45c6a6", "ip filter FORWARD"));
        assert_eq!((rule.what, rule.verdict.as_deref()), (What::Handle(28), Some("drop")));
        let (_, rule) = hit(" TRACE: 10 0e45c6a6 nat:OUTPUT:rule:0x2:JUMP:KUBE-SERVICES  -6 -t nat -A OUTPUT");
        assert_eq!((rule.family, rule.verdict.as_deref()), (Family::Ip6, Some("jump KUBE-SERVICES")));
        let (_, policy) = hit(" TRACE: 2 0e45c6a6 raw:PREROUTING:policy:ACCEPT ");
        assert_eq!((policy.what, policy.verdict.as_deref()), (What::Policy, Some("accept")));
        assert_eq!(hit(" TRACE: 2 0e45c6a6 filter:X:return:").1.what, What::Return);
        let packet = parse("PACKET: 2 0e45c6a6 IN=v0 SRC=10.0.0.2 DST=10.0.1.2 SPORT=4000 DPORT=53 ");
        let text = "IN=v0 SRC=10.0.0.2 DST=10.0.1.2 SPORT=4000 DPORT=53".to_owned();
        assert_eq!(packet, Line::Packet { packet: "0e45c6a6".to_owned(), text });
    }

    #[test]
    fn lines_of_the_kernel() {
        let fields = "IN=eth0 OUT=eth1 MAC=02:00 SRC=10.0.0.2 DST=10.0.1.2 LEN=64 TTL=63 ID=4711 PROTO=UDP SPT=4000 DPT=53 LEN=44";
        let (packet, rule) = hit(&format!("[ 1234.567890] TRACE: filter:FORWARD:rule:16 {fields}"));
        assert_eq!(
            (packet.as_str(), place(&rule).as_str()),
            ("10.0.0.2 10.0.1.2 4711 UDP 4000 53", "ip filter FORWARD")
        );
        assert_eq!((rule.what, rule.verdict), (What::Position(16), None));
        assert_eq!(rule.time, Some(LineTime::SinceBoot(1_234_567_890)));
        let (_, policy) = hit(&format!("Nov 20 21:00:00 node kernel: TRACE: filter:FORWARD:policy:4 {fields}"));
        assert_eq!((policy.what, policy.time), (What::Policy, None), "a time without a year is none");
        for stamp in ["2026-11-20T21:00:00+0100", "2026-11-20T21:00:00,000000+01:00"] {
            let (_, rule) = hit(&format!("{stamp} node kernel: TRACE: raw:PREROUTING:return:3 {fields}"));
            assert_eq!(rule.time, Some(LineTime::At("2026-11-20T20:00:00Z".parse().expect("a time"))));
            assert_eq!(rule.what, What::Return);
        }
        let (_, six) = hit("TRACE: filter:INPUT:rule:1 IN=lo SRC=0000:0000::1 DST=0000::1");
        assert_eq!(six.family, Family::Ip6);
    }

    #[test]
    fn any_line_gives_something() {
        for line in [
            "",
            "trace id",
            "trace id ",
            "trace id 1 ip",
            "trace id 1 ip t c",
            "trace id 1 xx t c rule y",
            "TRACE: ",
            "TRACE: a:b",
            "TRACE: a:b:rule:x",
            "TRACE: 2 x a:b:rule:0xzz:DROP",
            "PACKET: ",
            "PACKET: 2",
            "TRACE: a:b:rule:99999999999999999999",
            "trace id 1 ip t c rule ",
            "trace id 1 ip t c unknown rule handle ",
            "[x] TRACE: :::",
            "ü\u{1b}[2J",
            "TRACE: 99 a b:c:rule:0x1",
            "T+ü000 TRACE: a:b:rule:1",
        ] {
            let _ = parse(line);
        }
        assert_eq!(parse("usb 1-1: new device"), Line::Other);
    }
}
