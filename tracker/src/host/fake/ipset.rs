//! IP sets in memory.

use std::collections::BTreeMap;
use std::io;

use super::drifted;
use crate::host::{HostError, Removal};
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetItem, IpSetSnapshot, IpSetSubject};
use crate::model::subject::{Snapshot, Subject};

/// The IP sets of a network namespace. Rules do not refer to them here: who makes a set says how many do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeIpSets(BTreeMap<IpSetSubject, IpSetSnapshot>);

impl FakeIpSets {
    /// Adds or replaces a set or a member.
    pub fn put(&mut self, subject: IpSetSubject, snapshot: IpSetSnapshot) -> (Subject, Snapshot) {
        self.0.insert(subject.clone(), snapshot.clone());
        (Subject::IpSet(subject), Snapshot::IpSet(snapshot))
    }

    /// Everything, each set before its members.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        let object = |(subject, snapshot): (&IpSetSubject, &IpSetSnapshot)| {
            (Subject::IpSet(subject.clone()), Snapshot::IpSet(snapshot.clone()))
        };
        self.0.iter().map(object).collect()
    }

    fn references(&self, name: &IpSetName) -> usize {
        let lists = self.0.values().filter(
            |snapshot| matches!(snapshot, IpSetSnapshot::Member(member) if member.refers_to.as_ref() == Some(name)),
        );
        lists.count()
    }

    pub(super) fn delete(&mut self, subject: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError> {
        let Some(found) = self.0.get(subject) else { return Ok(Removal::AlreadyGone) };
        if found.digest() != expected.digest() {
            return Err(drifted(subject.to_string(), expected.digest(), found.digest()));
        }
        if subject.item == IpSetItem::Set && self.references(&subject.set) > 0 {
            let source = io::Error::other("a rule or another set uses it");
            return Err(HostError::Io { operation: "destroy", object: subject.to_string(), source });
        }
        match subject.item {
            IpSetItem::Set => self.0.retain(|other, _| other.set != subject.set),
            IpSetItem::Member { .. } => drop(self.0.remove(subject)),
        }
        Ok(Removal::Removed)
    }
}
