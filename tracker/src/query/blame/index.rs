//! What the journal knows of the live ruleset's objects, and who made them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::control::api::{BlameDeed, BlameLine};
use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::digest::Digest;
use crate::model::ids::{ActorId, Handle, ObjectId};
use crate::model::ipset::IpSetSnapshot;
use crate::model::legacy::LegacyItem;
use crate::model::live::Ruleset;
use crate::model::nft::NftItem;
use crate::model::object::{Deed, Object};
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::{Class, Snapshot, Subject};

use super::super::actor::Actors;

/// The classes of the objects in a ruleset, and of what its rules name by a number.
const CLASSES: [Class; 8] = [
    Class::Table,
    Class::Chain,
    Class::Rule,
    Class::Set,
    Class::Element,
    Class::Object,
    Class::Flowtable,
    Class::IpSet,
];

/// Tells a thing from another one under its name: its handle, or what is in it where that is not told apart by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Handle(Handle),
    Content(Digest),
}

impl Mark {
    fn of(snapshot: &Snapshot) -> Self {
        match snapshot {
            Snapshot::Nft(nft) => nft.handle().map_or_else(|| Self::Content(nft.digest()), Self::Handle),
            other => Self::Content(other.digest()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    mark: Mark,
    object: ObjectId,
    deed: u32,
    changed: Option<u32>,
}

/// Deeds of one second by one actor are one deed.
type DeedKey = (Owner, Certainty, Option<ActorId>, i64);

/// The objects by subject.
pub(super) struct Index {
    known: HashMap<Subject, Known>,
    deeds: Vec<BlameDeed>,
    /// IP sets by the number rules have them by.
    ip_sets: HashMap<u16, String>,
}

impl Index {
    /// Reads what the journal has of a ruleset that was read before.
    pub(super) fn read(journal: &dyn Read, ruleset: &Ruleset) -> Result<Self, JournalError> {
        let scope = journal.scope()?;
        let filter = ObjectFilter { classes: CLASSES.to_vec(), include_removed: true, scope, ..Default::default() };
        let mut index =
            Self { known: HashMap::with_capacity(ruleset.objects.len()), deeds: Vec::new(), ip_sets: HashMap::new() };
        let mut numbers: HashMap<DeedKey, u32> = HashMap::new();
        let mut actors = Actors::new(journal);
        let mut failure = None;
        journal.visit(&filter, &mut |object| {
            // it may have gone between the reading of the ruleset and now
            if object.removed.as_ref().is_some_and(|removed| removed.boot_time < ruleset.read) {
                return ControlFlow::Continue(());
            }
            match index.add(object, &mut numbers, &mut actors) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failure.map_or(Ok(index), Err)
    }

    fn add(
        &mut self,
        object: Object,
        numbers: &mut HashMap<DeedKey, u32>,
        actors: &mut Actors<'_>,
    ) -> Result<(), JournalError> {
        let Object { id, subject, snapshot, created, changed, .. } = object;
        if let (Subject::IpSet(named), Snapshot::IpSet(IpSetSnapshot::Set(header))) = (&subject, &snapshot) {
            self.ip_sets.extend(header.index.map(|index| (index, named.set.to_string())));
            return Ok(());
        }
        let deed = self.number(&created, numbers, actors)?;
        let changed = changed.map(|deed| self.number(&deed, numbers, actors)).transpose()?;
        self.known.insert(subject, Known { mark: Mark::of(&snapshot), object: id, deed, changed });
        Ok(())
    }

    fn number(
        &mut self,
        deed: &Deed,
        numbers: &mut HashMap<DeedKey, u32>,
        actors: &mut Actors<'_>,
    ) -> Result<u32, JournalError> {
        let Deed { time, attribution, .. } = deed;
        let (owner, certainty, actor) = (attribution.owner(), attribution.certainty(), attribution.actor());
        let key = (owner.clone(), certainty, actor, time.seconds());
        if let Some(number) = numbers.get(&key) {
            return Ok(*number);
        }
        let number = u32::try_from(self.deeds.len()).unwrap_or(u32::MAX);
        let (owner, time, actor) = (owner.clone(), (*time).into(), actors.brief(actor)?);
        self.deeds.push(BlameDeed { owner, certainty, time, actor });
        numbers.insert(key, number);
        Ok(number)
    }

    /// The name of an IP set.
    pub(super) fn ip_set(&self, index: u16) -> Option<String> {
        self.ip_sets.get(&index).cloned()
    }

    /// All deeds, for the listing.
    pub(super) fn take_deeds(&self) -> Vec<BlameDeed> {
        self.deeds.clone()
    }

    /// Whether the object belongs to an owner or to one below it.
    pub(super) fn is_of(&self, line: &BlameLine, owner: &Owner) -> bool {
        let deed = line.deed.and_then(|deed| self.deeds.get(usize::try_from(deed).ok()?));
        deed.is_some_and(|deed| deed.owner.is_within(owner))
    }

    /// The line about an object.
    pub(super) fn line(&self, text: String, exact: bool, subject: &Subject, snapshot: &Snapshot) -> BlameLine {
        let known = self.known.get(subject).filter(|known| known.mark == Mark::of(snapshot));
        BlameLine {
            text,
            exact,
            legacy: matches!(subject, Subject::Legacy(_)),
            class: Some(Class::of(subject, snapshot)),
            object: known.map(|known| known.object),
            deed: known.map(|known| known.deed),
            changed: known.and_then(|known| known.changed).filter(|_| shows_changes(subject)),
        }
    }
}

/// Whether the line of a thing shows what can be changed of it.
fn shows_changes(subject: &Subject) -> bool {
    match subject {
        Subject::Nft(nft) => !matches!(nft.item, NftItem::Rule { .. }),
        Subject::Legacy(legacy) => matches!(legacy.item, LegacyItem::Chain(_)),
        _ => false,
    }
}
