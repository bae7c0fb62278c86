//! Expressions to words. Every function gives `None` where it does not know enough to say it right.

use netlink_packet_netfilter::nftables::{Operator, Verdict};

use super::super::attribute::{be32, be64, fields, string};
use super::super::expression::{Data, Expression};
use super::line::{Line, Operand, mask_kind};
use super::value::{self, Kind, quoted};
use super::{load, xt};

/// Adds the words for one expression.
pub(super) fn render(line: &mut Line, expression: &Expression<'_>) -> Option<()> {
    let data = expression.data;
    match expression.name {
        b"payload" => payload(line, data),
        b"meta" => meta(line, data),
        b"ct" => ct(line, data),
        b"fib" => fib(line, data),
        b"numgen" => numgen(line, data),
        b"bitwise" => bitwise(line, data),
        b"cmp" => cmp(line, data),
        b"range" => range(line, data),
        b"lookup" => lookup(line, data),
        b"immediate" => immediate(line, data),
        b"nat" => nat(line, data),
        b"masq" | b"redir" => masquerade_or_redirect(line, expression.name, data),
        b"counter" => word(line, "counter"),
        b"last" => word(line, "last"),
        b"notrack" => word(line, "notrack"),
        b"limit" => limit(line, data),
        b"quota" => quota(line, data),
        b"connlimit" => connlimit(line, data),
        b"reject" => reject(line, data),
        b"log" => log(line, data),
        b"objref" => objref(line, data),
        b"dynset" => dynset(line, data),
        b"flow_offload" => {
            let [_, name] = fields::<2>(data).ok()?;
            word(line, &format!("flow add @{}", name_of(name?)))
        }
        b"match" | b"target" => xt::render(line, expression.name == b"match", data),
        _ => None,
    }
}

fn word(line: &mut Line, word: &str) -> Option<()> {
    line.word(word);
    Some(())
}

fn number(value: Option<&[u8]>) -> Option<u32> {
    be32(value?).ok()
}

fn name_of(name: &[u8]) -> String {
    string(name).escape_debug().to_string()
}

fn set_load(line: &mut Line, register: Option<&[u8]>, (text, kind): (String, Kind), length: usize) -> Option<()> {
    line.set(number(register)?, Operand::Load { text, kind, length, mask: None })
}

fn payload(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, base, offset, length, sreg] = fields::<6>(data).ok()?;
    let (base, offset, length) = (number(base)?, number(offset)?, number(length)?);
    let load = load::payload(line.headers, base, offset, length);
    match sreg {
        None => set_load(line, dreg, load, usize::try_from(length).ok()?),
        Some(sreg) => {
            let source = source(line, Some(sreg), load.1)?;
            word(line, &format!("{} set {source}", load.0))
        }
    }
}

fn meta(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, key, sreg] = fields::<4>(data).ok()?;
    let load = load::meta(number(key)?)?;
    load_or_set(line, load, dreg, sreg)
}

fn ct(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, key, direction, sreg] = fields::<5>(data).ok()?;
    let (text, kind) = load::ct(number(key)?)?;
    let text = match direction {
        None => text,
        Some([0]) => text.replacen("ct", "ct original", 1),
        Some([1]) => text.replacen("ct", "ct reply", 1),
        Some(_) => return None,
    };
    load_or_set(line, (text, kind), dreg, sreg)
}

fn load_or_set(line: &mut Line, load: (String, Kind), dreg: Option<&[u8]>, sreg: Option<&[u8]>) -> Option<()> {
    let length = match load.1 {
        Kind::Ifname | Kind::Ipv6 => 16,
        Kind::L4Proto | Kind::NfProto => 1,
        Kind::EtherType => 2,
        _ => 4,
    };
    match sreg {
        None => set_load(line, dreg, load, length),
        Some(_) => {
            let source = source(line, sreg, load.1)?;
            word(line, &format!("{} set {source}", load.0))
        }
    }
}

fn fib(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, result, flags] = fields::<4>(data).ok()?;
    let load = load::fib(number(flags)?, number(result)?)?;
    load_or_set(line, load, dreg, None)
}

fn numgen(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, modulus, kind, offset] = fields::<5>(data).ok()?;
    let how = match number(kind)? {
        0 => "inc",
        1 => "random",
        _ => return None,
    };
    let mut text = format!("numgen {how} mod {}", number(modulus)?);
    if let Some(offset) = number(offset).filter(|offset| *offset != 0) {
        text.push_str(&format!(" offset {offset}"));
    }
    set_load(line, dreg, (text, Kind::HostNumber), 4)
}

fn bitwise(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, sreg, dreg, _length, mask, xor, op] = fields::<7>(data).ok()?;
    if op.is_some() && number(op)? != 0 {
        return None;
    }
    let (Data::Value(and), Data::Value(flip)) = (Data::parse(mask?).ok()?, Data::parse(xor?).ok()?) else {
        return None;
    };
    match line.get(number(sreg)?)?.clone() {
        Operand::Load { text, kind, length, mask: None } => {
            let mask = Some((and.to_vec(), flip.to_vec()));
            line.set(number(dreg)?, Operand::Load { text, kind, length, mask })
        }
        _ => None,
    }
}

fn cmp(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, sreg, op, value] = fields::<4>(data).ok()?;
    let Data::Value(bytes) = Data::parse(value?).ok()? else { return None };
    let op = Operator::from(number(op)?);
    let Operand::Load { text, kind, length: _, mask } = line.get(number(sreg)?)?.clone() else { return None };
    if op == Operator::Equal && mask.is_none() {
        learn_header(line, kind, bytes);
    }
    let sign = match op {
        Operator::Equal => "",
        Operator::NotEqual => "!= ",
        Operator::LessThan => "< ",
        Operator::LessThanEqual => "<= ",
        Operator::GreaterThan => "> ",
        Operator::GreatherThanEqual => ">= ",
        _ => return None,
    };
    let words = match &mask {
        None => format!("{text} {sign}{}", value::value(kind, bytes)),
        Some((mask, xor)) if xor.iter().all(|byte| *byte == 0) => {
            let is_zero = bytes.iter().all(|byte| *byte == 0);
            match (value::prefix(kind, bytes, mask), kind) {
                (Some(prefix), _) => format!("{text} {sign}{prefix}"),
                (None, Kind::CtState) if is_zero && op == Operator::NotEqual => {
                    format!("{text} {}", value::value(kind, mask))
                }
                (None, Kind::CtState) if is_zero && op == Operator::Equal => {
                    format!("{text} ! {}", value::value(kind, mask))
                }
                _ => {
                    let kind = mask_kind(kind);
                    format!("{text} & {} {}{}", value::value(kind, mask), default_sign(sign), value::value(kind, bytes))
                }
            }
        }
        Some(_) => {
            let kind = mask_kind(kind);
            format!("{} {}{}", line.get(number(sreg)?)?.text()?, default_sign(sign), value::value(kind, bytes))
        }
    };
    word(line, &words)
}

fn default_sign(sign: &str) -> &str {
    if sign.is_empty() { "== " } else { sign }
}

/// A comparison for equality tells which header follows.
fn learn_header(line: &mut Line, kind: Kind, bytes: &[u8]) {
    match (kind, bytes) {
        (Kind::L4Proto, [protocol]) => line.headers.transport = Some(*protocol),
        (Kind::NfProto, [protocol]) => line.headers.network = Some(*protocol),
        (Kind::EtherType, [0x08, 0x00]) => line.headers.network = Some(2),
        (Kind::EtherType, [0x86, 0xdd]) => line.headers.network = Some(10),
        _ => {}
    }
}

fn range(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, sreg, op, from, to] = fields::<5>(data).ok()?;
    let (Data::Value(from), Data::Value(to)) = (Data::parse(from?).ok()?, Data::parse(to?).ok()?) else {
        return None;
    };
    let Operand::Load { text, kind, mask: None, .. } = line.get(number(sreg)?)? else { return None };
    let sign = match number(op)? {
        0 => "",
        1 => "!= ",
        _ => return None,
    };
    let words = format!("{text} {sign}{}-{}", value::value(*kind, from), value::value(*kind, to));
    word(line, &words)
}

fn lookup(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, set, sreg, dreg, _, flags] = fields::<6>(data).ok()?;
    let key = line.concatenation(number(sreg)?)?;
    let set = name_of(set?);
    let sign = if flags.is_some() && number(flags)? & 1 != 0 { "!= " } else { "" };
    match dreg {
        None => word(line, &format!("{key} {sign}@{set}")),
        Some(_) if number(dreg)? == 0 => word(line, &format!("{key} vmap @{set}")),
        // the data's length is the map's: 16 is the most one register holds
        Some(_) => set_load(line, dreg, (format!("{key} map @{set}"), Kind::Bytes), 16),
    }
}

fn immediate(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, dreg, value] = fields::<3>(data).ok()?;
    match Data::parse(value?).ok()? {
        Data::Value(bytes) => line.set(number(dreg)?, Operand::Constant(bytes.to_vec())),
        data @ Data::Verdict(..) => {
            let words = verdict(data)?;
            word(line, &words)
        }
    }
}

/// What a register holds, a constant being read as `kind`.
fn source(line: &Line, register: Option<&[u8]>, kind: Kind) -> Option<String> {
    match line.get(number(register)?)? {
        Operand::Constant(bytes) => Some(value::value(kind, bytes)),
        load @ Operand::Load { .. } => load.text(),
    }
}

fn nat(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, kind, family, from, to, port_from, port_to] = fields::<7>(data).ok()?;
    let word_for_kind = match number(kind)? {
        0 => "snat",
        1 => "dnat",
        _ => return None,
    };
    let (family, address) = match number(family)? {
        2 => ("ip", Kind::Ipv4),
        10 => ("ip6", Kind::Ipv6),
        _ => return None,
    };
    let mut words = format!("{word_for_kind} {family} to ");
    words.push_str(&interval(line, from, to, address)?);
    if port_from.is_some() {
        words.push_str(&format!(":{}", interval(line, port_from, port_to, Kind::Number)?));
    }
    word(line, &words)
}

/// The range between two registers; empty when none is given.
fn interval(line: &Line, from: Option<&[u8]>, to: Option<&[u8]>, kind: Kind) -> Option<String> {
    if from.is_none() {
        return Some(String::new());
    }
    let first = source(line, from, kind)?;
    match to {
        Some(_) if from != to => Some(format!("{first}-{}", source(line, to, kind)?)),
        _ => Some(first),
    }
}

fn masquerade_or_redirect(line: &mut Line, name: &[u8], data: &[u8]) -> Option<()> {
    let [_, first, second, third] = fields::<4>(data).ok()?;
    let (name, from, to) = if name == b"masq" { ("masquerade", second, third) } else { ("redirect", first, second) };
    let ports = interval(line, from, to, Kind::Number)?;
    word(line, &if ports.is_empty() { name.to_owned() } else { format!("{name} to :{ports}") })
}

fn limit(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, rate, unit, burst, kind, flags] = fields::<6>(data).ok()?;
    let unit = match be64(unit?).ok()? {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => return None,
    };
    let (bytes, counted) = if number(kind)? == 1 { (" bytes", "bytes") } else { ("", "packets") };
    let over = if flags.is_some() && number(flags)? & 1 != 0 { "over " } else { "" };
    let mut words = format!("limit rate {over}{}{bytes}/{unit}", be64(rate?).ok()?);
    if let Some(burst) = number(burst).filter(|burst| *burst != 0) {
        words.push_str(&format!(" burst {burst} {counted}"));
    }
    word(line, &words)
}

fn quota(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, bytes, flags] = fields::<3>(data).ok()?;
    let over = if flags.is_some() && number(flags)? & 1 != 0 { "over " } else { "" };
    word(line, &format!("quota {over}{} bytes", be64(bytes?).ok()?))
}

fn connlimit(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, count, flags] = fields::<3>(data).ok()?;
    let over = if flags.is_some() && number(flags)? & 1 != 0 { "over " } else { "" };
    word(line, &format!("ct count {over}{}", number(count)?))
}

fn reject(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, kind, code] = fields::<3>(data).ok()?;
    let code = code.and_then(|code| code.first().copied()).unwrap_or_default();
    match number(kind)? {
        0 => word(line, &format!("reject with icmp code {code}")),
        1 => word(line, "reject with tcp reset"),
        2 => word(line, &format!("reject with icmpx code {code}")),
        _ => None,
    }
}

fn log(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, group, prefix] = fields::<3>(data).ok()?;
    let mut words = "log".to_owned();
    if let Some(prefix) = prefix {
        words.push_str(&format!(" prefix {}", quoted(&string(prefix))));
    }
    if let Some([high, low]) = group {
        words.push_str(&format!(" group {}", u16::from_be_bytes([*high, *low])));
    }
    word(line, &words)
}

fn objref(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, kind, name, sreg, set] = fields::<5>(data).ok()?;
    match (name, set) {
        (Some(name), None) => {
            let kind = match number(kind)? {
                1 => "counter",
                2 => "quota",
                3 => "ct helper set",
                4 => "limit",
                7 => "ct timeout set",
                8 => "meta secmark set",
                10 => "synproxy",
                _ => "object",
            };
            word(line, &format!("{kind} name {}", quoted(&string(name))))
        }
        (None, Some(set)) => {
            let words = format!("object name {} map @{}", line.concatenation(number(sreg)?)?, name_of(set));
            word(line, &words)
        }
        _ => None,
    }
}

fn dynset(line: &mut Line, data: &[u8]) -> Option<()> {
    let [_, set, _, op, key] = fields::<5>(data).ok()?;
    let op = match number(op)? {
        0 => "add",
        1 => "update",
        2 => "delete",
        _ => return None,
    };
    let words = format!("{op} @{} {{ {} }}", name_of(set?), line.concatenation(number(key)?)?);
    word(line, &words)
}

/// Words for a verdict.
fn verdict(data: Data<'_>) -> Option<String> {
    let Data::Verdict(code, chain) = data else { return None };
    let chain = chain.map(|chain| string(chain).escape_debug().to_string());
    Some(match code {
        Verdict::Jump => format!("jump {}", chain?),
        Verdict::Goto => format!("goto {}", chain?),
        Verdict::Return => "return".to_owned(),
        Verdict::Continue => "continue".to_owned(),
        Verdict::Break => "break".to_owned(),
        Verdict::Other(0) => "drop".to_owned(),
        Verdict::Other(1) => "accept".to_owned(),
        _ => return None,
    })
}
