//! Directories and files.

use crate::attribution::cri;
use crate::model::ids::ObjectId;
use crate::model::observation::{PathEvent, PathObservation};
use crate::model::owner::{Attribution, Evidence};
use crate::model::path::{AbsPath, Inode};
use crate::model::subject::{Snapshot, Subject};

use super::super::effects::{self, Effect};
use super::Recorder;

impl Recorder {
    pub(super) fn path(&mut self, observation: &PathObservation) {
        let PathObservation { subject, after, event, tgid: _, .. } = observation;
        if *event == PathEvent::MovedOut {
            self.moved_out(subject);
            return;
        }
        let inode = match after {
            Some(Snapshot::Path(path)) => Some(path.inode),
            _ => None,
        };
        let source = inode.and_then(|inode| self.moved.remove(&inode));
        let source = source.filter(|(old, id)| self.is_still(old, *id));
        let (subject, after) = (subject.clone(), after.clone());
        let mut effects = Vec::new();
        match (source, after) {
            (Some((old, id)), Some(after)) => {
                if let Some(replaced) = self.world.get(&subject).filter(|known| known.id != id) {
                    effects.push(Effect::removed(replaced.id, subject.clone()));
                }
                effects.push(Effect::rewritten(id, old.clone(), subject.clone(), after));
                effects.extend(self.moved_below(&old, &subject));
            }
            // Removed and made again within one turn, replaced by another file, or listed before its creation was told:
            // a new object under the old name, made by whoever this event names.
            (None, Some(after)) if *event == PathEvent::Created || self.names_another(&subject, inode) => {
                effects.extend(self.world.get(&subject).map(|known| Effect::removed(known.id, subject.clone())));
                effects.push(Effect::created(subject, after));
            }
            (_, None) => {
                effects.extend(self.gone_below(&subject));
                effects.extend(effects::of_one(&self.world, subject, None));
            }
            (_, after) => effects.extend(effects::of_one(&self.world, subject, after)),
        }
        if effects.is_empty() {
            return;
        }
        let attribution = self.who_wrote(observation);
        for effect in effects {
            self.apply(effect, &attribution, None);
        }
    }

    fn who_wrote(&mut self, observation: &PathObservation) -> Attribution {
        let Some(tgid) = observation.tgid else { return Attribution::unknown(Evidence::NoRequest) };
        let verdict = self.who_was(tgid, observation.after_time, observation.before_time);
        match &observation.subject {
            Subject::Path(path) => cri::of_path(verdict, path),
            _ => verdict,
        }
    }

    fn names_another(&self, subject: &Subject, inode: Option<Inode>) -> bool {
        let known = self.world.get(subject).and_then(|known| known.inode);
        matches!((known, inode), (Some(known), Some(inode)) if known != inode)
    }

    /// The first half of a move; the second finds the object by its inode.
    fn moved_out(&mut self, subject: &Subject) {
        if let Some((inode, id)) = self.world.get(subject).and_then(|known| Some((known.inode?, known.id))) {
            self.moved.insert(inode, (subject.clone(), id));
        }
    }

    /// Whether an object still has its name: another file made under it in the same turn has ended it already.
    fn is_still(&self, subject: &Subject, id: ObjectId) -> bool {
        self.world.get(subject).is_some_and(|known| known.id == id)
    }

    /// What a moved directory holds moves with it, without events of its own.
    fn moved_below(&self, old: &Subject, new: &Subject) -> Vec<Effect> {
        let (Subject::Path(old), Subject::Path(new)) = (old, new) else { return Vec::new() };
        self.world.below(old).into_iter().filter_map(|path| self.moved_one(old, new, &path)).collect()
    }

    fn moved_one(&self, old: &AbsPath, new: &AbsPath, path: &AbsPath) -> Option<Effect> {
        let rest = path.as_path().strip_prefix(old.as_path()).ok()?;
        let subject = Subject::Path(path.clone());
        let id: ObjectId = self.world.get(&subject)?.id;
        let moved = AbsPath::new(&new.as_path().join(rest))?;
        let snapshot = self.content(id)?;
        Some(Effect::rewritten(id, subject, Subject::Path(moved), snapshot))
    }

    /// Content of an object, which may not have reached the journal yet.
    pub(super) fn content(&self, id: ObjectId) -> Option<Snapshot> {
        let waiting = self.changes.iter().rev().filter(|change| change.object == id);
        waiting
            .filter_map(|change| change.after.clone())
            .next()
            .or_else(|| Some(self.journal.object(id).ok()??.snapshot))
    }

    /// What goes with a directory, deepest first.
    fn gone_below(&self, subject: &Subject) -> Vec<Effect> {
        let Subject::Path(dir) = subject else { return Vec::new() };
        let below = self.world.below(dir).into_iter().rev().map(Subject::Path);
        below.filter_map(|path| effects::of_one(&self.world, path, None)).collect()
    }

    /// Moves whose second half never came left the watched directories.
    pub(super) fn end_moves(&mut self) {
        let moved = std::mem::take(&mut self.moved);
        for (subject, id) in moved.into_values() {
            if !self.is_still(&subject, id) {
                continue;
            }
            let mut gone = self.gone_below(&subject);
            gone.push(Effect::removed(id, subject));
            for effect in gone {
                self.apply(effect, &Attribution::unknown(Evidence::MovedAway), None);
            }
        }
    }
}
