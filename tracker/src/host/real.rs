//! The host this process runs on: the calling thread's network namespace and the process's filesystems.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;

use super::{
    ArchiveError, ArchivedFiles, Host, HostError, LegacyEdit, NftBatch, Removal, files, ipset, ipvs, legacy, mounts,
    nft, restore, rtnetlink, sysctl,
};
use crate::capture::mounts::{Mount, MountTable};
use crate::capture::{self, CaptureError};
use crate::decode::rtnl::fill_names;
use crate::model::ids::{Generation, Ifindex, Ifname};
use crate::model::ipset::{IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsSnapshot, IpvsSubject};
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::live::LiveState;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::neighbour::{NeighbourSnapshot, NeighbourSubject};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::{Snapshot, Subject};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::traffic::TrafficSnapshot;

/// Acts on this machine. Holds nothing: each call opens its own sockets, in the calling thread's network namespace.
///
/// Every call blocks, and those on links, addresses, routes and ip rules panic on a thread that runs asynchronous tasks: call
/// from a thread of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError> {
        let (generation, nft) = ruleset()?;
        all_but_ruleset(paths, generation, nft)
    }

    /// The ruleset of a generation is always the same, but for elements that come and go with packets, which nothing rests on.
    fn live_again(&mut self, paths: &[AbsPath], earlier: LiveState) -> Result<LiveState, HostError> {
        let now = capture::nfnetlink::generation().map_err(unread("the nftables generation"))?;
        let (generation, nft) = if now == earlier.generation { (now, earlier.nft) } else { ruleset()? };
        all_but_ruleset(paths, generation, nft)
    }

    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError> {
        nft::commit(batch)
    }

    fn replace_legacy(&mut self, edit: &LegacyEdit) -> Result<(), HostError> {
        legacy::replace(edit)
    }

    fn delete_link(&mut self, link: Ifindex, expected: &LinkSnapshot) -> Result<Removal, HostError> {
        rtnetlink::delete_link(&Subject::Link(link), expected)
    }

    fn delete_address(&mut self, address: &AddressSubject, expected: &AddressSnapshot) -> Result<Removal, HostError> {
        rtnetlink::delete_address(address, expected)
    }

    fn delete_route(&mut self, route: &RouteSubject, expected: &RouteSnapshot) -> Result<Removal, HostError> {
        rtnetlink::delete_route(route, expected)
    }

    fn delete_ip_rule(&mut self, rule: &IpRuleSubject, expected: &IpRuleSnapshot) -> Result<Removal, HostError> {
        rtnetlink::delete_ip_rule(rule, expected)
    }

    fn delete_ip_set(&mut self, subject: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError> {
        ipset::delete(subject, expected)
    }

    fn delete_ipvs(&mut self, subject: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError> {
        ipvs::delete(subject, expected)
    }

    fn restore_sysctl(&mut self, name: &SysctlName, expected: &SysctlSnapshot) -> Result<Removal, HostError> {
        sysctl::restore(name, expected)
    }

    fn delete_neighbour(
        &mut self,
        neighbour: &NeighbourSubject,
        expected: &NeighbourSnapshot,
    ) -> Result<Removal, HostError> {
        rtnetlink::delete_neighbour(neighbour, expected)
    }

    fn delete_traffic(&mut self, traffic: &Subject, expected: &TrafficSnapshot) -> Result<Removal, HostError> {
        rtnetlink::delete_traffic(traffic, expected)
    }

    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
        files::remove(path, expected)
    }

    fn unmount(
        &mut self,
        mount: &MountSubject,
        expected: &MountSnapshot,
        losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    ) -> Result<Removal, HostError> {
        mounts::unmount(mount, expected, losing)
    }

    fn mount(&mut self, mount: &MountSubject, content: &MountSnapshot) -> Result<(), HostError> {
        mounts::mount(mount, content)
    }

    fn create_link(
        &mut self,
        link: (Ifindex, &LinkSnapshot),
        peer: Option<(Ifindex, &LinkSnapshot)>,
        keeps_mac: bool,
    ) -> Result<(), HostError> {
        rtnetlink::create_link(link, peer, keeps_mac)
    }

    fn attach_link(&mut self, link: Ifindex, content: &LinkSnapshot) -> Result<(), HostError> {
        rtnetlink::attach_link((link, content))
    }

    fn add_address(&mut self, address: &AddressSubject, content: &AddressSnapshot) -> Result<(), HostError> {
        rtnetlink::add_address(address, content)
    }

    fn add_route(&mut self, route: &RouteSubject, content: &RouteSnapshot) -> Result<(), HostError> {
        rtnetlink::add_route(route, content)
    }

    fn add_ip_rule(&mut self, rule: &IpRuleSubject, content: &IpRuleSnapshot) -> Result<(), HostError> {
        rtnetlink::add_ip_rule(rule, content)
    }

    fn add_ipvs(&mut self, subject: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError> {
        ipvs::add(subject, content)
    }

    fn restore_paths(
        &mut self,
        wanted: &BTreeMap<AbsPath, PathSnapshot>,
        files: Option<ArchivedFiles<'_>>,
    ) -> Result<restore::Restored, ArchiveError> {
        match files {
            Some(ArchivedFiles { store, operation }) => {
                restore::restore(store, operation, &wanted.keys().cloned().collect())
            }
            None => Ok(Vec::new()),
        }
    }
}

/// The generation of the nftables ruleset, and everything in it.
fn ruleset() -> Result<(Generation, Vec<(Subject, Snapshot)>), HostError> {
    let dump = capture::nfnetlink::dump().map_err(unread("the nftables ruleset"))?;
    if let Some(message) = dump.undecoded.first() {
        // an object nobody can see might refer to what is to go
        let source = io::Error::new(io::ErrorKind::InvalidData, message.reason.to_string());
        return Err(HostError::Io { operation: "read", object: "all of the nftables ruleset".to_owned(), source });
    }
    Ok((dump.generation, dump.objects))
}

/// Reads everything else.
fn all_but_ruleset(
    paths: &[AbsPath],
    generation: Generation,
    nft: Vec<(Subject, Snapshot)>,
) -> Result<LiveState, HostError> {
    let mut rt = capture::rtnetlink::dump().map_err(unread("links and routes"))?;
    name_links(&mut rt);
    let ip_sets = capture::ipset::dump().map_err(unread("IP sets"))?;
    let ipvs = capture::ipvs::dump().map_err(unread("IPVS services"))?;
    let legacy = capture::legacy::dump().map_err(unread("legacy tables"))?;
    let mut live = LiveState { generation, nft, rt, ip_sets, ipvs, legacy, ..LiveState::default() };
    let all = capture::mounts::mounts().map_err(unread("the mount table"))?;
    live.mounts = all.iter().map(Mount::object).collect();
    live.places = all.iter().map(|mount| (mount.id, mount.place())).collect();
    let table = MountTable::new(all);
    mounts::look(&table, paths, &mut live);
    read_paths(&table, paths, &mut live)?;
    Ok(live)
}

fn unread(object: &'static str) -> impl Fn(CaptureError) -> HostError {
    move |error| HostError::Io { operation: "read", object: object.to_owned(), source: io::Error::other(error) }
}

/// Fills in the link names that the kernel's messages about other things leave out.
fn name_links(rt: &mut [(Subject, Snapshot)]) {
    let names: BTreeMap<Ifindex, Ifname> = rt
        .iter()
        .filter_map(|(subject, snapshot)| match (subject, snapshot) {
            (Subject::Link(ifindex), Snapshot::Link(link)) => Some((*ifindex, link.name.clone())),
            _ => None,
        })
        .collect();
    rt.iter_mut().for_each(|(_, snapshot)| fill_names(snapshot, |ifindex| names.get(&ifindex).cloned()));
}

/// Reads paths into `live`. One that cannot be looked at (its mount may hang) is left out: the planner refuses it.
fn read_paths(mounts: &MountTable, paths: &[AbsPath], live: &mut LiveState) -> Result<(), HostError> {
    for path in paths {
        let snapshot = match capture::scan::snapshot_in(mounts, path) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(%path, error = %error, "path is not read");
                continue;
            }
        };
        match &snapshot {
            // what is mounted right on it may hang, and keeps it from going anyway
            Some(_) if mounts.hang_risk(path).is_some() => {}
            Some(PathSnapshot { kind: PathKind::Dir, .. }) => {
                let is_covered = mounts.of(path).is_some_and(|mount| mount.mount_point == *path);
                let names = if is_covered { covered_names_in(path)? } else { names_in(path)? };
                live.children.extend(names.map(|names| (path.clone(), names)));
            }
            Some(_) => match std::fs::symlink_metadata(path.as_path()) {
                Ok(file) if file.nlink() > 1 => drop(live.names.insert(path.clone(), file.nlink())),
                Ok(_) | Err(_) => {}
            },
            None => {}
        }
        live.paths.insert(path.clone(), snapshot);
    }
    Ok(())
}

/// The paths of a directory's entries; `None` when it vanished meanwhile.
fn names_in(directory: &AbsPath) -> Result<Option<BTreeSet<AbsPath>>, HostError> {
    let failed = |source| HostError::Io { operation: "read directory", object: format!("`{directory}`"), source };
    let entries = match std::fs::read_dir(directory.as_path()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        names.extend(AbsPath::new(&entry.path()));
    }
    Ok(Some(names))
}

/// As [`names_in`] for a directory on which something is mounted: what is in the directory itself.
fn covered_names_in(directory: &AbsPath) -> Result<Option<BTreeSet<AbsPath>>, HostError> {
    let failed = |source| HostError::Io { operation: "read directory", object: format!("`{directory}`"), source };
    let Some(found) = capture::entry::inspect_path(directory).map_err(failed)? else { return Ok(None) };
    let mut names = BTreeSet::new();
    for name in capture::entry::names_of(&found.fd).map_err(failed)? {
        names.extend(capture::mounts::child(directory, &name));
    }
    Ok(Some(names))
}
