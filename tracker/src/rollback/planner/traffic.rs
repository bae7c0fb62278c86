//! Neighbours, qdiscs, classes and filters of links that stay.
//!
//! The kernel deletes a qdisc together with all that hangs below it, and puts its own in the place of one at the root.
//! It refuses to delete a class that has classes or filters. So whatever holds something that stays is refused.

use std::collections::BTreeMap;

use super::register::{Judged, Register};
use super::{Draft, judge, refuse_judged};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::model::traffic::{INGRESS, QdiscSubject, ROOT, TrafficClassSubject, TrafficSnapshot, major};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Reason};
use crate::rollback::relations::Live;
use crate::rollback::step::{Action, Step};

/// Plans what does not already go with a link.
pub(super) fn plan(register: &Register<'_>, live: &LiveState, draft: &mut Draft) {
    for (subject, snapshot) in &live.rt {
        if matches!(subject, Subject::Neighbour(_)) && !draft.implied.contains(subject) {
            let judged = judge(register, subject, snapshot);
            match judged.proof() {
                Some(proof) => draft.steps.push(Step::new(&proof, snapshot, Action::DeleteNeighbour)),
                None => refuse_judged(register, draft, &judged, subject),
            }
        }
    }
    let tree = Tree::of(live, draft);
    let judged = tree.judged(register);
    for (subject, snapshot) in tree.deepest_first() {
        let Some(proof) = judged[subject].proof() else {
            refuse_judged(register, draft, &judged[subject], subject);
            continue;
        };
        match tree.taken_by(subject, &judged) {
            Some((parent, content)) => draft.imply(register, subject, || describe(parent, content)),
            None => draft.steps.push(Step::new(&proof, snapshot, action(subject))),
        }
    }
}

fn action(subject: &Subject) -> Action {
    match subject {
        Subject::Qdisc(_) => Action::DeleteQdisc,
        Subject::TrafficClass(_) => Action::DeleteTrafficClass,
        _ => Action::DeleteFilter,
    }
}

/// What hangs on what.
struct Tree<'a> {
    objects: BTreeMap<&'a Subject, &'a Snapshot>,
    /// What each hangs on, where that is not a link or one of the kernel's own qdiscs.
    parents: BTreeMap<&'a Subject, &'a Subject>,
}

impl<'a> Tree<'a> {
    fn of(live: &'a LiveState, draft: &Draft) -> Self {
        let is_part = |(subject, _): &(&Subject, &Snapshot)| {
            matches!(subject, Subject::Qdisc(_) | Subject::TrafficClass(_) | Subject::Filter(_))
                && !draft.implied.contains(*subject)
        };
        let objects: BTreeMap<&Subject, &Snapshot> =
            live.rt.iter().map(|(subject, snapshot)| (subject, snapshot)).filter(is_part).collect();
        let mut parents = BTreeMap::new();
        for (subject, snapshot) in &objects {
            if let (Some(link), Snapshot::Traffic(content)) = (subject.link(), snapshot)
                && let Some(place) = place(subject, content)
            {
                let class = Subject::TrafficClass(TrafficClassSubject { ifindex: link, handle: place });
                let qdisc = Subject::Qdisc(QdiscSubject { ifindex: link, handle: major(place) });
                let parent = objects.get_key_value(&class).or_else(|| objects.get_key_value(&qdisc));
                parents.extend(parent.map(|(parent, _)| (*subject, *parent)));
            }
        }
        Self { objects, parents }
    }

    /// Judges all, and refuses what holds something that stays until nothing changes.
    fn judged<'r>(&self, register: &Register<'r>) -> BTreeMap<&'a Subject, Judged<'r>> {
        let mut judged: BTreeMap<&Subject, Judged<'_>> =
            self.objects.iter().map(|(subject, snapshot)| (*subject, judge(register, subject, snapshot))).collect();
        loop {
            let held = self.parents.iter().find_map(|(below, parent)| {
                let stays = judged[below].proof().is_none() && judged[parent].proof().is_some();
                stays.then_some((*below, *parent))
            });
            let Some((_, parent)) = held else { return judged };
            let (mut foreign, mut own) = (Parties::default(), Parties::default());
            for (below, _) in
                self.parents.iter().filter(|(below, its)| **its == parent && judged[*below].proof().is_none())
            {
                let parties = if register.is_owners(below) { &mut own } else { &mut foreign };
                parties.add(|| register.party(below, self.objects[below]));
            }
            let reason = if foreign.is_empty() {
                Reason::NotEmpty { what: own }
            } else {
                Reason::ForeignInside { what: foreign }
            };
            judged.insert(parent, Judged::Refused(reason));
        }
    }

    /// All, what hangs on something before that.
    fn deepest_first(&self) -> Vec<Live<'a>> {
        let mut sorted: Vec<Live<'a>> = self.objects.iter().map(|(subject, snapshot)| (*subject, *snapshot)).collect();
        sorted.sort_by_cached_key(|(subject, _)| (std::cmp::Reverse(self.above(subject).count()), *subject));
        sorted
    }

    /// What it hangs on, what that hangs on, and so on; bounded, should the kernel list a circle.
    fn above(&self, subject: &Subject) -> impl Iterator<Item = &'a Subject> {
        let first = self.parents.get(subject).copied();
        std::iter::successors(first, |parent| self.parents.get(*parent).copied()).take(self.objects.len())
    }

    /// The qdisc or class whose deletion takes it along: any qdisc above it that goes, or the class a qdisc hangs on.
    fn taken_by(&self, subject: &Subject, judged: &BTreeMap<&Subject, Judged<'_>>) -> Option<Live<'a>> {
        let above: Vec<&Subject> = self.above(subject).filter(|parent| judged[parent].proof().is_some()).collect();
        let is_qdisc = |it: &Subject| matches!(it, Subject::Qdisc(_));
        let qdisc = above.iter().rev().find(|parent| is_qdisc(parent));
        let class = above.first().filter(|_| is_qdisc(subject));
        let parent = qdisc.or(class)?;
        self.objects.get_key_value(*parent).map(|(subject, snapshot)| (*subject, *snapshot))
    }
}

/// The handle of what it hangs on; `None` for what hangs on the link itself.
fn place(subject: &Subject, content: &TrafficSnapshot) -> Option<u32> {
    match (subject, content.parent) {
        (Subject::Qdisc(_), ROOT | INGRESS) => None,
        (Subject::TrafficClass(class), ROOT) => Some(major(class.handle)),
        (_, parent) => Some(parent),
    }
}
