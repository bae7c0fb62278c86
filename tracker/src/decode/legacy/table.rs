//! From entries to chains and rules.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Malformed;
use super::bridge;
use super::entry::{self, Verdict, canonical, error_name, parts, verdict};
use super::layout::{Layout, TableInfo};
use crate::model::digest::DigestBuilder;
use crate::model::ids::ChainName;
use crate::model::legacy::{ChainContent, LegacyContent, LegacyFamily, LegacyPolicy, LegacyRule, LegacyTable};

/// A chain by where its entries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// Hook of a built-in chain.
    pub hook: Option<usize>,
    /// Policy of a built-in chain.
    pub policy: Option<LegacyPolicy>,
    /// See [`crate::model::legacy::LegacyChain::ending`].
    pub ending: Option<LegacyPolicy>,
    /// The entry that carries the name, for a chain made by a user.
    pub head: Option<Range<usize>>,
    /// The rules.
    pub rules: Vec<Range<usize>>,
    /// The entry at its end: the policy, or the return to the caller.
    pub foot: Range<usize>,
}

impl Chain {
    /// Where the chain's first rule, or its end, is: what jumps to it name.
    pub fn start(&self) -> usize {
        self.rules.first().map_or(self.foot.start, |rule| rule.start)
    }
}

/// A table by where its entries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its chains in their order.
    pub chains: Vec<Chain>,
    /// The entry that ends it.
    pub tail: Range<usize>,
}

/// Finds chains and rules in a table's entries.
///
/// # Errors
/// [`Malformed`] for bytes that the kernel would not have as a table.
pub fn parse(layout: Layout, info: &TableInfo, entries: &[u8]) -> Result<Table, Malformed> {
    let mut parser = Parser { layout, info, entries, chains: Vec::new(), open: None };
    let mut at = 0;
    let mut count = 0_u32;
    let mut tail = None;
    while at < entries.len() {
        if tail.is_some() {
            return Err(Malformed::at(at, "something follows the end"));
        }
        let span = at..at + entry::entry(layout, entries, at)?.len();
        at = span.end;
        count += 1;
        if parser.take(span.clone())? {
            tail = Some(span);
        }
    }
    let tail = tail.ok_or(Malformed::at(at, "the end is missing"))?;
    if count != info.num_entries || entries.len() != info.size as usize {
        return Err(Malformed::at(at, "the number of entries is another"));
    }
    let valid = (0..layout.hooks.len()).filter(|hook| info.valid_hooks & (1 << hook) != 0).count();
    if parser.chains.iter().filter(|chain| chain.hook.is_some()).count() != valid {
        return Err(Malformed::at(at, "a built-in chain is missing"));
    }
    Ok(Table { chains: parser.chains, tail })
}

struct Parser<'a> {
    layout: Layout,
    info: &'a TableInfo,
    entries: &'a [u8],
    chains: Vec<Chain>,
    /// The chain whose end has not come yet.
    open: Option<Open>,
}

struct Open {
    name: ChainName,
    hook: Option<usize>,
    head: Option<Range<usize>>,
    entries: Vec<Range<usize>>,
}

impl Parser<'_> {
    /// Takes the next entry; tells whether it is the table's end.
    fn take(&mut self, span: Range<usize>) -> Result<bool, Malformed> {
        let parts = parts(self.layout, &self.entries[span.clone()]);
        let target = parts.last().ok_or(Malformed::at(span.start, "an entry has no target"))?;
        if let Some(name) = error_name(target) {
            self.close()?;
            if span.end == self.entries.len() {
                return Ok(true);
            }
            let name = std::str::from_utf8(name).map_err(|_| Malformed::at(span.start, "a chain's name is no text"))?;
            self.begin(span.start, name, None, Some(span.clone()))?;
            return Ok(false);
        }
        if let Some(hook) = self.info.hook_at(span.start) {
            self.close()?;
            let name = *self.layout.hooks.get(hook).ok_or(Malformed::at(span.start, "an unknown hook"))?;
            self.begin(span.start, name, Some(hook), None)?;
        }
        let open = self.open.as_mut().ok_or(Malformed::at(span.start, "an entry is in no chain"))?;
        open.entries.push(span.clone());
        let is_underflow = |hook: usize| self.info.underflow.get(hook).is_some_and(|at| *at as usize == span.start);
        if open.hook.is_some_and(is_underflow) {
            self.close()?;
        }
        Ok(false)
    }

    fn begin(
        &mut self,
        at: usize,
        name: &str,
        hook: Option<usize>,
        head: Option<Range<usize>>,
    ) -> Result<(), Malformed> {
        if name.is_empty() {
            return Err(Malformed::at(at, "a chain has no name"));
        }
        self.open = Some(Open { name: name.into(), hook, head, entries: Vec::new() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Malformed> {
        let Some(Open { name, hook, head, entries: mut rules }) = self.open.take() else { return Ok(()) };
        let at = head.as_ref().map_or(0, |head| head.start);
        let foot = rules.pop().ok_or(Malformed::at(at, "a chain has no end"))?;
        let parts = parts(self.layout, &self.entries[foot.clone()]);
        let policy = match (hook, parts.as_slice()) {
            (Some(hook), [target]) if self.info.underflow.get(hook).is_some_and(|at| *at as usize == foot.start) => {
                match verdict(target) {
                    Some(Verdict::Accept) => Some(LegacyPolicy::Accept),
                    Some(Verdict::Drop) => Some(LegacyPolicy::Drop),
                    _ => return Err(Malformed::at(foot.start, "a policy is none")),
                }
            }
            (None, [target]) if verdict(target) == Some(Verdict::Return) => None,
            _ => return Err(Malformed::at(foot.start, "a chain's end is none")),
        };
        self.chains.push(Chain { name, hook, policy, ending: None, head, rules, foot });
        Ok(())
    }
}

/// The content of a table that was parsed.
///
/// # Errors
/// [`Malformed`] for a jump that leads to no chain, and for two chains of one name.
pub fn content(table: LegacyTable, parsed: &Table, entries: &[u8]) -> Result<LegacyContent, Malformed> {
    if table.family == LegacyFamily::Bridge {
        return bridge::content(table, parsed, entries);
    }
    let layout = Layout::of(table.family);
    let starts: BTreeMap<usize, &ChainName> =
        parsed.chains.iter().filter(|chain| chain.hook.is_none()).map(|chain| (chain.start(), &chain.name)).collect();
    let mut names = std::collections::BTreeSet::new();
    let mut chains = Vec::with_capacity(parsed.chains.len());
    for Chain { name, policy, rules, foot, .. } in &parsed.chains {
        if !names.insert(name) {
            return Err(Malformed::at(foot.start, "two chains have one name"));
        }
        let rules = rules.iter().map(|span| rule(layout, &starts, entries, span)).collect::<Result<_, _>>()?;
        chains.push(ChainContent { name: name.clone(), policy: *policy, ending: None, rules });
    }
    Ok(LegacyContent { table, chains })
}

fn rule(
    layout: Layout,
    starts: &BTreeMap<usize, &ChainName>,
    entries: &[u8],
    span: &Range<usize>,
) -> Result<LegacyRule, Malformed> {
    let bytes = entries.get(span.clone()).ok_or(Malformed::at(span.start, "a rule is cut"))?;
    let parts = parts(layout, bytes);
    let leads = match parts.last().and_then(verdict) {
        // to the next entry: the rule has no target
        Some(Verdict::To(to)) if to == span.end => Some(None),
        Some(Verdict::To(to)) => Some(Some(*starts.get(&to).ok_or(Malformed::at(span.start, "a jump leads nowhere"))?)),
        _ => None,
    };
    let entry = canonical(layout, bytes, &parts, leads.is_some());
    let mut digest = DigestBuilder::new("legacy-rule");
    digest.field(&entry);
    if let Some(leads) = leads {
        digest.field(leads.map_or("", ChainName::as_str).as_bytes());
    }
    let comment = entry::comment(&parts);
    let (is_marked, counters) = (entry::is_marked(layout, bytes), entry::counters(layout, bytes));
    Ok(LegacyRule { content: digest.finish(), chain: leads.flatten().cloned(), comment, is_marked, counters, entry })
}

/// The content of what a program hands in to replace a table (`struct ipt_replace` and its likes).
///
/// # Errors
/// [`Malformed`] for what the kernel would refuse.
pub fn replacement(family: LegacyFamily, bytes: &[u8]) -> Result<LegacyContent, Malformed> {
    if family == LegacyFamily::Bridge {
        return bridge::replacement(bytes);
    }
    let layout = Layout::of(family);
    let name = bytes.get(..32).ok_or(Malformed::at(0, "description ends"))?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| Malformed::at(0, "the table's name is no text"))?;
    let info = TableInfo::read_replacement(layout, bytes)?;
    let entries = bytes.get(layout.replacement_bytes()..).unwrap_or_default();
    let entries = entries.get(..info.size as usize).ok_or(Malformed::at(entries.len(), "entries are missing"))?;
    let parsed = parse(layout, &info, entries)?;
    content(LegacyTable { family, name: name.into() }, &parsed, entries)
}
