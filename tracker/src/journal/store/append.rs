//! Draws up what a list of changes makes of the objects: all rows of one batch, or an error and no trace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::discriminant;

use crate::journal::backend::Batch;
use crate::journal::entry;
use crate::journal::error::JournalError;
use crate::model::change::{Change, ChangeKind};
use crate::model::ids::{ActorId, EntrySeq, ObjectId};
use crate::model::object::{Object, Scope};
use crate::model::subject::Subject;

use super::Shared;
use super::block::BlockWriter;
use super::index::{LiveKey, State, is_path};
use super::pages::{self, Fate, Page};
use super::rows::{self, Head, StoredObject};

/// What is to be taken over once the batch is written.
pub(super) struct Outcome {
    pub head: Head,
    /// Names that now name another object or none.
    pub live: HashMap<LiveKey, Option<ObjectId>>,
    /// Objects removed, with the entry that did it.
    pub removed: Vec<(EntrySeq, ObjectId)>,
    /// By how much the number of deeds of objects that name an actor changes; zeros are uses all the same.
    pub actors: HashMap<ActorId, i64>,
}

/// Adds the rows of `changes` to `batch`.
pub(super) fn draft(
    shared: &Shared,
    head: &Head,
    changes: Vec<Change>,
    batch: &mut Batch,
    blocks: &mut BlockWriter,
) -> Result<Outcome, JournalError> {
    let state = shared.state();
    let Some(scope) = head.scope else {
        let object = changes.first().map(|change| change.object).unwrap_or_default();
        return Err(refuse(object, "the tracker did not begin yet"));
    };
    let mut draft = Draft {
        shared,
        state: &state,
        scope,
        unused: head.next_object,
        objects: Vec::with_capacity(changes.len()),
        places: HashMap::with_capacity(changes.len()),
        pages: HashMap::new(),
        contested: Vec::new(),
        scratch: Vec::new(),
        outcome: Outcome {
            head: head.clone(),
            live: HashMap::with_capacity(changes.len()),
            removed: Vec::new(),
            actors: HashMap::new(),
        },
    };
    for change in changes {
        draft.add(change, batch, blocks)?;
    }
    blocks.close(&mut draft.outcome.head, batch)?;
    draft.settle_contests()?;
    draft.write_pages(batch)?;
    Ok(draft.outcome)
}

struct Draft<'a> {
    shared: &'a Shared,
    state: &'a State,
    scope: Scope,
    /// No number from this one on was ever used before the batch.
    unused: ObjectId,
    objects: Vec<Touched>,
    /// Where in `objects` an object is.
    places: HashMap<ObjectId, usize>,
    /// Pages read, as they were.
    pages: HashMap<u64, Option<Vec<u8>>>,
    contested: Vec<Contest>,
    scratch: Vec<u8>,
    outcome: Outcome,
}

/// An object some change of the batch is about.
struct Touched {
    stored: StoredObject,
    /// The name it lives under; `None` once it is removed.
    live: Option<LiveKey>,
}

impl Touched {
    fn id(&self) -> ObjectId {
        self.stored.object.id
    }
}

/// A name that was taken over while another object had it: fine if that one gave it up by the end of the batch.
struct Contest {
    key: LiveKey,
    holder: ObjectId,
    taker: ObjectId,
}

impl Draft<'_> {
    fn add(&mut self, change: Change, batch: &mut Batch, blocks: &mut BlockWriter) -> Result<(), JournalError> {
        let id = change.object;
        if let Some(actor) = change.deed.attribution.actor() {
            self.outcome.actors.entry(actor).or_insert(0);
        }
        let place = match change.kind {
            ChangeKind::Found | ChangeKind::Created => None,
            ChangeKind::Changed | ChangeKind::Rewritten | ChangeKind::Removed => Some(self.existing(id)?),
        };
        let previous = place.map_or(EntrySeq(0), |place| self.objects[place].stored.last_entry);
        let entry = entry::Entry::Change(change);
        let seq = blocks.push(&mut self.outcome.head, batch, previous, &entry)?;
        let entry::Entry::Change(change) = entry else { return Ok(()) };
        match place {
            None => self.create(seq, change),
            Some(place) => self.modify(place, seq, change),
        }
    }

    fn create(&mut self, seq: EntrySeq, change: Change) -> Result<(), JournalError> {
        let Change { object: id, kind: _, subject, after, deed } = change;
        if self.places.contains_key(&id) || self.read(id)?.is_some() {
            return Err(refuse(id, "it exists already"));
        }
        let Some(snapshot) = after else { return Err(refuse(id, "it is made without content")) };
        let live = LiveKey::of(self.scope, &subject, &mut self.scratch)?;
        self.claim(live, id);
        self.count(deed.attribution.actor(), 1);
        let digest = snapshot.digest();
        let object = Object {
            id,
            scope: self.scope,
            subject,
            snapshot,
            digest,
            created: deed,
            changed: None,
            rewritten: None,
            removed: None,
        };
        self.places.insert(id, self.objects.len());
        let stored = StoredObject { object, last_entry: seq };
        self.objects.push(Touched { stored, live: Some(live) });
        let head = &mut self.outcome.head;
        head.next_object = head.next_object.max(ObjectId(id.0 + 1));
        Ok(())
    }

    fn modify(&mut self, place: usize, seq: EntrySeq, change: Change) -> Result<(), JournalError> {
        let Change { object: id, kind, subject, after, deed } = change;
        self.count(deed.attribution.actor(), 1);
        if kind != ChangeKind::Removed {
            self.rename(place, subject)?;
        }
        let touched = &mut self.objects[place];
        touched.stored.last_entry = seq;
        let object = &mut touched.stored.object;
        match after {
            Some(snapshot) if kind != ChangeKind::Removed => {
                object.digest = snapshot.digest();
                object.snapshot = snapshot;
            }
            None if kind == ChangeKind::Changed => return Err(refuse(id, "it is changed without content")),
            _ => {}
        }
        let slot = match kind {
            ChangeKind::Changed => &mut object.changed,
            ChangeKind::Rewritten => &mut object.rewritten,
            ChangeKind::Removed => &mut object.removed,
            ChangeKind::Found | ChangeKind::Created => return Err(refuse(id, "it exists already")),
        };
        let replaced = slot.replace(deed).and_then(|deed| deed.attribution.actor());
        if kind == ChangeKind::Removed {
            if let Some(key) = touched.live.take() {
                self.release(key, id);
            }
            self.outcome.removed.push((seq, id));
        }
        self.count(replaced, -1);
        Ok(())
    }

    /// The place of an object that a change may be about.
    fn existing(&mut self, id: ObjectId) -> Result<usize, JournalError> {
        let place = match self.places.get(&id) {
            Some(place) => *place,
            None => self.fetch(id)?,
        };
        let object = &self.objects[place].stored.object;
        if !object.is_live() {
            return Err(refuse(id, "it is gone already"));
        }
        if object.scope != self.scope && !is_path(&object.subject) {
            return Err(refuse(id, "it belongs to another boot or network namespace"));
        }
        Ok(place)
    }

    fn fetch(&mut self, id: ObjectId) -> Result<usize, JournalError> {
        let Some(stored) = self.read(id)? else { return Err(refuse(id, "there is no such object")) };
        let live = match stored.object.is_live() {
            true => Some(LiveKey::of(stored.object.scope, &stored.object.subject, &mut self.scratch)?),
            false => None,
        };
        let place = self.objects.len();
        self.places.insert(id, place);
        self.objects.push(Touched { stored, live });
        Ok(place)
    }

    /// An object as it was before the batch. Numbers never used are not looked up.
    fn read(&mut self, id: ObjectId) -> Result<Option<StoredObject>, JournalError> {
        if id >= self.unused {
            return Ok(None);
        }
        let number = pages::number_of(id);
        match self.page(number)? {
            Some(row) => Page::open(&rows::page(number), row)?.find(id),
            None => Ok(None),
        }
    }

    fn page(&mut self, number: u64) -> Result<Option<&[u8]>, JournalError> {
        let row = match self.pages.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if number <= pages::number_of(self.unused) => {
                entry.insert(self.shared.backend.get(&rows::page(number))?)
            }
            Entry::Vacant(entry) => entry.insert(None),
        };
        Ok(row.as_deref())
    }

    fn rename(&mut self, place: usize, subject: Subject) -> Result<(), JournalError> {
        let Touched { stored: StoredObject { object, .. }, live, .. } = &mut self.objects[place];
        if object.subject == subject {
            return Ok(());
        }
        if discriminant(&object.subject) != discriminant(&subject) {
            return Err(refuse(object.id, "it would become a thing of another kind"));
        }
        let new = LiveKey::of(object.scope, &subject, &mut self.scratch)?;
        let (id, old) = (object.id, live.replace(new));
        object.subject = subject;
        if let Some(old) = old {
            self.release(old, id);
        }
        self.claim(new, id);
        Ok(())
    }

    fn holder(&self, key: &LiveKey) -> Option<ObjectId> {
        self.outcome.live.get(key).copied().unwrap_or_else(|| self.state.live(key))
    }

    fn claim(&mut self, key: LiveKey, taker: ObjectId) {
        if let Some(holder) = self.holder(&key).filter(|holder| *holder != taker) {
            self.contested.push(Contest { key, holder, taker });
        }
        self.outcome.live.insert(key, Some(taker));
    }

    fn release(&mut self, key: LiveKey, object: ObjectId) {
        if self.holder(&key) == Some(object) {
            self.outcome.live.insert(key, None);
        }
    }

    fn settle_contests(&mut self) -> Result<(), JournalError> {
        for Contest { key, holder, taker } in std::mem::take(&mut self.contested) {
            let has_it = |id| match self.places.get(&id) {
                Some(place) => self.objects[*place].live == Some(key),
                None => self.state.live(&key) == Some(id),
            };
            match (has_it(holder), has_it(taker)) {
                (true, true) => {
                    return Err(refuse(taker, &format!("object {holder} lives under the same name")));
                }
                // the taker moved on, and in doing so freed a name that was never given up
                (true, false) => drop(self.outcome.live.insert(key, Some(holder))),
                (false, _) => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, actor: Option<ActorId>, by: i64) {
        if let Some(actor) = actor {
            *self.outcome.actors.entry(actor).or_insert(0) += by;
        }
    }

    fn write_pages(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let mut objects = std::mem::take(&mut self.objects);
        objects.sort_unstable_by_key(|touched| touched.stored.object.id);
        for page in objects.chunk_by(|a, b| pages::number_of(a.id()) == pages::number_of(b.id())) {
            let number = page.first().map_or(0, |touched| pages::number_of(touched.id()));
            let fates: Vec<_> = page.iter().map(|touched| (touched.id(), Fate::Put(&touched.stored))).collect();
            self.page(number)?;
            let before = self.pages.get(&number).and_then(Option::as_deref);
            pages::rewrite(&mut self.outcome.head, batch, number, before, &fates)?;
        }
        Ok(())
    }
}

fn refuse(object: ObjectId, reason: &str) -> JournalError {
    JournalError::Inconsistent { object, reason: reason.to_owned() }
}
