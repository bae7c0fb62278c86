//! Processes of a node: found by their namespaces, ended by their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::wait;

/// The namespaces that make a process part of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces {
    /// Inode of the network namespace.
    pub net: u64,
    /// Inode of the mount namespace.
    pub mnt: u64,
}

impl Namespaces {
    /// The namespaces of a process; `None` when it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let inode = |name: &str| std::fs::metadata(format!("/proc/{pid}/ns/{name}")).ok().map(|meta| meta.ino());
        Some(Self { net: inode("net")?, mnt: inode("mnt")? })
    }
}

/// Processes in the node's namespaces and everything they started (containers live in namespaces of their own).
fn members(namespaces: Namespaces) -> BTreeSet<u32> {
    let own = std::process::id();
    let mut parents = BTreeMap::new();
    let mut found = BTreeSet::new();
    for pid in std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| pid_of(&entry.path())) {
        if let Some(parent) = parent_of(pid) {
            parents.insert(pid, parent);
        }
        if let Some(its) = Namespaces::of(pid)
            && (its.net == namespaces.net || its.mnt == namespaces.mnt)
        {
            found.insert(pid);
        }
    }
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(&own);
    found
}

fn pid_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // state and parent follow the task name, which may hold anything but ends at the last bracket
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Ends every process of a node and waits until none is left.
pub fn end_all(namespaces: Namespaces) {
    let mut killed: BTreeSet<u32> = BTreeSet::new();
    let ended = wait::until("the end of the node's processes", Duration::from_secs(20), || {
        let members = members(namespaces);
        for pid in members.iter().filter_map(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            // gone already is as good
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        killed.extend(&members);
        // the node's orphans are ours: see `adopt_orphans`
        for pid in killed.iter().filter_map(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
        }
        members.is_empty().then_some(())
    });
    if let Err(failure) = ended {
        eprintln!("{failure}: {:?}", members(namespaces));
    }
}

/// Makes the orphans of this process's children its own, so that they can be reaped.
pub fn adopt_orphans() {
    // without it they go to the machine's init, which is no harm to a test
    let _ = rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1));
}
