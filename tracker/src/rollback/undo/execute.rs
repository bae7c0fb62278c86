//! Does each step of an undo, decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{How, Restore, UndoPlan};
use crate::causes::causes;
use crate::host::archive::ArchivedFiles;
use crate::host::{Host, HostError, LegacyEdit, NewChain, NewRule, NftAdd, NftBatch};
use crate::model::digest::Digest;
use crate::model::legacy::{LegacyItem, LegacyRule, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::nft::{NftItem, NftSnapshot};
use crate::model::operation::StepOutcome;
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};
use crate::model::sysctl::SysctlSnapshot;
use crate::rollback::execution::{Execution, Run};

/// Executes an undo: the nf_tables steps as one commit, those of each legacy table as one replacement, then the others one
/// by one. After a failed commit nothing else is tried; after that, a failing step does not stop the others.
pub fn execute(
    plan: &UndoPlan,
    host: &mut dyn Host,
    files: Option<ArchivedFiles<'_>>,
    progress: &mut dyn FnMut(usize, usize),
) -> Execution {
    let mut run = Run::new(outcome, plan.steps.len(), progress);
    let mut batch = NftBatch::new(plan.generation);
    let (nft, others): (Vec<&Restore>, Vec<&Restore>) =
        plan.steps.iter().partition(|step| matches!(step.subject, Subject::Nft(_)));
    nft.iter().filter_map(|step| addition(step)).for_each(|addition| batch.push(addition));
    if let Err(ended) = run.commit(host, &batch, &nft, &others) {
        return ended;
    }
    let (legacy, others): (Vec<&Restore>, Vec<&Restore>) =
        others.into_iter().partition(|step| matches!(step.subject, Subject::Legacy(_)));
    for (edit, steps) in edits(plan, &legacy) {
        if let Err(ended) = run.replace(host, &edit, &steps) {
            return ended;
        }
    }
    let (tree, others): (Vec<&Restore>, Vec<&Restore>) =
        others.into_iter().partition(|step| matches!(step.subject, Subject::Path(_) | Subject::Mount(_)));
    let each = |host: &mut dyn Host, run: &mut Run<'_, Restore>, step: &Restore| {
        let error = restore(host, step).err().map(|error| causes(&error));
        run.push([outcome(step, error)]);
    };
    for step in others {
        each(host, &mut run, step);
    }
    for (paths, mounts) in levels(&tree) {
        run.push(restore_paths(host, &paths, files));
        for step in mounts {
            each(host, &mut run, step);
        }
    }
    run.end()
}

/// Paths and mounts by how many of the mounts they are in: a mount needs its mount point, and what is in it needs it.
fn levels<'a>(steps: &[&'a Restore]) -> Vec<(Vec<&'a Restore>, Vec<&'a Restore>)> {
    let mount_points: Vec<&AbsPath> = steps.iter().filter_map(|step| mount_point(step)).collect();
    let mut levels: BTreeMap<usize, (Vec<&Restore>, Vec<&Restore>)> = BTreeMap::new();
    for step in steps {
        let (path, is_mount) = match (&step.subject, mount_point(step)) {
            (Subject::Path(path), _) => (path, false),
            (_, Some(path)) => (path, true),
            _ => continue,
        };
        let level = mount_points.iter().filter(|other| **other != path && path.is_within(other)).count();
        let (paths, mounts) = levels.entry(level).or_default();
        if is_mount { mounts.push(step) } else { paths.push(step) }
    }
    levels.into_values().collect()
}

fn mount_point(step: &Restore) -> Option<&AbsPath> {
    match &step.subject {
        Subject::Mount(mount) => Some(&mount.path),
        _ => None,
    }
}

/// The steps on each legacy table as one edit.
fn edits<'a>(plan: &UndoPlan, steps: &[&'a Restore]) -> Vec<(LegacyEdit, Vec<&'a Restore>)> {
    let mut edits: BTreeMap<&LegacyTable, (LegacyEdit, Vec<&Restore>)> = BTreeMap::new();
    for step in steps {
        let Subject::Legacy(LegacySubject { table, item }) = &step.subject else { continue };
        let (edit, its) = edits.entry(table).or_insert_with(|| {
            let expected = plan.tables.get(table).copied().unwrap_or(Digest([0; 16]));
            (LegacyEdit::new(table.clone(), expected), Vec::new())
        });
        match (item, &step.snapshot, &step.how) {
            (LegacyItem::Chain(name), _, How::AddLegacyChain(after)) => {
                edit.chains.push(NewChain { name: name.clone(), after: after.clone() });
            }
            (LegacyItem::Chain(name), _, How::SetLegacyPolicy(policy)) => {
                edit.policies.insert(name.clone(), *policy);
            }
            (
                LegacyItem::Rule { chain, .. },
                Snapshot::Legacy(LegacySnapshot::Rule(rule)),
                How::AddLegacyRule { at, counters },
            ) => {
                let rule = LegacyRule { counters: *counters, ..rule.clone() };
                edit.rules.push(NewRule { chain: chain.clone(), at: *at, rule });
            }
            _ => {}
        }
        its.push(step);
    }
    edits.into_values().collect()
}

fn outcome(step: &Restore, error: Option<String>) -> StepOutcome {
    StepOutcome { object: step.object, step: format!("restore {}", step.describe()), error }
}

fn restore(host: &mut dyn Host, step: &Restore) -> Result<(), HostError> {
    match (&step.subject, &step.snapshot, &step.how) {
        (Subject::Link(ifindex), Snapshot::Link(link), How::MakeLink { peer, keeps_mac }) => {
            let peer = peer.as_ref().map(|(ifindex, link)| (*ifindex, link));
            host.create_link((*ifindex, link), peer, *keeps_mac)
        }
        (Subject::Link(ifindex), Snapshot::Link(link), How::Attach) => host.attach_link(*ifindex, link),
        (Subject::Address(address), Snapshot::Address(content), _) => host.add_address(address, content),
        (Subject::Route(route), Snapshot::Route(content), _) => host.add_route(route, content),
        (Subject::Ipvs(ipvs), Snapshot::Ipvs(content), _) => host.add_ipvs(ipvs, content),
        (Subject::IpRule(rule), Snapshot::IpRule(content), _) => host.add_ip_rule(rule, content),
        (Subject::Mount(mount), Snapshot::Mount(content), _) => host.mount(mount, content),
        (Subject::Sysctl(name), Snapshot::Sysctl(SysctlSnapshot { value, before: Some(before) }), _) => {
            // from what the reset made of it to what it was
            let back = SysctlSnapshot { value: before.clone(), before: Some(value.clone()) };
            host.restore_sysctl(name, &back).map(drop)
        }
        _ => Err(HostError::Drifted {
            object: step.describe(),
            expected: "content of its own class".to_owned(),
            found: "content of another".to_owned(),
        }),
    }
}

fn restore_paths(host: &mut dyn Host, steps: &[&Restore], files: Option<ArchivedFiles<'_>>) -> Vec<StepOutcome> {
    if steps.is_empty() {
        return Vec::new();
    }
    let mut wanted: BTreeMap<AbsPath, PathSnapshot> = BTreeMap::new();
    for step in steps {
        if let (Subject::Path(path), Snapshot::Path(content)) = (&step.subject, &step.snapshot) {
            wanted.insert(path.clone(), content.clone());
        }
    }
    let failed: BTreeMap<AbsPath, String> = match host.restore_paths(&wanted, files) {
        Ok(done) => done.into_iter().filter_map(|(path, result)| Some((path, causes(&result.err()?)))).collect(),
        Err(error) => {
            let error = causes(&error);
            wanted.into_keys().map(|path| (path, error.clone())).collect()
        }
    };
    let error = |step: &Restore| match &step.subject {
        Subject::Path(path) => failed.get(path).cloned(),
        _ => None,
    };
    steps.iter().map(|step| outcome(step, error(step))).collect()
}

fn addition(step: &Restore) -> Option<NftAdd> {
    let (Subject::Nft(nft), Snapshot::Nft(content)) = (&step.subject, &step.snapshot) else { return None };
    let table = nft.table.clone();
    Some(match (&nft.item, content.clone(), &step.how) {
        (NftItem::Chain(chain), _, How::SetPolicy(policy)) => {
            NftAdd::Policy { table, chain: chain.clone(), policy: *policy }
        }
        (NftItem::Rule { chain, .. }, NftSnapshot::Rule(content), How::AddRule(place)) => {
            NftAdd::Rule { table, chain: chain.clone(), content, place: *place }
        }
        (NftItem::Table, NftSnapshot::Table(content), _) => NftAdd::Table { table, content },
        (NftItem::Chain(chain), NftSnapshot::Chain(content), _) => {
            NftAdd::Chain { table, chain: chain.clone(), content }
        }
        (NftItem::Set(set), NftSnapshot::Set(content), _) => NftAdd::Set { table, set: set.clone(), content },
        (NftItem::Element { set, key }, NftSnapshot::Element(content), _) => {
            NftAdd::Element { table, set: set.clone(), key: key.clone(), content }
        }
        (NftItem::Object { kind, name }, NftSnapshot::Other(content), _) => {
            NftAdd::Object { table, kind: *kind, name: name.clone(), content }
        }
        (NftItem::Flowtable(name), NftSnapshot::Other(content), _) => {
            NftAdd::Flowtable { table, name: name.clone(), content }
        }
        _ => return None,
    })
}

/// The paths among the steps.
pub(super) fn paths_of(plan: &UndoPlan) -> BTreeSet<AbsPath> {
    let path = |step: &Restore| match &step.subject {
        Subject::Path(path) => Some(path.clone()),
        _ => None,
    };
    plan.steps.iter().filter_map(path).collect()
}
