//! What uses a set, nf_tables' or ipset's: which rules, and which sets of sets.
//!
//! The journal is gone through when the first set is asked about.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::decode::ipset::{used_by, used_by_legacy};
use crate::journal::{JournalError, ObjectFilter, Read};
use crate::model::ids::{IpSetName, ObjectId, SetName};
use crate::model::ipset::{IpSetItem, IpSetSnapshot};
use crate::model::legacy::LegacySnapshot;
use crate::model::nft::{NftItem, NftSnapshot, TableRef};
use crate::model::object::Object;
use crate::model::subject::{Class, Snapshot, Subject};

/// Finds the users of sets that live.
pub(super) struct Users<'a> {
    journal: &'a dyn Read,
    known: Option<HashMap<Used, Vec<ObjectId>>>,
}

/// What users name a set by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Used {
    /// A set of nf_tables, in its table.
    Set(TableRef, SetName),
    /// An IP set, by the number rules have it by.
    Index(u16),
    /// An IP set, by the name it has in a set of sets.
    Name(IpSetName),
}

impl<'a> Users<'a> {
    /// Reads nothing yet.
    pub(super) fn new(journal: &'a dyn Read) -> Self {
        Self { journal, known: None }
    }

    /// The living users of a set, each once; none of what is no living set, or one of the kernel's own names.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub(super) fn of(&mut self, object: &Object) -> Result<Vec<Object>, JournalError> {
        let ids = self.ids(object)?.unwrap_or_default();
        ids.into_iter().filter_map(|id| self.journal.object(id).transpose()).collect()
    }

    /// How many users a set has, in words; `None` where [`Self::of`] knows nothing.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub(super) fn text(&mut self, object: &Object) -> Result<Option<String>, JournalError> {
        Ok(self.ids(object)?.map(|ids| match ids.len() {
            0 => "not used".to_owned(),
            1 => "used once".to_owned(),
            count => format!("used {count} times"),
        }))
    }

    fn ids(&mut self, object: &Object) -> Result<Option<Vec<ObjectId>>, JournalError> {
        let names = names(object);
        if names.is_empty() || !object.is_live() {
            return Ok(None);
        }
        let known = match &mut self.known {
            Some(known) => known,
            unread => unread.insert(read(self.journal)?),
        };
        let mut ids: Vec<ObjectId> = names.iter().filter_map(|name| known.get(name)).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }
}

/// What users name a set by; nothing when it is none that others may use, or one that kernels do not number.
fn names(object: &Object) -> Vec<Used> {
    match (&object.subject, &object.snapshot) {
        (Subject::Nft(subject), Snapshot::Nft(NftSnapshot::Set(set))) if !set.is_anonymous() => match &subject.item {
            NftItem::Set(name) => vec![Used::Set(subject.table.clone(), name.clone())],
            _ => Vec::new(),
        },
        (Subject::IpSet(subject), Snapshot::IpSet(IpSetSnapshot::Set(header))) if subject.item == IpSetItem::Set => {
            let index = header.index.map(|index| [Used::Index(index), Used::Name(subject.set.clone())]);
            index.into_iter().flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// Everything that uses a set.
fn read(journal: &dyn Read) -> Result<HashMap<Used, Vec<ObjectId>>, JournalError> {
    let mut known: HashMap<Used, Vec<ObjectId>> = HashMap::new();
    let classes = vec![Class::Rule, Class::Member];
    let filter = ObjectFilter { classes, scope: journal.scope()?, ..ObjectFilter::default() };
    journal.visit(&filter, &mut |object| {
        for used in used(&object) {
            known.entry(used).or_default().push(object.id);
        }
        ControlFlow::Continue(())
    })?;
    Ok(known)
}

fn used(object: &Object) -> Vec<Used> {
    match (&object.subject, &object.snapshot) {
        (Subject::Nft(subject), Snapshot::Nft(NftSnapshot::Rule(rule))) => {
            let sets = rule.sets.iter().map(|set| Used::Set(subject.table.clone(), set.clone()));
            sets.chain(used_by(rule).into_iter().map(Used::Index)).collect()
        }
        (Subject::Legacy(subject), Snapshot::Legacy(LegacySnapshot::Rule(rule))) => {
            used_by_legacy(subject.table.family, rule).into_iter().map(Used::Index).collect()
        }
        (Subject::IpSet(_), Snapshot::IpSet(IpSetSnapshot::Member(member))) => {
            member.refers_to.iter().cloned().map(Used::Name).collect()
        }
        _ => Vec::new(),
    }
}
