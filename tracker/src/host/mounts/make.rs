//! Mounting anew what was unmounted: filesystems in memory, and parts of what another mount shows.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::capture::entry;
use crate::capture::mounts::{Mount, MountTable, mounts};
use crate::host::HostError;
use crate::model::mount::{MountSnapshot, MountSubject};

/// Mounts what was there; see [`crate::host::Host::mount`]. Its mount point is opened without following any symbolic link.
///
/// # Errors
/// [`HostError::Io`]: it is neither in memory nor shown by another mount, its mount point is not there, or the kernel
/// refuses; [`HostError::Drifted`]: another part of the filesystem was hit, which is unmounted again.
pub fn mount(subject: &MountSubject, content: &MountSnapshot) -> Result<(), HostError> {
    let failed = |source| HostError::Io { operation: "mount", object: format!("`{}`", subject.path), source };
    let all = mounts().map_err(|error| failed(io::Error::other(error)))?;
    let (parent, name) = entry::split(&subject.path).ok_or_else(|| failed(Errno::BUSY.into()))?;
    if MountTable::new(all.clone()).hang_risk(&parent).is_some() {
        return Err(failed(Errno::HOSTDOWN.into()));
    }
    let directory = entry::open_dir(&parent).map_err(failed)?;
    let shown = all.iter().find_map(|mount| Some((mount, source_in(mount, content)?)));
    let tree = match &shown {
        Some((_, source)) => bind(source).map_err(failed)?,
        None if content.is_in_memory() && content.root == "/" => new_filesystem(content).map_err(failed)?,
        None => return Err(failed(io::Error::new(io::ErrorKind::NotFound, "no mount shows what was mounted"))),
    };
    rustix::mount::move_mount(&tree, "", &directory, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| failed(error.into()))?;
    if shown.is_some() {
        set_options(&tree, content).map_err(failed)?;
        let is_wanted = |mount: &&Mount| mount.dev == content.dev && mount.root == content.root.as_bytes();
        let now = MountTable::read().map_err(|error| failed(io::Error::other(error)))?;
        if now.of(&subject.path).filter(is_wanted).is_none() {
            let at = Path::new("/proc/thread-self/fd").join(directory.as_raw_fd().to_string()).join(name);
            rustix::mount::unmount(&at, UnmountFlags::NOFOLLOW).map_err(|error| failed(error.into()))?;
            return Err(HostError::Drifted {
                object: format!("`{subject}`"),
                expected: format!("`{}` of the filesystem", content.root),
                found: "another part of it".to_owned(),
            });
        }
    }
    Ok(())
}

/// Where a mount shows what is to be mounted.
fn source_in(mount: &Mount, content: &MountSnapshot) -> Option<std::path::PathBuf> {
    if mount.dev != content.dev || content.is_namespace() || mount.may_hang() {
        return None;
    }
    let root = std::str::from_utf8(&mount.root).ok()?;
    let below = Path::new(&content.root).strip_prefix(root).ok()?;
    Some(mount.mount_point.as_path().join(below))
}

/// A copy of what is at a path, without what is mounted below, mounted nowhere yet.
fn bind(source: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(rustix::mount::open_tree(found, "", flags)?)
}

/// An empty filesystem in memory with the settings it had, mounted nowhere yet.
fn new_filesystem(content: &MountSnapshot) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(content.fs_type.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !content.source.is_empty() {
        rustix::mount::fsconfig_set_string(context.as_fd(), "source", content.source.as_str())?;
    }
    for option in content.settings.split(',').filter(|option| !matches!(*option, "" | "rw" | "seclabel")) {
        match option.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(context.as_fd(), key, value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), option)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    let mut attributes = MountAttrFlags::empty();
    for option in content.options.split(',') {
        attributes |= match option {
            "ro" => MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nosuid" => MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => MountAttrFlags::MOUNT_ATTR_NODEV,
            "noexec" => MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
            "nodiratime" => MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            _ => MountAttrFlags::empty(),
        };
    }
    Ok(rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Gives a mount the options it had.
fn set_options(mount: &OwnedFd, content: &MountSnapshot) -> io::Result<()> {
    let mut flags = MountFlags::BIND;
    for option in content.options.split(',') {
        flags |= match option {
            "ro" => MountFlags::RDONLY,
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
    }
    let at = format!("/proc/thread-self/fd/{}", mount.as_raw_fd());
    Ok(rustix::mount::mount_remount(at, flags, "")?)
}
