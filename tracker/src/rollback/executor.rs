//! The executor: does each step of a checked plan, decides nothing.

use std::collections::{BTreeMap, HashSet};

use crate::causes::causes;
use crate::host::{Host, HostError, LegacyEdit, NftAdd, NftBatch, NftCommand, NftDelete, Removal};
use crate::model::legacy::{LegacyItem, LegacySubject, LegacyTable};
use crate::model::nft::{NftItem, NftSnapshot};
use crate::model::operation::StepOutcome;
use crate::model::subject::{Snapshot, Subject};

use super::check::CheckedPlan;
use super::execution::{Execution, Run};
use super::plan::Plan;
use super::step::{Action, Step};

/// Executes a checked plan: the nf_tables steps as one commit, those of each legacy table as one replacement, then the
/// others one by one. `progress` is told the number
/// of steps done and their total.
///
/// When the commit fails nothing else is tried; after that, a failing step does not stop the others, which do not need
/// it (a directory that is not empty then refuses by itself).
pub fn execute(checked: CheckedPlan, host: &mut dyn Host, progress: &mut dyn FnMut(usize, usize)) -> Execution {
    let plan = checked.into_plan();
    let (nft, others): (Vec<&Step>, Vec<&Step>) = plan.steps().iter().partition(|step| step.action().is_nft());
    let mut run = Run::new(outcome, plan.steps().len(), progress);
    let mut batch = NftBatch::new(plan.generation());
    commands(&nft).into_iter().for_each(|command| batch.push(command));
    if let Err(ended) = run.commit(host, &batch, &nft, &others) {
        return ended;
    }
    let (legacy, others): (Vec<&Step>, Vec<&Step>) = others.into_iter().partition(|step| step.action().is_legacy());
    for (edit, steps) in edits(&plan, &legacy) {
        if let Err(ended) = run.replace(host, &edit, &steps) {
            return ended;
        }
    }
    for step in others {
        let error = remove(host, &plan, step).err().map(|error| causes(&error));
        run.push([outcome(step, error)]);
    }
    run.end()
}

/// The steps on each legacy table as one edit.
fn edits<'a>(plan: &Plan, steps: &[&'a Step]) -> Vec<(LegacyEdit, Vec<&'a Step>)> {
    let mut edits: BTreeMap<LegacyTable, (LegacyEdit, Vec<&Step>)> = BTreeMap::new();
    for step in steps {
        let Subject::Legacy(LegacySubject { table, item }) = step.subject() else { continue };
        let (edit, its) = edits.entry(table.clone()).or_insert_with(|| {
            let expected = plan.preconditions.table(table);
            (LegacyEdit::new(table.clone(), expected), Vec::new())
        });
        match (step.action(), item) {
            (Action::RestorePolicy { policy }, LegacyItem::Chain(chain)) => {
                edit.policies.insert(chain.clone(), policy);
            }
            _ => {
                edit.removed.insert(item.clone());
            }
        }
        its.push(step);
    }
    edits.into_values().collect()
}

fn outcome(step: &Step, error: Option<String>) -> StepOutcome {
    StepOutcome { object: step.object(), step: format!("{} {}", step.action(), step.describe()), error }
}

fn remove(host: &mut dyn Host, plan: &Plan, step: &Step) -> Result<Removal, HostError> {
    match (step.subject(), step.snapshot()) {
        (Subject::IpRule(rule), Snapshot::IpRule(expected)) => host.delete_ip_rule(rule, expected),
        (Subject::Route(route), Snapshot::Route(expected)) => host.delete_route(route, expected),
        (Subject::Address(address), Snapshot::Address(expected)) => host.delete_address(address, expected),
        (Subject::Link(link), Snapshot::Link(expected)) => host.delete_link(*link, expected),
        (Subject::Path(path), Snapshot::Path(expected)) => host.remove_path(path, expected),
        (Subject::IpSet(set), Snapshot::IpSet(expected)) => host.delete_ip_set(set, expected),
        (Subject::Ipvs(ipvs), Snapshot::Ipvs(expected)) => host.delete_ipvs(ipvs, expected),
        (Subject::Sysctl(name), Snapshot::Sysctl(expected)) => host.restore_sysctl(name, expected),
        (Subject::Neighbour(neighbour), Snapshot::Neighbour(expected)) => host.delete_neighbour(neighbour, expected),
        (Subject::Mount(mount), Snapshot::Mount(expected)) => {
            // what has a step of its own is gone by now
            let losing = plan.preconditions.content(mount.id).map(|mut content| {
                content
                    .retain(|path, _| !plan.steps().iter().any(|step| *step.subject() == Subject::Path(path.clone())));
                content
            });
            host.unmount(mount, expected, losing.as_ref())
        }
        (subject, Snapshot::Traffic(expected)) => host.delete_traffic(subject, expected),
        (_, _) => Err(HostError::Drifted {
            object: step.describe(),
            expected: "content of its own class".to_owned(),
            found: "content of another".to_owned(),
        }),
    }
}

/// The nf_tables steps as changes. A chain all of whose rules go is flushed by one deletion, at its first rule.
pub(super) fn commands(steps: &[&Step]) -> Vec<NftCommand> {
    let mut commands: Vec<NftCommand> = Vec::with_capacity(steps.len());
    let mut flushed = HashSet::new();
    for step in steps {
        let (Subject::Nft(nft), Snapshot::Nft(content)) = (step.subject(), step.snapshot()) else { continue };
        let table = nft.table.clone();
        let command = match (&nft.item, step.action(), content) {
            (NftItem::Rule { chain, .. }, Action::DeleteRule { whole_chain: true }, _) => {
                if !flushed.insert((&nft.table, chain)) {
                    continue;
                }
                NftDelete::RulesOf { table, chain: chain.clone() }
            }
            (NftItem::Rule { chain, handle }, _, _) => NftDelete::Rule { table, chain: chain.clone(), handle: *handle },
            (NftItem::Element { set, .. }, _, NftSnapshot::Element(element)) => {
                NftDelete::Element { table, set: set.clone(), attributes: element.attributes.clone() }
            }
            (NftItem::Set(set), action, _) => {
                if matches!(action, Action::DeleteSet { clear_first: true }) {
                    commands.push(NftDelete::ElementsOf { table: table.clone(), set: set.clone() }.into());
                }
                NftDelete::Set { table, set: set.clone() }
            }
            (NftItem::Chain(chain), Action::SetPolicy { policy }, _) => {
                commands.push(NftAdd::Policy { table, chain: chain.clone(), policy }.into());
                continue;
            }
            (NftItem::Chain(chain), _, _) => NftDelete::Chain { table, chain: chain.clone() },
            (NftItem::Object { kind, name }, _, _) => NftDelete::Object { table, kind: *kind, name: name.clone() },
            (NftItem::Flowtable(name), _, _) => NftDelete::Flowtable { table, name: name.clone() },
            (NftItem::Table, _, _) => NftDelete::Table { table },
            (NftItem::Element { .. }, _, _) => continue,
        };
        commands.push(command.into());
    }
    commands
}
