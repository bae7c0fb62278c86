//! IPVS services in memory.

use std::collections::BTreeMap;
use std::io;

use super::drifted;
use crate::host::{HostError, Removal};
use crate::model::ipvs::{IpvsItem, IpvsService, IpvsSnapshot, IpvsSubject};
use crate::model::subject::{Snapshot, Subject};

/// The services of a network namespace with their destinations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeIpvs(BTreeMap<IpvsSubject, IpvsSnapshot>);

impl FakeIpvs {
    /// Adds a service or a destination.
    ///
    /// # Errors
    /// The kernel's error number when it is there, or the destination's service is not.
    pub fn add(&mut self, subject: IpvsSubject, snapshot: IpvsSnapshot) -> Result<(Subject, Snapshot), i32> {
        if self.0.contains_key(&subject) {
            return Err(libc::EEXIST);
        }
        if subject.item != IpvsItem::Service && !self.0.contains_key(&IpvsSubject::service(subject.service)) {
            return Err(libc::ESRCH);
        }
        self.0.insert(subject, snapshot.clone());
        Ok((Subject::Ipvs(subject), Snapshot::Ipvs(snapshot)))
    }

    /// Everything, each service before its destinations.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        let object = |(subject, snapshot): (&IpvsSubject, &IpvsSnapshot)| {
            (Subject::Ipvs(*subject), Snapshot::Ipvs(snapshot.clone()))
        };
        self.0.iter().map(object).collect()
    }

    fn first_destination(&self, service: &IpvsService) -> Option<&IpvsSubject> {
        self.0.keys().find(|it| it.service == *service && it.item != IpvsItem::Service)
    }

    pub(super) fn delete(&mut self, subject: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError> {
        let Some(found) = self.0.get(subject) else { return Ok(Removal::AlreadyGone) };
        if found.digest() != expected.digest() {
            return Err(drifted(subject.to_string(), expected.digest(), found.digest()));
        }
        if subject.item == IpvsItem::Service
            && let Some(other) = self.first_destination(&subject.service)
        {
            return Err(HostError::Collateral { object: subject.to_string(), other: other.to_string() });
        }
        self.0.remove(subject);
        Ok(Removal::Removed)
    }

    pub(super) fn restore(&mut self, subject: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError> {
        let added = self.add(*subject, content.clone());
        added.map(drop).map_err(|code| HostError::Io {
            operation: "add",
            object: subject.to_string(),
            source: io::Error::from_raw_os_error(code),
        })
    }
}
