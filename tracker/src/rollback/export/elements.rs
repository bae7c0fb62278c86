//! Elements of sets that stay, by the keys nft(8) writes.
//!
//! Of a set of intervals the kernel has the beginnings, and elements of their own for what comes after their ends; nft(8)
//! has whole intervals. Both ends are the step's owner's, or the interval is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nftables::expr::{Expression, NamedExpression, Prefix, Range};
use nftables::schema::{Element, NfCmd, NfListObject};

use super::Names;
use super::json::{family_of, owned};
use crate::decode::nft::attribute::{fields, push_attribute};
use crate::model::ids::SetName;
use crate::model::nft::{ElementSnapshot, NftItem, NftSnapshot, NftSubject, SetSnapshot, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::render;
use crate::rollback::live::LiveState;
use crate::rollback::step::{Action, Step};

const INTERVAL: u32 = 4;
const CONCATENATION: u32 = 128;
/// `NFTA_SET_ELEM_*` that make a key what it is: key, data, flags, reference to an object, end of the key.
const KEPT: [u16; 5] = [1, 2, 3, 9, 10];
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 1;

/// What the deletion of each element is; nothing for an end that goes with its beginning.
#[derive(Debug, Default)]
pub(super) struct Elements {
    commands: BTreeMap<Subject, Result<Option<NfCmd<'static>>, &'static str>>,
}

/// A set with the elements that live in it.
struct Living<'a> {
    table: &'a TableRef,
    name: &'a SetName,
    set: &'a SetSnapshot,
    elements: Vec<(&'a Subject, &'a ElementSnapshot)>,
}

impl Elements {
    pub(super) fn new(steps: &[&Step], live: &LiveState, names: &Names) -> Self {
        let going: BTreeSet<&Subject> =
            steps.iter().filter(|step| step.action() == Action::DeleteElement).map(|step| step.subject()).collect();
        let mut it = Self::default();
        if going.is_empty() {
            return it;
        }
        for living in sets_of(&going, live) {
            let has_ends = living.set.flags & (INTERVAL | CONCATENATION) == INTERVAL;
            if has_ends { it.add_intervals(&living, &going, names) } else { it.add_plain(&living, &going, names) }
        }
        it
    }

    /// The command for one element.
    pub(super) fn command(&self, subject: &Subject) -> Result<Vec<NfCmd<'static>>, &'static str> {
        let command = self.commands.get(subject).cloned().unwrap_or(Err("its set was not read"))?;
        Ok(command.into_iter().collect())
    }

    fn add_plain(&mut self, living: &Living<'_>, going: &BTreeSet<&Subject>, names: &Names) {
        for (subject, element) in living.elements.iter().filter(|(subject, _)| going.contains(subject)) {
            let command = deletion(living, &[element], names);
            self.commands.insert((*subject).clone(), command.map(Some));
        }
    }

    fn add_intervals(&mut self, living: &Living<'_>, going: &BTreeSet<&Subject>, names: &Names) {
        const SHARED: &str = "its interval ends where one begins that stays";
        let key = |element: &ElementSnapshot| {
            let fields = fields::<4>(&element.attributes).unwrap_or_default();
            let flags = fields[3].and_then(|flags| flags.try_into().ok()).map_or(0, u32::from_be_bytes);
            (fields[1].map(<[u8]>::to_vec), flags & INTERVAL_END != 0)
        };
        let mut sorted: Vec<_> = living.elements.iter().map(|(subject, it)| (key(it), *subject, *it)).collect();
        sorted.sort_by(|(a, ..), (b, ..)| (&a.0, !a.1).cmp(&(&b.0, !b.1)));
        for (at, ((_, is_end), subject, element)) in sorted.iter().enumerate() {
            if *is_end || !going.contains(subject) {
                continue;
            }
            let end = sorted.get(at + 1);
            let command = match end {
                Some(((_, true), end, content)) if going.contains(end) => deletion(living, &[element, content], names),
                None => deletion(living, &[element], names),
                Some(_) => Err(SHARED),
            };
            if let (Ok(_), Some((_, end, _))) = (&command, end) {
                self.commands.insert((*end).clone(), Ok(None));
            }
            self.commands.insert((*subject).clone(), command.map(Some));
        }
        // an end before all beginnings is how the kernel writes that nothing is there; nft(8) keeps it by itself
        for (at, ((_, is_end), subject, _)) in sorted.iter().enumerate() {
            if *is_end && going.contains(subject) {
                let command = if at == 0 { Ok(None) } else { Err(SHARED) };
                self.commands.entry((*subject).clone()).or_insert(command);
            }
        }
    }
}

fn sets_of<'a>(going: &BTreeSet<&Subject>, live: &'a LiveState) -> Vec<Living<'a>> {
    let wanted: BTreeSet<(&TableRef, &SetName)> = going.iter().filter_map(|subject| set_of(subject)).collect();
    let mut sets: BTreeMap<(&TableRef, &SetName), Living<'a>> = BTreeMap::new();
    for (subject, content) in &live.nft {
        if let (Subject::Nft(NftSubject { table, item: NftItem::Set(name) }), Snapshot::Nft(NftSnapshot::Set(set))) =
            (subject, content)
            && wanted.contains(&(table, name))
        {
            sets.insert((table, name), Living { table, name, set, elements: Vec::new() });
        }
    }
    for (subject, content) in &live.nft {
        if let (Some(of), Snapshot::Nft(NftSnapshot::Element(element))) = (set_of(subject), content)
            && let Some(living) = sets.get_mut(&of)
        {
            living.elements.push((subject, element));
        }
    }
    sets.into_values().collect()
}

fn set_of(subject: &Subject) -> Option<(&TableRef, &SetName)> {
    match subject {
        Subject::Nft(NftSubject { table, item: NftItem::Element { set, .. } }) => Some((table, set)),
        _ => None,
    }
}

/// `delete element <family> <table> <set> { <key> }`
fn deletion(living: &Living<'_>, elements: &[&ElementSnapshot], names: &Names) -> Result<NfCmd<'static>, &'static str> {
    const NO_WORDS: &str = "its key cannot be written as nft(8) writes it";
    let bare: Vec<ElementSnapshot> = elements.iter().filter_map(|element| bare(element)).collect();
    let bare: Vec<&ElementSnapshot> = bare.iter().collect();
    let rendered = render::elements(living.table.family, living.set, &bare, names);
    let [(_, rendered)] = rendered.as_slice() else { return Err(NO_WORDS) };
    // what a map gives stands behind the key
    let key = rendered.text.split_once(" : ").map_or(rendered.text.as_str(), |(key, _)| key);
    if !rendered.is_exact || bare.len() != elements.len() {
        return Err(NO_WORDS);
    }
    Ok(NfCmd::Delete(NfListObject::Element(Element {
        family: family_of(living.table.family),
        table: owned(living.table.name.as_str()),
        name: owned(living.name.as_str()),
        elem: vec![key_expression(key)].into(),
    })))
}

/// The element without comment, counter and time.
fn bare(element: &ElementSnapshot) -> Option<ElementSnapshot> {
    let fields = fields::<12>(&element.attributes).ok()?;
    let mut attributes = Vec::new();
    for kind in KEPT {
        if let Some(value) = fields[usize::from(kind)] {
            push_attribute(&mut attributes, kind, value);
        }
    }
    Some(ElementSnapshot { attributes, ..element.clone() })
}

/// A key as nft(8) prints it, as JSON has it.
fn key_expression(text: &str) -> Expression<'static> {
    let mut parts: Vec<Expression<'static>> = text.split(" . ").map(part).collect();
    match parts.len() {
        1 => parts.remove(0),
        _ => Expression::Named(NamedExpression::Concat(parts)),
    }
}

fn part(text: &str) -> Expression<'static> {
    let plain = |text: &str| Expression::String(owned(text.trim_matches('"')));
    let is_bound = |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<u64>().is_ok();
    if let Some((address, length)) = text.split_once('/')
        && address.parse::<IpAddr>().is_ok()
        && let Ok(len) = length.parse()
    {
        return Expression::Named(NamedExpression::Prefix(Prefix { addr: Box::new(plain(address)), len }));
    }
    match text.split_once('-') {
        Some((from, to)) if is_bound(from) && is_bound(to) => {
            Expression::Range(Box::new(Range { range: [plain(from), plain(to)] }))
        }
        _ => plain(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_as_the_json_has_them() {
        let json = |text| serde_json::to_value(key_expression(text)).expect("writable").to_string();
        assert_eq!(json("10.0.0.1"), r#""10.0.0.1""#);
        assert_eq!(json("10.1.0.0/24"), r#"{"prefix":{"addr":"10.1.0.0","len":24}}"#);
        assert_eq!(
            json("fd00::1-fd00::9 . 80-90"),
            r#"{"concat":[{"range":["fd00::1","fd00::9"]},{"range":["80","90"]}]}"#
        );
        assert_eq!(json("\"eth0-x\" . tcp"), r#"{"concat":["eth0-x","tcp"]}"#);
    }
}
