//! Elements of sets, put in the order nft lists them.

use super::statement;
use super::value::number;
use crate::decode::nft::attribute::{fields, string};
use crate::decode::nft::expr::{self, Data};
use crate::model::nft::ElementSnapshot;

/// `NFT_SET_ELEM_*`.
const INTERVAL_END: u32 = 1;
const CATCH_ALL: u32 = 2;

/// One element.
pub(super) struct Element<'a> {
    /// What it is for.
    pub(super) key: Key<'a>,
    /// What a map gives.
    pub(super) data: Option<Data<'a>>,
    /// The object a map of objects gives.
    pub(super) object: Option<String>,
    pub(super) comment: Option<String>,
    /// How long it stays, in milliseconds.
    pub(super) timeout: Option<u64>,
    /// Its own counters and limits, as statements.
    pub(super) statements: Vec<String>,
}

/// The key of an element.
pub(super) enum Key<'a> {
    One(&'a [u8]),
    /// First and last, both in it. The last one is computed where the set has intervals of one part.
    Range(&'a [u8], Vec<u8>),
    /// Everything that no other element is for.
    Rest,
}

/// As the kernel has it.
struct Raw<'a> {
    key: Option<&'a [u8]>,
    key_end: Option<&'a [u8]>,
    is_end: bool,
    element: Element<'a>,
}

fn read(snapshot: &ElementSnapshot) -> Option<Raw<'_>> {
    let [_, key, data, flags, timeout, _, userdata, expression, _, object, key_end, expressions] =
        fields::<12>(&snapshot.attributes).ok()?;
    let timeout = match timeout {
        None => None,
        Some(timeout) => Some(timeout.try_into().ok().map(u64::from_be_bytes)?),
    };
    let statements = statements(expression, expressions)?;
    let flags = flags.map_or(Some(0), |flags| flags.try_into().ok().map(u32::from_be_bytes))?;
    (flags & !(INTERVAL_END | CATCH_ALL) == 0).then_some(())?;
    let value = |bytes| match Data::parse(bytes) {
        Some(Data::Value(value)) => Some(value),
        _ => None,
    };
    let (key, key_end) = match (key, key_end) {
        (None, _) => (None, None),
        (Some(key), None) => (Some(value(key)?), None),
        (Some(key), Some(end)) => (Some(value(key)?), Some(value(end)?)),
    };
    (key.is_some() || flags & CATCH_ALL != 0).then_some(())?;
    let data = match data {
        None => None,
        Some(data) => Some(Data::parse(data)?),
    };
    let object = object.map(|object| string(object).into_owned());
    let comment = match userdata {
        None => None,
        Some(userdata) => comment(userdata)?,
    };
    let element = Element { key: Key::Rest, data, object, comment, timeout, statements };
    Some(Raw { key, key_end, is_end: flags & INTERVAL_END != 0, element })
}

/// Whether it is for everything that no other element is for.
pub(super) fn is_catch_all(snapshot: &ElementSnapshot) -> bool {
    read(snapshot).is_some_and(|raw| raw.key.is_none())
}

/// The statements of `NFTA_*_EXPR` or of the list `NFTA_*_EXPRESSIONS`.
pub(super) fn statements(one: Option<&[u8]>, list: Option<&[u8]>) -> Option<Vec<String>> {
    let expressions = match (list, one) {
        (Some(list), _) => expr::decode(list).collect(),
        (None, Some(one)) => vec![expr::decode_one(one)?],
        (None, None) => Vec::new(),
    };
    let text = |expression: &expr::Expression<'_>| {
        expression.unknown.is_empty().then(|| statement::plain(&expression.kind))?
    };
    expressions.iter().map(text).collect()
}

/// The comment in userdata, a run of type (1 byte), length (1 byte), value. `None` where there is more than a comment
/// and the mark of an interval without end.
fn comment(mut userdata: &[u8]) -> Option<Option<String>> {
    let mut comment = None;
    while let [kind, length, rest @ ..] = userdata {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        match kind {
            0 => comment = Some(string(value).into_owned()),
            1 => {}
            _ => return None,
        }
        userdata = rest;
    }
    userdata.is_empty().then_some(comment)
}

/// In which order nft lists elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By their keys as numbers in network byte order.
    First,
    /// By their keys from the last byte on.
    Last,
    /// By the lowest bit of their keys: nft compares the first of the names it writes.
    LowestBit {
        /// Whether keys are in the machine's byte order.
        is_host: bool,
    },
    /// As the kernel lists them.
    Given,
}

/// All elements of a set without intervals, or with intervals of several parts.
pub(super) fn plain<'a>(snapshots: &[&'a ElementSnapshot], order: Order) -> Option<Vec<Element<'a>>> {
    let mut raws = snapshots.iter().map(|snapshot| read(snapshot)).collect::<Option<Vec<_>>>()?;
    match order {
        Order::First => raws.sort_by_key(|raw| raw.key),
        Order::Last => raws.sort_by(|a, b| {
            let reversed = |raw: &Raw<'a>| raw.key.unwrap_or_default().iter().rev();
            reversed(a).cmp(reversed(b))
        }),
        Order::LowestBit { is_host } => raws.sort_by_key(|raw| {
            let number = number(raw.key.unwrap_or_default(), is_host).unwrap_or_default();
            number & number.wrapping_neg()
        }),
        Order::Given => {}
    }
    // nft lists what is for the rest last
    raws.sort_by_key(|raw| raw.key.is_none());
    let elements = raws.into_iter().map(|raw| {
        let key = match (raw.key, raw.key_end) {
            (None, _) => Key::Rest,
            (Some(from), Some(to)) if from != to => Key::Range(from, to.to_vec()),
            (Some(key), _) => Key::One(key),
        };
        Element { key, ..raw.element }
    });
    Some(elements.collect())
}

/// All elements of a set with intervals of one part: the kernel has their beginnings and what comes after their ends.
pub(super) fn intervals<'a>(snapshots: &[&'a ElementSnapshot]) -> Option<Vec<Element<'a>>> {
    let mut raws = snapshots.iter().map(|snapshot| read(snapshot)).collect::<Option<Vec<_>>>()?;
    raws.sort_by(|a, b| (a.key.is_none(), a.key, !a.is_end).cmp(&(b.key.is_none(), b.key, !b.is_end)));
    let mut elements = Vec::with_capacity(raws.len() / 2 + 1);
    let mut raws = raws.into_iter().peekable();
    while let Some(raw) = raws.next() {
        let Some(from) = raw.key else {
            elements.push(raw.element);
            continue;
        };
        if raw.is_end {
            continue;
        }
        let to = match raws.peek().and_then(|next| next.key) {
            Some(next) => before(next),
            None => vec![0xff; from.len()],
        };
        let key = if to == from { Key::One(from) } else { Key::Range(from, to) };
        elements.push(Element { key, ..raw.element });
    }
    Some(elements)
}

/// The number before one in network byte order.
fn before(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != 0xff {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn a_number_has_one_before_it() {
        assert_eq!(before(&[1, 0, 0]), [0, 0xff, 0xff]);
        assert_eq!(before(&[0, 1]), [0, 0]);
    }
}
