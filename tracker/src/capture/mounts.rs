//! The mount table: which mount a path leads into, and whether looking there may hang.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::model::mount::{MountPlace, MountSnapshot, MountSubject};
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject};

use super::CaptureError;

/// The calling thread's mount table. Not `/proc/self`: a thread may have a mount namespace of its own.
pub const MOUNTINFO: &str = "/proc/thread-self/mountinfo";

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Number of the mount; reused after it is unmounted.
    pub id: u32,
    /// Number of the mount it is mounted on.
    pub parent: u32,
    /// Device number of the filesystem.
    pub dev: u64,
    /// Which directory of the filesystem is mounted; any bytes.
    pub root: Vec<u8>,
    /// Where, as seen from the tracker's root.
    pub mount_point: AbsPath,
    /// Filesystem type, such as `ext4` or `fuse.sshfs`.
    pub fs_type: String,
    /// What the filesystem calls its source; empty when the line does not tell.
    pub source: String,
    /// Options of the mount itself.
    pub options: String,
    /// Options of the filesystem.
    pub settings: String,
    /// Number of its peer group (`shared:`).
    pub peers: Option<u32>,
    /// Number of the peer group it receives from (`master:`).
    pub receives: Option<u32>,
}

/// Filesystem types that answer from elsewhere: another host, or a process that may be gone.
const REMOTE: [&str; 19] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "fuseblk",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "virtiofs",
];

/// Filesystem types whose entries are kernel objects, or another root's files seen once more.
const PSEUDO: [&str; 19] = [
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

impl Mount {
    /// As an object.
    pub fn object(&self) -> (Subject, Snapshot) {
        let Self { id, dev, root, mount_point, fs_type, source, options, .. } = self;
        let subject = MountSubject { path: mount_point.clone(), id: *id };
        let snapshot = MountSnapshot {
            fs_type: fs_type.clone(),
            source: source.clone(),
            root: String::from_utf8_lossy(root).into_owned(),
            dev: *dev,
            options: options.clone(),
            settings: String::new(),
        };
        let settings = if snapshot.is_in_memory() { self.settings.clone() } else { String::new() };
        (Subject::Mount(subject), Snapshot::Mount(MountSnapshot { settings, ..snapshot }))
    }

    /// Where it stands.
    pub fn place(&self) -> MountPlace {
        let Self { parent, peers, receives, .. } = self;
        MountPlace { parent: *parent, peers: *peers, receives: *receives, may_hang: self.may_hang() }
    }

    /// Whether a lookup in it may wait for another host or for a user process, perhaps for ever. The mount at `/` is
    /// exempt: where that hangs, everything does.
    pub fn may_hang(&self) -> bool {
        let is_remote = REMOTE.contains(&self.fs_type.as_str()) || self.fs_type.starts_with("fuse.");
        is_remote && self.mount_point.as_path() != Path::new("/")
    }

    /// Why a walk that comes upon this mount on its way down has to stay outside; `None` when it may enter.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let Self { mount_point, fs_type, .. } = self;
        if self.may_hang() {
            Some(format!("`{mount_point}` is {fs_type}, which may hang"))
        } else if PSEUDO.contains(&fs_type.as_str()) {
            Some(format!("`{mount_point}` is {fs_type}, not a place for files of its own"))
        } else {
            None
        }
    }
}

/// Mounts of the calling thread's mount namespace, in the kernel's order.
///
/// # Errors
/// [`CaptureError::Io`] when the table cannot be read, or has a line that is not understood.
pub fn mounts() -> Result<Vec<Mount>, CaptureError> {
    let io = |source| CaptureError::Io { operation: "read the mount table", object: MOUNTINFO.to_owned(), source };
    let text = std::fs::read(MOUNTINFO).map_err(io)?;
    parse(&text).map_err(|error| io(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

/// A line of `mountinfo` that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a mountinfo line but found `{0}`")]
pub struct MalformedLine(String);

/// Reads the text of a `mountinfo` file.
///
/// # Errors
/// [`MalformedLine`]: a mount left out could be the one that hangs, so none is.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, MalformedLine> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| parse_line(line).ok_or_else(|| MalformedLine(String::from_utf8_lossy(line).into_owned())))
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let mut dev = fields.next()?.split(|&byte| byte == b':');
    let (major, minor) = (number(dev.next()?)?, number(dev.next()?)?);
    let root = unescape(fields.next()?);
    let mount_point = std::ffi::OsString::from_vec(unescape(fields.next()?));
    let options = fields.next()?;
    // optional fields up to a lone dash
    let (mut peers, mut receives) = (None, None);
    loop {
        match fields.next()? {
            b"-" => break,
            field => {
                peers = peers.or_else(|| number(field.strip_prefix(b"shared:")?));
                receives = receives.or_else(|| number(field.strip_prefix(b"master:")?));
            }
        }
    }
    let fs_type = fields.next()?;
    let source = fields.next().unwrap_or_default();
    let settings = fields.next().unwrap_or_default();
    let text = |field| String::from_utf8_lossy(&unescape(field)).into_owned();
    Some(Mount {
        id,
        parent,
        dev: rustix::fs::makedev(major, minor),
        root,
        mount_point: AbsPath::new(Path::new(&mount_point))?,
        fs_type: text(fs_type),
        source: text(source),
        options: text(options),
        settings: text(settings),
        peers,
        receives,
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Undoes the kernel's `\040` for space, tab, newline, backslash and hash. What is no such escape stays as it is.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if byte == b'\\' => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    out
}

/// Mounts, ready to be asked which of them a path leads into.
#[derive(Debug)]
pub struct MountTable {
    mounts: Vec<Mount>,
    children: HashMap<u32, Vec<usize>>,
    base: Option<usize>,
}

impl MountTable {
    /// Reads the calling thread's table.
    ///
    /// # Errors
    /// As [`mounts`].
    pub fn read() -> Result<Self, CaptureError> {
        mounts().map(Self::new)
    }

    /// Wraps a table.
    pub fn new(mounts: Vec<Mount>) -> Self {
        let ids: std::collections::HashSet<u32> = mounts.iter().map(|mount| mount.id).collect();
        let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut base = None;
        for (index, mount) in mounts.iter().enumerate() {
            if mount.id == mount.parent || !ids.contains(&mount.parent) {
                base = base.or(Some(index));
            } else {
                children.entry(mount.parent).or_default().push(index);
            }
        }
        Self { mounts, children, base }
    }

    /// Every mount a lookup of `path` passes, the one it ends in last. Symbolic links are not considered.
    pub fn passed(&self, path: &AbsPath) -> Vec<&Mount> {
        let mut passed = Vec::new();
        let mut next = self.base;
        while let Some(mount) = next.and_then(|index| self.mounts.get(index)) {
            passed.push(mount);
            // A walk meets the shortest mount point first, which hides what lies below it.
            let children = self.children.get(&mount.id).map(Vec::as_slice).unwrap_or_default();
            next = children
                .iter()
                .copied()
                .filter(|&child| self.mounts.get(child).is_some_and(|child| path.is_within(&child.mount_point)))
                .min_by_key(|&child| self.mounts.get(child).map(|child| child.mount_point.as_path().as_os_str().len()));
            if passed.len() > self.mounts.len() {
                break; // parents that form a circle are no kernel's table
            }
        }
        passed
    }

    /// The mount `path` leads into.
    pub fn of(&self, path: &AbsPath) -> Option<&Mount> {
        self.passed(path).pop()
    }

    /// The first mount on the way to `path` where a lookup may hang.
    pub fn hang_risk(&self, path: &AbsPath) -> Option<&Mount> {
        self.passed(path).into_iter().find(|mount| mount.may_hang())
    }

    /// Mounts at or below `path` that pass `wanted` and are not hidden by others.
    pub fn within(&self, path: &AbsPath, wanted: impl Fn(&AbsPath) -> bool) -> Vec<&Mount> {
        let candidates =
            self.mounts.iter().filter(|mount| mount.mount_point.is_within(path) && wanted(&mount.mount_point));
        candidates.filter(|mount| self.of(&mount.mount_point).is_some_and(|seen| seen.id == mount.id)).collect()
    }
}

/// The path of `name` in `dir`; `None` for names no directory entry has.
pub(crate) fn child(dir: &AbsPath, name: &OsStr) -> Option<AbsPath> {
    let is_plain = !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.as_bytes().contains(&b'/');
    if is_plain { AbsPath::new(&dir.as_path().join(name)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abs(path: &str) -> AbsPath {
        AbsPath::new(Path::new(path)).expect("absolute")
    }

    fn table(lines: &[&str]) -> MountTable {
        MountTable::new(parse(lines.join("\n").as_bytes()).expect("well-formed"))
    }

    #[test]
    fn a_line_with_escapes_and_optional_fields_is_read() {
        let text = b"36 35 98:7 /mnt\\0401 /var/a\\040b\\134c rw,noatime master:1 shared:3 - ext4 /dev/x\\040y rw\n";
        let mounts = parse(text).expect("well-formed");
        assert_eq!(
            mounts,
            [Mount {
                id: 36,
                parent: 35,
                dev: rustix::fs::makedev(98, 7),
                root: b"/mnt 1".to_vec(),
                mount_point: abs("/var/a b\\c"),
                fs_type: "ext4".to_owned(),
                source: "/dev/x y".to_owned(),
                options: "rw,noatime".to_owned(),
                settings: "rw".to_owned(),
                peers: Some(3),
                receives: Some(1),
            }]
        );
    }

    #[test]
    fn a_line_that_is_cut_is_an_error() {
        let error = parse(b"36 35 98:7 / /var rw master:1 -").expect_err("no type");
        assert!(error.to_string().contains("36 35 98:7"), "{error}");
        assert!(parse(b"36 35 98 / /var rw - ext4 x rw").is_err());
    }

    #[test]
    fn unfinished_escapes_stay() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\777\\011"), b"\\777\t");
    }

    #[test]
    fn a_mount_over_a_directory_hides_mounts_below_it() {
        let table = table(&[
            "1 0 8:1 / / rw - ext4 x rw",
            "2 1 0:30 / /a/b rw - nfs x rw",
            "3 1 0:31 / /a rw - tmpfs x rw",
            "4 3 0:32 / /a/c rw - tmpfs x rw",
        ]);
        assert_eq!(table.of(&abs("/a/b/x")).map(|mount| mount.id), Some(3));
        assert_eq!(table.of(&abs("/a/c")).map(|mount| mount.id), Some(4));
        assert_eq!(table.of(&abs("/ab")).map(|mount| mount.id), Some(1));
        assert!(table.hang_risk(&abs("/a/b/x")).is_none());
        let visible: Vec<u32> = table.within(&abs("/a"), |_| true).iter().map(|mount| mount.id).collect();
        assert_eq!(visible, [3, 4]);
    }

    #[test]
    fn stacked_mounts_lead_into_the_topmost() {
        let table =
            table(&["1 1 0:2 / / rw - rootfs x rw", "2 1 8:1 / / rw - ext4 x rw", "3 2 0:9 / /run rw - tmpfs x rw"]);
        assert_eq!(table.of(&abs("/etc")).map(|mount| mount.id), Some(2));
        let ids: Vec<u32> = table.passed(&abs("/run/cni")).iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [1, 2, 3]);
    }

    #[test]
    fn remote_and_user_space_filesystems_may_hang_unless_they_are_the_root() {
        let table = table(&[
            "1 0 0:2 / / rw - nfs4 x rw",
            "2 1 0:3 / /data rw - fuse.sshfs x rw",
            "3 2 0:4 / /data/x rw - tmpfs x rw",
        ]);
        assert!(table.hang_risk(&abs("/etc/cni")).is_none());
        assert_eq!(table.hang_risk(&abs("/data/x/y")).map(|mount| mount.id), Some(2));
    }

    #[test]
    fn this_machines_own_table_is_understood() {
        let table = MountTable::read().expect("readable");
        assert!(table.of(&abs("/proc/1")).is_some_and(|mount| mount.fs_type == "proc"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&bytes).map(MountTable::new);
        }
    }
}
