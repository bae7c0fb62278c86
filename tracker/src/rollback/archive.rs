//! What a reset takes away, with all it needs to come back: written down before the first removal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::check::legacy_objects;
use super::plan::Plan;
use super::step::Action;
use crate::model::digest::Digest;
use crate::model::ids::{ChainName, Handle, ObjectId, OperationId};
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::live::LiveState;
use crate::model::nft::{NftItem, NftSubject, TableRef};
use crate::model::object::{Object, Scope};
use crate::model::owner::{Attribution, Owner};
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};

/// One object as it was before the reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number in the journal, if the journal knows it.
    pub object: Option<ObjectId>,
    /// Which object.
    pub subject: Subject,
    /// Its content.
    pub snapshot: Snapshot,
    /// What the reset makes of it; `None` when it goes.
    pub after: Option<Snapshot>,
    /// Whose it is: of its making, or of the change that the reset takes back.
    pub attribution: Option<Attribution>,
}

/// The rules of a chain in their order, before the reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainOrder {
    /// The chain's table.
    pub table: TableRef,
    /// The chain.
    pub chain: ChainName,
    /// Its rules with the digest of their content.
    pub rules: Vec<(Handle, Digest)>,
}

/// The chains of a legacy table that loses something, in their order, before the reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyOrder {
    /// The table.
    pub table: LegacyTable,
    /// Its chains.
    pub chains: Vec<ChainName>,
    /// The rules of those that lose one, in their order: digest of the content, packets and bytes counted.
    pub rules: BTreeMap<ChainName, Vec<(Digest, [u64; 2])>>,
}

/// Everything one reset takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The reset.
    pub operation: OperationId,
    /// The boot and network namespace it ran in.
    pub scope: Scope,
    /// Whose things it takes back.
    pub owner: Owner,
    /// What was asked for, as the control stage wrote it.
    pub request: String,
    /// The objects, in the order in which the live state lists them; a rule's neighbours stand beside it.
    pub items: Vec<Item>,
    /// Chains that lose a rule and stay.
    pub chains: Vec<ChainOrder>,
    /// Legacy tables that lose something.
    pub legacy: Vec<LegacyOrder>,
}

/// An archive's bytes that are not understood.
#[derive(Debug, thiserror::Error)]
#[error("the archive is of another version or damaged")]
pub struct BadArchive(#[source] postcard::Error);

impl Archive {
    /// Writes down what `plan` takes away of `before`.
    pub fn of(
        operation: OperationId,
        scope: Scope,
        owner: Owner,
        request: String,
        (plan, before, objects): (&Plan, &LiveState, &[Object]),
    ) -> Self {
        let by_subject: HashMap<&Subject, &Object> =
            objects.iter().filter(|object| object.is_live()).map(|object| (&object.subject, object)).collect();
        let steps: HashMap<&Subject, _> = plan.steps().iter().map(|step| (step.subject(), step)).collect();
        let kernel = before
            .nft
            .iter()
            .chain(&before.rt)
            .chain(&before.ip_sets)
            .chain(&before.ipvs)
            .chain(&before.legacy)
            .chain(&before.mounts);
        let is_taken = |subject: &Subject| steps.contains_key(subject) || plan.implied().contains(subject);
        let kernel =
            kernel.filter(|(subject, _)| is_taken(subject)).map(|(subject, now)| (subject.clone(), now.clone()));
        let paths = before
            .paths
            .iter()
            .filter_map(|(path, now)| Some((Subject::Path(path.clone()), Snapshot::Path(now.clone()?))));
        // not part of the live state: the host compares them right before it writes
        let sysctls = plan.steps().iter().filter(|step| step.action() == Action::RestoreSysctl);
        let sysctls = sysctls.map(|step| (step.subject().clone(), step.snapshot().clone()));
        let mut items = Vec::new();
        for (subject, snapshot) in kernel.chain(sysctls).chain(paths) {
            let step = steps.get(&subject);
            if step.is_none() && !plan.implied().contains(&subject) {
                continue;
            }
            let object = by_subject.get(&subject).copied();
            let after = step.and_then(|step| step.after());
            let changed = object.and_then(|object| object.changed.as_ref()).filter(|_| after.is_some());
            let deed = changed.or(object.map(|object| &object.created));
            items.push(Item {
                object: object.map(|object| object.id),
                attribution: deed.map(|deed| deed.attribution.clone()),
                subject,
                snapshot,
                after,
            });
        }
        let chains = orders(&items, before);
        let legacy = legacy_orders(&items, before);
        Self { operation, scope, owner, request, items, chains, legacy }
    }

    /// The bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads [`Archive::to_bytes`].
    ///
    /// # Errors
    /// [`BadArchive`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadArchive> {
        postcard::from_bytes(bytes).map_err(BadArchive)
    }

    /// The files and directories among the objects, parents first.
    pub fn paths(&self) -> Vec<(AbsPath, PathSnapshot)> {
        let mut paths: Vec<(AbsPath, PathSnapshot)> = self
            .items
            .iter()
            .filter_map(|item| match (&item.subject, &item.snapshot) {
                (Subject::Path(path), Snapshot::Path(content)) => Some((path.clone(), content.clone())),
                _ => None,
            })
            .collect();
        paths.sort_by(|(one, _), (other, _)| one.cmp(other));
        paths
    }
}

/// The order of the rules of every chain that loses one.
fn orders(items: &[Item], before: &LiveState) -> Vec<ChainOrder> {
    let rule_of = |subject: &Subject| match subject {
        Subject::Nft(NftSubject { table, item: NftItem::Rule { chain, handle } }) => {
            Some((table.clone(), chain.clone(), *handle))
        }
        _ => None,
    };
    let losing: BTreeSet<(TableRef, ChainName)> =
        items.iter().filter_map(|item| rule_of(&item.subject)).map(|(table, chain, _)| (table, chain)).collect();
    let mut rules: BTreeMap<(TableRef, ChainName), Vec<(Handle, Digest)>> = BTreeMap::new();
    for (subject, now) in &before.nft {
        if let Some((table, chain, handle)) = rule_of(subject) {
            let key = (table, chain);
            if losing.contains(&key) {
                rules.entry(key).or_default().push((handle, now.digest()));
            }
        }
    }
    rules.into_iter().map(|((table, chain), rules)| ChainOrder { table, chain, rules }).collect()
}

/// The same of every legacy table.
fn legacy_orders(items: &[Item], before: &LiveState) -> Vec<LegacyOrder> {
    let mut losing: BTreeMap<&LegacyTable, BTreeSet<&ChainName>> = BTreeMap::new();
    for item in items {
        let Subject::Legacy(LegacySubject { table, item }) = &item.subject else { continue };
        let chains = losing.entry(table).or_default();
        if let LegacyItem::Rule { chain, .. } = item {
            chains.insert(chain);
        }
    }
    let mut orders: BTreeMap<&LegacyTable, LegacyOrder> = BTreeMap::new();
    for (LegacySubject { table, item }, snapshot) in legacy_objects(before) {
        let Some(losing) = losing.get(table) else { continue };
        let order = orders.entry(table);
        let order =
            order.or_insert_with(|| LegacyOrder { table: table.clone(), chains: Vec::new(), rules: BTreeMap::new() });
        match (item, snapshot) {
            (LegacyItem::Chain(name), _) => {
                order.chains.push(name.clone());
                if losing.contains(name) {
                    order.rules.insert(name.clone(), Vec::new());
                }
            }
            (LegacyItem::Rule { chain, .. }, LegacySnapshot::Rule(rule)) => {
                let rules = order.rules.get_mut(chain);
                rules.into_iter().for_each(|rules| rules.push((rule.content, rule.counters)));
            }
            _ => {}
        }
    }
    orders.into_values().collect()
}
