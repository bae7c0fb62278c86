//! What stands around rules in `nft -s list ruleset`: the heads of tables and chains, sets and their elements.

use super::Rule;
use super::context::Context;
use super::datatype::Datatype;
use super::elements::{self, Key, Order};
use super::registers::Registers;
use super::set::{INTERVAL, MAP, OBJECT, Part, Shape};
use super::value;
use crate::decode::nft::attribute::fields;
use crate::model::nft::{BaseChain, ElementSnapshot, Family, SetSnapshot, TableSnapshot};
use crate::render::{Rendered, Surroundings};

/// `NFT_SET_*` with nft's words, in the order it lists them.
const SET_FLAGS: [(u32, &str); 4] = [(2, "constant"), (4, "interval"), (16, "timeout"), (32, "dynamic")];
/// `NFT_TABLE_F_*`.
const TABLE_FLAGS: [(u32, &str); 3] = [(1, "dormant"), (2, "owner"), (4, "persist")];
/// `NFT_CHAIN_HW_OFFLOAD`.
const OFFLOAD: u32 = 2;

/// `flags dormant`, for a table that has any.
pub fn table_flags(table: &TableSnapshot) -> Option<String> {
    let words: Vec<&str> =
        TABLE_FLAGS.iter().filter(|(bit, _)| table.flags & bit != 0).map(|(_, word)| *word).collect();
    (!words.is_empty()).then(|| format!("flags {}", words.join(",")))
}

/// nft's word for a kind of stateful object (`NFT_OBJECT_*`).
pub fn object_kind(kind: u32) -> &'static str {
    const WORDS: [&str; 11] = [
        "object",
        "counter",
        "quota",
        "ct helper",
        "limit",
        "connlimit",
        "tunnel",
        "ct timeout",
        "secmark",
        "ct expectation",
        "synproxy",
    ];
    usize::try_from(kind).ok().and_then(|kind| WORDS.get(kind)).copied().unwrap_or(WORDS[0])
}

/// `type filter hook forward priority filter; policy accept;`
pub fn base_chain(family: Family, base: &BaseChain, flags: u32) -> Rendered {
    let BaseChain { kind, hook, priority, policy, device } = base;
    let word = hook_word(family, *hook);
    let device = match device {
        None => String::new(),
        Some(names) if names.contains(", ") => {
            let names: Vec<String> = names.split(", ").map(|name| format!("\"{name}\"")).collect();
            format!(" devices = {{ {} }}", names.join(", "))
        }
        Some(name) => format!(" device \"{name}\""),
    };
    let policy = if *policy == 0 { "drop" } else { "accept" };
    let priority = priority_text(family, word, *priority);
    let hook = word.map_or_else(|| format!("[hook {hook}]"), str::to_owned);
    let offload = if flags & OFFLOAD == 0 { "" } else { " flags offload;" };
    Rendered {
        text: format!("type {kind} hook {hook}{device} priority {priority};{offload} policy {policy};"),
        is_exact: word.is_some(),
    }
}

/// nft's word for a hook number; each group of families numbers its hooks anew.
pub fn hook_word(family: Family, hook: u32) -> Option<&'static str> {
    let words: &[&str] = match family {
        Family::Inet | Family::Ip | Family::Ip6 => {
            &["prerouting", "input", "forward", "output", "postrouting", "ingress"]
        }
        Family::Bridge => &["prerouting", "input", "forward", "output", "postrouting"],
        Family::Arp => &["input", "output", "forward"],
        Family::Netdev => &["ingress", "egress"],
    };
    usize::try_from(hook).ok().and_then(|index| words.get(index).copied())
}

/// A number by the name of the nearest one that has a name there, at most ten away.
fn priority_text(family: Family, hook: Option<&str>, priority: i32) -> String {
    let is_pre = hook == Some("prerouting");
    let is_post = hook == Some("postrouting");
    let names: &[(&str, i32, bool)] = match family {
        Family::Ip | Family::Ip6 | Family::Inet => &[
            ("raw", -300, true),
            ("mangle", -150, true),
            ("dstnat", -100, is_pre),
            ("filter", 0, true),
            ("security", 50, true),
            ("srcnat", 100, is_post),
        ],
        Family::Bridge => &[
            ("dstnat", -300, is_pre),
            ("filter", -200, true),
            ("out", 100, hook == Some("output")),
            ("srcnat", 300, is_post),
        ],
        Family::Arp | Family::Netdev => &[("filter", 0, true)],
    };
    let near = names.iter().find(|(_, number, is_there)| *is_there && priority.abs_diff(*number) <= 10);
    match near.map(|(name, number, _)| (name, i64::from(priority) - i64::from(*number))) {
        Some((name, 0)) => (*name).to_owned(),
        Some((name, more @ 1..)) => format!("{name} + {more}"),
        Some((name, less)) => format!("{name} - {}", -less),
        None => priority.to_string(),
    }
}

/// `set` or `map`, and the lines of its declaration.
pub fn set_declaration(set: &SetSnapshot) -> (&'static str, Vec<Rendered>) {
    let word = if set.flags & (MAP | OBJECT) == 0 { "set" } else { "map" };
    let mut lines = Vec::new();
    let notes = set_notes(set);
    let kind = set_type(set).filter(|_| notes.is_some());
    lines.push(Rendered { is_exact: kind.is_some(), text: kind.unwrap_or_else(|| "type [unknown]".to_owned()) });
    if let Some(size) = Shape::of(set).and_then(|shape| shape.size) {
        lines.push(Rendered { text: format!("size {size}"), is_exact: true });
    }
    let flags: Vec<&str> = SET_FLAGS.iter().filter(|(bit, _)| set.flags & bit != 0).map(|(_, word)| *word).collect();
    if !flags.is_empty() {
        lines.push(Rendered { text: format!("flags {}", flags.join(",")), is_exact: true });
    }
    lines.extend(notes.into_iter().flatten().map(|text| Rendered { text, is_exact: true }));
    (word, lines)
}

/// `type ipv4_addr . inet_service : verdict`.
fn set_type(set: &SetSnapshot) -> Option<String> {
    let [_, _, _, _, kind, _, data_kind] = fields::<7>(&set.attributes).ok()?;
    let number = |value: &[u8]| value.try_into().ok().map(u32::from_be_bytes);
    let mut text = format!("type {}", type_names(kind.and_then(number)?)?);
    match data_kind.and_then(number) {
        None => {}
        Some(0xffff_ff00) => text.push_str(" : verdict"),
        Some(kind) => text.push_str(&format!(" : {}", type_names(kind)?)),
    }
    (set.flags & OBJECT == 0).then_some(text)
}

/// What nft notes beside a set, a run of type (1 byte), length (1 byte), value: whether neighbouring intervals are merged,
/// and a comment. `None` where it notes the type in another form, as `typeof` does.
fn set_notes(set: &SetSnapshot) -> Option<Vec<String>> {
    let [.., userdata] = fields::<14>(&set.attributes).ok()?;
    let (mut userdata, mut notes) = (userdata.unwrap_or_default(), Vec::new());
    while let [kind, length, rest @ ..] = userdata {
        let (content, rest) = rest.split_at_checked(usize::from(*length))?;
        match kind {
            // byte orders, and whether the values of a map are intervals
            0 | 1 | 6 => {}
            2 if content.iter().all(|byte| *byte == 0) => {}
            2 => notes.push("auto-merge".to_owned()),
            7 => {
                let mut text = "comment ".to_owned();
                value::quoted(&mut text, content.split(|byte| *byte == 0).next()?)?;
                notes.push(text);
            }
            // a concatenation of nothing: the type says it all
            3 | 4 if *content == [0, 4, 13, 0, 0, 0, 1, 0] => {}
            _ => return None,
        }
        userdata = rest;
    }
    userdata.is_empty().then_some(notes)
}

/// Concatenations have six bits per part.
fn type_names(mut kind: u32) -> Option<String> {
    let mut names = Vec::new();
    while kind != 0 {
        names.push(match Datatype::of_set(kind & 0x3f)?.0 {
            Datatype::Ipv4 => "ipv4_addr",
            Datatype::Ipv6 => "ipv6_addr",
            Datatype::Ether => "ether_addr",
            Datatype::Protocol => "inet_proto",
            Datatype::Service => "inet_service",
            Datatype::Mark => "mark",
            Datatype::Ifindex => "iface_index",
            Datatype::ClassId => "classid",
            Datatype::Ifname => "ifname",
            _ => return None,
        });
        kind >>= 6;
    }
    names.reverse();
    (!names.is_empty()).then(|| names.join(" . "))
}

/// The elements of a set in nft's order, each with its index in `snapshots`. The ends of intervals are in the text of
/// their beginnings.
pub fn elements(
    set: &SetSnapshot,
    snapshots: &[&ElementSnapshot],
    surroundings: &dyn Surroundings,
) -> Vec<(usize, Rendered)> {
    let unknown = || {
        let bracketed = || Rendered { text: "[element]".to_owned(), is_exact: false };
        (0..snapshots.len()).map(|index| (index, bracketed())).collect()
    };
    let writer = Rule::of_nothing(surroundings);
    let Some((parts, shape)) = key_parts(set).zip(Shape::of(set)) else { return unknown() };
    let order = match &parts[..] {
        [(kind, _, is_host)] if !is_host && !kind.is_text() => Order::First,
        _ => Order::Last,
    };
    let is_interval = set.flags & INTERVAL != 0;
    let listed = match (is_interval, parts.len()) {
        (true, 1) => elements::intervals(snapshots),
        (true, _) => elements::plain(snapshots, Order::Given),
        (false, _) => elements::plain(snapshots, order),
    };
    let Some(listed) = listed else { return unknown() };
    let text = |element: &elements::Element<'_>| {
        let mut text = String::new();
        writer.push_key(&mut text, &element.key, &parts, 0)?;
        if let Some(comment) = &element.comment {
            text.push_str(" comment ");
            value::quoted(&mut text, comment.as_bytes())?;
        }
        if set.flags & (MAP | OBJECT) != 0 {
            text.push_str(" : ");
            writer.push_data(&mut text, element, &shape)?;
        }
        Some(text)
    };
    let places = Places::of(snapshots);
    listed
        .iter()
        .filter_map(|element| {
            let text = text(element);
            let is_exact = text.is_some();
            let rendered = Rendered { text: text.unwrap_or_else(|| "[element]".to_owned()), is_exact };
            Some((places.of_element(element)?, rendered))
        })
        .collect()
}

/// Where the snapshots' bytes lie, to find the one an element was read from: its key lies in it.
struct Places {
    /// Address of the first byte, and the snapshot's index.
    starts: Vec<(usize, usize)>,
    catch_all: Option<usize>,
}

impl Places {
    fn of(snapshots: &[&ElementSnapshot]) -> Self {
        let start = |(index, snapshot): (usize, &&ElementSnapshot)| (snapshot.attributes.as_ptr().addr(), index);
        let mut starts: Vec<(usize, usize)> = snapshots.iter().enumerate().map(start).collect();
        starts.sort_unstable();
        Self { starts, catch_all: snapshots.iter().position(|snapshot| elements::is_catch_all(snapshot)) }
    }

    fn of_element(&self, element: &elements::Element<'_>) -> Option<usize> {
        let (Key::One(key) | Key::Range(key, _)) = &element.key else { return self.catch_all };
        let after = self.starts.partition_point(|(start, _)| *start <= key.as_ptr().addr());
        self.starts.get(after.checked_sub(1)?).map(|(_, index)| *index)
    }
}

fn key_parts(set: &SetSnapshot) -> Option<Vec<Part>> {
    let [_, _, _, _, kind] = fields::<5>(&set.attributes).ok()?;
    let mut kind = kind.and_then(|kind| kind.try_into().ok().map(u32::from_be_bytes))?;
    let mut parts = Vec::new();
    while kind != 0 {
        let (kind_of_part, length) = Datatype::of_set(kind & 0x3f)?;
        parts.push((kind_of_part, length, kind_of_part.description().is_host));
        kind >>= 6;
    }
    parts.reverse();
    (!parts.is_empty()).then_some(parts)
}

impl<'a> Rule<'a> {
    /// A rule without statements, by which values are written.
    fn of_nothing(surroundings: &'a dyn Surroundings) -> Self {
        Self {
            surroundings,
            context: Context::new(Family::Inet),
            registers: Registers::default(),
            statements: Vec::new(),
            left_out: Vec::new(),
            bound: None,
            is_exact: true,
        }
    }
}
