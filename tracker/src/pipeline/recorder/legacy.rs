//! Legacy tables: who changed which rule by replacing all of them.

use std::error::Error;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::attribution::verdict::Judge;
use crate::capture;
use crate::causes::causes;
use crate::decode;
use crate::decode::legacy::bridge;
use crate::model::change::{Change, ChangeKind};
use crate::model::gap::{GapReason, Source};
use crate::model::ids::{ChainName, Tid};
use crate::model::legacy::{
    LegacyChain, LegacyContent, LegacyFamily, LegacyItem, LegacyPolicy, LegacySnapshot, LegacySubject, LegacyTable,
};
use crate::model::object::Object;
use crate::model::operation::OperationKind;
use crate::model::owner::{Attribution, Certainty, Evidence, Owner};
use crate::model::subject::{Snapshot, Subject};
use crate::model::time::BootTime;

use super::super::command::Command;
use super::super::effects::Effect;
use super::super::legacy::blame::{Call, Suspect, blame};
use super::super::legacy::ledger::{Ledger, Look, Settled};
use super::super::legacy::outline::{Difference, Outline};
use super::Recorder;
use super::resync::Differences;

/// How often tables are looked at although nobody was seen replacing them: calls of 32-bit programs are not seen.
const DOUBT_EVERY: Duration = Duration::from_secs(30);

/// The tables, and when they were last doubted.
#[derive(Debug)]
pub(super) struct LegacyTables {
    pub(super) ledger: Ledger,
    /// What a comparison of everything read, until it is done: when it began and ended, and the tables.
    pub(super) read: Option<(BootTime, BootTime, Vec<LegacyContent>)>,
    doubted: Instant,
}

impl Default for LegacyTables {
    fn default() -> Self {
        Self { ledger: Ledger::default(), read: None, doubted: Instant::now() }
    }
}

/// A call as the record of its end tells of it.
pub(super) struct Replaced {
    pub(super) table: LegacyTable,
    pub(super) tid: Tid,
    pub(super) opened: BootTime,
    pub(super) closed: BootTime,
    /// Bytes of its content, when all of them were copied.
    pub(super) total: Option<u64>,
    /// The verdict on its actor; `None` when it failed.
    pub(super) attribution: Option<Attribution>,
}

impl Recorder {
    /// Takes the end of a call that replaced a table, or tried to.
    pub(super) fn table_replaced(&mut self, replaced: Replaced) {
        let Replaced { table, tid, opened, closed, total, attribution } = replaced;
        let bytes = total.and_then(|total| self.legacy.ledger.pieces.take((tid, opened), total));
        let call = attribution.map(|attribution| {
            let is_bridge = table.family == LegacyFamily::Bridge;
            let replaced = bytes.as_ref().filter(|_| is_bridge).and_then(|bytes| bridge::replaced_rules(bytes));
            let content = bytes.and_then(|bytes| self.replacement(&table, &bytes));
            Call { opened, closed, attribution, content, replaced }
        });
        self.legacy.ledger.returned(table, tid, call);
        self.settle_tables(BootTime(0));
    }

    fn replacement(&self, table: &LegacyTable, bytes: &[u8]) -> Option<LegacyContent> {
        let content = decode::legacy::replacement(table.family, bytes);
        let content = content.inspect_err(|error| self.board.undecoded("legacy table", &error.to_string())).ok();
        content.filter(|content| content.table == *table)
    }

    /// Records what is certain. Records of everything before `seen` were taken in.
    pub(super) fn settle_tables(&mut self, seen: BootTime) {
        while let Some(settled) = self.legacy.ledger.next(seen) {
            self.settled(settled);
        }
    }

    /// Looks at the tables that must be looked at, and asks for the records of what came before.
    pub(super) fn look_at_tables(&mut self) {
        for table in self.legacy.ledger.wanted() {
            let began = BootTime::now();
            let content =
                capture::legacy::dump_table(&table).and_then(|dump| dump.map(|dump| dump.content()).transpose());
            match content {
                Ok(Some(content)) => {
                    self.legacy.ledger.looked(Look { began, ended: BootTime::now(), content });
                }
                // nobody can remove one, but a namespace can have had none
                Ok(None) => self.legacy.ledger.forget_calls(),
                Err(error) => {
                    warn!(%table, error = &error as &dyn Error, "cannot read a legacy table, trying again");
                    self.board.undecoded("legacy table", &causes(&error));
                }
            }
        }
        if self.legacy.ledger.is_looking() {
            self.surroundings.commands.send(Command::Nudge);
        }
    }

    /// Every now and then, looks whether somebody changed a table unseen.
    pub(super) fn doubt_tables(&mut self) {
        if self.legacy.doubted.elapsed() < DOUBT_EVERY {
            return;
        }
        self.legacy.doubted = Instant::now();
        match capture::legacy::tables() {
            Ok(tables) => tables.into_iter().for_each(|table| self.legacy.ledger.doubt(table)),
            Err(error) => self.board.undecoded("legacy tables", &causes(&error)),
        }
    }

    fn settled(&mut self, settled: Settled) {
        let Settled { table, before, calls, after, is_read } = settled;
        let before = before.unwrap_or_else(|| self.table_made(&table, &Outline::initial(&after)));
        let mut outline = Outline::of(&after);
        outline.inherit(&before);
        let remover = match calls.as_slice() {
            [call] => self.remover(&call.attribution),
            _ => None,
        };
        let mut is_removers = |item: &LegacyItem| self.is_owned(&table, item, remover.as_ref());
        let differences = before.differences(&after, &mut is_removers);
        let suspects = if is_read { Suspect::all(&calls) } else { Vec::new() };
        let mut found = Differences::default();
        let known = before.chains.values().map(|chain| chain.rules.len()).sum::<usize>();
        for difference in differences {
            let attribution = match calls.as_slice() {
                // who hands in a rule that the kernel had marked did not make it
                [call] if is_marked(&difference) || (!is_read && call.replaced.is_some_and(|rules| rules != known)) => {
                    found.count(&difference);
                    unseen(&table, &difference)
                }
                [] => {
                    found.count(&difference);
                    unseen(&table, &difference)
                }
                [call] if !is_read => call.attribution.clone(),
                [call] if call.content.is_none() => {
                    correlated(blame(&suspects, &difference, || unseen(&table, &difference)))
                }
                _ => blame(&suspects, &difference, || unseen(&table, &difference)),
            };
            let effect = self.effect_of(&table, difference, &attribution, calls.is_empty(), (&before, &mut outline));
            if let Some(effect) = effect {
                self.apply(effect, &attribution, None);
            }
        }
        self.legacy.ledger.know(table, outline);
        if found != Differences::default() {
            let reason = GapReason::Unseen { source: Source::Legacy };
            self.append_gap(found.gap(self.recorded_until, reason));
        }
    }

    /// Whose rules a call removes: its own owner's, or those of the owner that is being rolled back.
    fn remover(&mut self, by: &Attribution) -> Option<Owner> {
        if self.own_operation(by.actor()).is_some() {
            return match &self.operation.as_ref()?.kind {
                OperationKind::Reset { owner } => Some(owner.clone()),
                OperationKind::Undo { .. } => None,
            };
        }
        by.certainty().is_proven().then(|| by.owner().clone())
    }

    fn is_owned(&self, table: &LegacyTable, item: &LegacyItem, by: Option<&Owner>) -> bool {
        let known = self.world.get(&subject_of(table, item.clone()));
        let (Some(by), Some(id)) = (by, known.map(|known| known.id)) else { return false };
        let is_made =
            |change: &&Change| change.object == id && matches!(change.kind, ChangeKind::Created | ChangeKind::Found);
        match self.changes.iter().find(is_made) {
            Some(change) => change.deed.attribution.owner().is_within(by),
            None => self.journal.object(id).ok().flatten().is_some_and(|object| object.owner().is_within(by)),
        }
    }

    /// Notes a table that the kernel made, as it does for the first program that asks for it.
    fn table_made(&mut self, table: &LegacyTable, initial: &Outline) -> Outline {
        let attribution = Judge::kernel_made("legacy table, made when first asked for");
        let chains = initial.chains.iter();
        let chains =
            chains.map(|(name, known)| (LegacyItem::Chain(name.clone()), LegacySnapshot::Chain(known.chain.clone())));
        for (item, snapshot) in std::iter::once((LegacyItem::Table, LegacySnapshot::Table)).chain(chains) {
            let subject = subject_of(table, item);
            if self.world.get(&subject).is_none() {
                self.apply(Effect::created(subject, Snapshot::Legacy(snapshot)), &attribution, None);
            }
        }
        initial.clone()
    }

    fn effect_of(
        &mut self,
        table: &LegacyTable,
        difference: Difference,
        attribution: &Attribution,
        is_found: bool,
        (before, outline): (&Outline, &mut Outline),
    ) -> Option<Effect> {
        let is_own = self.own_operation(attribution.actor()).is_some();
        let known = |item: &LegacyItem| self.world.get(&subject_of(table, item.clone())).map(|known| known.id);
        Some(match difference {
            Difference::Removed(item) => Effect::removed(known(&item)?, subject_of(table, item)),
            Difference::Moved { from, to, rule } => {
                let after = Snapshot::Legacy(LegacySnapshot::Rule(rule));
                Effect::rewritten(known(&from)?, subject_of(table, from), subject_of(table, to), after)
            }
            Difference::Policy(chain, policy) => {
                let subject = subject_of(table, LegacyItem::Chain(chain.clone()));
                let plain = LegacyChain { policy: Some(policy), policies: Vec::new(), ending: None };
                // one that an undo puts back is whose it was
                let first = self.restores.owner(&subject, &Snapshot::Legacy(LegacySnapshot::Chain(plain)));
                let by = first.filter(|_| is_own).or(attribution.certainty().is_proven().then(|| attribution.owner()));
                let changed = next_policy(before, &chain, policy, by.cloned());
                outline.chains.get_mut(&chain)?.chain = changed.clone();
                let id = known(&LegacyItem::Chain(chain))?;
                Effect::changed(id, subject, Snapshot::Legacy(LegacySnapshot::Chain(changed)))
            }
            Difference::Ending(chain, changed) => {
                let item = LegacyItem::Chain(chain);
                let after = Snapshot::Legacy(LegacySnapshot::Chain(changed));
                Effect::changed(known(&item)?, subject_of(table, item), after)
            }
            Difference::Added(item, snapshot) => {
                let effect = Effect::created(subject_of(table, item), Snapshot::Legacy(snapshot));
                if is_found { Effect { kind: ChangeKind::Found, ..effect } } else { effect }
            }
        })
    }

    /// A chain that was read, with the policies it is known to have had.
    pub(super) fn with_policies(&self, subject: &Subject, snapshot: Snapshot) -> Snapshot {
        let (
            Subject::Legacy(LegacySubject { table, item: LegacyItem::Chain(name) }),
            Snapshot::Legacy(LegacySnapshot::Chain(LegacyChain { policy: Some(policy), .. })),
        ) = (subject, &snapshot)
        else {
            return snapshot;
        };
        match self.legacy.ledger.known(table).and_then(|known| known.chains.get(name)) {
            Some(known) if known.chain.policy != Some(*policy) => {
                Snapshot::Legacy(LegacySnapshot::Chain(known.chain.with_policy(*policy, None)))
            }
            _ => snapshot,
        }
    }

    /// Notes an object of the journal.
    pub(super) fn remember_legacy(ledger: &mut Ledger, object: &Object) {
        if let (Subject::Legacy(LegacySubject { table, item }), Snapshot::Legacy(snapshot)) =
            (&object.subject, &object.snapshot)
        {
            ledger.remembered(table).remember(item, snapshot);
        }
    }
}

fn subject_of(table: &LegacyTable, item: LegacyItem) -> Subject {
    Subject::Legacy(LegacySubject { table: table.clone(), item })
}

/// The chain after its policy changed: whose change it was counts only where that is proven.
fn next_policy(before: &Outline, chain: &ChainName, policy: LegacyPolicy, by: Option<Owner>) -> LegacyChain {
    match before.chains.get(chain) {
        Some(known) => known.chain.with_policy(policy, by),
        None => LegacyChain { policy: Some(policy), policies: Vec::new(), ending: None },
    }
}

/// The verdict on what changed around the only call there was, when the table was read and not seen handed in.
fn correlated(by: Attribution) -> Attribution {
    match by.evidence().first().filter(|_| by.certainty() == Certainty::Exact) {
        Some(evidence) => Attribution::new(by.owner().clone(), Certainty::Correlated, by.actor(), evidence.clone()),
        None => by,
    }
}

fn is_marked(difference: &Difference) -> bool {
    matches!(difference, Difference::Added(_, LegacySnapshot::Rule(rule)) if rule.is_marked)
}

/// The verdict on a difference that no call can have made.
fn unseen(table: &LegacyTable, difference: &Difference) -> Attribution {
    match difference {
        Difference::Added(item, snapshot) => {
            let snapshot = Snapshot::Legacy(snapshot.clone());
            Judge::unseen(&subject_of(table, item.clone()), &snapshot, Evidence::NoRequest)
        }
        _ => Attribution::unknown(Evidence::NoRequest),
    }
}

/// The table a record is about; `None` for a family that is not known.
pub(super) fn table_of(family: &str, name: &str) -> Option<LegacyTable> {
    Some(LegacyTable { family: LegacyFamily::from_word(family)?, name: name.into() })
}
