//! Mounts: one goes when nothing that stays is mounted on it, nothing of others is lost with it, and nobody works in it.
//!
//! Unmounting takes nothing from a disk: what was mounted goes on there. A filesystem in memory ends with its last mount:
//! what others recorded in it keeps it, what nobody recorded (the volumes of pods are too deep to be watched) goes with it
//! and is told. Where mounts are shared, the kernel unmounts the same place on all of a peer group; what would go along
//! has to be the owner's as well.

use std::collections::{BTreeMap, BTreeSet};

use super::register::Register;
use super::{Draft, refuse_judged};
use crate::model::mount::{MountPlace, MountSnapshot, MountSubject};
use crate::model::object::Object;
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::live::LiveState;
use crate::rollback::refusal::{Parties, Party, Reason};
use crate::rollback::step::{Action, Step};

/// A live mount.
#[derive(Debug, Clone, Copy)]
struct Mount<'a> {
    subject: &'a MountSubject,
    content: &'a MountSnapshot,
    place: MountPlace,
    object: (&'a Subject, &'a Snapshot),
}

/// The live mounts, and which of them go.
#[derive(Debug)]
pub(super) struct Mounts<'a> {
    live: BTreeMap<u32, Mount<'a>>,
    going: BTreeSet<u32>,
}

impl<'a> Mounts<'a> {
    pub(super) fn new(live: &'a LiveState) -> Self {
        let mounts = live.mounts.iter().filter_map(|(subject, snapshot)| match (subject, snapshot) {
            (Subject::Mount(mount), Snapshot::Mount(content)) => {
                let place = live.places.get(&mount.id).copied().unwrap_or_default();
                Some((mount.id, Mount { subject: mount, content, place, object: (subject, snapshot) }))
            }
            _ => None,
        });
        Self { live: mounts.collect(), going: BTreeSet::new() }
    }

    /// How many mounts a mount stands on; of several at one place the topmost stands on most.
    pub(super) fn height(&self, mount: &MountSubject) -> usize {
        self.below(mount.id).count()
    }

    /// What stays mounted on a path or below it.
    pub(super) fn staying_within(&self, register: &Register<'_>, path: &AbsPath) -> Parties {
        let mut parties = Parties::default();
        for mount in self.staying().filter(|mount| mount.subject.path.is_within(path)) {
            parties.add(|| party(register, mount));
        }
        parties
    }

    /// Where else the file at a path is, when it is seen through a mount on a directory of the owner's.
    pub(super) fn elsewhere(&self, register: &Register<'_>, path: &AbsPath) -> Option<AbsPath> {
        let holding =
            self.live.values().filter(|mount| mount.subject.path != *path && path.is_within(&mount.subject.path));
        let mount = holding
            .max_by_key(|mount| (mount.subject.path.as_path().components().count(), self.height(mount.subject)))?;
        let place = within(&mount.content.root, &mount.subject.path, path)?;
        let others = self.live.values().filter(|other| other.content.dev == mount.content.dev);
        let mut seen = others.filter_map(|other| shown(other, &place)).filter(|at| at != path);
        seen.next().filter(|_| register.is_owners(&Subject::Path(mount.subject.path.clone())))
    }

    /// Plans one mount; what is deeper is planned by now.
    pub(super) fn plan(
        &mut self,
        register: &Register<'_>,
        live: &LiveState,
        (subject, object): (&MountSubject, &Object),
        gone: &BTreeSet<AbsPath>,
        draft: &mut Draft,
    ) {
        let Some(mount) = self.live.get(&subject.id).copied().filter(|mount| mount.subject == subject) else { return };
        if self.going.contains(&subject.id) {
            return;
        }
        let judged = register.judge(&object.subject, mount.object.1);
        let Some(proof) = judged.proof() else {
            refuse_judged(register, draft, &judged, &object.subject);
            return;
        };
        let along = self.along(mount);
        let found = self
            .obstacle(register, live, mount, &along)
            .map_or_else(|| self.losses(register, live, (mount, &along), gone), Err);
        match found {
            Ok(loses) => {
                draft.steps.push(Step::new(&proof, mount.object.1, Action::Unmount { loses }));
                self.going.insert(subject.id);
                for other in along {
                    self.going.insert(other.subject.id);
                    draft.imply(register, other.object.0, || object.describe());
                }
            }
            Err(reason) => draft.refuse(object, reason),
        }
    }

    fn staying(&self) -> impl Iterator<Item = Mount<'a>> {
        self.live.values().copied().filter(|mount| !self.going.contains(&mount.subject.id))
    }

    /// The mounts a mount stands on, from the next one down.
    fn below(&self, id: u32) -> impl Iterator<Item = Mount<'a>> {
        let next = |id: u32| {
            let parent = self.live.get(&id)?.place.parent;
            self.live.get(&parent).copied().filter(|_| parent != id)
        };
        std::iter::successors(next(id), move |mount| next(mount.subject.id)).take(self.live.len())
    }

    /// What keeps a mount from going.
    fn obstacle(
        &self,
        register: &Register<'_>,
        live: &LiveState,
        mount: Mount<'a>,
        along: &[Mount<'a>],
    ) -> Option<Reason> {
        let own = mount.subject.id;
        let on_it = self.parties(register, |other| other.place.parent == own);
        if !on_it.is_empty() {
            return Some(Reason::MountBelow { mounts: on_it });
        }
        // from each mount on the way the next one is reached only when none comes before it
        let way: Vec<Mount<'_>> = std::iter::once(mount).chain(self.below(own)).collect();
        let covering = self.parties(register, |other| {
            let before =
                |next: &&Mount<'_>| other.place.parent == next.place.parent && other.subject.id != next.subject.id;
            way.iter().find(before).is_some_and(|next| next.subject.path.is_within(&other.subject.path))
        });
        if !covering.is_empty() {
            return Some(Reason::Covered { by: covering });
        }
        if mount.place.may_hang {
            return Some(Reason::MayHang { fs_type: mount.content.fs_type.clone() });
        }
        let mut others = Parties::default();
        for other in along.iter().filter(|other| register.judge(other.object.0, other.object.1).proof().is_none()) {
            others.add(|| party(register, *other));
        }
        if !others.is_empty() {
            return Some(Reason::Propagates { to: others });
        }
        match live.users.get(&own) {
            _ if !mount.content.is_namespace() => None,
            Some(users) if users.is_empty() => None,
            Some(users) => Some(Reason::InUse { by: users.clone() }),
            None => Some(Reason::NotRead),
        }
    }

    fn parties(&self, register: &Register<'_>, is_one: impl Fn(&Mount<'a>) -> bool) -> Parties {
        let mut parties = Parties::default();
        self.staying().filter(|mount| is_one(mount)).for_each(|mount| parties.add(|| party(register, mount)));
        parties
    }

    /// The mounts that the kernel unmounts together with one: those at the same place of what receives from the mount
    /// that it is mounted on.
    fn along(&self, mount: Mount<'a>) -> Vec<Mount<'a>> {
        let Some(parent) = self.live.get(&mount.place.parent) else { return Vec::new() };
        let Some(group) = parent.place.peers else { return Vec::new() };
        let mut groups = BTreeSet::from([group]);
        loop {
            let known = groups.len();
            let receiving =
                self.live.values().filter(|other| other.place.receives.is_some_and(|it| groups.contains(&it)));
            let further: Vec<u32> = receiving.filter_map(|other| other.place.peers).collect();
            groups.extend(further);
            if groups.len() == known {
                break;
            }
        }
        let is_in = |group: Option<u32>| group.is_some_and(|group| groups.contains(&group));
        let receivers = self.live.values().filter(|other| {
            other.subject.id != parent.subject.id && (is_in(other.place.peers) || is_in(other.place.receives))
        });
        let Some(place) = within(&parent.content.root, &parent.subject.path, &mount.subject.path) else {
            return Vec::new();
        };
        let mut along = Vec::new();
        for receiver in receivers {
            let Some(at) = shown(receiver, &place) else { continue };
            let is_there = |other: &&Mount<'a>| {
                other.place.parent == receiver.subject.id
                    && other.subject.path == at
                    && other.subject.id != mount.subject.id
            };
            along.extend(self.live.values().filter(is_there).copied());
        }
        along
    }

    /// How many files nobody recorded are lost with a mount, `None` when its filesystem goes on; or whose things keep it.
    fn losses(
        &self,
        register: &Register<'_>,
        live: &LiveState,
        (mount, along): (Mount<'a>, &[Mount<'a>]),
        gone: &BTreeSet<AbsPath>,
    ) -> Result<Option<usize>, Reason> {
        let own = mount.subject.id;
        let goes =
            |other: &Mount<'a>| other.subject.id == own || along.iter().any(|it| it.subject.id == other.subject.id);
        let stays = self.staying().any(|other| other.content.dev == mount.content.dev && !goes(&other));
        if !mount.content.is_in_memory() || stays {
            return Ok(None);
        }
        let content = live.contents.get(&own).ok_or(Reason::NotRead)?;
        let (mut foreign, mut kept, mut unknown) = (Parties::default(), Parties::default(), 0);
        for path in content.keys().filter(|path| !gone.contains(*path)) {
            let subject = Subject::Path(path.clone());
            match register.object(&subject) {
                Some(object) => {
                    let list = if register.is_owners(&subject) { &mut kept } else { &mut foreign };
                    list.add(|| Party { what: object.describe(), owner: Some(object.owner().clone()) });
                }
                None => unknown += 1,
            }
        }
        match (foreign.is_empty(), kept.is_empty()) {
            (false, _) => Err(Reason::ForeignInside { what: foreign }),
            (true, false) => Err(Reason::NotEmpty { what: kept }),
            (true, true) => Ok(Some(unknown)),
        }
    }
}

fn party(register: &Register<'_>, mount: Mount<'_>) -> Party {
    let (subject, snapshot) = mount.object;
    Party { what: describe(subject, snapshot), owner: register.object(subject).map(|object| object.owner().clone()) }
}

/// The place in a filesystem of which `root` is mounted at `at`.
fn within(root: &str, at: &AbsPath, path: &AbsPath) -> Option<AbsPath> {
    let below = path.as_path().strip_prefix(at.as_path()).ok()?;
    AbsPath::new(&std::path::Path::new(root).join(below))
}

/// Where a mount shows a place of its filesystem.
fn shown(mount: &Mount<'_>, place: &AbsPath) -> Option<AbsPath> {
    let below = place.as_path().strip_prefix(&mount.content.root).ok()?;
    AbsPath::new(&mount.subject.path.as_path().join(below))
}
