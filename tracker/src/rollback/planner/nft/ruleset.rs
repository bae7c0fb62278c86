//! The live ruleset with its references resolved.

use std::collections::{BTreeMap, HashMap};

use super::super::register::{Judged, Register};
use crate::decode::nft::object_of;
use crate::model::ids::{ChainName, ObjectName, SetName};
use crate::model::nft::{NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject};
use crate::rollback::refusal::Reason;

/// `NFT_CHAIN_BINDING`: the chain is the anonymous target of one rule (`jump { ... }`), Linux 5.9.
const CHAIN_BINDING: u32 = 4;

/// One live object. Others are named by their place in [`Ruleset::items`].
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) subject: &'a Subject,
    pub(super) snapshot: &'a Snapshot,
    pub(super) nft: &'a NftSubject,
    pub(super) content: &'a NftSnapshot,
    pub(super) judged: Judged<'a>,
    /// Rules of a chain, elements of a set, everything of a table.
    pub(super) members: Vec<usize>,
    /// Rules and elements that refer to it.
    pub(super) referrers: Vec<usize>,
    /// Chains, sets, objects and flowtables it refers to.
    pub(super) references: Vec<usize>,
    /// The chain of a rule, the set of an element.
    pub(super) container: Option<usize>,
}

impl Item<'_> {
    pub(super) fn is_bound_chain(&self) -> bool {
        matches!(self.content, NftSnapshot::Chain(chain) if chain.flags & CHAIN_BINDING != 0)
    }

    pub(super) fn is_anonymous_set(&self) -> bool {
        matches!(self.content, NftSnapshot::Set(set) if set.is_anonymous())
    }

    pub(super) fn is_base_chain(&self) -> bool {
        matches!(self.content, NftSnapshot::Chain(chain) if chain.base.is_some())
    }

    pub(super) fn set_flags(&self) -> u32 {
        if let NftSnapshot::Set(set) = self.content { set.flags } else { 0 }
    }
}

/// Every live object, in the order of the dump.
#[derive(Debug)]
pub(super) struct Ruleset<'a> {
    pub(super) items: Vec<Item<'a>>,
}

/// Places of named objects in a table.
#[derive(Debug, Default)]
struct Names<'a> {
    tables: BTreeMap<&'a TableRef, usize>,
    chains: HashMap<(&'a TableRef, &'a ChainName), usize>,
    sets: HashMap<(&'a TableRef, &'a SetName), usize>,
    /// Objects of different kinds, and flowtables, may share a name.
    objects: HashMap<(&'a TableRef, &'a ObjectName), Vec<usize>>,
}

impl<'a> Ruleset<'a> {
    pub(super) fn new(register: &Register<'a>, live: &'a [(Subject, Snapshot)]) -> Self {
        let mut items = Vec::with_capacity(live.len());
        for (subject, snapshot) in live {
            let (Subject::Nft(nft), Snapshot::Nft(content)) = (subject, snapshot) else { continue };
            let judged = register.judge(subject, snapshot);
            let (members, referrers, references) = (Vec::new(), Vec::new(), Vec::new());
            items.push(Item {
                subject,
                snapshot,
                nft,
                content,
                judged,
                members,
                referrers,
                references,
                container: None,
            });
        }
        let names = Names::new(&items);
        let mut it = Self { items };
        it.refuse_locked_tables(&names);
        for index in 0..it.items.len() {
            it.link(&names, index);
        }
        it
    }

    /// The kernel answers `EPERM` to everybody but the socket that made such a table.
    fn refuse_locked_tables(&mut self, names: &Names<'_>) {
        let is_locked = |item: &Item<'_>| {
            let table = names.tables.get(&item.nft.table).map(|table| self.items[*table].content);
            matches!(table, Some(NftSnapshot::Table(table)) if table.is_locked_by_its_owner())
        };
        let locked: Vec<bool> =
            self.items.iter().map(|item| item.judged.proof().is_some() && is_locked(item)).collect();
        for (item, _) in self.items.iter_mut().zip(locked).filter(|(_, is_locked)| *is_locked) {
            item.judged = Judged::Refused(Reason::LockedTable);
        }
    }

    fn link(&mut self, names: &Names<'a>, index: usize) {
        let Item { nft, content, .. } = self.items[index];
        let table = &nft.table;
        if let Some(table) = names.tables.get(table).filter(|table| **table != index) {
            self.items[*table].members.push(index);
        }
        let container = match &nft.item {
            NftItem::Rule { chain, .. } => names.chains.get(&(table, chain)),
            NftItem::Element { set, .. } => names.sets.get(&(table, set)),
            _ => None,
        };
        if let Some(container) = container {
            self.items[*container].members.push(index);
            self.items[index].container = Some(*container);
        }
        let mut references: Vec<usize> = match content {
            NftSnapshot::Rule(rule) => {
                let chains = rule.chains.iter().filter_map(|chain| names.chains.get(&(table, chain)));
                let sets = rule.sets.iter().filter_map(|set| names.sets.get(&(table, set)));
                let objects = rule.objects.iter().filter_map(|name| names.objects.get(&(table, name))).flatten();
                chains.chain(sets).chain(objects).copied().collect()
            }
            NftSnapshot::Element(element) => {
                let chains = element.chains.iter().filter_map(|chain| names.chains.get(&(table, chain)));
                let object = object_of(element);
                let objects = object.iter().filter_map(|name| names.objects.get(&(table, name))).flatten();
                chains.chain(objects).copied().collect()
            }
            _ => Vec::new(),
        };
        references.sort_unstable();
        references.dedup();
        for target in &references {
            self.items[*target].referrers.push(index);
        }
        self.items[index].references = references;
    }
}

impl<'a> Names<'a> {
    fn new(items: &[Item<'a>]) -> Self {
        let mut it = Self::default();
        for (index, item) in items.iter().enumerate() {
            let table = &item.nft.table;
            match &item.nft.item {
                NftItem::Table => {
                    it.tables.insert(table, index);
                }
                NftItem::Chain(name) => {
                    it.chains.insert((table, name), index);
                }
                NftItem::Set(name) => {
                    it.sets.insert((table, name), index);
                }
                NftItem::Object { name, .. } | NftItem::Flowtable(name) => {
                    it.objects.entry((table, name)).or_default().push(index);
                }
                NftItem::Rule { .. } | NftItem::Element { .. } => {}
            }
        }
        it
    }
}
