//! A journal as simple as can be: lists, searched from end to end. What the store is compared with.

use crate::journal::testing::{deed, path_snapshot, path_subject, rule_snapshot, rule_subject};
use crate::journal::{Entry, ObjectFilter};
use crate::model::change::{Change, ChangeKind, RecordedChange};
use crate::model::gap::Gap;
use crate::model::ids::{EntrySeq, ObjectId};
use crate::model::object::{Object, Scope};
use crate::model::operation::Operation;
use crate::model::subject::Subject;
use crate::model::time::WallTime;

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub objects: Vec<Object>,
    pub entries: Vec<Entry>,
    pub scope: Option<Scope>,
    pub last_alive: Option<WallTime>,
    ended: Vec<(Scope, WallTime)>,
}

impl Model {
    pub(super) fn begin(&mut self, scope: Scope, time: WallTime) {
        self.entries.push(Entry::Started { scope, time });
        if let Some(old) = self.scope.filter(|old| old.boot != scope.boot) {
            self.ended.push((old, time));
        }
        self.ended.retain(|(ended, _)| ended.boot != scope.boot);
        self.scope = Some(scope);
    }

    /// Applies all changes or none.
    pub(super) fn append(&mut self, changes: &[Change]) -> bool {
        let mut next = self.clone();
        let fits = changes.iter().all(|change| next.apply(change)) && next.names_are_unique();
        if fits {
            *self = next;
        }
        fits
    }

    fn apply(&mut self, change: &Change) -> bool {
        let Some(scope) = self.scope else { return false };
        let Change { object, kind, subject, after, deed } = change.clone();
        self.entries.push(Entry::Change(change.clone()));
        let found = self.objects.iter_mut().find(|known| known.id == object);
        match (kind, found, after) {
            (ChangeKind::Found | ChangeKind::Created, None, Some(snapshot)) => {
                let digest = snapshot.digest();
                let (changed, rewritten, removed) = (None, None, None);
                let id = object;
                let created = deed;
                self.objects.push(Object {
                    id,
                    scope,
                    subject,
                    snapshot,
                    digest,
                    created,
                    changed,
                    rewritten,
                    removed,
                });
                true
            }
            (ChangeKind::Found | ChangeKind::Created, ..) | (_, None, _) => false,
            (kind, Some(known), after) => {
                let is_path = |subject: &Subject| matches!(subject, Subject::Path(_));
                if known.removed.is_some() || (known.scope != scope && !is_path(&known.subject)) {
                    return false;
                }
                if kind == ChangeKind::Removed {
                    known.removed = Some(deed);
                    return true;
                }
                if is_path(&known.subject) != is_path(&subject) || (kind == ChangeKind::Changed && after.is_none()) {
                    return false;
                }
                known.subject = subject;
                if let Some(snapshot) = after {
                    known.digest = snapshot.digest();
                    known.snapshot = snapshot;
                }
                *(if kind == ChangeKind::Changed { &mut known.changed } else { &mut known.rewritten }) = Some(deed);
                true
            }
        }
    }

    fn names_are_unique(&self) -> bool {
        let live: Vec<_> = self.objects.iter().filter(|object| object.is_live()).collect();
        live.iter().enumerate().all(|(at, object)| {
            live[at + 1..].iter().all(|other| {
                other.subject != object.subject
                    || (other.scope != object.scope && !matches!(object.subject, Subject::Path(_)))
            })
        })
    }

    /// An object as a reader sees it: `None` for the time of removal where that is the end of its boot.
    fn seen(&self, object: &Object) -> Option<(Object, Option<WallTime>)> {
        let end = self.ended.iter().find(|(scope, _)| scope.boot == object.scope.boot).map(|(_, time)| *time);
        let ends = object.is_live() && !matches!(object.subject, Subject::Path(_));
        Some((object.clone(), end.filter(|_| ends)))
    }

    pub(super) fn object(&self, id: ObjectId) -> Option<(Object, Option<WallTime>)> {
        self.objects.iter().find(|object| object.id == id).and_then(|object| self.seen(object))
    }

    pub(super) fn live(&self, scope: &Scope, subject: &Subject) -> Option<ObjectId> {
        let fits = |object: &&Object| {
            let is_path = matches!(object.subject, Subject::Path(_));
            let ended = self.seen(object).is_some_and(|(_, end)| end.is_some());
            object.is_live() && !ended && object.subject == *subject && (is_path || object.scope == *scope)
        };
        self.objects.iter().find(fits).map(|object| object.id)
    }

    pub(super) fn visited(&self, filter: &ObjectFilter) -> Vec<ObjectId> {
        let mut ids: Vec<_> = self
            .objects
            .iter()
            .filter(|object| {
                let here = Some(object.scope) == self.scope || matches!(object.subject, Subject::Path(_));
                let ended = self.seen(object).is_some_and(|(_, end)| end.is_some());
                let lives = !ended && (filter.scope.is_some() || here);
                filter.accepts(object) && (filter.include_removed || lives)
            })
            .map(|object| object.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn history(&self, id: ObjectId) -> Vec<RecordedChange> {
        let of = |(entry, seq): (&Entry, u64)| match entry {
            Entry::Change(change) if change.object == id => {
                Some(RecordedChange { seq: EntrySeq(seq), change: change.clone() })
            }
            _ => None,
        };
        self.entries.iter().zip(1..).filter_map(of).collect()
    }

    pub(super) fn gaps(&self) -> Vec<Gap> {
        self.entries
            .iter()
            .filter_map(|entry| if let Entry::Gap(gap) = entry { Some(gap.clone()) } else { None })
            .collect()
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut operations: Vec<Operation> = Vec::new();
        for entry in &self.entries {
            if let Entry::Operation(operation) = entry {
                operations.retain(|known| known.id != operation.id);
                operations.push(operation.clone());
            }
        }
        operations.sort_by_key(|operation| operation.id);
        operations
    }
}

/// One change to be made of what the model holds; picks that fit nothing make changes to be refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    pub kind: ChangeKind,
    pub pick: u8,
    pub name: u8,
    pub is_path: bool,
    pub has_content: bool,
}

impl Act {
    /// The change; creations take `next`, all others an object picked from those known.
    pub(super) fn change(self, known: &[ObjectId], next: ObjectId, time: i64) -> Change {
        let Self { kind, pick, name, is_path, has_content } = self;
        let creates = matches!(kind, ChangeKind::Found | ChangeKind::Created);
        let picked = known.get(usize::from(pick) % known.len().max(1)).copied();
        let object = if creates && pick < 250 { next } else { picked.unwrap_or(next) };
        let name = u64::from(name);
        let content = name * 1_000 + u64::from(pick);
        let subject = if is_path { path_subject(name) } else { rule_subject(name) };
        let after = has_content.then(|| if is_path { path_snapshot(content) } else { rule_snapshot(content) });
        let owner = ["kubernetes/kube-proxy", "cni/flannel", "docker"][usize::from(pick) % 3];
        Change { object, kind, subject, after, deed: deed(time, owner, Some(u64::from(pick % 4))) }
    }
}
