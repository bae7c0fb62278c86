//! Mounts in memory.

use std::collections::BTreeMap;

use crate::model::live::LiveState;
use crate::model::mount::{MountPlace, MountSnapshot, MountSubject};
use crate::model::path::AbsPath;
use crate::model::subject::{Snapshot, Subject};

/// The mounts of a node. None is shared unless a test says so, and then nothing is passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeMounts {
    table: BTreeMap<u32, (MountSubject, MountSnapshot, MountPlace)>,
    /// The processes in the namespace behind a mount.
    pub users: BTreeMap<u32, Vec<String>>,
    last: u32,
}

impl FakeMounts {
    /// Those that were read.
    pub(super) fn of(live: &LiveState) -> Self {
        let mount = |(subject, content): &(Subject, Snapshot)| match (subject, content) {
            (Subject::Mount(subject), Snapshot::Mount(content)) => {
                let place = live.places.get(&subject.id).copied().unwrap_or_default();
                Some((subject.id, (subject.clone(), content.clone(), place)))
            }
            _ => None,
        };
        let table: BTreeMap<_, _> = live.mounts.iter().filter_map(mount).collect();
        let last = table.keys().next_back().copied().unwrap_or_default();
        Self { table, users: live.users.clone(), last }
    }

    /// Mounts a new filesystem on top of what is at a path.
    pub fn mount(&mut self, path: &AbsPath, fs_type: &str) -> (Subject, Snapshot) {
        let dev = 100 + u64::from(self.last);
        self.put(path, fs_type, dev)
    }

    /// Mounts the filesystem of another device number, whole.
    pub fn put(&mut self, path: &AbsPath, fs_type: &str, dev: u64) -> (Subject, Snapshot) {
        self.last += 1;
        let above = |(at, ..): &&(MountSubject, MountSnapshot, MountPlace)| path.is_within(&at.path);
        let parent =
            self.table.values().filter(above).max_by_key(|(at, ..)| (at.path.as_path().components().count(), at.id));
        let place = MountPlace { parent: parent.map_or(0, |(at, ..)| at.id), ..MountPlace::default() };
        let subject = MountSubject { path: path.clone(), id: self.last };
        let content = MountSnapshot {
            fs_type: fs_type.to_owned(),
            source: "none".to_owned(),
            root: "/".to_owned(),
            dev,
            options: "rw".to_owned(),
            settings: String::new(),
        };
        self.table.insert(self.last, (subject.clone(), content.clone(), place));
        (Subject::Mount(subject), Snapshot::Mount(content))
    }

    /// Where a mount stands, to be changed.
    pub fn place(&mut self, id: u32) -> Option<&mut MountPlace> {
        self.table.get_mut(&id).map(|(_, _, place)| place)
    }

    /// Whether something is mounted right on a path.
    pub fn is_mount_point(&self, path: &AbsPath) -> bool {
        self.table.values().any(|(at, ..)| at.path == *path)
    }

    /// Everything.
    pub fn dump(&self) -> Vec<(Subject, Snapshot)> {
        let object = |(subject, content, _): &(MountSubject, MountSnapshot, MountPlace)| {
            (Subject::Mount(subject.clone()), Snapshot::Mount(content.clone()))
        };
        self.table.values().map(object).collect()
    }

    /// Where each stands.
    pub fn places(&self) -> BTreeMap<u32, MountPlace> {
        self.table.iter().map(|(id, (.., place))| (*id, *place)).collect()
    }

    /// A mount.
    pub fn get(&self, id: u32) -> Option<(&MountSubject, &MountSnapshot)> {
        self.table.get(&id).map(|(subject, content, _)| (subject, content))
    }

    /// Takes a mount away; the kernel refuses while another is on it.
    pub(super) fn unmount(&mut self, id: u32) -> Result<(), i32> {
        if self.table.values().any(|(.., place)| place.parent == id) {
            return Err(libc::EBUSY);
        }
        self.table.remove(&id).map(|_| ()).ok_or(libc::EINVAL)
    }
}
