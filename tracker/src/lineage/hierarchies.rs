//! The cgroups there are, by number: what the records of made cgroups do not tell of those made before.

use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::procfs::ProcFs;
use crate::model::observation::CgroupId;

/// Deeper ones are left to /proc.
const MAX_DEPTH: usize = 24;

impl ProcFs {
    /// Where the hierarchies are mounted whose cgroups the records name: v2, and `pids` and `memory` of v1.
    fn hierarchies(&self) -> Vec<(u32, PathBuf)> {
        let v2 = [self.cgroups().to_owned(), self.cgroups().join("unified")];
        let v2 = v2.into_iter().find(|mount| mount.join("cgroup.controllers").exists());
        let mut all: Vec<(u32, PathBuf)> = v2.into_iter().map(|mount| (0, mount)).collect();
        for line in self.controllers().lines() {
            let mut fields = line.split_whitespace();
            let (Some(name @ ("pids" | "memory")), Some(hierarchy)) = (fields.next(), fields.next()) else { continue };
            if let Some(hierarchy) = hierarchy.parse().ok().filter(|hierarchy| *hierarchy != 0) {
                all.push((hierarchy, self.cgroups().join(name)));
            }
        }
        all
    }

    /// Every cgroup there is, with its path, at most `limit` of them.
    pub(super) fn all_cgroups(&self, limit: usize) -> Vec<(CgroupId, String)> {
        let mut found = Vec::new();
        for (hierarchy, mount) in self.hierarchies() {
            if let Ok(top) = std::fs::metadata(&mount) {
                found.push((CgroupId { hierarchy, id: top.ino() }, "/".to_owned()));
            }
            walk(&mount, hierarchy, limit, &mut found);
        }
        found
    }
}

fn walk(mount: &Path, hierarchy: u32, limit: usize, found: &mut Vec<(CgroupId, String)>) {
    let mut waiting = vec![(String::new(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        // one that is removed meanwhile has no entries
        let Ok(entries) = std::fs::read_dir(mount.join(path.trim_start_matches('/'))) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if found.len() >= limit {
                return;
            }
            let below = format!("{path}/{}", entry.file_name().to_string_lossy());
            found.push((CgroupId { hierarchy, id: entry.ino() }, below.clone()));
            if depth < MAX_DEPTH {
                waiting.push((below, depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::procfs::tests::FakeProc;
    use super::*;

    #[test]
    fn every_cgroup_of_v2_and_of_the_usual_v1_hierarchies_is_found() {
        let proc = FakeProc::new();
        let top = proc.0.path().join("sys/fs/cgroup");
        for path in ["unified/a/b", "pids/kubepods/pod1", "freezer/x"] {
            std::fs::create_dir_all(top.join(path)).expect("create");
        }
        std::fs::create_dir_all(proc.0.path().join("proc")).expect("create");
        std::fs::write(top.join("unified/cgroup.controllers"), "").expect("write");
        std::fs::write(proc.0.path().join("proc/cgroups"), "#subsys_name\nfreezer\t2\npids\t8\t4\t1\n").expect("write");
        let id = |path: &str| std::fs::metadata(top.join(path)).expect("metadata").ino();
        let mut found = proc.procfs().all_cgroups(100);
        found.sort();
        let v1 = |path: &str| CgroupId { hierarchy: 8, id: id(path) };
        let mut expected = vec![
            (CgroupId::v2(id("unified")), "/".to_owned()),
            (CgroupId::v2(id("unified/a")), "/a".to_owned()),
            (CgroupId::v2(id("unified/a/b")), "/a/b".to_owned()),
            (v1("pids"), "/".to_owned()),
            (v1("pids/kubepods"), "/kubepods".to_owned()),
            (v1("pids/kubepods/pod1"), "/kubepods/pod1".to_owned()),
        ];
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(proc.procfs().all_cgroups(2).len(), 3, "the top ones always");
    }
}
