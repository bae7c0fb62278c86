//! Directories and files.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::time::WallTime;

/// An absolute path as seen in the tracker's mount namespace; any bytes but NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AbsPath(Vec<u8>);

impl AbsPath {
    /// Wraps a path; `None` when it is not absolute or has a `..` in it. Repeated slashes and `.` are folded.
    pub fn new(path: &Path) -> Option<Self> {
        if !path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
            return None;
        }
        let folded: PathBuf = path.components().collect();
        Some(Self(folded.as_os_str().as_bytes().to_vec()))
    }

    /// The path for system calls.
    pub fn as_path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// Whether this path is `root` or below it.
    pub fn is_within(&self, root: &Self) -> bool {
        self.as_path().starts_with(root.as_path())
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_path().display())
    }
}

impl fmt::Debug for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbsPath({self})")
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link, never followed.
    Symlink,
    /// A socket, FIFO or device.
    Special,
}

/// The file behind a path: a reused inode number has another birth time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inode {
    /// Device number of the filesystem.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth time, nanoseconds since 1970; `None` where the filesystem keeps none.
    pub born: Option<WallTime>,
}

/// A directory's or file's content, as far as the tracker keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSnapshot {
    /// What the path names.
    pub kind: PathKind,
    /// Which inode.
    pub inode: Inode,
    /// Permission bits.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// Last modification; `None` for a directory, whose time moves with its entries.
    pub modified: Option<WallTime>,
}

impl PathSnapshot {
    /// Digest of kind, inode, mode and (files) size and modification time.
    pub fn digest(&self) -> Digest {
        let Self { kind, inode, mode, uid, gid, size, modified } = self;
        DigestBuilder::new("path")
            .field(&[*kind as u8])
            .field(&inode.dev.to_le_bytes())
            .field(&inode.ino.to_le_bytes())
            .field(&inode.born.unwrap_or_default().0.to_le_bytes())
            .field(&mode.to_le_bytes())
            .field(&uid.to_le_bytes())
            .field(&gid.to_le_bytes())
            .field(&size.to_le_bytes())
            .field(&modified.unwrap_or_default().0.to_le_bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_and_climbing_paths_are_refused() {
        assert!(AbsPath::new(Path::new("etc/cni")).is_none());
        assert!(AbsPath::new(Path::new("/etc/../root")).is_none());
        let path = AbsPath::new(Path::new("/etc//cni/./net.d/")).expect("absolute");
        assert_eq!(path.to_string(), "/etc/cni/net.d");
        assert!(path.is_within(&AbsPath::new(Path::new("/etc/cni")).expect("absolute")));
        assert!(!path.is_within(&AbsPath::new(Path::new("/etc/cn")).expect("absolute")));
    }
}
