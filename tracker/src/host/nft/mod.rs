//! nf_tables changes as one native netlink batch, committed with the kernel's own compare-and-set.
//!
//! A batch is one `sendmsg`: `NFNL_MSG_BATCH_BEGIN` carrying the generation the plan was made for
//! (`NFNL_BATCH_GENID`, Linux 4.10), the changes, `NFNL_MSG_BATCH_END`. If anybody committed since, the kernel refuses it
//! whole with `ERESTART`; if any change fails, nothing is changed.
//!
//! Objects are named, not numbered, wherever names are unique: a chain is found by name in a hash table, but by handle in
//! a list, which is quadratic for tens of thousands of chains. The generation guarantees that a name still means what
//! it meant when the plan was made.

mod add;
mod commit;
mod emit;
mod emit_add;
mod writer;

use std::fmt;

use crate::model::ids::{ChainName, Generation, Handle, ObjectName, SetName};
use crate::model::nft::TableRef;

pub use add::{NftAdd, Place};
pub use commit::commit;

/// One deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftDelete {
    /// Every rule of a chain.
    RulesOf {
        /// Its table.
        table: TableRef,
        /// The chain, which stays.
        chain: ChainName,
    },
    /// One rule.
    Rule {
        /// Its table.
        table: TableRef,
        /// Its chain.
        chain: ChainName,
        /// The rule.
        handle: Handle,
    },
    /// One element of a set that stays.
    Element {
        /// Its table.
        table: TableRef,
        /// The set.
        set: SetName,
        /// The element's attributes as the kernel dumped them; key, key end and flags identify it.
        attributes: Vec<u8>,
    },
    /// Every element of a set.
    ElementsOf {
        /// Its table.
        table: TableRef,
        /// The set, which stays.
        set: SetName,
    },
    /// A chain that has no rules any more; the kernel refuses with `EBUSY` if it has.
    Chain {
        /// Its table.
        table: TableRef,
        /// The chain.
        chain: ChainName,
    },
    /// A set or map with its elements.
    Set {
        /// Its table.
        table: TableRef,
        /// The set.
        set: SetName,
    },
    /// A stateful object.
    Object {
        /// Its table.
        table: TableRef,
        /// `NFT_OBJECT_*`.
        kind: u32,
        /// The object.
        name: ObjectName,
    },
    /// A flowtable.
    Flowtable {
        /// Its table.
        table: TableRef,
        /// The flowtable.
        name: ObjectName,
    },
    /// A table with everything in it.
    Table {
        /// The table.
        table: TableRef,
    },
}

impl fmt::Display for NftDelete {
    /// The object in nft(8)'s words: `chain ip nat KUBE-SERVICES`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RulesOf { table, chain } => write!(f, "rules of chain {table} {chain}"),
            Self::Rule { table, chain, handle } => write!(f, "rule {table} {chain} handle {handle}"),
            Self::Element { table, set, .. } => write!(f, "element of set {table} {set}"),
            Self::ElementsOf { table, set } => write!(f, "elements of set {table} {set}"),
            Self::Chain { table, chain } => write!(f, "chain {table} {chain}"),
            Self::Set { table, set } => write!(f, "set {table} {set}"),
            Self::Object { table, kind, name } => write!(f, "object {table} {name} kind {kind}"),
            Self::Flowtable { table, name } => write!(f, "flowtable {table} {name}"),
            Self::Table { table } => write!(f, "table {table}"),
        }
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftCommand {
    /// Takes something away.
    Delete(NftDelete),
    /// Adds something, or sets a policy.
    Add(NftAdd),
}

impl From<NftDelete> for NftCommand {
    fn from(deletion: NftDelete) -> Self {
        Self::Delete(deletion)
    }
}

impl From<NftAdd> for NftCommand {
    fn from(addition: NftAdd) -> Self {
        Self::Add(addition)
    }
}

impl NftCommand {
    /// The verb for messages.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Delete(_) => "delete",
            Self::Add(NftAdd::Policy { .. }) => "set",
            Self::Add(_) => "add",
        }
    }
}

impl fmt::Display for NftCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete(deletion) => deletion.fmt(f),
            Self::Add(addition) => addition.fmt(f),
        }
    }
}

/// Changes in the order the kernel is to do them, and the ruleset they were made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftBatch {
    generation: Generation,
    commands: Vec<NftCommand>,
}

impl NftBatch {
    /// Starts an empty batch for the ruleset with this generation.
    pub fn new(generation: Generation) -> Self {
        Self { generation, commands: Vec::new() }
    }

    /// Adds a change after the ones already there. The kernel looks at references in this order: of deletions, what
    /// refers comes before what is referred to; of additions, after.
    pub fn push(&mut self, command: impl Into<NftCommand>) {
        self.commands.push(command.into());
    }

    /// The ruleset the batch was made for.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The changes in order.
    pub fn commands(&self) -> &[NftCommand] {
        &self.commands
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

#[cfg(test)]
mod tests;
