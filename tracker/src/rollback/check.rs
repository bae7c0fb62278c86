//! The check: what the plan rests on is read again right before execution.

use std::collections::{BTreeMap, BTreeSet};

use super::live::LiveState;
use super::plan::Plan;
use super::relations::Relations;
use super::step::{Action, Step};
use crate::model::digest::Digest;
use crate::model::ids::Generation;
use crate::model::legacy::{LegacySnapshot, LegacySubject, LegacyTable, table_digest};
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::subject::{Snapshot, Subject, describe};

/// The part of the live state that a plan's steps rest on: the ruleset's generation, everything attached to a link that
/// is touched, everything in and mounted below a directory that is removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preconditions {
    generation: Option<Generation>,
    tables: BTreeMap<LegacyTable, Digest>,
    rt: BTreeMap<Subject, (Digest, String)>,
    paths: BTreeMap<AbsPath, Option<PathSnapshot>>,
    children: BTreeMap<AbsPath, BTreeSet<AbsPath>>,
    mounts: BTreeSet<(AbsPath, u32)>,
    contents: BTreeMap<u32, BTreeMap<AbsPath, PathSnapshot>>,
}

impl Preconditions {
    /// Picks out of a live state what `steps` rest on.
    pub(super) fn of(steps: &[Step], live: &LiveState) -> Self {
        let mut it = Self::default();
        let relations = Relations::new(&live.rt);
        let current: BTreeMap<&Subject, &Snapshot> = live
            .rt
            .iter()
            .chain(&live.ip_sets)
            .chain(&live.ipvs)
            .chain(&live.mounts)
            .map(|(subject, now)| (subject, now))
            .collect();
        let mut touched = BTreeSet::new();
        for step in steps {
            match (step.action(), step.subject()) {
                (Action::DeleteLink, Subject::Link(link)) => {
                    touched.extend(relations.attached(*link).into_iter().map(|(subject, _)| subject));
                }
                (Action::DeleteAddress, Subject::Address(address)) => {
                    touched.extend(relations.addresses(address.ifindex).map(|(subject, _)| subject));
                    touched.extend(relations.routes(address.ifindex).map(|(subject, _)| subject));
                }
                (Action::DestroyIpSet { .. }, Subject::IpSet(set)) => {
                    let members = live.ip_sets.iter().map(|(subject, _)| subject);
                    touched.extend(members.filter(|it| matches!(it, Subject::IpSet(member) if member.set == set.set)));
                }
                (Action::DeleteService, Subject::Ipvs(service)) => {
                    let all = live.ipvs.iter().map(|(subject, _)| subject);
                    touched.extend(all.filter(|it| matches!(it, Subject::Ipvs(it) if it.service == service.service)));
                }
                (Action::DeleteQdisc | Action::DeleteTrafficClass, Subject::Qdisc(_) | Subject::TrafficClass(_)) => {
                    let link = step.subject().link();
                    touched.extend(link.iter().flat_map(|link| relations.parts(*link)).map(|(subject, _)| subject));
                }
                (_, Subject::Path(path)) => {
                    it.paths.insert(path.clone(), live.paths.get(path).cloned().flatten());
                    it.children.extend(live.children.get(path).map(|names| (path.clone(), names.clone())));
                    it.mounts.extend(mounts_within(live, path));
                }
                (_, Subject::Mount(mount)) => {
                    it.mounts.extend(mounts_within(live, &mount.path));
                    let is_lost = matches!(step.action(), Action::Unmount { loses: Some(_) });
                    let content = live.contents.get(&mount.id).filter(|_| is_lost);
                    it.contents.extend(content.map(|content| (mount.id, content.clone())));
                }
                (_, Subject::Legacy(LegacySubject { table, .. })) => {
                    it.tables.entry(table.clone()).or_insert_with(|| table_digest(table, legacy_objects(live)));
                }
                (_, Subject::Nft(_)) => it.generation = Some(live.generation),
                _ => {}
            }
            let is_of_table = step.action().is_nft() || step.action().is_legacy();
            touched.extend((!is_of_table).then_some(step.subject()));
        }
        for subject in touched {
            if let Some(now) = current.get(subject) {
                it.rt.insert(subject.clone(), (now.digest(), describe(subject, now)));
            }
        }
        it
    }

    /// Digest of a legacy table that steps are about.
    pub(super) fn table(&self, table: &LegacyTable) -> Digest {
        self.tables.get(table).copied().unwrap_or(Digest([0; 16]))
    }

    /// What is in a filesystem that ends with a mount.
    pub(super) fn content(&self, mount: u32) -> Option<BTreeMap<AbsPath, PathSnapshot>> {
        self.contents.get(&mount).cloned()
    }

    fn first_difference(&self, now: &Self) -> Option<String> {
        let Self { generation, tables, rt, paths, children, mounts, contents } = self;
        if let (Some(planned), Some(now)) = (generation, now.generation)
            && *planned != now
        {
            return Some(format!("the nftables ruleset went from generation {planned} to {now}"));
        }
        if let Some((table, _)) = tables.iter().find(|(table, was)| now.tables.get(table) != Some(was)) {
            return Some(format!("legacy table `{table}` changed"));
        }
        let keys: BTreeSet<&Subject> = rt.keys().chain(now.rt.keys()).collect();
        let differs = keys.into_iter().find_map(|subject| match (rt.get(subject), now.rt.get(subject)) {
            (Some((_, what)), None) => Some(format!("`{what}` is gone")),
            (None, Some((_, what))) => Some(format!("`{what}` appeared")),
            (Some((was, what)), Some((is, _))) if was != is => Some(format!("`{what}` changed")),
            _ => None,
        });
        differs
            .or_else(|| paths.iter().find(|(path, was)| now.paths.get(path) != Some(was)).map(changed))
            .or_else(|| children.iter().find(|(path, was)| now.children.get(path) != Some(was)).map(changed))
            .or_else(|| now.mounts.difference(mounts).next().map(|(mount, _)| format!("`{mount}` was mounted")))
            .or_else(|| (*contents != now.contents).then(|| "what is in a mount changed".to_owned()))
    }
}

/// What of legacy tables is live.
pub(super) fn legacy_objects(live: &LiveState) -> impl Iterator<Item = (&LegacySubject, &LegacySnapshot)> {
    live.legacy.iter().filter_map(|(subject, snapshot)| match (subject, snapshot) {
        (Subject::Legacy(subject), Snapshot::Legacy(snapshot)) => Some((subject, snapshot)),
        _ => None,
    })
}

/// The mounts at or below a path, with their numbers.
fn mounts_within<'a>(live: &'a LiveState, path: &'a AbsPath) -> impl Iterator<Item = (AbsPath, u32)> {
    live.mounts.iter().filter_map(|(subject, _)| match subject {
        Subject::Mount(mount) if mount.path.is_within(path) => Some((mount.path.clone(), mount.id)),
        _ => None,
    })
}

fn changed<T>((path, _): (&AbsPath, T)) -> String {
    format!("`{path}` changed")
}

/// The plan no longer fits what is there; nothing was changed. Plan again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} since the plan was made")]
pub struct PlanChanged {
    /// The first difference found.
    pub what: String,
}

/// A plan whose preconditions were read again and hold. Only [`check`] makes one, only the executor takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a checked plan does nothing until it is executed"]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    pub(super) fn into_plan(self) -> Plan {
        self.0
    }
}

/// Compares what the plan rests on with a fresh reading of the live state.
///
/// Between the check and a step there remains a moment. For nf_tables the kernel closes it (the batch carries the
/// generation), for everything else the host compares the one object again right before it removes it.
///
/// # Errors
/// [`PlanChanged`] with the first difference.
pub fn check(plan: Plan, fresh: &LiveState) -> Result<CheckedPlan, PlanChanged> {
    let now = Preconditions::of(&plan.steps, fresh);
    match plan.preconditions.first_difference(&now) {
        Some(what) => Err(PlanChanged { what }),
        None => Ok(CheckedPlan(plan)),
    }
}
