//! A table without some of its rules and chains, and with others. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{LegacyEdit, NewChain, NewRule};
use crate::capture::legacy::LegacyDump;
use crate::decode::legacy::{Chain, Layout, Malformed, Verdict, parts, verdict};
use crate::model::ids::ChainName;
use crate::model::legacy::{ChainContent, LegacyContent, LegacyItem, LegacyPolicy, Nth};

/// Bytes of the head of a target, before what is its own.
const TARGET_HEAD: usize = 32;
/// `struct xt_error_target`, aligned: the entry that names a chain.
const ERROR_TARGET: usize = 64;
/// Bytes of a chain's name in it, the ending NUL included.
const ERROR_NAME: usize = 30;
/// `struct xt_standard_target`, aligned: the entry at a chain's end.
const STANDARD_TARGET: usize = 40;
/// `XT_RETURN`.
const RETURN: i32 = -5;

/// What replaces the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rebuilt {
    /// `struct ipt_replace` or one of its likes, with the entries; the address of the counters is still 0.
    pub(super) replacement: Vec<u8>,
    /// Where in it that address stands.
    pub(super) counters_at: usize,
    /// What each entry counted so far.
    pub(super) counted: Vec<Counted>,
}

/// Where an entry's counters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// From this entry of the old table.
    Kept(usize),
    /// From before it was removed: `struct xt_counters`.
    Before([u8; 16]),
}

/// What an entry is made of.
enum Source<'a> {
    /// One of the old table.
    Old {
        /// Which one.
        index: usize,
        span: Range<usize>,
        /// The policy it is to say.
        policy: Option<LegacyPolicy>,
    },
    /// A rule that comes.
    Rule(&'a NewRule),
    /// The start of a chain that comes.
    Head(&'a ChainName),
    /// The end of a chain that comes.
    Return,
}

struct Entry<'a> {
    source: Source<'a>,
    /// Where it will be.
    new: usize,
    bytes: usize,
}

/// A chain of the new table.
enum Placed<'a> {
    Old(&'a Chain, &'a ChainContent),
    New(&'a NewChain),
}

/// Rebuilds a table with the changes of `edit`.
pub(super) fn rebuild(dump: &LegacyDump, content: &LegacyContent, edit: &LegacyEdit) -> Result<Rebuilt, Malformed> {
    let layout = Layout::of(dump.table.family);
    let mut draft = Draft { layout, edit, coming: coming(edit), entries: Vec::new(), index: 0, size: 0 };
    let mut targets = Targets::default();
    let (mut hooks, mut underflows) = (vec![0; layout.hook_count()], vec![0; layout.hook_count()]);
    for placed in placed(dump, content, edit) {
        let (chain, known) = match placed {
            Placed::Old(chain, known) => (chain, known),
            Placed::New(chain) => {
                targets.names.insert(&chain.name, draft.new_chain(chain));
                continue;
            }
        };
        let Some((start, foot)) = draft.chain(chain, known) else { continue };
        targets.starts.insert(chain.start(), start);
        targets.names.insert(&chain.name, start);
        if let Some(hook) = chain.hook {
            hooks[hook] = u32::try_from(start).unwrap_or(u32::MAX);
            underflows[hook] = u32::try_from(foot).unwrap_or(u32::MAX);
        }
    }
    draft.old(&dump.parsed.tail, true, None);
    let mut entries = Vec::with_capacity(draft.size);
    for entry in &draft.entries {
        entries.extend(written(layout, &dump.entries, entry, &targets)?);
    }
    let mut replacement = vec![0; layout.replacement_bytes()];
    let name = dump.table.name.as_str().as_bytes();
    replacement.get_mut(..name.len()).ok_or(malformed(0, "a table's name is too long"))?.copy_from_slice(name);
    let count = u32::try_from(draft.entries.len()).unwrap_or(u32::MAX);
    let size = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let numbers = [dump.info.valid_hooks, count, size].into_iter().chain(hooks).chain(underflows);
    for (place, number) in numbers.chain([dump.info.num_entries]).enumerate() {
        replacement[32 + place * 4..36 + place * 4].copy_from_slice(&number.to_ne_bytes());
    }
    replacement.extend(entries);
    let counted = draft.entries.iter().map(counted).collect();
    Ok(Rebuilt { replacement, counters_at: layout.replacement_counters(), counted })
}

/// The chains of the new table in their order, with those that go.
fn placed<'a>(dump: &'a LegacyDump, content: &'a LegacyContent, edit: &'a LegacyEdit) -> Vec<Placed<'a>> {
    let old = dump.parsed.chains.iter().zip(&content.chains);
    let mut placed: Vec<Placed<'a>> = old.map(|(chain, known)| Placed::Old(chain, known)).collect();
    let built_in = dump.parsed.chains.iter().rposition(|chain| chain.hook.is_some()).map_or(0, |last| last + 1);
    for chain in &edit.chains {
        let is_before = |it: &Placed<'_>| {
            let name = match it {
                Placed::Old(chain, _) => &chain.name,
                Placed::New(chain) => &chain.name,
            };
            Some(name) == chain.after.as_ref()
        };
        let at = placed.iter().position(is_before).map_or(built_in, |before| before + 1);
        placed.insert(at.max(built_in), Placed::New(chain));
    }
    placed
}

/// Where chains will start.
#[derive(Default)]
struct Targets<'a> {
    /// By where they started.
    starts: BTreeMap<usize, usize>,
    names: BTreeMap<&'a ChainName, usize>,
}

/// The rules that come to one chain, by their place.
type Coming<'a> = BTreeMap<usize, Vec<&'a NewRule>>;

fn coming(edit: &LegacyEdit) -> BTreeMap<&ChainName, Coming<'_>> {
    let mut coming: BTreeMap<&ChainName, Coming<'_>> = BTreeMap::new();
    for rule in &edit.rules {
        coming.entry(&rule.chain).or_default().entry(rule.at).or_default().push(rule);
    }
    coming
}

struct Draft<'a> {
    layout: Layout,
    edit: &'a LegacyEdit,
    coming: BTreeMap<&'a ChainName, Coming<'a>>,
    entries: Vec<Entry<'a>>,
    index: usize,
    size: usize,
}

impl<'a> Draft<'a> {
    fn push(&mut self, source: Source<'a>, bytes: usize) -> usize {
        let new = self.size;
        self.entries.push(Entry { source, new, bytes });
        self.size += bytes;
        new
    }

    fn old(&mut self, span: &Range<usize>, stays: bool, policy: Option<LegacyPolicy>) -> usize {
        let index = self.index;
        self.index += 1;
        if !stays {
            return self.size;
        }
        self.push(Source::Old { index, span: span.clone(), policy }, span.len())
    }

    /// Adds the rules that come to this place of a chain.
    fn add(&mut self, coming: &Coming<'a>, at: usize) {
        for rule in coming.get(&at).into_iter().flatten() {
            self.push(Source::Rule(rule), rule.rule.entry.len());
        }
    }

    /// Adds a chain; gives where its first rule and its end will be, if it stays.
    fn chain(&mut self, chain: &Chain, known: &ChainContent) -> Option<(usize, usize)> {
        let is_gone = self.edit.removed.contains(&LegacyItem::Chain(chain.name.clone()));
        let coming = self.coming.remove(&chain.name).filter(|_| !is_gone).unwrap_or_default();
        if let Some(head) = &chain.head {
            self.old(head, !is_gone, None);
        }
        let start = self.size;
        let mut count = Nth::default();
        for (at, (span, rule)) in chain.rules.iter().zip(&known.rules).enumerate() {
            self.add(&coming, at);
            let nth = count.next(rule.content);
            let item = LegacyItem::Rule { chain: chain.name.clone(), content: rule.content, nth };
            self.old(span, !is_gone && !self.edit.removed.contains(&item), None);
        }
        self.add(&coming, chain.rules.len());
        let foot = self.old(&chain.foot, !is_gone, self.edit.policies.get(&chain.name).copied());
        (!is_gone).then_some((start, foot))
    }

    /// Adds a chain that comes; gives where its first rule, or its end, will be.
    fn new_chain(&mut self, chain: &'a NewChain) -> usize {
        self.push(Source::Head(&chain.name), self.layout.entry_bytes() + ERROR_TARGET);
        let start = self.size;
        let coming = self.coming.remove(&chain.name).unwrap_or_default();
        self.add(&coming, 0);
        self.push(Source::Return, self.layout.entry_bytes() + STANDARD_TARGET);
        start
    }
}

fn counted(entry: &Entry<'_>) -> Counted {
    match &entry.source {
        Source::Old { index, .. } => Counted::Kept(*index),
        Source::Rule(NewRule { rule, .. }) => {
            let mut bytes = [0; 16];
            let counters = rule.counters.iter().flat_map(|counter| counter.to_ne_bytes());
            bytes.iter_mut().zip(counters).for_each(|(byte, of)| *byte = of);
            Counted::Before(bytes)
        }
        Source::Head(_) | Source::Return => Counted::Before([0; 16]),
    }
}

/// An entry as it will be, with its jump to where the chain will be.
fn written(layout: Layout, old: &[u8], entry: &Entry<'_>, targets: &Targets<'_>) -> Result<Vec<u8>, Malformed> {
    match &entry.source {
        Source::Old { span, policy, .. } => {
            let bytes = old.get(span.clone()).ok_or(malformed(span.start, "an entry is cut"))?;
            moved(layout, bytes, (entry, span.end, *policy), &targets.starts)
        }
        Source::Rule(rule) => added(layout, rule, entry, targets),
        Source::Head(name) => {
            let mut bytes = with_target(layout, ERROR_TARGET, b"ERROR");
            let at = layout.entry_bytes() + TARGET_HEAD;
            let name = name.as_str().as_bytes();
            let room = bytes.get_mut(at..at + name.len()).filter(|_| name.len() < ERROR_NAME);
            room.ok_or(malformed(entry.new, "a chain's name is too long"))?.copy_from_slice(name);
            Ok(bytes)
        }
        Source::Return => {
            let mut bytes = with_target(layout, STANDARD_TARGET, b"");
            put(&mut bytes, layout.entry_bytes() + TARGET_HEAD, RETURN);
            Ok(bytes)
        }
    }
}

/// An entry that matches everything, with a target of so many bytes.
fn with_target(layout: Layout, target: usize, name: &[u8]) -> Vec<u8> {
    let start = layout.entry_bytes();
    let mut bytes = vec![0; start + target];
    let offsets =
        [(layout.target_offset_at(), start), (layout.target_offset_at() + 2, start + target), (start, target)];
    for (at, number) in offsets {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        bytes[at..at + 2].copy_from_slice(&number.to_ne_bytes());
    }
    bytes[start + 2..start + 2 + name.len()].copy_from_slice(name);
    bytes
}

fn moved(
    layout: Layout,
    bytes: &[u8],
    (entry, end, policy): (&Entry<'_>, usize, Option<LegacyPolicy>),
    starts: &BTreeMap<usize, usize>,
) -> Result<Vec<u8>, Malformed> {
    let parts = parts(layout, bytes);
    let number = match (parts.last().and_then(verdict), policy) {
        // -NF_ACCEPT - 1 and -NF_DROP - 1
        (Some(_), Some(LegacyPolicy::Accept)) => -2,
        (Some(_), Some(LegacyPolicy::Drop)) => -1,
        (Some(Verdict::To(to)), None) => {
            let new = if to == end { Some(entry.new + entry.bytes) } else { starts.get(&to).copied() };
            offset(new.ok_or(malformed(entry.new, "a rule that stays jumps to a chain that goes"))?)?
        }
        _ => return Ok(bytes.to_vec()),
    };
    Ok(with_number(bytes, parts.last().map_or(0, |target| target.info.len()), number))
}

fn added(layout: Layout, new: &NewRule, entry: &Entry<'_>, targets: &Targets<'_>) -> Result<Vec<u8>, Malformed> {
    let NewRule { rule, .. } = new;
    let parts = parts(layout, &rule.entry);
    let target = parts.last().ok_or(malformed(entry.new, "a rule that comes back is none"))?;
    let number = match (&rule.chain, verdict(target)) {
        (Some(chain), _) => {
            let start = targets.names.get(chain).copied();
            offset(start.ok_or(malformed(entry.new, "a rule that comes back jumps to a chain that is not there"))?)?
        }
        // it has no target: on to the next entry
        (None, Some(Verdict::To(_))) => offset(entry.new + entry.bytes)?,
        (None, _) => return Ok(rule.entry.clone()),
    };
    Ok(with_number(&rule.entry, target.info.len(), number))
}

fn offset(at: usize) -> Result<i32, Malformed> {
    i32::try_from(at).map_err(|_| malformed(at, "a table is too large"))
}

/// An entry whose standard target, `info` bytes without its head, says `number`.
fn with_number(bytes: &[u8], info: usize, number: i32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len().saturating_sub(info);
    put(&mut bytes, at, number);
    bytes
}

fn put(bytes: &mut [u8], at: usize, number: i32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
}

fn malformed(at: usize, what: &'static str) -> Malformed {
    Malformed { at, what }
}
