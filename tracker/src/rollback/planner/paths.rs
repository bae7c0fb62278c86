//! Directories, files and mounts, deepest first: a directory goes when everything in it goes, and what is mounted on it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::mounts::Mounts;
use super::register::{Judged, Register};
use super::{Draft, refuse_judged};
use crate::model::object::Object;
use crate::model::owner::Certainty;
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Class, Snapshot, Subject};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Party, Reason};
use crate::rollback::step::{Action, Step};

/// Deepest first, of one place the mounts before the path, the topmost mount first.
type Order = (Reverse<usize>, bool, Reverse<usize>);

pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let mut mounts = Mounts::new(live);
    let mut objects: Vec<(Order, &AbsPath, &Object)> = register
        .objects()
        .filter_map(|object| {
            let (is_path, height, path) = match &object.subject {
                Subject::Path(path) => (true, 0, path),
                Subject::Mount(mount) => (false, mounts.height(mount), &mount.path),
                _ => return None,
            };
            Some(((Reverse(path.as_path().components().count()), is_path, Reverse(height)), path, object))
        })
        .collect();
    objects.sort_by_key(|(order, path, _)| (*order, *path));
    let mut going = BTreeSet::new();
    for (_, path, object) in objects {
        if let Subject::Mount(mount) = &object.subject {
            mounts.plan(register, live, (mount, object), &going, draft);
            continue;
        }
        if !register.asks_for(object) {
            // somebody else's path is not read; only the journal can tell that its content was changed
            refuse_judged(register, draft, &Judged::Foreign, &object.subject);
            continue;
        }
        match live.paths.get(path) {
            None => draft.refuse(object, Reason::NotRead),
            Some(None) => {}
            Some(Some(now)) => {
                if plan_path((register, live, &mounts), (path, object), now, &going, draft) {
                    going.insert(path.clone());
                }
            }
        }
    }
}

/// Plans one path that is there; returns whether it goes.
fn plan_path(
    (register, live, mounts): (&Register<'_>, &LiveState, &Mounts<'_>),
    (path, object): (&AbsPath, &Object),
    now: &PathSnapshot,
    going: &BTreeSet<AbsPath>,
    draft: &mut Draft,
) -> bool {
    let snapshot = Snapshot::Path(now.clone());
    let judged = register.judge(&object.subject, &snapshot);
    let Some(proof) = judged.proof() else {
        refuse_judged(register, draft, &judged, &object.subject);
        return false;
    };
    // that its name is the owner's says nothing of a file that has this name only because of a mount
    if proof.deed().attribution.certainty() == Certainty::Inferred
        && let Some(at) = mounts.elsewhere(register, path)
    {
        draft.refuse(object, Reason::SeenElsewhere { at });
        return false;
    }
    let mounted = mounts.staying_within(register, path);
    if !mounted.is_empty() {
        draft.refuse(object, Reason::MountBelow { mounts: mounted });
        return false;
    }
    if let Some(&names) = live.names.get(path) {
        draft.refuse(object, Reason::FurtherNames { names });
        return false;
    }
    if now.kind != PathKind::Dir {
        draft.steps.push(Step::new(&proof, &snapshot, Action::RemoveFile));
        return true;
    }
    let Some(children) = live.children.get(path) else {
        draft.refuse(object, Reason::NotRead);
        return false;
    };
    match staying(register, children, going) {
        None => {
            draft.steps.push(Step::new(&proof, &snapshot, Action::RemoveDir));
            true
        }
        Some(reason) => {
            draft.refuse(object, reason);
            false
        }
    }
}

/// Why a directory is not empty after everything that goes is gone.
fn staying(register: &Register<'_>, children: &BTreeSet<AbsPath>, going: &BTreeSet<AbsPath>) -> Option<Reason> {
    let (mut foreign, mut own) = (Parties::default(), Parties::default());
    for child in children.difference(going) {
        let subject = Subject::Path(child.clone());
        let object = register.object(&subject);
        let list = if register.is_owners(&subject) { &mut own } else { &mut foreign };
        list.add(|| match object {
            Some(object) => Party { what: object.describe(), owner: Some(object.owner().clone()) },
            None => Party { what: format!("{} {child}", Class::File), owner: None },
        });
    }
    if !foreign.is_empty() {
        Some(Reason::ForeignInside { what: foreign })
    } else {
        (!own.is_empty()).then_some(Reason::NotEmpty { what: own })
    }
}
