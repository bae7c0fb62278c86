//! Anonymous sets and maps with their elements.

use super::super::SetContent;
use super::Rule;
use super::compare::push_range;
use super::datatype::Datatype;
use super::elements::{Element, Key, Order, intervals, plain};
use super::statement;
use super::value::{self, duration, number, ones, quoted};
use crate::decode::nft::attribute::fields;
use crate::decode::nft::expr::Data;
use crate::model::nft::SetSnapshot;

/// `NFT_SET_*`.
pub(super) const ANONYMOUS: u32 = 1;
pub(super) const INTERVAL: u32 = 4;
pub(super) const MAP: u32 = 8;
pub(super) const EVAL: u32 = 32;
pub(super) const OBJECT: u32 = 64;

/// A part of a key: its type, its length in bytes, whether it is in the machine's byte order.
pub(super) type Part = (Datatype, usize, bool);

/// `NFTA_SET_*` numbers of a set.
pub(super) struct Shape {
    pub(super) key_length: usize,
    pub(super) data_kind: Option<u32>,
    pub(super) data_length: usize,
    pub(super) size: Option<u32>,
}

impl Shape {
    pub(super) fn of(set: &SetSnapshot) -> Option<Self> {
        let [_, _, _, _, _, key_length, data_kind, data_length, _, desc] = fields::<10>(&set.attributes).ok()?;
        let number = |value: &[u8]| value.try_into().ok().map(u32::from_be_bytes);
        let length = |value: Option<&[u8]>| value.and_then(number).and_then(|length| usize::try_from(length).ok());
        // NFTA_SET_DESC_SIZE = 1
        let size = desc.and_then(|desc| fields::<2>(desc).ok()).and_then(|[_, size]| size).and_then(number);
        Some(Self {
            key_length: length(key_length)?,
            data_kind: data_kind.and_then(number),
            data_length: length(data_length).unwrap_or_default(),
            size,
        })
    }

    /// Types and lengths of the values of a map; concatenations have six bits per part.
    pub(super) fn data_parts(&self) -> Option<Vec<(Datatype, usize)>> {
        let mut kind = self.data_kind?;
        let mut parts = Vec::new();
        while kind != 0 {
            parts.push(Datatype::of_set(kind & 0x3f)?);
            kind >>= 6;
        }
        parts.reverse();
        (!parts.is_empty()).then_some(parts)
    }
}

/// The parts of a key, where a piece is of no known field with the type the set has for it.
fn typed(parts: &[Part], set: &SetSnapshot) -> Option<Vec<Part>> {
    let [_, _, _, _, key_kind] = fields::<5>(&set.attributes).ok()?;
    let mut kinds = key_kind.and_then(|kind| kind.try_into().ok()).map_or(0, u32::from_be_bytes);
    let mut typed = parts.to_vec();
    // six bits per part, the last one lowest
    for part in typed.iter_mut().rev() {
        if let (Datatype::Raw, Some((kind, length))) = (part.0, Datatype::of_set(kinds & 0x3f))
            && length == part.1
        {
            part.0 = kind;
        }
        kinds >>= 6;
    }
    Some(typed)
}

/// The elements in the order nft lists them.
pub(super) fn listed<'e>(content: &SetContent<'e>, parts: &[Part]) -> Option<Vec<Element<'e>>> {
    let order = match parts {
        [(kind, _, is_host)] if kind.description().is_bitmask => Order::LowestBit { is_host: *is_host },
        [(kind, _, false)] if !kind.is_text() => Order::First,
        _ => Order::Last,
    };
    match (content.set.flags & INTERVAL != 0, parts.len()) {
        (true, 1) => intervals(&content.elements),
        (true, _) => plain(&content.elements, Order::Given),
        (false, _) => plain(&content.elements, order),
    }
}

impl Rule<'_> {
    /// `@name`, or the elements in braces. Keys are shifted right by `shift` bits before they are written.
    pub(super) fn set_text(&self, name: &[u8], parts: &[Part], shift: u32) -> Option<String> {
        let name = value::word(name)?;
        let content = self.surroundings.set(name)?;
        if content.set.flags & ANONYMOUS == 0 {
            return Some(format!("@{name}"));
        }
        let parts = typed(parts, content.set)?;
        self.elements_text(&content, &parts, shift, |_| ", ")
    }

    /// All elements in braces, or `None` where there are none; `separator` gives what comes after so many of them.
    pub(super) fn elements_text(
        &self,
        content: &SetContent<'_>,
        parts: &[Part],
        shift: u32,
        separator: impl Fn(usize) -> &'static str,
    ) -> Option<String> {
        let elements = listed(content, parts)?;
        let shape = Shape::of(content.set)?;
        let mut text = "{ ".to_owned();
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                text.push_str(separator(index));
            }
            self.push_element(&mut text, element, parts, shift, content.set, &shape)?;
        }
        text.push_str(" }");
        (!elements.is_empty()).then_some(text)
    }

    /// One element with all that belongs to it.
    pub(super) fn push_element(
        &self,
        text: &mut String,
        element: &Element<'_>,
        parts: &[Part],
        shift: u32,
        set: &SetSnapshot,
        shape: &Shape,
    ) -> Option<()> {
        self.push_key(text, &element.key, parts, shift)?;
        self.push_details(text, element)?;
        if set.flags & (MAP | OBJECT) != 0 {
            text.push_str(" : ");
            self.push_data(text, element, shape)?;
        }
        Some(())
    }

    fn push_details(&self, text: &mut String, element: &Element<'_>) -> Option<()> {
        for statement in &element.statements {
            text.push(' ');
            text.push_str(statement);
        }
        if let Some(timeout) = element.timeout {
            text.push_str(" timeout ");
            duration(text, timeout);
        }
        if let Some(comment) = &element.comment {
            text.push_str(" comment ");
            quoted(text, comment.as_bytes())?;
        }
        Some(())
    }

    fn push_key(&self, text: &mut String, key: &Key<'_>, parts: &[Part], shift: u32) -> Option<()> {
        let (from, to) = match key {
            Key::Rest => {
                text.push('*');
                return Some(());
            }
            Key::One(key) => (*key, None),
            Key::Range(from, to) => (*from, Some(&to[..])),
        };
        let mut at = 0;
        for (index, (kind, length, is_host)) in parts.iter().enumerate() {
            if index > 0 {
                text.push_str(" . ");
            }
            let part = |bytes: &'_ [u8]| -> Option<Vec<u8>> { Some(bytes.get(at..at + length)?.to_vec()) };
            let first = part(from)?;
            match to.map(part) {
                Some(last) if last.as_ref()? != &first => {
                    self.push_interval(text, *kind, &first, &last?, *is_host, shift)?;
                }
                _ if kind.is_text() => value::name(text, &first)?,
                _ => self.push_number(text, *kind, number(&first, *is_host)? >> shift)?,
            }
            at += length.next_multiple_of(4);
        }
        Some(())
    }

    fn push_interval(
        &self,
        text: &mut String,
        kind: Datatype,
        first: &[u8],
        last: &[u8],
        is_host: bool,
        shift: u32,
    ) -> Option<()> {
        if kind.is_text() {
            // a name's beginning: all that follow it, up to its last bytes
            let same = first.iter().zip(last).take_while(|(first, last)| first == last).count();
            let is_beginning =
                first[same..].iter().all(|byte| *byte == 0) && last[same..].iter().all(|byte| *byte == 0xff);
            return is_beginning.then(|| value::name(text, &first[..same]))?;
        }
        let bits = u32::try_from(first.len() * 8).ok()?;
        let (from, to) = (number(first, is_host)? >> shift, number(last, is_host)? >> shift);
        self.push_numbers(text, kind, from, to, bits)
    }

    /// A prefix where it is one and the type has them, else a range.
    pub(super) fn push_numbers(
        &self,
        text: &mut String,
        kind: Datatype,
        from: u128,
        to: u128,
        bits: u32,
    ) -> Option<()> {
        let differing = from ^ to;
        let is_prefix = differing & differing.wrapping_add(1) == 0 && from & differing == 0 && kind.has_prefixes();
        if is_prefix && differing != ones(bits) {
            value::write(text, kind, from, self.style())?;
            text.push_str(&format!("/{}", bits - differing.count_ones()));
            return Some(());
        }
        if is_prefix {
            value::write(text, kind, from, self.style())?;
            text.push_str("/0");
            return Some(());
        }
        push_range(text, kind, from, to, self.style())
    }

    fn push_number(&self, text: &mut String, kind: Datatype, number: u128) -> Option<()> {
        value::bits(text, kind, number, " | ", self.style())
    }

    fn push_data(&self, text: &mut String, element: &Element<'_>, shape: &Shape) -> Option<()> {
        if let Some(object) = &element.object {
            return value::quoted(text, object.as_bytes());
        }
        let bytes = match element.data? {
            Data::Value(bytes) => bytes,
            verdict => {
                text.push_str(&statement::verdict(verdict)?);
                return Some(());
            }
        };
        let parts = shape.data_parts()?;
        let length: usize = match &parts[..] {
            [(_, length)] => *length,
            parts => parts.iter().map(|(_, length)| length.next_multiple_of(4)).sum(),
        };
        if let ([(kind, _)], true) = (&parts[..], bytes.len() == length * 2) {
            let (from, to) = bytes.split_at(length);
            let is_host = kind.description().is_host;
            let bits = u32::try_from(length * 8).ok()?;
            return self.push_numbers(text, *kind, number(from, is_host)?, number(to, is_host)?, bits);
        }
        (bytes.len() == length).then_some(())?;
        let mut at = 0;
        for (index, (kind, length)) in parts.iter().enumerate() {
            if index > 0 {
                text.push_str(" . ");
            }
            let part = bytes.get(at..at + length)?;
            self.push_value(text, *kind, part, kind.description().is_host)?;
            at += length.next_multiple_of(4);
        }
        Some(())
    }
}
