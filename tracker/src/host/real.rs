//! The host this process runs on: the calling thread's network namespace and the process's filesystems.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{Host, HostError, NftBatch, Removal, files, mounts, nft, rtnetlink};
use crate::capture::{self, CaptureError};
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject, LinkSnapshot};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject, RouteSnapshot, RouteSubject};
use crate::model::subject::Subject;
use crate::rollback::live::LiveState;

/// Acts on this machine. Holds nothing: each call opens its own sockets, in the calling thread's network namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError> {
        let dump = capture::nfnetlink::dump().map_err(unread("nftables ruleset"))?;
        let rt = capture::rtnetlink::dump().map_err(unread("links and routes"))?;
        let mut found = BTreeMap::new();
        let mut children = BTreeMap::new();
        for path in paths {
            let snapshot = capture::scan::snapshot(path).map_err(unread("path"))?;
            if let Some(PathSnapshot { kind: PathKind::Dir, .. }) = snapshot {
                children.extend(names_in(path)?.map(|names| (path.clone(), names)));
            }
            found.insert(path.clone(), snapshot);
        }
        let mounts = if paths.is_empty() { BTreeSet::new() } else { mounts::mount_points()? };
        Ok(LiveState { generation: dump.generation, nft: dump.objects, rt, paths: found, children, mounts })
    }

    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError> {
        nft::commit(batch)
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

    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
        files::remove(path, expected)
    }
}

fn unread(object: &'static str) -> impl Fn(CaptureError) -> HostError {
    move |error| HostError::Io { operation: "read", object: object.to_owned(), source: io::Error::other(error) }
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
