//! Mounts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestBuilder};
use super::path::AbsPath;

/// A mount of the tracker's mount namespace. The kernel gives the number of one that is gone to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MountSubject {
    /// Where, as seen from the tracker's root.
    pub path: AbsPath,
    /// Its number.
    pub id: u32,
}

impl fmt::Display for MountSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mount {}", self.path)
    }
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSnapshot {
    /// Filesystem type, such as `tmpfs`; `nsfs` for a network namespace with a name.
    pub fs_type: String,
    /// What the filesystem calls its source: a device, a server's export, or any word.
    pub source: String,
    /// Which directory of the filesystem; of `nsfs` the namespace. Bytes that are no text are replaced.
    pub root: String,
    /// Device number of the filesystem.
    pub dev: u64,
    /// Options of the mount itself, as in `mountinfo`: `rw,nosuid`.
    pub options: String,
    /// Of a filesystem in memory the options of the filesystem (`size=1024k,mode=755`), to make it anew; else empty.
    pub settings: String,
}

/// Where a mount stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountPlace {
    /// Number of the mount it is mounted on.
    pub parent: u32,
    /// Number of its peer group: what is mounted or unmounted on one of the group is on all.
    pub peers: Option<u32>,
    /// Number of the peer group it receives from.
    pub receives: Option<u32>,
    /// Whether its filesystem answers from elsewhere, so that unmounting it may wait for ever.
    pub may_hang: bool,
}

impl MountSnapshot {
    /// Digest of all of it.
    pub fn digest(&self) -> Digest {
        let mut all = self.mounted();
        all.field(self.options.as_bytes());
        all.finish()
    }

    /// What does not change as long as it is the same mount, as a number.
    pub fn identity(&self) -> u64 {
        let Digest(bytes) = self.mounted().finish();
        bytes.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first))
    }

    /// The same on another device and with other options: what a mount that is made again has in common with the first.
    #[must_use]
    pub fn made_again(&self) -> Self {
        Self { dev: 0, options: String::new(), settings: String::new(), ..self.clone() }
    }

    /// Whether its content is in memory only, and lost with its last mount.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.fs_type.as_str(), "tmpfs" | "ramfs")
    }

    /// Whether it gives a namespace a name.
    pub fn is_namespace(&self) -> bool {
        self.fs_type == "nsfs"
    }

    fn mounted(&self) -> DigestBuilder {
        let Self { fs_type, source, root, dev, options: _, settings: _ } = self;
        let mut builder = DigestBuilder::new("mount");
        for part in [fs_type.as_bytes(), source.as_bytes(), root.as_bytes(), &dev.to_be_bytes()] {
            builder.field(part);
        }
        builder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_options_are_a_change_and_another_filesystem_is_another_mount() {
        let mount = |dev, options: &str| MountSnapshot {
            fs_type: "tmpfs".to_owned(),
            source: "x".to_owned(),
            root: "/".to_owned(),
            dev,
            options: options.to_owned(),
            settings: String::new(),
        };
        let (a, b, c) = (mount(1, "rw"), mount(1, "ro"), mount(2, "rw"));
        assert_eq!(a.identity(), b.identity());
        assert_ne!(a.digest(), b.digest());
        assert_ne!(a.identity(), c.identity());
    }
}
