//! Legacy tables: which rules and user chains go, and which policies are set back.
//!
//! The table itself and its built-in chains are the kernel's: it makes them for the first who asks and never removes
//! them. A chain goes when nothing of others is in it or jumps to it.

use std::collections::BTreeMap;

use super::register::{Judged, Register};
use super::{Draft, refuse_judged};
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyFamily, LegacyItem, LegacySnapshot, LegacySubject, LegacyTable};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::rollback::refusal::{Parties, Reason};
use crate::rollback::step::{Action, Step};

/// A live chain or rule. Others are named by their place in [`Tables::items`].
struct Item<'a> {
    subject: &'a Subject,
    snapshot: &'a Snapshot,
    content: &'a LegacySnapshot,
    judged: Judged<'a>,
    /// The chain of a rule.
    chain: Option<usize>,
    /// The chain a rule leads to.
    leads_to: Option<usize>,
    /// The rules of a chain.
    members: Vec<usize>,
    /// The rules that lead to a chain.
    users: Vec<usize>,
}

impl Item<'_> {
    fn is_rule(&self) -> bool {
        matches!(self.content, LegacySnapshot::Rule(_))
    }

    fn is_of_bridge(&self) -> bool {
        matches!(self.subject, Subject::Legacy(subject) if subject.table.family == LegacyFamily::Bridge)
    }

    fn is_own_chain(&self) -> bool {
        matches!(self.content, LegacySnapshot::Chain(chain) if chain.policy.is_none())
    }
}

struct Tables<'a> {
    items: Vec<Item<'a>>,
}

pub(super) fn plan(register: &Register<'_>, live: &[(Subject, Snapshot)], draft: &mut Draft) {
    let tables = Tables::new(register, live);
    let leading = tables.leading();
    let goes = tables.fates(&leading);
    for (index, item) in tables.items.iter().enumerate() {
        if item.is_of_bridge() {
            // not replaced by netdeed
            if let Some(object) = register.object(item.subject).filter(|object| register.asks_for(object)) {
                draft.refuse(object, Reason::LegacyTable);
            } else {
                refuse_judged(register, draft, &item.judged, item.subject);
            }
            continue;
        }
        match (item.judged.proof(), item.content) {
            (Some(proof), LegacySnapshot::Rule(_)) if goes[index] => {
                draft.steps.push(Step::new(&proof, item.snapshot, Action::DeleteLegacyRule));
            }
            (Some(proof), LegacySnapshot::Chain(_)) if goes[index] => {
                draft.steps.push(Step::new(&proof, item.snapshot, Action::DeleteLegacyChain));
            }
            (_, LegacySnapshot::Chain(chain)) if chain.policy.is_some() => policy(register, item, draft),
            _ => tables.stays(register, &goes, leading.get(&index).copied(), index, draft),
        }
    }
}

/// A policy that the owner set is set back to what it was before, unless somebody else set it since.
fn policy(register: &Register<'_>, item: &Item<'_>, draft: &mut Draft) {
    match register.policy_before(item.subject, item.snapshot) {
        Some((_, before)) if matches!(item.content, LegacySnapshot::Chain(chain) if chain.policy == Some(before)) => {}
        Some((proof, before)) => {
            draft.steps.push(Step::new(&proof, item.snapshot, Action::RestorePolicy { policy: before }));
        }
        None => refuse_judged(register, draft, &item.judged, item.subject),
    }
}

impl<'a> Tables<'a> {
    fn new(register: &Register<'a>, live: &'a [(Subject, Snapshot)]) -> Self {
        let mut items: Vec<Item<'a>> = Vec::with_capacity(live.len());
        let mut chains: BTreeMap<(&LegacyTable, &ChainName), usize> = BTreeMap::new();
        for (subject, snapshot) in live {
            let (Subject::Legacy(LegacySubject { table, item }), Snapshot::Legacy(content)) = (subject, snapshot)
            else {
                continue;
            };
            if let LegacyItem::Chain(name) = item {
                chains.insert((table, name), items.len());
            }
            items.push(Item {
                subject,
                snapshot,
                content,
                judged: register.judge(subject, snapshot),
                chain: None,
                leads_to: None,
                members: Vec::new(),
                users: Vec::new(),
            });
        }
        for index in 0..items.len() {
            let (
                Subject::Legacy(LegacySubject { table, item: LegacyItem::Rule { chain, .. } }),
                LegacySnapshot::Rule(rule),
            ) = (items[index].subject, items[index].content)
            else {
                continue;
            };
            if let Some(place) = chains.get(&(table, chain)) {
                items[index].chain = Some(*place);
                items[*place].members.push(index);
            }
            if let Some(place) = rule.chain.as_ref().and_then(|name| chains.get(&(table, name))) {
                items[index].leads_to = Some(*place);
                items[*place].users.push(index);
            }
        }
        Self { items }
    }

    /// The owner's rules that lead to a rule of somebody else, each with the chain it leads to next: without them no
    /// packet would meet that rule.
    fn leading(&self) -> BTreeMap<usize, usize> {
        let holds_foreign = |item: &Item<'_>| item.members.iter().any(|member| self.items[*member].judged.is_foreign());
        let with_foreign = self.items.iter().enumerate().filter(|(_, item)| holds_foreign(item));
        let mut ahead: Vec<usize> = with_foreign.map(|(index, _)| index).collect();
        let mut seen = vec![false; self.items.len()];
        let mut leading = BTreeMap::new();
        while let Some(target) = ahead.pop() {
            if std::mem::replace(&mut seen[target], true) {
                continue;
            }
            for &user in &self.items[target].users {
                if self.items[user].judged.proof().is_some() {
                    leading.entry(user).or_insert(target);
                    ahead.extend(self.items[user].chain);
                }
            }
        }
        leading
    }

    /// Which items go: rules first, chains follow from them.
    fn fates(&self, leading: &BTreeMap<usize, usize>) -> Vec<bool> {
        let goes = |index: usize, item: &Item<'_>| {
            item.is_rule() && item.judged.proof().is_some() && !leading.contains_key(&index)
        };
        let rules: Vec<bool> = self.items.iter().enumerate().map(|(index, item)| goes(index, item)).collect();
        let chain_goes = |item: &Item<'_>| {
            item.is_own_chain()
                && item.judged.proof().is_some()
                && item.members.iter().chain(&item.users).all(|rule| rules[*rule])
        };
        self.items.iter().zip(&rules).map(|(item, goes)| *goes || chain_goes(item)).collect()
    }

    fn stays(&self, register: &Register<'_>, goes: &[bool], leads_to: Option<usize>, index: usize, draft: &mut Draft) {
        let item = &self.items[index];
        let Some(object) = register.object(item.subject).filter(|object| register.asks_for(object)) else {
            return refuse_judged(register, draft, &item.judged, item.subject);
        };
        if let Some(target) = leads_to {
            let target = &self.items[target];
            return draft
                .refuse(object, Reason::LeadsToForeign { by_way_of: describe(target.subject, target.snapshot) });
        }
        if let Judged::Refused(reason) = &item.judged {
            return draft.refuse(object, reason.clone());
        }
        let parties = |indices: &mut dyn Iterator<Item = &usize>| {
            let mut parties = Parties::default();
            for other in indices.filter(|other| !goes[**other]).map(|other| &self.items[*other]) {
                parties.add(|| register.party(other.subject, other.snapshot));
            }
            parties
        };
        let is_owners = |other: &&usize| register.is_owners(self.items[**other].subject);
        let foreign = parties(&mut item.members.iter().filter(|other| !is_owners(other)));
        let users = parties(&mut item.users.iter());
        let own = parties(&mut item.members.iter().filter(is_owners));
        if !foreign.is_empty() {
            draft.refuse(object, Reason::ForeignInside { what: foreign });
        } else if !users.is_empty() {
            draft.refuse(object, Reason::ForeignReference { by: users });
        } else if !own.is_empty() {
            draft.refuse(object, Reason::NotEmpty { what: own });
        } else if *object.owner() == crate::model::owner::Owner::kernel() {
            draft.refuse(object, Reason::KernelMade);
        }
    }
}
