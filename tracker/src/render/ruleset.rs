//! A whole ruleset put together of its objects.

use std::collections::HashMap;

use super::{SetContent, Surroundings};
use crate::model::ids::{Handle, ObjectName, SetName};
use crate::model::nft::{
    ChainSnapshot, NftItem, NftSnapshot, NftSubject, OtherSnapshot, RuleSnapshot, TableRef, TableSnapshot,
};

/// The tables of one network namespace with what is in them, each kind in the order it was given.
#[derive(Debug, Default)]
pub struct Ruleset<'a> {
    tables: Vec<Table<'a>>,
    by_name: HashMap<&'a TableRef, usize>,
}

/// One table with what is in it.
#[derive(Debug)]
pub struct Table<'a> {
    /// Family and name.
    pub table: &'a TableRef,
    /// The table itself; `None` where only things in it were given.
    pub snapshot: Option<&'a TableSnapshot>,
    /// Stateful objects: kind (`NFT_OBJECT_*`), name, content.
    pub objects: Vec<(u32, &'a ObjectName, &'a OtherSnapshot)>,
    /// Sets and maps, anonymous ones included, with their elements.
    pub sets: Vec<(&'a SetName, SetContent<'a>)>,
    /// Flowtables.
    pub flowtables: Vec<(&'a ObjectName, &'a OtherSnapshot)>,
    /// Chains with their rules.
    pub chains: Vec<Chain<'a>>,
    set_index: HashMap<&'a str, usize>,
    chain_index: HashMap<&'a str, usize>,
}

/// One chain with its rules.
#[derive(Debug)]
pub struct Chain<'a> {
    /// Its name.
    pub name: &'a str,
    /// The chain itself; `None` where only rules of it were given.
    pub snapshot: Option<&'a ChainSnapshot>,
    /// Its rules, first to last.
    pub rules: Vec<(Handle, &'a RuleSnapshot)>,
}

impl<'a> Ruleset<'a> {
    /// Puts objects together. Rules of one chain have to be in their order, as a dump has them; what belongs to a set
    /// or chain that is not given itself still counts: the rule gets a chain without content, the element is left out.
    pub fn new(objects: impl IntoIterator<Item = (&'a NftSubject, &'a NftSnapshot)>) -> Self {
        let mut ruleset = Self::default();
        for (subject, snapshot) in objects {
            ruleset.table_mut(&subject.table).add(&subject.item, snapshot);
        }
        ruleset
    }

    /// The tables, in the order they were given.
    pub fn tables(&self) -> &[Table<'a>] {
        &self.tables
    }

    /// One table.
    pub fn table(&self, table: &TableRef) -> Option<&Table<'a>> {
        self.by_name.get(table).and_then(|index| self.tables.get(*index))
    }

    fn table_mut(&mut self, table: &'a TableRef) -> &mut Table<'a> {
        let index = *self.by_name.entry(table).or_insert_with(|| {
            self.tables.push(Table::new(table));
            self.tables.len() - 1
        });
        &mut self.tables[index]
    }
}

impl<'a> Table<'a> {
    fn new(table: &'a TableRef) -> Self {
        Self {
            table,
            snapshot: None,
            objects: Vec::new(),
            sets: Vec::new(),
            flowtables: Vec::new(),
            chains: Vec::new(),
            set_index: HashMap::new(),
            chain_index: HashMap::new(),
        }
    }

    /// What rules of this table refer to: its sets, and what `outside` knows of the rest.
    pub fn surroundings<'b>(&'b self, outside: &'b dyn Surroundings) -> impl Surroundings + 'b {
        Within { table: self, outside }
    }

    fn add(&mut self, item: &'a NftItem, snapshot: &'a NftSnapshot) {
        match (item, snapshot) {
            (NftItem::Table, NftSnapshot::Table(table)) => self.snapshot = Some(table),
            (NftItem::Chain(name), NftSnapshot::Chain(chain)) => self.chain_mut(name.as_str()).snapshot = Some(chain),
            (NftItem::Rule { chain, handle }, NftSnapshot::Rule(rule)) => {
                self.chain_mut(chain.as_str()).rules.push((*handle, rule));
            }
            (NftItem::Set(name), NftSnapshot::Set(set)) => {
                self.set_index.insert(name.as_str(), self.sets.len());
                self.sets.push((name, SetContent { set, elements: Vec::new() }));
            }
            (NftItem::Element { set, .. }, NftSnapshot::Element(element)) => {
                if let Some((_, content)) = self.set_index.get(set.as_str()).and_then(|at| self.sets.get_mut(*at)) {
                    content.elements.push(element);
                }
            }
            (NftItem::Object { kind, name }, NftSnapshot::Other(object)) => self.objects.push((*kind, name, object)),
            (NftItem::Flowtable(name), NftSnapshot::Other(flowtable)) => self.flowtables.push((name, flowtable)),
            _ => {}
        }
    }

    fn chain_mut(&mut self, name: &'a str) -> &mut Chain<'a> {
        let index = *self.chain_index.entry(name).or_insert_with(|| {
            self.chains.push(Chain { name, snapshot: None, rules: Vec::new() });
            self.chains.len() - 1
        });
        &mut self.chains[index]
    }
}

/// What rules of one table refer to.
struct Within<'a, 'b> {
    table: &'b Table<'a>,
    outside: &'b dyn Surroundings,
}

impl Surroundings for Within<'_, '_> {
    fn set(&self, name: &str) -> Option<SetContent<'_>> {
        let (_, content) = self.table.sets.get(*self.table.set_index.get(name)?)?;
        // rules show the elements of anonymous sets only, and named ones may be large
        let elements = if content.set.is_anonymous() { content.elements.clone() } else { Vec::new() };
        Some(SetContent { set: content.set, elements })
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        self.outside.link(ifindex)
    }

    fn ip_set(&self, index: u16) -> Option<String> {
        self.outside.ip_set(index)
    }
}
