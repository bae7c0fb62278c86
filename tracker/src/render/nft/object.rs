//! Stateful objects and flowtables.

use super::listing::{Writer, comment_of, hook_name, priority_text};
use super::statement::plain;
use super::value::{duration, quoted};
use crate::decode::nft::attribute::{attributes, fields, string};
use crate::decode::nft::expr::{self, Kind};
use crate::model::nft::{Family, OtherSnapshot};
use crate::render::names;

/// nft's word for a kind of object (`NFT_OBJECT_*`).
pub(super) fn kind_name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        1 => "counter",
        2 => "quota",
        3 => "ct helper",
        4 => "limit",
        7 => "ct timeout",
        8 => "secmark",
        9 => "ct expectation",
        10 => "synproxy",
        _ => return None,
    })
}

pub(super) fn push_object(writer: &mut Writer, kind: u32, name: &str, object: &OtherSnapshot) {
    writer.push("\t");
    match kind_name(kind) {
        Some(word) => writer.push(word),
        None => writer.mark(&format!("object {kind}")),
    }
    writer.push(" ");
    writer.name(name);
    writer.push(" {");
    writer.handle(object.handle);
    // NFTA_OBJ_DATA = 4, NFTA_OBJ_USERDATA = 8
    let fields = fields::<9>(&object.attributes);
    let (data, userdata) = fields.map_or((None, None), |fields| (fields[4], fields[8]));
    writer.comment("\n\t\t", userdata.and_then(|bytes| comment_of(bytes, 0)).as_deref(), "");
    match data.and_then(|data| lines(kind, data)) {
        Some(lines) => lines.iter().for_each(|line| writer.push(&format!("\n\t\t{line}"))),
        None => {
            writer.push("\n\t\t");
            writer.mark("content");
        }
    }
    writer.push("\n\t}\n");
}

/// The lines of an object's content.
fn lines(kind: u32, data: &[u8]) -> Option<Vec<String>> {
    match kind {
        1 => Some(Vec::new()),
        2 => after("quota ", data),
        3 => helper(data),
        4 => after("limit ", data),
        7 => timeout(data),
        8 => {
            let [_, context] = fields::<2>(data).ok()?;
            let mut line = String::new();
            quoted(&mut line, context?.split(|byte| *byte == 0).next()?)?;
            Some(vec![line])
        }
        9 => expectation(data),
        10 => synproxy(data),
        _ => None,
    }
}

/// The statement of the same attributes without its word.
fn after(word: &str, data: &[u8]) -> Option<Vec<String>> {
    let statement = plain(&expr::kind(word.trim_end().as_bytes(), data)?)?;
    Some(vec![statement.strip_prefix(word)?.to_owned()])
}

fn number16(value: Option<&[u8]>) -> Option<u16> {
    value?.try_into().ok().map(u16::from_be_bytes)
}

fn byte(value: Option<&[u8]>) -> Option<u8> {
    match value? {
        [byte] => Some(*byte),
        _ => None,
    }
}

fn protocol(number: u8) -> String {
    names::protocol(number).map_or_else(|| number.to_string(), ToOwned::to_owned)
}

fn layer3(number: Option<&[u8]>) -> Option<String> {
    let family = Family::from_nfproto(u8::try_from(number16(number)?).ok()?)?;
    Some(format!("l3proto {family}"))
}

/// `NFTA_CT_HELPER_*`.
fn helper(data: &[u8]) -> Option<Vec<String>> {
    let [_, name, l3, l4] = fields::<4>(data).ok()?;
    let mut line = "type ".to_owned();
    quoted(&mut line, name?.split(|byte| *byte == 0).next()?)?;
    Some(vec![format!("{line} protocol {}", protocol(byte(l4)?)), layer3(l3)?])
}

/// States with their default timeouts in seconds; nft shows those that differ.
const TCP: [(&str, u32); 11] = [
    ("syn_sent", 120),
    ("syn_recv", 60),
    ("established", 432_000),
    ("fin_wait", 120),
    ("close_wait", 60),
    ("last_ack", 30),
    ("time_wait", 120),
    ("close", 10),
    ("syn_sent2", 120),
    ("retrans", 300),
    ("unack", 300),
];
const UDP: [(&str, u32); 2] = [("unreplied", 30), ("replied", 120)];

/// `NFTA_CT_TIMEOUT_*`.
fn timeout(data: &[u8]) -> Option<Vec<String>> {
    let [_, l3, l4, policy] = fields::<4>(data).ok()?;
    let l4 = byte(l4)?;
    let states: &[(&str, u32)] = match l4 {
        6 => &TCP,
        17 => &UDP,
        _ => return None,
    };
    let mut shown = Vec::new();
    for attribute in attributes(policy?) {
        let attribute = attribute.ok()?;
        // CTA_TIMEOUT_TCP_*, CTA_TIMEOUT_UDP_*: from 1 on
        let (name, usual) = states.get(usize::from(attribute.kind).checked_sub(1)?)?;
        let seconds = attribute.value.try_into().ok().map(u32::from_be_bytes)?;
        if seconds != *usual {
            shown.push(format!("{name} : {seconds}"));
        }
    }
    let policy = format!("policy = {{ {} }}", shown.join(", "));
    Some(vec![format!("protocol {}", protocol(l4)), layer3(l3)?, policy])
}

/// `NFTA_CT_EXPECT_*`; the timeout is in the machine's byte order.
fn expectation(data: &[u8]) -> Option<Vec<String>> {
    let [_, l3, l4, port, timeout, size] = fields::<6>(data).ok()?;
    let mut time = "timeout ".to_owned();
    duration(&mut time, u64::from(timeout?.try_into().ok().map(u32::from_ne_bytes)?));
    Some(vec![
        format!("protocol {}", protocol(byte(l4)?)),
        format!("dport {}", number16(port)?),
        time,
        format!("size {}", byte(size)?),
        layer3(l3)?,
    ])
}

fn synproxy(data: &[u8]) -> Option<Vec<String>> {
    let Kind::Synproxy(synproxy) = expr::kind(b"synproxy", data)? else { return None };
    (synproxy.flags & !0xf == 0).then_some(())?;
    let has = |bit: u32| synproxy.flags & bit != 0;
    let mut lines = Vec::new();
    if has(1) {
        lines.push(format!("mss {}", synproxy.segment_size));
    }
    if has(2) {
        lines.push(format!("wscale {}", synproxy.window_scale));
    }
    if has(4 | 8) {
        // each of the two words may be empty, the space between stays
        let words = [if has(8) { "timestamp" } else { "" }, if has(4) { "sack-perm" } else { "" }];
        lines.push(words.join(" "));
    }
    Some(lines)
}

pub(super) fn push_flowtable(writer: &mut Writer, name: &str, flowtable: &OtherSnapshot) {
    writer.push("\tflowtable ");
    writer.name(name);
    writer.push(" {");
    writer.handle(flowtable.handle);
    writer.push("\n");
    match flowtable_lines(&flowtable.attributes) {
        Some(lines) => lines.iter().for_each(|line| writer.push(&format!("\t\t{line}\n"))),
        None => {
            writer.push("\t\t");
            writer.mark("content");
            writer.push("\n");
        }
    }
    writer.push("\t}\n");
}

/// `NFTA_FLOWTABLE_*`.
fn flowtable_lines(bytes: &[u8]) -> Option<Vec<String>> {
    let [_, _, _, hook, _, _, _, flags] = fields::<8>(bytes).ok()?;
    let [_, number, priority, devices] = fields::<4>(hook?).ok()?;
    let number = u32::from_be_bytes(number?.try_into().ok()?);
    let priority = i32::from_be_bytes(priority?.try_into().ok()?);
    let mut lines = vec![format!(
        "hook {} priority {}",
        hook_name(Family::Netdev, number)?,
        priority_text(Family::Netdev, number, priority)
    )];
    let mut names = Vec::new();
    for device in attributes(devices.unwrap_or_default()) {
        // NFTA_DEVICE_NAME = 1
        let device = device.ok().filter(|device| device.kind == 1)?;
        names.push(string(device.value).into_owned());
    }
    names.sort();
    if !names.is_empty() {
        names.iter().all(|name| !name.chars().any(char::is_control)).then_some(())?;
        lines.push(format!("devices = {{ {} }}", names.join(", ")));
    }
    let flags = flags.map_or(Some(0), |flags| flags.try_into().ok().map(u32::from_be_bytes))?;
    (flags & !3 == 0).then_some(())?;
    for (bit, line) in [(1, "flags offload"), (2, "counter")] {
        if flags & bit != 0 {
            lines.push(line.to_owned());
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::nft::attribute::push_attribute;

    /// Not every kernel has flowtables, so these bytes are made by hand.
    #[test]
    fn a_flowtable_has_hook_devices_and_flags() {
        let (mut devices, mut hook, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        push_attribute(&mut devices, 1, b"eth1\0");
        push_attribute(&mut devices, 1, b"eth0\0");
        push_attribute(&mut hook, 1, &[0; 4]);
        push_attribute(&mut hook, 2, &(-5_i32).to_be_bytes());
        push_attribute(&mut hook, 3, &devices);
        push_attribute(&mut bytes, 3, &hook);
        push_attribute(&mut bytes, 7, &[0, 0, 0, 2]);
        let lines = flowtable_lines(&bytes).expect("whole");
        assert_eq!(lines, ["hook ingress priority filter - 5", "devices = { eth0, eth1 }", "counter"]);
        assert_eq!(flowtable_lines(&bytes[..10]), None);
    }
}
