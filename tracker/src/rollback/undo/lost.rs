//! What of a plan no undo would bring back, known before it is carried out.

use std::collections::BTreeMap;

use super::legacy;
use super::links::KINDS;
use super::nft::matches_ip_set;
use crate::model::legacy::{LegacySnapshot, LegacySubject};
use crate::model::subject::{Class, Snapshot, Subject};
use crate::rollback::plan::Plan;

/// How many things of each class go for good: an undo can only have their owner make them anew.
pub fn lost(plan: &Plan) -> BTreeMap<Class, usize> {
    let mut lost = BTreeMap::new();
    let lose_sets = plan.steps().iter().any(|step| matches!(step.subject(), Subject::IpSet(_)));
    for step in plan.steps() {
        let is_lost = match (step.subject(), step.snapshot()) {
            (Subject::IpSet(_), _) => true,
            (Subject::Legacy(LegacySubject { table, .. }), Snapshot::Legacy(LegacySnapshot::Rule(rule))) => {
                lose_sets && legacy::matches_ip_set(table.family, rule)
            }
            (_, Snapshot::Traffic(_) | Snapshot::Neighbour(_)) => true,
            (_, Snapshot::Mount(mount)) => mount.is_namespace() || step.loses() > 0,
            (_, Snapshot::Nft(content)) => lose_sets && matches_ip_set(content),
            (_, Snapshot::Link(link)) => {
                link.peer_netns.is_some() || !link.kind.as_deref().is_some_and(|kind| KINDS.contains(&kind))
            }
            _ => false,
        };
        if is_lost {
            *lost.entry(Class::of(step.subject(), step.snapshot())).or_default() += 1;
        }
    }
    lost
}
