//! What is left of the old CNI: by its recorded owner, and by the names it gives its things.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding, Scene, Severity, Swap, networks, shortened};
use crate::model::legacy::{LegacyItem, LegacySnapshot, LegacySubject};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::object::Object;
use crate::model::owner::{Certainty, Owner};
use crate::model::subject::{Class, Snapshot, Subject, describe};

/// The chain in which flannel masquerades: left behind, it hides pods' addresses from the policies of other nodes.
const POSTRTG: &str = "FLANNEL-POSTRTG";

/// What lives in the kernel.
type Living<'a> = BTreeMap<&'a Subject, &'a Snapshot>;
/// Whose it is, where the journal knows it.
type Owners<'a> = BTreeMap<&'a Subject, &'a Owner>;

pub(super) fn find(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    let living: Living<'_> = kernel(scene).collect();
    let owners: Owners<'_> = scene
        .objects
        .iter()
        .filter(|object| object.is_live())
        .map(|object| (&object.subject, object.owner()))
        .collect();
    by_owner(scene, swap, (&living, &owners), findings);
    by_name(swap, &living, &owners, findings);
    masquerade(swap, &living, findings);
}

fn kernel<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (&'a Subject, &'a Snapshot)> + use<'a> {
    let live = scene.live;
    let all = live.nft.iter().chain(&live.rt).chain(&live.ip_sets).chain(&live.ipvs).chain(&live.legacy);
    all.map(|(subject, content)| (subject, content))
}

/// What the journal gives to the old CNI, however surely, and that lives. Pods' links are a finding of their own; tables and
/// built-in chains that others use by now are theirs too.
fn by_owner(scene: &Scene<'_>, swap: &Swap, (living, owners): (&Living<'_>, &Owners<'_>), findings: &mut Vec<Finding>) {
    let shared = shared_tables(living, owners, &swap.from);
    let mut left: BTreeMap<Class, Vec<String>> = BTreeMap::new();
    for object in scene.objects.iter().filter(|object| object.is_live() && object.owner().is_within(&swap.from)) {
        let is_there = match &object.subject {
            Subject::Path(path) => scene.live.paths.get(path).is_some_and(Option::is_some),
            Subject::Sysctl(_) => true,
            subject => living.contains_key(subject),
        };
        let is_pods = matches!(&object.snapshot, Snapshot::Link(link) if link.peer_netns.is_some());
        if is_there && !is_pods && !is_shared(object, &shared) && object.certainty() > Certainty::Unknown {
            left.entry(object.class()).or_default().push(object.describe());
        }
    }
    for (class, mut names) in left {
        names.sort();
        let what = format!("{} {class} of {} left: {}", names.len(), swap.from, shortened(&names));
        let remedy = format!("netdeed plan --owner {} --include-inferred", swap.from);
        findings.push(Finding::new(Severity::Problem, Check::Leftovers, what, remedy));
    }
}

/// The nf_tables tables in which something is others' or nobody's.
fn shared_tables<'a>(living: &Living<'a>, owners: &Owners<'a>, from: &Owner) -> BTreeSet<&'a TableRef> {
    let foreign = living.keys().filter_map(|subject| match subject {
        Subject::Nft(nft) if !owners.get(*subject).is_some_and(|owner| owner.is_within(from)) => Some(&nft.table),
        _ => None,
    });
    foreign.collect()
}

fn is_shared(object: &Object, shared: &BTreeSet<&TableRef>) -> bool {
    match (&object.subject, &object.snapshot) {
        (Subject::Nft(NftSubject { table, item: NftItem::Table }), _) => shared.contains(table),
        (Subject::Nft(nft), Snapshot::Nft(NftSnapshot::Chain(chain))) => {
            chain.base.is_some() && shared.contains(&nft.table)
        }
        (Subject::Legacy(LegacySubject { item: LegacyItem::Table, .. }), _) => true,
        (_, Snapshot::Legacy(LegacySnapshot::Chain(chain))) => chain.policy.is_some(),
        _ => false,
    }
}

/// What is named as the old CNI names its things, and recorded as nobody's or somebody else's.
fn by_name(swap: &Swap, living: &Living<'_>, owners: &Owners<'_>, findings: &mut Vec<Finding>) {
    let Some(network) = Swap::known(&swap.from) else { return };
    let is_named = |subject: &Subject, content: &Snapshot| match (subject, content) {
        (Subject::Nft(NftSubject { item: NftItem::Chain(chain), .. }), _) => {
            networks::fits(chain.as_str(), network.chains)
        }
        (Subject::Nft(NftSubject { item: NftItem::Table, table }), _) => {
            networks::fits(table.name.as_str(), network.tables)
        }
        (Subject::Legacy(LegacySubject { item: LegacyItem::Chain(chain), .. }), _) => {
            networks::fits(chain.as_str(), network.chains)
        }
        (Subject::Link(_), Snapshot::Link(link)) => networks::fits(link.name.as_str(), network.links),
        _ => false,
    };
    let mut named = BTreeSet::new();
    for (subject, content) in living.iter().filter(|(subject, content)| is_named(subject, content)) {
        match owners.get(*subject) {
            Some(owner) if owner.is_within(&swap.from) => {}
            Some(owner) => drop(named.insert(format!("{} (of {owner})", describe(subject, content)))),
            None => drop(named.insert(format!("{} (not recorded)", describe(subject, content)))),
        }
    }
    if !named.is_empty() {
        let named: Vec<String> = named.into_iter().collect();
        let what = format!("{} things are named like those of {}: {}", named.len(), swap.from, shortened(&named));
        let remedy = "see who made them with `netdeed who`, and remove by hand what is left over";
        findings.push(Finding::new(Severity::Warning, Check::Leftovers, what, remedy));
    }
}

fn masquerade(swap: &Swap, living: &Living<'_>, findings: &mut Vec<Finding>) {
    let chain = living.keys().find_map(|subject| match subject {
        Subject::Nft(nft @ NftSubject { item: NftItem::Chain(chain), .. }) if chain.as_str() == POSTRTG => {
            Some(nft.to_string())
        }
        Subject::Legacy(it @ LegacySubject { item: LegacyItem::Chain(chain), .. }) if chain.as_str() == POSTRTG => {
            Some(it.to_string())
        }
        _ => None,
    });
    if let (Some(chain), "flannel" | "canal") = (chain, Swap::name(&swap.from)) {
        let what = format!(
            "{chain} masquerades what pods send to other nodes: network policies there see the node's address and do not match"
        );
        let remedy = format!("netdeed reset --owner {} --include-inferred --class chain,rule", swap.from);
        findings.push(Finding::new(Severity::Problem, Check::Masquerade, what, remedy));
    }
}
