//! Directories and files, deepest first: a directory goes when everything in it goes.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::register::{Judged, Register};
use super::{Draft, refuse_judged};
use crate::model::object::Object;
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Class, Snapshot, Subject};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Party, Reason};
use crate::rollback::step::{Action, Step};

pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    let mut objects: Vec<(&AbsPath, &Object)> = register
        .objects()
        .filter_map(|object| match &object.subject {
            Subject::Path(path) => Some((path, object)),
            _ => None,
        })
        .collect();
    objects.sort_by_key(|(path, _)| (Reverse(path.as_path().components().count()), *path));
    let mut going = BTreeSet::new();
    for (path, object) in objects {
        if !register.asks_for(object) {
            // somebody else's path is not read; only the journal can tell that its content was changed
            refuse_judged(register, draft, &Judged::Foreign, &object.subject);
            continue;
        }
        match live.paths.get(path) {
            None => draft.refuse(object, Reason::NotRead),
            Some(None) => {}
            Some(Some(now)) => {
                if plan_path(register, live, (path, object), now, &going, draft) {
                    going.insert(path.clone());
                }
            }
        }
    }
}

/// Plans one path that is there; returns whether it goes.
fn plan_path(
    register: &Register<'_>,
    live: &LiveState,
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
    if let Some(mount) = live.mounts.iter().find(|mount| mount.is_within(path)) {
        draft.refuse(object, Reason::MountBelow { mount: mount.clone() });
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
