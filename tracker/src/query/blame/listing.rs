//! A ruleset put together again: tables with their chains and sets, chains with their rules.

use std::collections::HashMap;

use crate::model::ids::{ChainName, Ifindex, SetName};
use crate::model::live::Ruleset;
use crate::model::nft::{
    ChainSnapshot, ElementSnapshot, NftItem, NftSnapshot, NftSubject, OtherSnapshot, RuleSnapshot, SetSnapshot,
    TableRef, TableSnapshot,
};
use crate::model::subject::{Snapshot, Subject};
use crate::render::{SetContent, Surroundings};

use super::index::Index;

/// An object of the ruleset.
pub(super) type Entry<'a> = (&'a Subject, &'a Snapshot);

/// All tables, in the kernel's order.
pub(super) struct Listing<'a> {
    pub(super) tables: Vec<Table<'a>>,
}

/// One table with what is in it, each kind in the kernel's order.
pub(super) struct Table<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) name: &'a TableRef,
    pub(super) table: &'a TableSnapshot,
    pub(super) chains: Vec<Chain<'a>>,
    pub(super) sets: Vec<Set<'a>>,
    /// Stateful objects and flowtables.
    pub(super) others: Vec<Other<'a>>,
    chain_places: HashMap<&'a ChainName, usize>,
    set_places: HashMap<&'a SetName, usize>,
}

/// A stateful object or flowtable.
pub(super) type Other<'a> = (Entry<'a>, &'a NftItem, &'a OtherSnapshot);

/// One chain with its rules in their order.
pub(super) struct Chain<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) name: &'a ChainName,
    pub(super) chain: &'a ChainSnapshot,
    pub(super) rules: Vec<(Entry<'a>, &'a RuleSnapshot)>,
}

/// One set or map with its elements.
pub(super) struct Set<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) name: &'a SetName,
    pub(super) set: &'a SetSnapshot,
    pub(super) elements: Vec<(Entry<'a>, &'a ElementSnapshot)>,
}

impl<'a> Listing<'a> {
    /// Of a dump, in which containers are before what is in them.
    pub(super) fn of(ruleset: &'a Ruleset) -> Self {
        let mut tables: Vec<Table<'a>> = Vec::new();
        let mut places: HashMap<&TableRef, usize> = HashMap::new();
        for (subject, snapshot) in &ruleset.objects {
            let (Subject::Nft(NftSubject { table: name, item }), Snapshot::Nft(nft)) = (subject, snapshot) else {
                continue;
            };
            if let (NftItem::Table, NftSnapshot::Table(table)) = (item, nft) {
                places.insert(name, tables.len());
                tables.push(Table::new((subject, snapshot), name, table));
            } else if let Some(table) = places.get(name).and_then(|place| tables.get_mut(*place)) {
                table.add((subject, snapshot), item, nft);
            }
        }
        Self { tables }
    }
}

impl<'a> Table<'a> {
    fn new(entry: Entry<'a>, name: &'a TableRef, table: &'a TableSnapshot) -> Self {
        Self {
            entry,
            name,
            table,
            chains: Vec::new(),
            sets: Vec::new(),
            others: Vec::new(),
            chain_places: HashMap::new(),
            set_places: HashMap::new(),
        }
    }

    fn add(&mut self, entry: Entry<'a>, item: &'a NftItem, snapshot: &'a NftSnapshot) {
        match (item, snapshot) {
            (NftItem::Chain(name), NftSnapshot::Chain(chain)) => {
                self.chain_places.insert(name, self.chains.len());
                self.chains.push(Chain { entry, name, chain, rules: Vec::new() });
            }
            (NftItem::Rule { chain, .. }, NftSnapshot::Rule(rule)) => {
                if let Some(chain) = self.chain_places.get(chain).and_then(|place| self.chains.get_mut(*place)) {
                    chain.rules.push((entry, rule));
                }
            }
            (NftItem::Set(name), NftSnapshot::Set(set)) => {
                self.set_places.insert(name, self.sets.len());
                self.sets.push(Set { entry, name, set, elements: Vec::new() });
            }
            (NftItem::Element { set, .. }, NftSnapshot::Element(element)) => {
                if let Some(set) = self.set_places.get(set).and_then(|place| self.sets.get_mut(*place)) {
                    set.elements.push((entry, element));
                }
            }
            (NftItem::Object { .. } | NftItem::Flowtable(_), NftSnapshot::Other(content)) => {
                self.others.push((entry, item, content));
            }
            _ => {}
        }
    }
}

/// What the rules of one table refer to.
pub(super) struct In<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) index: &'a Index,
    pub(super) table: &'a Table<'a>,
}

impl Surroundings for In<'_> {
    fn set(&self, name: &str) -> Option<SetContent<'_>> {
        let place = self.table.set_places.get(&SetName::from(name))?;
        let Set { set, elements, .. } = self.table.sets.get(*place)?;
        Some(SetContent { set, elements: elements.iter().map(|(_, element)| *element).collect() })
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        self.ruleset.links.get(&Ifindex(ifindex)).cloned()
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.index.ip_set(index)
    }
}
