//! Host: the whole write surface. Only the executor calls it.
//!
//! [`Host`] is the edge to the kernel: [`real::RealHost`] acts on this machine, [`fake::FakeHost`] behaves like a
//! kernel in memory (handles, reference checks, all-or-nothing commits, compare-and-set) for tests and dry runs.

pub mod archive;
pub mod error;
pub mod fake;
pub mod files;
pub mod ipset;
pub mod ipvs;
pub mod legacy;
pub mod mounts;
mod netlink;
pub mod nft;
pub mod real;
pub mod restore;
pub mod rtnetlink;
pub mod sysctl;

use std::collections::BTreeMap;

use crate::model::ids::Ifindex;
use crate::model::ipset::{IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsSnapshot, IpvsSubject};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::live::LiveState;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::neighbour::{NeighbourSnapshot, NeighbourSubject};
use crate::model::path::{AbsPath, PathSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::Subject;
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::traffic::TrafficSnapshot;

pub use archive::{ArchiveError, ArchiveStore, ArchivedFiles};
pub use error::HostError;
pub use fake::FakeHost;
pub use legacy::{LegacyEdit, NewChain, NewRule};
pub use nft::{NftAdd, NftBatch, NftCommand, NftDelete, Place};
pub use real::RealHost;

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone now.
    Removed,
    /// It was gone already.
    AlreadyGone,
}

/// A node's kernel, as far as a rollback reads and writes it: one network namespace and the filesystems.
///
/// Every removal takes what the plan expects to find and refuses with [`HostError::Drifted`] when something else is
/// there; nothing here decides whether a thing should go.
pub trait Host {
    /// Reads everything a planner may look at. Of the filesystem, only `paths` are read, and the names in them.
    ///
    /// # Errors
    /// [`HostError`] when any part cannot be read: a partial picture would make foreign things invisible.
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError>;

    /// Reads it once more. What has not changed since `earlier` may be taken from there, where the kernel says so by a number
    /// that every change raises.
    ///
    /// # Errors
    /// As [`Host::live`].
    fn live_again(&mut self, paths: &[AbsPath], earlier: LiveState) -> Result<LiveState, HostError> {
        drop(earlier);
        self.live(paths)
    }

    /// Commits a batch of nf_tables changes, all or nothing.
    ///
    /// # Errors
    /// [`HostError::GenerationConflict`] when the ruleset is not the one the batch was made for, [`HostError::Io`] naming
    /// the first object the kernel refused to change. Nothing was changed in either case.
    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError>;

    /// Changes one legacy table, all or nothing.
    ///
    /// # Errors
    /// [`HostError::TableConflict`] when it is not the table the edit was made for, [`HostError::Io`] when the kernel
    /// refuses. Nothing was changed in either case.
    fn replace_legacy(&mut self, edit: &LegacyEdit) -> Result<(), HostError>;

    /// Deletes a link, and with it its addresses, routes and upper links.
    ///
    /// # Errors
    /// [`HostError`] when another link has the number now, or the kernel refuses.
    fn delete_link(&mut self, link: Ifindex, expected: &LinkSnapshot) -> Result<Removal, HostError>;

    /// Deletes an address from its link.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses.
    fn delete_address(&mut self, address: &AddressSubject, expected: &AddressSnapshot) -> Result<Removal, HostError>;

    /// Deletes a route.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses.
    fn delete_route(&mut self, route: &RouteSubject, expected: &RouteSnapshot) -> Result<Removal, HostError>;

    /// Deletes an ip rule.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses.
    fn delete_ip_rule(&mut self, rule: &IpRuleSubject, expected: &IpRuleSnapshot) -> Result<Removal, HostError>;

    /// Destroys an IP set with its members, or deletes one member.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses, as it does while rules use a set.
    fn delete_ip_set(&mut self, subject: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError>;

    /// Deletes a destination, or a service that has none any more.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, the service has destinations, or the kernel refuses.
    fn delete_ipvs(&mut self, subject: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError>;

    /// Gives a sysctl the value it had before it was set.
    ///
    /// # Errors
    /// [`HostError`] when it has another value now, or the kernel refuses.
    fn restore_sysctl(&mut self, name: &SysctlName, expected: &SysctlSnapshot) -> Result<Removal, HostError>;

    /// Deletes a neighbour or a forwarding entry.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses.
    fn delete_neighbour(
        &mut self,
        neighbour: &NeighbourSubject,
        expected: &NeighbourSnapshot,
    ) -> Result<Removal, HostError>;

    /// Deletes a qdisc with all below it, a class or a filter.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, the kernel refuses, or `traffic` is none of these.
    fn delete_traffic(&mut self, traffic: &Subject, expected: &TrafficSnapshot) -> Result<Removal, HostError>;

    /// Removes a file, or a directory that is empty.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, or the kernel refuses.
    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError>;

    /// Unmounts a mount on which nothing else is mounted. With `losing` its filesystem may end with it, and nothing may
    /// be in there but that; without, it has to go on elsewhere.
    ///
    /// # Errors
    /// [`HostError`] when it is another one now, has something else in it, or is in use.
    fn unmount(
        &mut self,
        mount: &MountSubject,
        expected: &MountSnapshot,
        losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    ) -> Result<Removal, HostError>;

    /// Mounts a filesystem in memory anew, empty, or what another mount shows of its filesystem.
    ///
    /// # Errors
    /// [`HostError`] when it is neither, its mount point is not there, or the kernel refuses.
    fn mount(&mut self, mount: &MountSubject, content: &MountSnapshot) -> Result<(), HostError>;

    /// Makes a link with the number and settings it had; see [`rtnetlink::create_link`].
    ///
    /// # Errors
    /// [`HostError`] when its number or name is taken, or the kernel refuses.
    fn create_link(
        &mut self,
        link: (Ifindex, &LinkSnapshot),
        peer: Option<(Ifindex, &LinkSnapshot)>,
        keeps_mac: bool,
    ) -> Result<(), HostError>;

    /// Attaches a link to the controller it had, and switches it on if it was.
    ///
    /// # Errors
    /// [`HostError`] when the controller is not there, or the kernel refuses.
    fn attach_link(&mut self, link: Ifindex, content: &LinkSnapshot) -> Result<(), HostError>;

    /// Adds an address.
    ///
    /// # Errors
    /// [`HostError`] when it is there, its link is not, or the kernel refuses.
    fn add_address(&mut self, address: &AddressSubject, content: &AddressSnapshot) -> Result<(), HostError>;

    /// Adds a route.
    ///
    /// # Errors
    /// [`HostError`] when it is there, its link is not, or the kernel refuses.
    fn add_route(&mut self, route: &RouteSubject, content: &RouteSnapshot) -> Result<(), HostError>;

    /// Adds an ip rule.
    ///
    /// # Errors
    /// [`HostError`] when it is there, or the kernel refuses.
    fn add_ip_rule(&mut self, rule: &IpRuleSubject, content: &IpRuleSnapshot) -> Result<(), HostError>;

    /// Adds an IPVS service, or a destination to one.
    ///
    /// # Errors
    /// [`HostError`] when it is there, its service is not, or the kernel refuses.
    fn add_ipvs(&mut self, subject: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError>;

    /// Puts files and directories back from an archive, each only where nothing is; what became of each.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be read; what was put back before stays.
    fn restore_paths(
        &mut self,
        wanted: &BTreeMap<AbsPath, PathSnapshot>,
        files: Option<ArchivedFiles<'_>>,
    ) -> Result<restore::Restored, ArchiveError>;
}
