//! The calls that replaced tables, until it is known what each of them changed.
//!
//! A call whose content was seen and which no other call overlapped left the table exactly so. Anything else needs a
//! look at the table. What such a look shows is only then understood when it is certain which calls had acted by then:
//! records that were queued meanwhile are waited for, and a look that a call overlapped is repeated.

use std::collections::BTreeMap;

use super::blame::Call;
use super::outline::Outline;
use super::pieces::Pieces;
use crate::model::ids::Tid;
use crate::model::legacy::{LegacyContent, LegacyTable};
use crate::model::time::BootTime;

/// Looks that a call overlapped, after which answers do not wait any longer.
const PATIENCE: u32 = 20;

/// A look at a table.
#[derive(Debug, Clone)]
pub struct Look {
    /// Calls that had returned by then had acted.
    pub began: BootTime,
    /// Calls that were entered later had not.
    pub ended: BootTime,
    /// What was there.
    pub content: LegacyContent,
}

/// A step from one known state of a table to the next.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The table.
    pub table: LegacyTable,
    /// What it was; `None` for a table that was not known.
    pub before: Option<Outline>,
    /// The calls in between.
    pub calls: Vec<Call>,
    /// What it is.
    pub after: LegacyContent,
    /// Whether that was read, and not handed in by the one call.
    pub is_read: bool,
}

#[derive(Debug, Default)]
struct TableLedger {
    known: Option<Outline>,
    /// When the table was last looked at: begin and end.
    looked: (BootTime, BootTime),
    /// Calls under way.
    open: Vec<(Tid, BootTime)>,
    /// Calls that returned.
    waiting: Vec<Call>,
    must_look: bool,
    look: Option<Look>,
    rounds: u32,
}

/// All tables.
#[derive(Debug, Default)]
pub struct Ledger {
    tables: BTreeMap<LegacyTable, TableLedger>,
    /// What tables are being replaced with.
    pub pieces: Pieces,
}

impl Ledger {
    /// Notes that a call was entered.
    pub fn opened(&mut self, table: LegacyTable, call: (Tid, BootTime)) {
        let open = &mut self.tables.entry(table).or_default().open;
        // a thread has one call under way
        open.retain(|(tid, _)| *tid != call.0);
        open.push(call);
    }

    /// Notes that a call returned; `call` is `None` when it failed.
    pub fn returned(&mut self, table: LegacyTable, tid: Tid, call: Option<Call>) {
        let it = self.tables.entry(table).or_default();
        it.open.retain(|(open, _)| *open != tid);
        it.waiting.extend(call);
    }

    /// The next step that is certain. Records of everything before `seen` were taken in.
    pub fn next(&mut self, seen: BootTime) -> Option<Settled> {
        self.tables.iter_mut().find_map(|(table, it)| it.next(table, seen))
    }

    /// The tables that must be looked at.
    pub fn wanted(&self) -> Vec<LegacyTable> {
        let wants = |it: &TableLedger| it.must_look && it.look.is_none() && it.open.is_empty();
        self.tables.iter().filter(|(_, it)| wants(it)).map(|(table, _)| table.clone()).collect()
    }

    /// Asks for a look at a table although nothing is known to have happened.
    pub fn doubt(&mut self, table: LegacyTable) {
        self.tables.entry(table).or_default().must_look = true;
    }

    /// Notes a look at a table. What is read carries the kernel's marks everywhere, which say nothing then.
    pub fn looked(&mut self, mut look: Look) {
        let rules = look.content.chains.iter_mut().flat_map(|chain| &mut chain.rules);
        rules.for_each(|rule| rule.is_marked = false);
        let table = look.content.table.clone();
        self.tables.entry(table).or_default().look = Some(look);
    }

    /// Whether calls wait for a look that did not take too many attempts yet.
    pub fn is_waiting(&self) -> bool {
        self.tables.values().any(|it| !it.waiting.is_empty() && it.rounds < PATIENCE)
    }

    /// Whether a look waits for the records of what came before it.
    pub fn is_looking(&self) -> bool {
        self.tables.values().any(|it| it.look.is_some() || (it.must_look && it.open.is_empty()))
    }

    /// Sets what a table is, after a step was recorded.
    pub fn know(&mut self, table: LegacyTable, outline: Outline) {
        self.tables.entry(table).or_default().known = Some(outline);
    }

    /// What a table is known to be, to be filled in from the journal.
    pub fn remembered(&mut self, table: &LegacyTable) -> &mut Outline {
        self.tables.entry(table.clone()).or_default().known.get_or_insert_default()
    }

    /// Forgets what tables were known to be.
    pub fn forget_known(&mut self) {
        self.tables.values_mut().for_each(|it| it.known = None);
    }

    /// What a table is known to be.
    pub fn known(&self, table: &LegacyTable) -> Option<&Outline> {
        self.tables.get(table)?.known.as_ref()
    }

    /// Starts over from a look at everything: what waits has acted by then or is looked for anew.
    pub fn start_over(&mut self, began: BootTime, ended: BootTime, contents: &[LegacyContent]) {
        for it in self.tables.values_mut() {
            it.look = None;
            it.looked = (began, ended);
            it.waiting.retain(|call| call.closed >= began);
            it.must_look = !it.waiting.is_empty();
        }
        for content in contents {
            let it = self.tables.entry(content.table.clone()).or_default();
            let mut outline = Outline::of(content);
            if let Some(before) = &it.known {
                outline.inherit(before);
            }
            it.known = Some(outline);
            it.looked = (began, ended);
        }
    }

    /// Forgets the calls: records of some are missing.
    pub fn forget_calls(&mut self) {
        for it in self.tables.values_mut() {
            it.open.clear();
            it.waiting.clear();
            it.look = None;
        }
    }
}

impl TableLedger {
    fn next(&mut self, table: &LegacyTable, seen: BootTime) -> Option<Settled> {
        if let Some(look) = self.look.as_ref().filter(|look| look.ended < seen) {
            let is_mixed = self.open.iter().any(|(_, opened)| *opened <= look.ended)
                || self.waiting.iter().any(|call| call.opened <= look.ended && call.closed >= look.began);
            let look = self.look.take()?;
            if is_mixed {
                self.must_look = true;
                self.rounds += 1;
                return None;
            }
            let (calls, later) = self.waiting.drain(..).partition(|call| call.closed < look.began);
            self.waiting = later;
            self.must_look = false;
            self.rounds = 0;
            self.looked = (look.began, look.ended);
            let (table, before) = (table.clone(), self.known.take());
            return Some(Settled { table, before, calls, after: look.content, is_read: true });
        }
        if self.look.is_some() || self.must_look || !self.open.is_empty() {
            return None;
        }
        // what had returned before the last look is in it
        let began = self.looked.0;
        self.waiting.retain(|call| call.closed >= began);
        let ended = self.looked.1;
        let is_alone = matches!(self.waiting.as_slice(), [call] if call.opened > ended && call.content.is_some());
        if !is_alone {
            self.must_look = !self.waiting.is_empty();
            return None;
        }
        let calls = std::mem::take(&mut self.waiting);
        let after = calls.first()?.content.clone()?;
        Some(Settled { table: table.clone(), before: self.known.take(), calls, after, is_read: false })
    }
}
