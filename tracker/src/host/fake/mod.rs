//! A node in memory that behaves like a kernel: handles, reference checks, all-or-nothing commits, compare-and-set on
//! the generation, cascades of link deletions, directories that must be empty.
//!
//! For tests, and for trying a plan without touching anything.

mod files;
mod ipset;
mod ipvs;
mod legacy;
mod load;
mod mounts;
mod net;
mod ruleset;

use std::collections::BTreeMap;
use std::io;

use super::restore::Restored;
use super::{ArchiveError, ArchivedFiles, Host, HostError, LegacyEdit, NftBatch, Removal};
use crate::model::digest::Digest;
use crate::model::ids::Ifindex;
use crate::model::ipset::{IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsSnapshot, IpvsSubject};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::live::LiveState;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::neighbour::{NeighbourSnapshot, NeighbourSubject};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::traffic::TrafficSnapshot;

pub use files::FakeFiles;
pub use ipset::FakeIpSets;
pub use ipvs::FakeIpvs;
pub use legacy::FakeLegacy;
pub use mounts::FakeMounts;
pub use net::FakeNet;
pub use ruleset::FakeRuleset;

/// Something done by somebody else at a moment a test chooses.
pub type Interference = Box<dyn FnOnce(&mut FakeRuleset) + Send>;

/// A node in memory.
#[derive(Default)]
pub struct FakeHost {
    /// Its nf_tables ruleset.
    pub ruleset: FakeRuleset,
    /// Its legacy tables.
    pub legacy: FakeLegacy,
    /// Its links, addresses, routes and ip rules.
    pub net: FakeNet,
    /// Its files.
    pub files: FakeFiles,
    /// Its mounts. What is in one stands among the files, below its mount point.
    pub mounts: FakeMounts,
    /// Its IP sets.
    pub ip_sets: FakeIpSets,
    /// Its IPVS services.
    pub ipvs: FakeIpvs,
    /// Values of its sysctls.
    pub sysctls: BTreeMap<SysctlName, String>,
    interference: Vec<Interference>,
}

impl FakeHost {
    /// A node with nothing on it; its generation is 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets somebody else act right before the next commit; several are taken one per commit, last first.
    pub fn interfere(&mut self, act: impl FnOnce(&mut FakeRuleset) + Send + 'static) {
        self.interference.push(Box::new(act));
    }

    fn add_rt(&mut self, subject: Subject, snapshot: Snapshot) -> Result<(), HostError> {
        let object = describe(&subject, &snapshot);
        let added = self.net.add(subject, snapshot);
        added.map(|_| ()).map_err(|source| HostError::Io { operation: "add", object, source })
    }

    fn remove_rt(&mut self, subject: &Subject, expected: &Snapshot) -> Result<Removal, HostError> {
        let Some(found) = self.net.get(subject) else { return Ok(Removal::AlreadyGone) };
        if found.digest() != expected.digest() {
            return Err(drifted(describe(subject, found), expected.digest(), found.digest()));
        }
        let object = describe(subject, found);
        self.net.delete(subject).map_err(|source| HostError::Io { operation: "delete", object, source })?;
        Ok(Removal::Removed)
    }
}

/// Something else is there than was planned for.
fn drifted(object: String, expected: Digest, found: Digest) -> HostError {
    HostError::Drifted { object, expected: expected.to_string(), found: found.to_string() }
}

impl Host for FakeHost {
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError> {
        let mut live = LiveState {
            generation: self.ruleset.generation(),
            nft: self.ruleset.dump(),
            legacy: self.legacy.dump(),
            rt: self.net.dump(),
            ip_sets: self.ip_sets.dump(),
            ipvs: self.ipvs.dump(),
            names: self.files.names.clone(),
            mounts: self.mounts.dump(),
            places: self.mounts.places(),
            users: self.mounts.users.clone(),
            ..LiveState::default()
        };
        for path in paths {
            let found = self.files.get(path).cloned();
            if matches!(found, Some(PathSnapshot { kind: PathKind::Dir, .. })) {
                // of a mount point what is covered, and only empty directories are mounted on
                let names =
                    if self.mounts.is_mount_point(path) { Default::default() } else { self.files.children(path) };
                live.children.insert(path.clone(), names);
            }
            live.paths.insert(path.clone(), found);
        }
        for (subject, content) in &live.mounts {
            if let (Subject::Mount(at), Snapshot::Mount(content)) = (subject, content)
                && content.is_in_memory()
                && paths.contains(&at.path)
            {
                live.contents.insert(at.id, self.files.below(&at.path));
            }
        }
        Ok(live)
    }

    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError> {
        if let Some(act) = self.interference.pop() {
            act(&mut self.ruleset);
        }
        if batch.generation() != self.ruleset.generation() {
            return Err(HostError::GenerationConflict { planned: batch.generation().0 });
        }
        let mut next = self.ruleset.clone();
        for command in batch.commands() {
            next.apply(command).map_err(|code| HostError::Io {
                operation: command.verb(),
                object: format!("`{command}`"),
                source: io::Error::from_raw_os_error(code),
            })?;
        }
        next.commit();
        self.ruleset = next;
        Ok(())
    }

    fn replace_legacy(&mut self, edit: &LegacyEdit) -> Result<(), HostError> {
        self.legacy.replace(edit)
    }

    fn delete_link(&mut self, link: Ifindex, expected: &LinkSnapshot) -> Result<Removal, HostError> {
        self.remove_rt(&Subject::Link(link), &Snapshot::Link(expected.clone()))
    }

    fn delete_address(&mut self, address: &AddressSubject, expected: &AddressSnapshot) -> Result<Removal, HostError> {
        let subject = Subject::Address(address.clone());
        if let Some(other) = self.net.secondary_of(address) {
            // whether it is the one that was planned for comes first
            let expected = Snapshot::Address(expected.clone());
            if self.net.get(&subject).is_some_and(|found| found.digest() == expected.digest()) {
                return Err(HostError::Collateral { object: describe(&subject, &expected), other });
            }
        }
        self.remove_rt(&subject, &Snapshot::Address(expected.clone()))
    }

    fn delete_route(&mut self, route: &RouteSubject, expected: &RouteSnapshot) -> Result<Removal, HostError> {
        self.remove_rt(&Subject::Route(route.clone()), &Snapshot::Route(expected.clone()))
    }

    fn delete_ip_rule(&mut self, rule: &IpRuleSubject, expected: &IpRuleSnapshot) -> Result<Removal, HostError> {
        self.remove_rt(&Subject::IpRule(rule.clone()), &Snapshot::IpRule(expected.clone()))
    }

    fn delete_ip_set(&mut self, subject: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError> {
        self.ip_sets.delete(subject, expected)
    }

    fn delete_ipvs(&mut self, subject: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError> {
        self.ipvs.delete(subject, expected)
    }

    fn restore_sysctl(&mut self, name: &SysctlName, expected: &SysctlSnapshot) -> Result<Removal, HostError> {
        let Some(found) = self.sysctls.get_mut(name) else { return Ok(Removal::AlreadyGone) };
        if *found != expected.value {
            return Err(HostError::Drifted {
                object: format!("`sysctl {name}`"),
                expected: expected.value.clone(),
                found: found.clone(),
            });
        }
        found.clone_from(expected.before.as_ref().unwrap_or(&expected.value));
        Ok(Removal::Removed)
    }

    fn delete_neighbour(
        &mut self,
        neighbour: &NeighbourSubject,
        expected: &NeighbourSnapshot,
    ) -> Result<Removal, HostError> {
        self.remove_rt(&Subject::Neighbour(neighbour.clone()), &Snapshot::Neighbour(expected.clone()))
    }

    fn delete_traffic(&mut self, traffic: &Subject, expected: &TrafficSnapshot) -> Result<Removal, HostError> {
        self.remove_rt(traffic, &Snapshot::Traffic(expected.clone()))
    }

    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
        let Some(found) = self.files.get(path) else { return Ok(Removal::AlreadyGone) };
        if found.digest() != expected.digest() {
            return Err(drifted(format!("`{path}`"), expected.digest(), found.digest()));
        }
        let drifted = match self.files.names.get(path) {
            _ if self.mounts.is_mount_point(path) => Some("a mount point".to_owned()),
            Some(names) if *names > 1 => Some(format!("one with {names} names")),
            _ => None,
        };
        if let Some(found) = drifted {
            let expected = expected.digest().to_string();
            return Err(HostError::Drifted { object: format!("`{path}`"), expected, found });
        }
        self.files.remove(path).map_err(|code| HostError::Io {
            operation: "remove",
            object: format!("`{path}`"),
            source: io::Error::from_raw_os_error(code),
        })?;
        Ok(Removal::Removed)
    }

    fn unmount(
        &mut self,
        mount: &MountSubject,
        expected: &MountSnapshot,
        losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    ) -> Result<Removal, HostError> {
        let Some((at, found)) = self.mounts.get(mount.id) else { return Ok(Removal::AlreadyGone) };
        let content = self.files.below(&mount.path);
        let is_known = |(path, now): (&AbsPath, &PathSnapshot)| losing.is_none_or(|it| it.get(path) == Some(now));
        if at != mount || found.digest() != expected.digest() || !content.iter().all(is_known) {
            return Err(drifted(format!("`{mount}`"), expected.digest(), found.digest()));
        }
        self.mounts.unmount(mount.id).map_err(|code| HostError::Io {
            operation: "unmount",
            object: format!("`{mount}`"),
            source: io::Error::from_raw_os_error(code),
        })?;
        if losing.is_some() {
            self.files.lose(&mount.path);
        }
        Ok(Removal::Removed)
    }

    fn mount(&mut self, mount: &MountSubject, content: &MountSnapshot) -> Result<(), HostError> {
        if self.files.get(&mount.path).is_none() {
            let source = io::Error::from_raw_os_error(libc::ENOENT);
            return Err(HostError::Io { operation: "mount", object: format!("`{mount}`"), source });
        }
        self.mounts.mount(&mount.path, &content.fs_type);
        Ok(())
    }

    fn create_link(
        &mut self,
        link: (Ifindex, &LinkSnapshot),
        peer: Option<(Ifindex, &LinkSnapshot)>,
        _keeps_mac: bool,
    ) -> Result<(), HostError> {
        for (ifindex, link) in std::iter::once(link).chain(peer) {
            self.add_rt(Subject::Link(ifindex), Snapshot::Link(link.clone()))?;
        }
        Ok(())
    }

    fn attach_link(&mut self, link: Ifindex, content: &LinkSnapshot) -> Result<(), HostError> {
        self.net.attach(link, content.controller);
        Ok(())
    }

    fn add_address(&mut self, address: &AddressSubject, content: &AddressSnapshot) -> Result<(), HostError> {
        self.add_rt(Subject::Address(address.clone()), Snapshot::Address(content.clone()))?;
        self.net.keep_subnet_route(address);
        Ok(())
    }

    fn add_route(&mut self, route: &RouteSubject, content: &RouteSnapshot) -> Result<(), HostError> {
        self.add_rt(Subject::Route(route.clone()), Snapshot::Route(content.clone()))
    }

    fn add_ip_rule(&mut self, rule: &IpRuleSubject, content: &IpRuleSnapshot) -> Result<(), HostError> {
        self.add_rt(Subject::IpRule(rule.clone()), Snapshot::IpRule(content.clone()))
    }

    fn add_ipvs(&mut self, subject: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError> {
        self.ipvs.restore(subject, content)
    }

    /// The fake keeps no bytes of files, so it needs no archive.
    fn restore_paths(
        &mut self,
        wanted: &BTreeMap<AbsPath, PathSnapshot>,
        _files: Option<ArchivedFiles<'_>>,
    ) -> Result<Restored, ArchiveError> {
        let mut done = Restored::new();
        for (path, content) in wanted {
            let result = self.files.restore(path, content).map_err(|code| HostError::Io {
                operation: "put back",
                object: format!("`{path}`"),
                source: io::Error::from_raw_os_error(code),
            });
            done.push((path.clone(), result));
        }
        Ok(done)
    }
}
