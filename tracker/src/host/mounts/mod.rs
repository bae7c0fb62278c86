//! Unmounting and mounting, in the mount namespace of the calling thread.
//!
//! A mount is unmounted by the name of its mount point in the directory that holds it, which is opened without following
//! any symbolic link and has to be in the mount that the plan saw it stand on. What is there is compared with the plan
//! before, and the mount table is read again afterwards. In between somebody can mount something else on top, which would
//! be unmounted in its place: the table shows it, and the caller is told.
//!
//! Nothing is unmounted by force, since that makes writes fail that the filesystem still owes. Nothing is detached
//! either: the kernel's refusal of what is in use is the only proof that nobody works in there, and what is detached goes
//! on living unseen.

mod holders;
mod make;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::{HostError, Removal};
use crate::capture::entry;
use crate::capture::mounts::{Mount, MountTable, child, mounts};
use crate::model::live::LiveState;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};
use crate::model::subject::{Snapshot, Subject};

pub use make::mount;

/// How many files of a filesystem in memory are listed; one with more is not looked into, and so not unmounted.
const MAX_CONTENT: usize = 10_000;

/// Looks into the mounts on some paths: what would be lost with a filesystem in memory, who works in a network namespace.
pub(super) fn look(table: &MountTable, paths: &[AbsPath], live: &mut LiveState) {
    let on: BTreeSet<&AbsPath> = paths.iter().collect();
    let mut namespaces: BTreeMap<String, u32> = BTreeMap::new();
    for (subject, snapshot) in &live.mounts {
        let (Subject::Mount(mount), Snapshot::Mount(content)) = (subject, snapshot) else { continue };
        let is_seen = on.contains(&mount.path) && table.of(&mount.path).is_some_and(|seen| seen.id == mount.id);
        if !is_seen || table.hang_risk(&mount.path).is_some() {
            continue;
        }
        if content.is_in_memory() {
            match files_in(&mount.path) {
                Ok(files) => live.contents.extend(files.map(|files| (mount.id, files))),
                Err(error) => tracing::warn!(path = %mount.path, error = %error, "mount is not looked into"),
            }
        }
        if content.is_namespace() {
            namespaces.insert(content.root.clone(), mount.id);
        }
    }
    if namespaces.is_empty() {
        return;
    }
    match holders::in_namespaces(namespaces.keys()) {
        Ok(mut users) => {
            for (root, id) in namespaces {
                live.users.insert(id, users.remove(&root).unwrap_or_default());
            }
        }
        Err(error) => tracing::warn!(error = %error, "who is in a network namespace is not known"),
    }
}

/// Everything in the mount on a path, without what is mounted in there; `None` when that is too much.
fn files_in(top: &AbsPath) -> io::Result<Option<BTreeMap<AbsPath, PathSnapshot>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.clone()];
    while let Some(directory) = open.pop() {
        let listing = match entry::open_listing(&directory) {
            Ok(listing) => listing,
            // the mount is on a file, or a directory went meanwhile
            Err(error) if entry::is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        for name in entry::names_of(&listing)? {
            let Some(path) = child(&directory, &name) else { continue };
            let Some(seen) = entry::inspect(&listing, Path::new(&name))? else { continue };
            if seen.snapshot.kind == PathKind::Dir && !seen.is_mount_point {
                open.push(path.clone());
            }
            found.insert(path, seen.snapshot);
            if found.len() > MAX_CONTENT {
                return Ok(None);
            }
        }
    }
    Ok(Some(found))
}

/// Unmounts one mount, if it is the one that was planned for; see [`super::Host::unmount`].
///
/// # Errors
/// - [`HostError::Drifted`]: another mount is there, something is mounted on top, or something is in it that the plan
///   does not know.
/// - [`HostError::Busy`]: somebody works in it; who, as far as `/proc` shows.
/// - [`HostError::Io`]: the kernel refuses.
pub fn unmount(
    subject: &MountSubject,
    expected: &MountSnapshot,
    losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
) -> Result<Removal, HostError> {
    let failed = |source| HostError::Io { operation: "unmount", object: format!("`{}`", subject.path), source };
    let read = || mounts().map_err(|error| failed(io::Error::other(error)));
    let before = read()?;
    let Some(found) = before.iter().find(|mount| mount.id == subject.id) else { return Ok(Removal::AlreadyGone) };
    verify(subject, expected, found, &before)?;
    verify_content(subject, expected, losing, &before).map_err(|error| error.unwrap_or_else(failed))?;

    let (parent, name) = entry::split(&subject.path).ok_or_else(|| failed(Errno::BUSY.into()))?;
    if let Some(remote) = MountTable::new(before.clone()).hang_risk(&parent) {
        return Err(drifted(subject, "a way that answers", format!("{} on the way", remote.fs_type)));
    }
    let directory = entry::open_dir(&parent).map_err(failed)?;
    let held = mount_of(&directory).map_err(failed)?;
    if held != found.parent {
        return Err(drifted(subject, format!("a place in mount {}", found.parent), format!("one in mount {held}")));
    }
    let at = Path::new("/proc/thread-self/fd").join(directory.as_raw_fd().to_string()).join(name);
    match rustix::mount::unmount(&at, UnmountFlags::NOFOLLOW) {
        Ok(()) => {}
        Err(Errno::BUSY) => {
            let object = format!("`{}`", subject.path);
            return Err(HostError::Busy { operation: "unmount", object, by: holders::of(&subject.path) });
        }
        Err(error) => return Err(failed(error.into())),
    }
    match read()?.iter().find(|mount| mount.id == subject.id) {
        Some(mount) if mount.object().1 == found.object().1 => {
            Err(drifted(subject, "the topmost mount there", "another that was mounted on it meanwhile".to_owned()))
        }
        _ => Ok(Removal::Removed),
    }
}

/// Checks that it is the mount of the plan, and that nothing stands on it.
fn verify(subject: &MountSubject, expected: &MountSnapshot, found: &Mount, all: &[Mount]) -> Result<(), HostError> {
    let is_same = matches!(found.object(), (Subject::Mount(at), Snapshot::Mount(now)) if at == *subject && now.digest() == expected.digest());
    if !is_same {
        let text = |fs_type: &str, source: &str, at: &AbsPath| format!("{fs_type} of `{source}` at `{at}`");
        return Err(drifted(
            subject,
            text(&expected.fs_type, &expected.source, &subject.path),
            text(&found.fs_type, &found.source, &found.mount_point),
        ));
    }
    match all.iter().find(|mount| mount.parent == found.id && mount.id != found.id) {
        Some(other) => Err(drifted(subject, "nothing mounted on it", format!("`{}`", other.mount_point))),
        None => Ok(()),
    }
}

/// Checks that nothing is lost but what may be. The error is `Err` for a failed look.
fn verify_content(
    subject: &MountSubject,
    expected: &MountSnapshot,
    losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    all: &[Mount],
) -> Result<(), Result<HostError, io::Error>> {
    if !expected.is_in_memory() {
        return Ok(());
    }
    let Some(losing) = losing else {
        let goes_on = all.iter().any(|mount| mount.dev == expected.dev && mount.mount_point != subject.path);
        return if goes_on {
            Ok(())
        } else {
            Err(Ok(drifted(subject, "a filesystem that is mounted elsewhere too", "its last mount".to_owned())))
        };
    };
    let files = files_in(&subject.path).map_err(Err)?;
    let Some(files) = files else {
        return Err(Ok(drifted(subject, "the files of the plan", "many more".to_owned())));
    };
    match files.into_iter().find(|(path, now)| losing.get(path).is_none_or(|planned| planned != now)) {
        Some((path, _)) => Err(Ok(drifted(subject, "the files of the plan", format!("another `{path}`")))),
        None => Ok(()),
    }
}

/// The number of the mount that an open directory is in, as `mountinfo` has it.
fn mount_of(directory: impl AsFd) -> io::Result<u32> {
    let info = format!("/proc/thread-self/fdinfo/{}", directory.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(info)?;
    let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the kernel does not tell its mount"))
}

fn drifted(subject: &MountSubject, expected: impl Into<String>, found: String) -> HostError {
    HostError::Drifted { object: format!("`{subject}`"), expected: expected.into(), found }
}
