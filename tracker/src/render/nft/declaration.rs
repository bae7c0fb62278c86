//! Named sets and maps with their elements.

use super::Rule;
use super::datatype::{Datatype, SetType};
use super::elements::statements;
use super::listing::{Writer, comment_of, userdata};
use super::object::kind_name;
use super::set::{INTERVAL, MAP, OBJECT, Part};
use super::value::duration;
use crate::decode::nft::attribute::fields;
use crate::model::nft::{Family, SetSnapshot};
use crate::render::{SetContent, Surroundings};

/// `NFT_SET_CONSTANT`, `NFT_SET_TIMEOUT`, `NFT_SET_EVAL`.
const CONSTANT: u32 = 2;
const TIMEOUT: u32 = 16;
const EVAL: u32 = 32;
/// `NFTNL_UDATA_SET_*`.
const UDATA_MERGE: u8 = 2;
const UDATA_KEY_TYPEOF: u8 = 3;
const UDATA_DATA_TYPEOF: u8 = 4;
const UDATA_DATA_INTERVAL: u8 = 6;
const UDATA_COMMENT: u8 = 7;
/// `EXPR_VALUE`, `EXPR_CONCAT`.
const VALUE: u32 = 4;
const CONCATENATION: u32 = 13;
/// `NFT_DATA_VERDICT`.
const VERDICT: u32 = 0xffff_ff00;

/// What a set's attributes say.
pub(super) struct Declaration<'a> {
    key: Option<u32>,
    data: Option<u32>,
    policy: u32,
    size: u32,
    timeout: u64,
    gc_interval: u32,
    userdata: &'a [u8],
    object: Option<u32>,
    statements: Vec<String>,
}

impl<'a> Declaration<'a> {
    fn of(set: &'a SetSnapshot) -> Option<Self> {
        // NFTA_SET_*
        let all = fields::<19>(&set.attributes).ok()?;
        let [_, _, _, _, key, _, data, _, policy, desc, _, timeout, gc_interval, userdata, _, object, _, one, list] =
            all;
        let number = |value: Option<&[u8]>| match value {
            None => Some(None),
            Some(value) => value.try_into().ok().map(u32::from_be_bytes).map(Some),
        };
        // NFTA_SET_DESC_SIZE = 1
        let size = match desc {
            None => None,
            Some(desc) => fields::<2>(desc).ok()?[1],
        };
        let timeout = match timeout {
            None => 0,
            Some(timeout) => u64::from_be_bytes(timeout.try_into().ok()?),
        };
        Some(Self {
            key: number(key)?,
            data: number(data)?,
            policy: number(policy)?.unwrap_or_default(),
            size: number(size)?.unwrap_or_default(),
            timeout,
            gc_interval: number(gc_interval)?.unwrap_or_default(),
            userdata: userdata.unwrap_or_default(),
            object: number(object)?,
            statements: statements(one, list)?,
        })
    }
}

pub(super) fn push_set(
    writer: &mut Writer,
    family: Family,
    name: &str,
    content: &SetContent<'_>,
    surroundings: &dyn Surroundings,
) {
    if let Some(declaration) = push_declaration(writer, name, content.set) {
        push_elements(writer, family, content, &declaration, surroundings);
    }
    writer.push("\t}\n");
}

/// All that comes before the elements; `None` where it is not understood.
pub(super) fn push_declaration<'a>(writer: &mut Writer, name: &str, set: &'a SetSnapshot) -> Option<Declaration<'a>> {
    writer.push(if set.flags & (MAP | OBJECT) == 0 { "\tset " } else { "\tmap " });
    writer.name(name);
    writer.push(" {");
    writer.handle(set.handle);
    writer.push("\n");
    let declaration = Declaration::of(set);
    match &declaration {
        Some(declaration) => {
            push_type(writer, set, declaration);
            push_details(writer, set, declaration);
        }
        None => {
            writer.push("\t\t");
            writer.mark("content");
            writer.push("\n");
        }
    }
    declaration
}

/// `type ipv4_addr . inet_service : verdict`.
fn push_type(writer: &mut Writer, set: &SetSnapshot, declaration: &Declaration<'_>) {
    let is_typeof = |kind| userdata(declaration.userdata, kind).is_some_and(is_typeof);
    if is_typeof(UDATA_KEY_TYPEOF) || is_typeof(UDATA_DATA_TYPEOF) {
        writer.push("\t\ttypeof ");
        writer.mark("key");
        writer.push("\n");
        return;
    }
    writer.push("\t\ttype ");
    match declaration.key.and_then(type_text) {
        Some(text) => writer.push(&text),
        None => writer.mark("type"),
    }
    if set.flags & MAP != 0 {
        writer.push(" : ");
        if userdata(declaration.userdata, UDATA_DATA_INTERVAL).is_some_and(|value| value.iter().any(|byte| *byte != 0))
        {
            writer.push("interval ");
        }
        match declaration.data {
            Some(VERDICT) => writer.push("verdict"),
            data => match data.and_then(type_text) {
                Some(text) => writer.push(&text),
                None => writer.mark("type"),
            },
        }
    } else if set.flags & OBJECT != 0 {
        writer.push(" : ");
        match declaration.object.and_then(kind_name) {
            Some(name) => writer.push(name),
            None => writer.mark("object"),
        }
    }
    writer.push("\n");
}

fn push_details(writer: &mut Writer, set: &SetSnapshot, declaration: &Declaration<'_>) {
    if set.flags & CONSTANT == 0 {
        match declaration.policy {
            0 => {}
            1 => writer.push("\t\tpolicy memory\n"),
            _ => writer.push("\t\tpolicy unknown\n"),
        }
        if declaration.size > 0 {
            writer.push(&format!("\t\tsize {}\n", declaration.size));
        }
    }
    let words = [(CONSTANT, "constant"), (EVAL, "dynamic"), (INTERVAL, "interval"), (TIMEOUT, "timeout")];
    let shown: Vec<&str> = words.into_iter().filter(|(bit, _)| set.flags & bit != 0).map(|(_, word)| word).collect();
    // a default timeout says as much as the flag alone
    let is_said = shown == ["timeout"] && declaration.timeout != 0;
    if !shown.is_empty() && !is_said {
        writer.push(&format!("\t\tflags {}\n", shown.join(",")));
    }
    if !declaration.statements.is_empty() {
        writer.push(&format!("\t\t{}\n", declaration.statements.join(" ")));
    }
    if userdata(declaration.userdata, UDATA_MERGE).is_some_and(|value| value.iter().any(|byte| *byte != 0)) {
        writer.push("\t\tauto-merge\n");
    }
    for (word, time) in [("timeout", declaration.timeout), ("gc-interval", u64::from(declaration.gc_interval))] {
        if time != 0 {
            let mut text = format!("\t\t{word} ");
            duration(&mut text, time);
            writer.push(&text);
            writer.push("\n");
        }
    }
    writer.comment("\t\t", comment_of(declaration.userdata, UDATA_COMMENT).as_deref(), "\n");
}

fn push_elements(
    writer: &mut Writer,
    family: Family,
    content: &SetContent<'_>,
    declaration: &Declaration<'_>,
    surroundings: &dyn Surroundings,
) {
    if content.elements.is_empty() {
        return;
    }
    writer.push("\t\telements = ");
    let per_line = declaration.key.and_then(SetType::of).map_or(1, |kind| kind.per_line);
    let separator = |count: usize| if count.is_multiple_of(per_line) { ",\n\t\t\t     " } else { ", " };
    let text = declaration
        .key
        .and_then(|key| parts(key, content.set))
        .and_then(|parts| Rule::new(family, surroundings).elements_text(content, &parts, 0, separator));
    match text {
        Some(text) => writer.push(&text),
        None => writer.mark("elements"),
    }
    writer.push("\n");
}

/// Whether userdata on a type names expressions: nft writes it for concatenations of types as well, with the values of
/// nothing in it.
fn is_typeof(bytes: &[u8]) -> bool {
    // NFTNL_UDATA_SET_TYPEOF_EXPR, NFTNL_UDATA_SET_TYPEOF_DATA; EXPR_CONCAT and EXPR_VALUE of nft 1.0.6
    let kind = |bytes| userdata(bytes, 0).and_then(|kind| kind.try_into().ok()).map(u32::from_ne_bytes);
    if kind(bytes) != Some(CONCATENATION) {
        return true;
    }
    let mut parts = userdata(bytes, 1).unwrap_or_default();
    while let [_, length, rest @ ..] = parts {
        let Some((part, rest)) = rest.split_at_checked(usize::from(*length)) else { return true };
        if kind(part) != Some(VALUE) {
            return true;
        }
        parts = rest;
    }
    false
}

/// The types of a concatenation: six bits each, the first one in the highest.
fn types(mut number: u32) -> Vec<u32> {
    let mut types = Vec::new();
    while number != 0 {
        types.push(number & 0x3f);
        number >>= 6;
    }
    types.reverse();
    types
}

fn type_text(number: u32) -> Option<String> {
    let names: Option<Vec<&str>> =
        types(number).into_iter().map(|number| SetType::of(number).map(|kind| kind.name)).collect();
    names.filter(|names| !names.is_empty()).map(|names| names.join(" . "))
}

pub(super) fn parts(key: u32, set: &SetSnapshot) -> Option<Vec<Part>> {
    let kinds: Option<Vec<(Datatype, usize)>> = types(key).into_iter().map(Datatype::of_set).collect();
    // beginnings and ends are compared as the kernel compares: from the first byte on
    let is_ordered = set.flags & INTERVAL != 0;
    let part = |(kind, length): (Datatype, usize)| (kind, length, kind.description().is_host && !is_ordered);
    kinds.map(|kinds| kinds.into_iter().map(part).collect())
}
