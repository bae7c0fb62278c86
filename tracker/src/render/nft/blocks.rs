//! The pieces of a listing, for those who list it line by line: the lines of each object without those of what is in it.

use super::Rule;
use super::declaration::{self, parts};
use super::elements::{Element, Key, is_catch_all};
use super::listing::{Writer, push_base};
use super::object;
use super::set::{Shape, listed};
use crate::decode::nft::attribute::fields;
use crate::model::nft::{ChainSnapshot, ElementSnapshot, Family, OtherSnapshot, SetSnapshot};
use crate::render::{Rendered, SetContent, Surroundings};

/// The line that says where a base chain is attached, indented; `None` for another chain.
pub fn base_chain(family: Family, chain: &ChainSnapshot) -> Option<Rendered> {
    let base = chain.base.as_ref()?;
    lines(|writer| {
        push_base(writer, family, base);
        // NFT_CHAIN_HW_OFFLOAD
        writer.push(if chain.flags & 2 != 0 { " flags offload;\n" } else { "\n" });
    })
    .pop()
}

/// The lines of a set or map before its elements: the first one opens the block.
pub fn set_declaration(name: &str, set: &SetSnapshot) -> Vec<Rendered> {
    lines(|writer| drop(declaration::push_declaration(writer, name, set)))
}

/// All lines of a stateful object (`NFT_OBJECT_*`).
pub fn object_lines(kind: u32, name: &str, content: &OtherSnapshot) -> Vec<Rendered> {
    lines(|writer| object::push_object(writer, kind, name, content))
}

/// All lines of a flowtable.
pub fn flowtable_lines(name: &str, content: &OtherSnapshot) -> Vec<Rendered> {
    lines(|writer| object::push_flowtable(writer, name, content))
}

/// What is written, line by line. Brackets anywhere make all of it inexact.
fn lines(write: impl FnOnce(&mut Writer)) -> Vec<Rendered> {
    let mut writer = Writer::new();
    write(&mut writer);
    let Writer { text, is_exact, .. } = writer;
    text.lines().map(|line| Rendered { text: line.to_owned(), is_exact }).collect()
}

/// The elements of a set in nft's order, each with its index in `snapshots`. The ends of intervals are in the text of
/// their beginnings.
pub fn elements(
    family: Family,
    set: &SetSnapshot,
    snapshots: &[&ElementSnapshot],
    surroundings: &dyn Surroundings,
) -> Vec<(usize, Rendered)> {
    let bracketed = || Rendered { text: "[element]".to_owned(), is_exact: false };
    let content = SetContent { set, elements: snapshots.to_vec() };
    let key = fields::<5>(&set.attributes).ok().and_then(|fields| fields[4]);
    let key = key.and_then(|key| key.try_into().ok().map(u32::from_be_bytes));
    let parts = key.and_then(|key| parts(key, set));
    let known = parts.zip(Shape::of(set));
    let Some((parts, shape, listed)) =
        known.and_then(|(parts, shape)| listed(&content, &parts).map(|listed| (parts, shape, listed)))
    else {
        return (0..snapshots.len()).map(|index| (index, bracketed())).collect();
    };
    let writer = Rule::new(family, surroundings);
    let places = Places::of(snapshots);
    let text = |element: &Element<'_>| {
        let mut text = String::new();
        writer.push_element(&mut text, element, &parts, 0, set, &shape)?;
        Some(Rendered { text, is_exact: true })
    };
    let with_place =
        |element: &Element<'_>| Some((places.of_element(element)?, text(element).unwrap_or_else(bracketed)));
    listed.iter().filter_map(with_place).collect()
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
        Self { starts, catch_all: snapshots.iter().position(|snapshot| is_catch_all(snapshot)) }
    }

    fn of_element(&self, element: &Element<'_>) -> Option<usize> {
        let (Key::One(key) | Key::Range(key, _)) = &element.key else { return self.catch_all };
        let after = self.starts.partition_point(|(start, _)| *start <= key.as_ptr().addr());
        self.starts.get(after.checked_sub(1)?).map(|(_, index)| *index)
    }
}
