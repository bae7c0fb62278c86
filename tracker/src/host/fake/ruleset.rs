//! An nf_tables ruleset in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::decode::nft::object_of;
use crate::host::{NftAdd, NftCommand, NftDelete, Place};
use crate::model::ids::{ChainName, Generation, Handle, ObjectName, SetName};
use crate::model::nft::{ChainSnapshot, NftItem, NftSnapshot, NftSubject, TableRef};
use crate::model::subject::{Snapshot, Subject};

/// A ruleset that gives out handles and refuses what the kernel refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRuleset {
    generation: u32,
    last_table: u64,
    /// Last handle given out in each table.
    last_handle: BTreeMap<TableRef, u64>,
    /// In the order they were added.
    objects: Vec<(NftSubject, NftSnapshot)>,
}

impl Default for FakeRuleset {
    fn default() -> Self {
        Self { generation: 1, last_table: 0, last_handle: BTreeMap::new(), objects: Vec::new() }
    }
}

/// What a rule or an element refers to.
#[derive(Default)]
struct References<'a> {
    chains: &'a [ChainName],
    sets: &'a [SetName],
    objects: Cow<'a, [ObjectName]>,
}

impl<'a> References<'a> {
    fn of(content: &'a NftSnapshot) -> Self {
        match content {
            NftSnapshot::Rule(rule) => {
                Self { chains: &rule.chains, sets: &rule.sets, objects: Cow::Borrowed(&rule.objects) }
            }
            NftSnapshot::Element(element) => {
                let objects = object_of(element).into_iter().collect();
                Self { chains: &element.chains, objects: Cow::Owned(objects), ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}

impl FakeRuleset {
    /// A ruleset that was read, its objects in their order.
    pub(super) fn of(generation: Generation, objects: Vec<(NftSubject, NftSnapshot)>) -> Self {
        let mut ruleset = Self { generation: generation.0, objects: Vec::new(), ..Self::default() };
        for (subject, content) in &objects {
            let handle = match (&subject.item, content) {
                (NftItem::Rule { handle, .. }, _) => *handle,
                (_, NftSnapshot::Table(it)) => {
                    ruleset.last_table = ruleset.last_table.max(it.handle.0);
                    continue;
                }
                (_, NftSnapshot::Chain(it)) => it.handle,
                (_, NftSnapshot::Set(it)) => it.handle,
                (_, NftSnapshot::Other(it)) => it.handle,
                (_, NftSnapshot::Rule(_) | NftSnapshot::Element(_)) => continue,
            };
            let last = ruleset.last_handle.entry(subject.table.clone()).or_default();
            *last = (*last).max(handle.0);
        }
        ruleset.objects = objects;
        ruleset
    }

    /// Number of the current ruleset.
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// Everything, the rules of a chain in their order.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        let owned = |(subject, content): &(NftSubject, NftSnapshot)| {
            (Subject::Nft(subject.clone()), Snapshot::Nft(content.clone()))
        };
        self.objects.iter().map(owned).collect()
    }

    /// Adds one object in a commit of its own, giving it a handle (the one in `item` or `content` is replaced).
    ///
    /// # Errors
    /// The kernel's error number: `ENOENT` when its table, chain, set or something it refers to is missing, `EEXIST`.
    pub fn add(&mut self, table: &TableRef, item: NftItem, content: NftSnapshot) -> Result<(Subject, Snapshot), i32> {
        let added = self.insert(table, item, content)?;
        self.commit();
        Ok(added)
    }

    fn insert(
        &mut self,
        table: &TableRef,
        item: NftItem,
        mut content: NftSnapshot,
    ) -> Result<(Subject, Snapshot), i32> {
        let is_table = item == NftItem::Table;
        if !is_table && !self.has(table, &NftItem::Table) {
            return Err(libc::ENOENT);
        }
        let References { chains, sets, objects } = References::of(&content);
        let all_there = chains.iter().all(|chain| self.has(table, &NftItem::Chain(chain.clone())))
            && sets.iter().all(|set| self.has(table, &NftItem::Set(set.clone())))
            && objects.iter().all(|name| self.has_object(table, name));
        let handle = self.next_handle(table, is_table);
        let (item, is_held) = match item {
            NftItem::Rule { chain, .. } => {
                let is_held = self.has(table, &NftItem::Chain(chain.clone()));
                (NftItem::Rule { chain, handle }, is_held)
            }
            NftItem::Element { set, key } => {
                let is_held = self.has(table, &NftItem::Set(set.clone()));
                (NftItem::Element { set, key }, is_held)
            }
            item => (item, true),
        };
        if !all_there || !is_held {
            return Err(libc::ENOENT);
        }
        if self.has(table, &item) {
            return Err(libc::EEXIST);
        }
        match &mut content {
            NftSnapshot::Table(it) => it.handle = handle,
            NftSnapshot::Chain(it) => it.handle = handle,
            NftSnapshot::Set(it) => it.handle = handle,
            NftSnapshot::Other(it) => it.handle = handle,
            NftSnapshot::Rule(_) | NftSnapshot::Element(_) => {}
        }
        let subject = NftSubject { table: table.clone(), item };
        self.objects.push((subject.clone(), content.clone()));
        Ok((Subject::Nft(subject), Snapshot::Nft(content)))
    }

    /// Changes the content of an object in a commit of its own; `None` when it is not there.
    pub fn change(&mut self, subject: &NftSubject, change: impl FnOnce(&mut NftSnapshot)) -> Option<Snapshot> {
        let (_, content) = self.objects.iter_mut().find(|(it, _)| it == subject)?;
        change(content);
        let content = content.clone();
        self.commit();
        Some(Snapshot::Nft(content))
    }

    /// Begins the next generation.
    pub(super) fn commit(&mut self) {
        self.generation += 1;
    }

    fn next_handle(&mut self, table: &TableRef, is_table: bool) -> Handle {
        let last = if is_table { &mut self.last_table } else { self.last_handle.entry(table.clone()).or_default() };
        *last += 1;
        Handle(*last)
    }

    fn has(&self, table: &TableRef, item: &NftItem) -> bool {
        self.objects.iter().any(|(it, _)| it.table == *table && it.item == *item)
    }

    fn has_object(&self, table: &TableRef, name: &ObjectName) -> bool {
        self.in_table(table).any(|(it, _)| match &it.item {
            NftItem::Object { name: its, .. } | NftItem::Flowtable(its) => its == name,
            _ => false,
        })
    }

    fn in_table(&self, table: &TableRef) -> impl Iterator<Item = &(NftSubject, NftSnapshot)> {
        self.objects.iter().filter(move |(it, _)| it.table == *table)
    }

    fn is_used(&self, table: &TableRef, uses: impl Fn(References<'_>) -> bool) -> bool {
        self.in_table(table).any(|(_, content)| uses(References::of(content)))
    }

    /// Removes what `gone` picks in a table, with the anonymous sets and elements of removed rules; whether any was there.
    fn remove(&mut self, table: &TableRef, gone: impl Fn(&NftItem) -> bool) -> bool {
        let mut anonymous: Vec<SetName> = Vec::new();
        for (_, content) in self.in_table(table).filter(|(it, _)| gone(&it.item)) {
            let is_anonymous = |set: &&SetName| {
                self.in_table(table).any(|(it, content)| {
                    matches!((&it.item, content), (NftItem::Set(name), NftSnapshot::Set(its)) if name == *set && its.is_anonymous())
                })
            };
            anonymous.extend(References::of(content).sets.iter().filter(is_anonymous).cloned());
        }
        let before = self.objects.len();
        self.objects.retain(|(it, _)| it.table != *table || !gone(&it.item));
        let removed = before != self.objects.len();
        self.objects.retain(|(it, _)| match &it.item {
            NftItem::Set(set) | NftItem::Element { set, .. } if it.table == *table => !anonymous.contains(set),
            _ => true,
        });
        removed
    }

    /// Does one change of a batch, or answers with the kernel's error number.
    pub(super) fn apply(&mut self, command: &NftCommand) -> Result<(), i32> {
        match command {
            NftCommand::Delete(deletion) => self.delete(deletion),
            NftCommand::Add(addition) => self.add_one(addition),
        }
    }

    fn add_one(&mut self, addition: &NftAdd) -> Result<(), i32> {
        let (table, item, content) = match addition.clone() {
            NftAdd::Policy { table, chain, policy } => return self.set_policy(&table, &chain, policy),
            NftAdd::Table { table, content } => (table, NftItem::Table, NftSnapshot::Table(content)),
            NftAdd::Chain { table, chain, content } => (table, NftItem::Chain(chain), NftSnapshot::Chain(content)),
            NftAdd::Set { table, set, content } => (table, NftItem::Set(set), NftSnapshot::Set(content)),
            NftAdd::Object { table, kind, name, content } => {
                (table, NftItem::Object { kind, name }, NftSnapshot::Other(content))
            }
            NftAdd::Flowtable { table, name, content } => {
                (table, NftItem::Flowtable(name), NftSnapshot::Other(content))
            }
            NftAdd::Element { table, set, key, content } => {
                (table, NftItem::Element { set, key }, NftSnapshot::Element(content))
            }
            NftAdd::Rule { table, chain, content, place } => {
                return self.add_rule(&table, &chain, NftSnapshot::Rule(content), place);
            }
        };
        self.insert(&table, item, content).map(|_| ())
    }

    fn set_policy(&mut self, table: &TableRef, chain: &ChainName, policy: u32) -> Result<(), i32> {
        let item = NftItem::Chain(chain.clone());
        let found = self.objects.iter_mut().find(|(it, _)| it.table == *table && it.item == item);
        match found {
            Some((_, NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. }))) => {
                base.policy = policy;
                Ok(())
            }
            Some(_) => Err(libc::EOPNOTSUPP),
            None => Err(libc::ENOENT),
        }
    }

    fn add_rule(&mut self, table: &TableRef, chain: &ChainName, rule: NftSnapshot, place: Place) -> Result<(), i32> {
        let item = NftItem::Rule { chain: chain.clone(), handle: Handle(0) };
        self.insert(table, item, rule)?;
        let (Place::Before(handle) | Place::After(handle)) = place else { return Ok(()) };
        let neighbour = NftItem::Rule { chain: chain.clone(), handle };
        let at = self.objects.iter().position(|(it, _)| it.table == *table && it.item == neighbour);
        let Some((at, rule)) = at.zip(self.objects.pop()) else { return Err(libc::ENOENT) };
        self.objects.insert(if matches!(place, Place::After(_)) { at + 1 } else { at }, rule);
        Ok(())
    }

    /// Does one deletion of a batch, or answers with the kernel's error number.
    pub(super) fn delete(&mut self, deletion: &NftDelete) -> Result<(), i32> {
        let there = |is_there: bool| if is_there { Ok(()) } else { Err(libc::ENOENT) };
        let free = |is_used: bool| if is_used { Err(libc::EBUSY) } else { Ok(()) };
        match deletion {
            NftDelete::RulesOf { table, chain } => {
                there(self.has(table, &NftItem::Chain(chain.clone())))?;
                self.remove(table, |item| matches!(item, NftItem::Rule { chain: its, .. } if its == chain));
                Ok(())
            }
            NftDelete::Rule { table, chain, handle } => {
                let rule = NftItem::Rule { chain: chain.clone(), handle: *handle };
                there(self.remove(table, |item| *item == rule))
            }
            NftDelete::Element { table, set, attributes } => {
                let found = self.in_table(table).find_map(|(it, content)| match (&it.item, content) {
                    (NftItem::Element { set: its, .. }, NftSnapshot::Element(element))
                        if its == set && element.attributes == *attributes =>
                    {
                        Some(it.item.clone())
                    }
                    _ => None,
                });
                there(found.is_some_and(|element| self.remove(table, |item| *item == element)))
            }
            NftDelete::ElementsOf { table, set } => {
                there(self.has(table, &NftItem::Set(set.clone())))?;
                self.remove(table, |item| matches!(item, NftItem::Element { set: its, .. } if its == set));
                Ok(())
            }
            NftDelete::Chain { table, chain } => {
                let has_rules = self
                    .in_table(table)
                    .any(|(it, _)| matches!(&it.item, NftItem::Rule { chain: its, .. } if its == chain));
                free(has_rules || self.is_used(table, |it| it.chains.contains(chain)))?;
                there(self.remove(table, |item| *item == NftItem::Chain(chain.clone())))
            }
            NftDelete::Set { table, set } => {
                free(self.is_used(table, |it| it.sets.contains(set)))?;
                self.remove(table, |item| matches!(item, NftItem::Element { set: its, .. } if its == set));
                there(self.remove(table, |item| *item == NftItem::Set(set.clone())))
            }
            NftDelete::Object { table, kind, name } => {
                free(self.is_used(table, |it| it.objects.contains(name)))?;
                there(self.remove(table, |item| *item == NftItem::Object { kind: *kind, name: name.clone() }))
            }
            NftDelete::Flowtable { table, name } => {
                free(self.is_used(table, |it| it.objects.contains(name)))?;
                there(self.remove(table, |item| *item == NftItem::Flowtable(name.clone())))
            }
            NftDelete::Table { table } => {
                self.last_handle.remove(table);
                there(self.remove(table, |_| true))
            }
        }
    }
}
