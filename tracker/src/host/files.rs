//! Removing files and directories, one at a time and only the very object that was planned for.
//!
//! The parent directory is opened without following any symbolic link and has to be on the planned object's filesystem.
//! The entry is opened without entering a mount, and compared with the plan: device, inode number, birth time, kind, and
//! for what is no directory also size and modification time. Nothing is ever removed recursively.
//!
//! Linux has no "unlink this inode": between the comparison and `unlinkat` (two system calls, a few microseconds) another
//! process can put another object under the name. For directories that costs at most an *empty* directory. For files it
//! cannot be prevented, but it is noticed: the planned inode is kept open, and when it still has its name count
//! afterwards, another file was hit and the caller is told. Bytes written through a descriptor that was opened before
//! are lost with the file, as with any removal.

use std::fmt;
use std::io;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::capture::entry::{self, Entry};
use crate::model::path::{AbsPath, PathKind, PathSnapshot};

use super::{HostError, Removal};

/// Removes one file, or one empty directory.
///
/// `path` has to be canonical: a symbolic link on the way is refused, not followed. A symbolic link *at* the path is
/// removed itself. A directory that is a mount point in another mount namespace loses that mount, as with `rmdir(1)`.
///
/// # Errors
/// - [`HostError::Drifted`]: something else is there, its content was changed since, it has further names (hard links),
///   or a filesystem is mounted on it or on the way to it.
/// - [`HostError::Io`]: the kernel refused. `ENOTEMPTY` as its source: entries nobody planned for are in the directory.
///   `ELOOP`: a symbolic link is on the way.
pub fn remove(path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
    let operation = match expected.kind {
        PathKind::Dir => "remove directory",
        PathKind::File | PathKind::Symlink | PathKind::Special => "remove file",
    };
    let io = |source: io::Error| HostError::Io { operation, object: format!("`{path}`"), source };
    let Some((parent, name)) = entry::split(path) else { return Err(io(Errno::BUSY.into())) };
    let dir = match entry::open_dir(&parent) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removal::AlreadyGone),
        Err(error) => return Err(io(error)),
    };
    let Some(found) = entry::inspect(&dir, name).map_err(io)? else { return Ok(Removal::AlreadyGone) };
    verify(path, expected, &found)?;
    let (above, _) = entry::snapshot_of(&dir).map_err(io)?;
    if above.inode.dev != expected.inode.dev {
        return Err(drifted(path, format_args!("an entry of device {}", expected.inode.dev), "a mount on the way"));
    }
    let flags = if expected.kind == PathKind::Dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match rustix::fs::unlinkat(&dir, name, flags) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Removal::AlreadyGone),
        Err(error) => return Err(io(error.into())),
    }
    if expected.kind != PathKind::Dir {
        let (_, links) = entry::snapshot_of(&found.fd).map_err(io)?;
        if links != 0 {
            let hit = "a file that still has a name: linked meanwhile, or another one was removed in its place";
            return Err(drifted(path, Described(expected), hit));
        }
    }
    Ok(Removal::Removed)
}

/// Checks that the object found is the planned one and that taking its name away takes only it away.
fn verify(path: &AbsPath, expected: &PathSnapshot, found: &Entry) -> Result<(), HostError> {
    if found.is_mount_point {
        return Err(drifted(path, Described(expected), "a mount point"));
    }
    let now = &found.snapshot;
    let is_same = now.kind == expected.kind && now.inode == expected.inode;
    let is_unchanged =
        expected.kind == PathKind::Dir || (now.size == expected.size && now.modified == expected.modified);
    if !is_same || !is_unchanged {
        return Err(drifted(path, Described(expected), Described(now)));
    }
    if expected.kind != PathKind::Dir && found.links != 1 {
        return Err(drifted(path, "a file with one name", format_args!("one with {}", found.links)));
    }
    Ok(())
}

fn drifted(path: &AbsPath, expected: impl fmt::Display, found: impl fmt::Display) -> HostError {
    HostError::Drifted { object: format!("`{path}`"), expected: expected.to_string(), found: found.to_string() }
}

/// What distinguishes two objects of one path.
struct Described<'a>(&'a PathSnapshot);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PathSnapshot { kind, inode, size, modified, mode: _, uid: _, gid: _ } = self.0;
        let kind = match kind {
            PathKind::Dir => "directory",
            PathKind::File => "file",
            PathKind::Symlink => "symbolic link",
            PathKind::Special => "special file",
        };
        write!(f, "{kind} with inode {} on device {}", inode.ino, inode.dev)?;
        if let Some(born) = inode.born {
            write!(f, " born {born}")?;
        }
        if let Some(modified) = modified {
            write!(f, ", {size} bytes, modified {modified}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::capture::scan::snapshot;

    fn abs(path: &Path) -> AbsPath {
        AbsPath::new(path).expect("absolute")
    }

    fn see(path: &AbsPath) -> PathSnapshot {
        snapshot(path).expect("readable").expect("there")
    }

    #[test]
    fn a_file_then_its_empty_directory_go() {
        let top = tempfile::tempdir().expect("temporary directory");
        let dir = abs(&top.path().join("d"));
        let file = abs(&top.path().join("d/f"));
        std::fs::create_dir(dir.as_path()).expect("mkdir");
        std::fs::write(file.as_path(), "x").expect("write");
        let (dir_seen, file_seen) = (see(&dir), see(&file));

        let error = remove(&dir, &dir_seen).expect_err("not empty");
        let HostError::Io { operation: "remove directory", source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::DirectoryNotEmpty);

        assert_eq!(remove(&file, &file_seen).expect("removed"), Removal::Removed);
        assert_eq!(remove(&file, &file_seen).expect("gone"), Removal::AlreadyGone);
        assert_eq!(remove(&dir, &dir_seen).expect("removed"), Removal::Removed);
        assert_eq!(remove(&file, &file_seen).expect("parent gone too"), Removal::AlreadyGone);
        assert!(!dir.as_path().exists());
    }

    #[test]
    fn a_link_is_removed_itself_and_its_target_stays() {
        let top = tempfile::tempdir().expect("temporary directory");
        let link = abs(&top.path().join("link"));
        std::fs::write(top.path().join("target"), "x").expect("write");
        std::os::unix::fs::symlink("target", link.as_path()).expect("symlink");
        assert_eq!(remove(&link, &see(&link)).expect("removed"), Removal::Removed);
        assert!(top.path().join("target").exists());
    }

    #[test]
    fn a_changed_file_stays() {
        let top = tempfile::tempdir().expect("temporary directory");
        let file = abs(&top.path().join("f"));
        std::fs::write(file.as_path(), "planned").expect("write");
        let planned = see(&file);
        std::fs::write(file.as_path(), "edited since").expect("write");
        let error = remove(&file, &planned).expect_err("edited");
        assert!(matches!(error, HostError::Drifted { .. }), "{error:?}");
        assert!(error.to_string().contains("12 bytes"), "{error}");
        assert!(file.as_path().exists());
    }

    #[test]
    fn the_root_directory_is_refused() {
        let root = abs(Path::new("/"));
        let planned = entry::snapshot_of(entry::open_dir(&root).expect("open")).expect("stat").0;
        assert!(matches!(remove(&root, &planned), Err(HostError::Io { .. })));
    }
}
