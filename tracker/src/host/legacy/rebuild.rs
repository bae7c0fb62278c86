//! A table without some of its rules and chains. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use super::LegacyEdit;
use crate::capture::legacy::LegacyDump;
use crate::decode::legacy::{Chain, Layout, Malformed, Verdict, parts, verdict};
use crate::model::legacy::{ChainContent, LegacyContent, LegacyItem, LegacyPolicy, Nth};

/// Bytes of the head of a target, before what is its own.
const TARGET_HEAD: usize = 32;

/// What replaces the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rebuilt {
    /// `struct ipt_replace` or one of its likes, with the entries; the address of the counters is still 0.
    pub(super) replacement: Vec<u8>,
    /// Where in it that address stands.
    pub(super) counters_at: usize,
    /// For each entry, which one of the old table it is.
    pub(super) kept: Vec<usize>,
}

/// An entry that stays.
struct Kept {
    /// Which one of the old table.
    index: usize,
    old: Range<usize>,
    /// Where it will be.
    new: usize,
    /// The policy it is to say.
    policy: Option<LegacyPolicy>,
}

/// Rebuilds a table with the changes of `edit`.
pub(super) fn rebuild(dump: &LegacyDump, content: &LegacyContent, edit: &LegacyEdit) -> Result<Rebuilt, Malformed> {
    let layout = Layout::of(dump.table.family);
    let mut draft = Draft { kept: Vec::new(), index: 0, size: 0 };
    let mut starts: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut hooks, mut underflows) = (vec![0; layout.hook_count()], vec![0; layout.hook_count()]);
    for (chain, known) in dump.parsed.chains.iter().zip(&content.chains) {
        let is_gone = edit.removed.contains(&LegacyItem::Chain(chain.name.clone()));
        let foot = draft.chain(chain, known, edit, is_gone);
        let Some((start, foot)) = foot else { continue };
        starts.insert(chain.start(), start);
        if let Some(hook) = chain.hook {
            hooks[hook] = u32::try_from(start).unwrap_or(u32::MAX);
            underflows[hook] = u32::try_from(foot).unwrap_or(u32::MAX);
        }
    }
    draft.entry(&dump.parsed.tail, true, None);
    let mut entries = Vec::with_capacity(draft.size);
    for kept in &draft.kept {
        let bytes = dump.entries.get(kept.old.clone()).ok_or(malformed(kept.old.start, "an entry is cut"))?;
        entries.extend(moved(layout, bytes, kept, &starts)?);
    }
    let mut replacement = vec![0; layout.replacement_bytes()];
    let name = dump.table.name.as_str().as_bytes();
    replacement.get_mut(..name.len()).ok_or(malformed(0, "a table's name is too long"))?.copy_from_slice(name);
    let count = u32::try_from(draft.kept.len()).unwrap_or(u32::MAX);
    let size = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let numbers = [dump.info.valid_hooks, count, size].into_iter().chain(hooks).chain(underflows);
    for (place, number) in numbers.chain([dump.info.num_entries]).enumerate() {
        replacement[32 + place * 4..36 + place * 4].copy_from_slice(&number.to_ne_bytes());
    }
    replacement.extend(entries);
    let kept = draft.kept.iter().map(|kept| kept.index).collect();
    Ok(Rebuilt { replacement, counters_at: layout.replacement_counters(), kept })
}

struct Draft {
    kept: Vec<Kept>,
    index: usize,
    size: usize,
}

impl Draft {
    fn entry(&mut self, span: &Range<usize>, stays: bool, policy: Option<LegacyPolicy>) -> usize {
        let new = self.size;
        if stays {
            self.kept.push(Kept { index: self.index, old: span.clone(), new, policy });
            self.size += span.len();
        }
        self.index += 1;
        new
    }

    /// Adds a chain; gives where its first rule and its end will be, if it stays.
    fn chain(
        &mut self,
        chain: &Chain,
        known: &ChainContent,
        edit: &LegacyEdit,
        is_gone: bool,
    ) -> Option<(usize, usize)> {
        if let Some(head) = &chain.head {
            self.entry(head, !is_gone, None);
        }
        let start = self.size;
        let mut count = Nth::default();
        for (span, rule) in chain.rules.iter().zip(&known.rules) {
            let nth = count.next(rule.content);
            let item = LegacyItem::Rule { chain: chain.name.clone(), content: rule.content, nth };
            self.entry(span, !is_gone && !edit.removed.contains(&item), None);
        }
        let foot = self.entry(&chain.foot, !is_gone, edit.policies.get(&chain.name).copied());
        (!is_gone).then_some((start, foot))
    }
}

/// An entry as it will be, with its jump to where the chain will be.
fn moved(layout: Layout, bytes: &[u8], kept: &Kept, starts: &BTreeMap<usize, usize>) -> Result<Vec<u8>, Malformed> {
    let mut entry = bytes.to_vec();
    let parts = parts(layout, bytes);
    let Some(target) = parts.last() else { return Ok(entry) };
    let number = match (verdict(target), kept.policy) {
        // -NF_ACCEPT - 1 and -NF_DROP - 1
        (Some(_), Some(LegacyPolicy::Accept)) => -2,
        (Some(_), Some(LegacyPolicy::Drop)) => -1,
        (Some(Verdict::To(to)), None) => {
            let next = (kept.new + bytes.len(), kept.old.end);
            let new = if to == next.1 { Some(next.0) } else { starts.get(&to).copied() };
            let new = new.ok_or(malformed(kept.old.start, "a rule that stays jumps to a chain that goes"))?;
            i32::try_from(new).map_err(|_| malformed(kept.old.start, "a table is too large"))?
        }
        _ => return Ok(entry),
    };
    let at = entry.len() - target.info.len();
    debug_assert_eq!(target.info.len() % 8, 0);
    debug_assert!(at >= TARGET_HEAD);
    if let Some(place) = entry.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    Ok(entry)
}

fn malformed(at: usize, what: &'static str) -> Malformed {
    Malformed { at, what }
}
