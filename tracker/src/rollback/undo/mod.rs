//! Undo: what a reset took away is put back from its archive, and only where that still fits.
//!
//! Pure planning like a reset's: archive and live state in, steps and reasons out. A thing comes back when nothing has
//! its name or number, what holds it and what it refers to is there or comes back too, and a rule's place in its chain is
//! still known. Everything else stays away, with the reason. What is there already (a reset was interrupted before it
//! came to it) is left alone.

mod execute;
mod ipvs;
mod legacy;
mod links;
mod lost;
mod mounts;
mod net;
mod nft;
mod obstacle;
mod paths;
mod place;
mod proof;
mod run;

use std::collections::BTreeMap;

use super::archive::{Archive, Item};
use crate::host::Place;
use crate::model::digest::Digest;
use crate::model::ids::{ChainName, Generation, Ifindex, ObjectId};
use crate::model::legacy::{LegacyPolicy, LegacyTable};
use crate::model::link::LinkSnapshot;
use crate::model::live::LiveState;
use crate::model::object::Scope;
use crate::model::path::AbsPath;
use crate::model::subject::{Class, Snapshot, Subject, describe};

pub use execute::execute;
pub use lost::lost;
pub use obstacle::Obstacle;
pub use proof::UndoExpectation;
pub use run::{UndoError, UndoLedger, Undone, run};

/// How one object comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// As it was.
    Add,
    /// A rule, at a place.
    AddRule(Place),
    /// The policy of a base chain that is there.
    SetPolicy(u32),
    /// A chain of a legacy table, behind this one; `None` for the place behind the built-in ones.
    AddLegacyChain(Option<ChainName>),
    /// A rule of a legacy table.
    AddLegacyRule {
        /// How many of the rules that its chain has now stand ahead of it.
        at: usize,
        /// Packets and bytes it had counted.
        counters: [u64; 2],
    },
    /// The policy of a built-in chain of a legacy table.
    SetLegacyPolicy(LegacyPolicy),
    /// A link that is there, to the controller it lost.
    Attach,
    /// A link, as one end of a veth pair or alone.
    MakeLink {
        /// The other end.
        peer: Option<(Ifindex, LinkSnapshot)>,
        /// Whether its hardware address was its own.
        keeps_mac: bool,
    },
}

/// One thing that comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// The journal object it was.
    pub object: ObjectId,
    /// Which object, as it was named; a rule gets another handle.
    pub subject: Subject,
    /// Its content.
    pub snapshot: Snapshot,
    /// How.
    pub how: How,
}

impl Restore {
    /// What people call the object.
    pub fn describe(&self) -> String {
        describe(&self.subject, &self.snapshot)
    }
}

/// Something that does not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// The thing.
    pub item: Item,
    /// Why not.
    pub reason: Obstacle,
}

impl NotRestored {
    /// Its class.
    pub fn class(&self) -> Class {
        Class::of(&self.item.subject, &self.item.snapshot)
    }

    /// What people call it.
    pub fn describe(&self) -> String {
        describe(&self.item.subject, &self.item.snapshot)
    }
}

/// What an undo would do, would not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a plan does nothing until it is executed, and its refusals want to be read"]
pub struct UndoPlan {
    /// What comes back, in the order it is done; nf_tables first, as one commit, then each legacy table as one replacement.
    pub steps: Vec<Restore>,
    /// What does not.
    pub refusals: Vec<NotRestored>,
    /// What is there, untouched since the reset was planned.
    pub there: Vec<Item>,
    /// The nftables ruleset the plan was made for.
    pub generation: Generation,
    /// The legacy tables the plan was made for, by their digests.
    pub tables: BTreeMap<LegacyTable, Digest>,
}

/// The paths whose live state an undo needs: those archived, mount points, and the directories they were in.
pub fn undo_paths(archive: &Archive) -> Vec<AbsPath> {
    let mut paths: Vec<AbsPath> = Vec::new();
    let mounts = archive.items.iter().filter_map(|item| match &item.subject {
        Subject::Mount(mount) => Some(mount.path.clone()),
        _ => None,
    });
    for path in archive.paths().into_iter().map(|(path, _)| path).chain(mounts) {
        paths.extend(path.as_path().parent().and_then(AbsPath::new));
        paths.push(path);
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Plans what of an archive can come back. Kernel objects only in the boot and network namespace they were in.
pub fn plan_undo(archive: &Archive, live: &LiveState, scope: Scope) -> UndoPlan {
    let mut plan = UndoPlan { generation: live.generation, ..UndoPlan::default() };
    let (files, kernel): (Vec<&Item>, Vec<&Item>) =
        archive.items.iter().partition(|item| matches!(item.subject, Subject::Path(_)));
    let mut coming = mounts::Coming::default();
    if archive.scope == scope {
        coming = mounts::Coming::new(&kernel, live, &mut plan);
        nft::plan(archive, &kernel, live, &mut plan);
        legacy::plan(archive, &kernel, live, &mut plan);
        let made = links::plan(&kernel, live, &mut plan);
        net::plan(&kernel, live, &made, &mut plan);
        ipvs::plan(&kernel, live, &mut plan);
    } else {
        kernel.into_iter().for_each(|item| plan.refuse(item, Obstacle::OtherBoot));
    }
    paths::plan(&files, live, &coming, &mut plan);
    coming.plan(live, &mut plan);
    plan
}

impl UndoPlan {
    fn refuse(&mut self, item: &Item, reason: Obstacle) {
        self.refusals.push(NotRestored { item: item.clone(), reason });
    }

    fn restore(&mut self, item: &Item, how: How) {
        self.steps.push(Restore {
            object: item.object.unwrap_or_default(),
            subject: item.subject.clone(),
            snapshot: item.snapshot.clone(),
            how,
        });
    }
}
