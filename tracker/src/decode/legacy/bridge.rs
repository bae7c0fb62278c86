//! Bridge tables (`ebtables-legacy`), which have structures of their own: a chain begins with `struct ebt_entries`, which
//! names it and has its policy, and a jump names the byte where that stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Malformed;
use super::entry::{Part, Verdict, verdict};
use super::kernel_part;
use super::layout::TableInfo;
use super::table::{Chain, Table};
use crate::model::digest::DigestBuilder;
use crate::model::ids::ChainName;
use crate::model::legacy::{ChainContent, LegacyContent, LegacyFamily, LegacyPolicy, LegacyRule, LegacyTable};

/// Bytes of `struct ebt_replace`; the entries are elsewhere, and are put behind it where they are read.
pub const REPLACEMENT_BYTES: usize = 120;
/// Where in it the addresses of the chains stand, by hook.
const HOOK_ENTRIES_AT: usize = 48;
/// Where in it the number of counters stands.
const NUM_COUNTERS_AT: usize = 96;
/// Where in it the address of the entries stands.
pub const ENTRIES_AT: usize = 112;
/// Bytes of `struct ebt_entries`.
const CHAIN_HEAD: usize = 48;
/// Where in it the number of its rules stands.
const CHAIN_RULES_AT: usize = 44;
/// Bytes of a chain's name in it, the ending NUL included.
const CHAIN_NAME_BYTES: usize = 32;
/// Bytes of the fixed part of `struct ebt_entry`.
pub(super) const ENTRY: usize = 112;
/// Where in it the offsets of watchers, target and next entry stand.
const OFFSETS: [usize; 3] = [100, 104, 108];
/// Head of a match, watcher or target: name, revision, size.
const PART_HEAD: usize = 40;
/// `EBT_EXTENSION_MAXNAMELEN`.
const NAME_BYTES: usize = 31;
const HOOKS: usize = 6;
/// `EBT_NOPROTO`, `EBT_SOURCEMAC`, `EBT_DESTMAC`: what of an entry is looked at.
const NO_PROTOCOL: u32 = 2;
const SOURCE: u32 = 8;
const DESTINATION: u32 = 16;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Matches, watchers and target of an entry, in their order.
pub(super) fn walk(entry: &[u8]) -> Option<Vec<Part<'_>>> {
    let [_, target, next] = OFFSETS.map(|at| word(entry, at).map(|offset| offset as usize));
    let (target, next) = (target?, next?);
    (next == entry.len()).then_some(())?;
    let mut parts = Vec::new();
    let mut at = ENTRY;
    while at < target {
        let part = part(entry, at, target, false)?;
        at = part.at.end;
        parts.push(part);
    }
    (at == target).then_some(())?;
    parts.push(part(entry, at, next, true)?);
    Some(parts)
}

fn part(entry: &[u8], at: usize, limit: usize, is_target: bool) -> Option<Part<'_>> {
    let info = at.checked_add(PART_HEAD)?;
    let size = word(entry, info - 8)? as usize;
    let end = info.checked_add(size).filter(|end| *end <= limit && *end <= entry.len())?;
    let name = text(entry.get(at..at + NAME_BYTES)?);
    let revision = *entry.get(at + NAME_BYTES)?;
    Some(Part { name, revision, info: entry.get(info..end)?, is_target, at: at..end })
}

/// What the standard target says.
pub(super) fn standard(target: &Part<'_>) -> Option<Verdict> {
    if target.name != b"standard" {
        return None;
    }
    let number = i32::from_ne_bytes(target.info.get(..4)?.try_into().ok()?);
    Some(match number {
        -1 => Verdict::Accept,
        -2 => Verdict::Drop,
        -3 => Verdict::Continue,
        -4 => Verdict::Return,
        0.. => Verdict::To(number.unsigned_abs() as usize),
        other => Verdict::Other(other),
    })
}

/// Reads `struct ebt_replace`.
///
/// # Errors
/// [`Malformed`] when it is too short.
pub fn info(bytes: &[u8]) -> Result<TableInfo, Malformed> {
    let number = |at: usize| word(bytes, at).ok_or(Malformed::at(at, "description ends"));
    Ok(TableInfo {
        valid_hooks: number(32)?,
        num_entries: number(36)?,
        size: number(40)?,
        hook_entry: Vec::new(),
        underflow: Vec::new(),
    })
}

/// Finds chains and rules in a table's entries. The built-in chains come first, in the order of their hooks.
///
/// # Errors
/// [`Malformed`] for bytes that the kernel would not have as a table.
pub fn parse(info: &TableInfo, entries: &[u8]) -> Result<Table, Malformed> {
    let mut hooks = (0..HOOKS).filter(|hook| info.valid_hooks & (1 << hook) != 0);
    let mut chains: Vec<Chain> = Vec::new();
    let (mut at, mut rules, mut announced) = (0, 0_u32, 0);
    while at < entries.len() {
        let mask = word(entries, at).ok_or(Malformed::at(at, "an entry is cut"))?;
        if mask == 0 {
            if chains.last().is_some_and(|chain| chain.rules.len() != announced) {
                return Err(Malformed::at(at, "a chain has another number of rules"));
            }
            let (chain, count) = chain(entries, at, hooks.next())?;
            announced = count;
            at += CHAIN_HEAD;
            chains.push(chain);
            continue;
        }
        let next = word(entries, at + OFFSETS[2]).ok_or(Malformed::at(at, "an entry is cut"))? as usize;
        let span = at..at.checked_add(next).ok_or(Malformed::at(at, "an entry is too long"))?;
        let bytes = entries.get(span.clone()).ok_or(Malformed::at(at, "an entry is cut"))?;
        if next < ENTRY + PART_HEAD || !next.is_multiple_of(8) || walk(bytes).is_none() {
            return Err(Malformed::at(at, "an entry's parts do not fit"));
        }
        let chain = chains.last_mut().ok_or(Malformed::at(at, "an entry is in no chain"))?;
        chain.foot = span.end..span.end;
        at = span.end;
        chain.rules.push(span);
        rules += 1;
    }
    if chains.last().is_some_and(|chain| chain.rules.len() != announced) || hooks.next().is_some() {
        return Err(Malformed::at(at, "a chain is missing or not whole"));
    }
    if rules != info.num_entries || entries.len() != info.size as usize {
        return Err(Malformed::at(at, "the number of entries is another"));
    }
    Ok(Table { chains, tail: at..at })
}

/// The chain that begins at a byte, and how many rules it says it has.
fn chain(entries: &[u8], at: usize, hook: Option<usize>) -> Result<(Chain, usize), Malformed> {
    let head = entries.get(at..at + CHAIN_HEAD).ok_or(Malformed::at(at, "a chain is cut"))?;
    let name = std::str::from_utf8(text(&head[4..4 + CHAIN_NAME_BYTES]));
    let name = name.ok().filter(|name| !name.is_empty()).ok_or(Malformed::at(at, "a chain's name is none"))?;
    let ending = match word(head, 40).map(u32::cast_signed) {
        Some(-1) => LegacyPolicy::Accept,
        Some(-2) => LegacyPolicy::Drop,
        Some(-4) if hook.is_none() => LegacyPolicy::Return,
        _ => return Err(Malformed::at(at, "a policy is none")),
    };
    let rules = word(head, CHAIN_RULES_AT).unwrap_or_default() as usize;
    let end = at + CHAIN_HEAD;
    let chain = Chain {
        name: name.into(),
        hook,
        policy: hook.is_some().then_some(ending),
        ending: hook.is_none().then_some(ending),
        head: Some(at..end),
        rules: Vec::new(),
        foot: end..end,
    };
    Ok((chain, rules))
}

/// The content of a table that was parsed.
///
/// # Errors
/// [`Malformed`] for a jump that leads to no chain, and for two chains of one name.
pub(super) fn content(table: LegacyTable, parsed: &Table, entries: &[u8]) -> Result<LegacyContent, Malformed> {
    let users = parsed.chains.iter().filter(|chain| chain.hook.is_none());
    let starts: BTreeMap<usize, &ChainName> =
        users.filter_map(|chain| Some((chain.head.as_ref()?.start, &chain.name))).collect();
    let mut names = BTreeSet::new();
    let mut chains = Vec::with_capacity(parsed.chains.len());
    for Chain { name, policy, ending, rules, foot, .. } in &parsed.chains {
        if !names.insert(name) {
            return Err(Malformed::at(foot.start, "two chains have one name"));
        }
        let rules = rules.iter().map(|span| rule(&starts, entries, span)).collect::<Result<_, _>>()?;
        chains.push(ChainContent { name: name.clone(), policy: *policy, ending: *ending, rules });
    }
    Ok(LegacyContent { table, chains })
}

fn rule(starts: &BTreeMap<usize, &ChainName>, entries: &[u8], span: &Range<usize>) -> Result<LegacyRule, Malformed> {
    let bytes = entries.get(span.clone()).ok_or(Malformed::at(span.start, "a rule is cut"))?;
    let parts = walk(bytes).ok_or(Malformed::at(span.start, "a rule's parts do not fit"))?;
    let leads = match parts.last().and_then(verdict) {
        Some(Verdict::To(to)) => Some(*starts.get(&to).ok_or(Malformed::at(span.start, "a jump leads nowhere"))?),
        _ => None,
    };
    let entry = canonical(bytes, &parts, leads.is_some());
    let mut digest = DigestBuilder::new("legacy-bridge-rule");
    digest.field(&entry);
    if let Some(leads) = leads {
        digest.field(leads.as_str().as_bytes());
    }
    let content = digest.finish();
    Ok(LegacyRule { content, chain: leads.cloned(), comment: None, is_marked: false, counters: [0; 2], entry })
}

/// An entry with everything zero that is not content. `ebtables-legacy` hands in whatever its memory held behind names and
/// in what is not looked at.
fn canonical(entry: &[u8], parts: &[Part<'_>], is_jump: bool) -> Vec<u8> {
    let mut bytes = entry.to_vec();
    let mut clear = |from: usize, to: usize| {
        if let Some(range) = bytes.get_mut(from..to) {
            range.fill(0);
        }
    };
    let mask = word(entry, 0).unwrap_or_default();
    if mask & NO_PROTOCOL != 0 {
        clear(8, 10);
    }
    for name in [10, 26, 42, 58] {
        let used = entry.get(name..name + 16).map_or(0, |name| text(name).len());
        clear(name + used, name + 16);
    }
    for (bit, at) in [(SOURCE, 74), (DESTINATION, 86)] {
        if mask & bit == 0 {
            clear(at, at + 12);
        }
    }
    clear(98, 100);
    for part in parts {
        clear(part.at.start + part.name.len(), part.at.start + NAME_BYTES);
        let info = part.at.start + PART_HEAD;
        clear(info - 4, info);
        if let Some(kernels) = kernel_part::begins_at(part.is_target, part.name, part.revision) {
            clear((info + kernels).min(part.at.end), part.at.end);
        }
        if part.is_target && part.name == b"standard" {
            clear(if is_jump { info } else { info + 4 }, part.at.end);
        }
    }
    bytes
}

/// How many rules the table had that a call replaced: the kernel refuses another number of counters than that, but for 0.
pub fn replaced_rules(bytes: &[u8]) -> Option<usize> {
    word(bytes, NUM_COUNTERS_AT).filter(|rules| *rules > 0).map(|rules| rules as usize)
}

/// The content of what a program hands in: `struct ebt_replace`, with the entries behind it.
pub(super) fn replacement(bytes: &[u8]) -> Result<LegacyContent, Malformed> {
    let name = bytes.get(..32).ok_or(Malformed::at(0, "description ends"))?;
    let name = std::str::from_utf8(text(name)).map_err(|_| Malformed::at(0, "the table's name is no text"))?;
    let info = info(bytes)?;
    let entries = bytes.get(REPLACEMENT_BYTES..).unwrap_or_default();
    let entries = entries.get(..info.size as usize).ok_or(Malformed::at(entries.len(), "entries are missing"))?;
    let parsed = parse(&info, entries)?;
    let address = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
    for chain in &parsed.chains {
        let (Some(hook), Some(head)) = (chain.hook, &chain.head) else { continue };
        let start = address(HOOK_ENTRIES_AT + hook * 8).zip(address(ENTRIES_AT));
        let offset = start.map(|(chain, entries)| chain.wrapping_sub(entries));
        if offset != Some(head.start as u64) {
            return Err(Malformed::at(head.start, "a built-in chain is not where it should be"));
        }
    }
    content(LegacyTable { family: LegacyFamily::Bridge, name: name.into() }, &parsed, entries)
}
