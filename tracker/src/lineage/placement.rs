//! Where a process runs, by its cgroup.

use std::collections::HashMap;

use super::cgroup;
use super::procfs::ProcFs;
use crate::model::process::{Placement, ProcessKey};

/// Placements of cgroups by id, for hosts that use nothing but cgroup v2.
///
/// There the record's cgroup id says where the task was at that instant, even when the process is gone. With v1
/// hierarchies the id is the same for every task, and the file is read instead.
#[derive(Debug, Default)]
pub(super) struct Placements {
    by_id: HashMap<u64, Placement>,
}

impl Placements {
    /// Beyond this many cgroups the cache starts anew: it holds nothing that cannot be read again.
    const MAX: usize = 8192;

    /// Placement of a task that was in cgroup `id`; `None` when neither the id is known nor the process can be read.
    pub(super) fn find(&mut self, procfs: &ProcFs, process: ProcessKey, id: u64) -> Option<Placement> {
        if let Some(placement) = self.by_id.get(&id) {
            return Some(placement.clone());
        }
        let text = procfs.cgroup_of(process)?;
        Some(self.learn_as(procfs, &text, Some(id)))
    }

    /// Placement of a cgroup id that was seen before.
    pub(super) fn of_id(&self, id: u64) -> Option<&Placement> {
        self.by_id.get(&id)
    }

    /// Parses a cgroup file's text and remembers it by id.
    pub(super) fn learn(&mut self, procfs: &ProcFs, text: &str) -> Placement {
        self.learn_as(procfs, text, None)
    }

    /// `wanted` is the id that was asked for: a process that has
    /// moved on in the meantime must not be taken for it.
    fn learn_as(&mut self, procfs: &ProcFs, text: &str, wanted: Option<u64>) -> Placement {
        let placement = cgroup::parse(text);
        if let Some(path) = cgroup::v2_only(text)
            && let Some(id) = procfs.cgroup_id(path)
            && wanted.is_none_or(|wanted| wanted == id)
        {
            if self.by_id.len() >= Self::MAX {
                self.by_id.clear();
            }
            self.by_id.insert(id, placement.clone());
        }
        placement
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::procfs::tests::FakeProc;
    use super::*;
    use crate::model::ids::Tgid;
    use crate::model::time::BootTime;

    #[test]
    fn a_v2_cgroup_is_known_by_id_after_its_process_is_gone() {
        let proc = FakeProc::new();
        let dir = proc.0.path().join("sys/fs/cgroup/system.slice/x.service");
        std::fs::create_dir_all(&dir).expect("create");
        let id = std::fs::metadata(&dir).expect("metadata").ino();
        proc.add(7, 1, 5, &["/bin/x"], "0::/system.slice/x.service\n");
        let key = ProcessKey { tgid: Tgid(7), start: BootTime(50_000_000) };
        let mut placements = Placements::default();
        let unit = |placement: Option<Placement>| placement.and_then(|placement| placement.unit);
        assert_eq!(unit(placements.find(&proc.procfs(), key, id + 1)).as_deref(), Some("x.service"));
        assert!(placements.of_id(id + 1).is_none(), "the process was elsewhere by the time of the read");
        assert_eq!(unit(placements.find(&proc.procfs(), key, id)).as_deref(), Some("x.service"));
        proc.remove(7);
        assert_eq!(unit(placements.find(&proc.procfs(), key, id)).as_deref(), Some("x.service"));
        assert_eq!(placements.find(&proc.procfs(), key, id + 2), None);
    }

    #[test]
    fn with_v1_hierarchies_ids_mean_nothing() {
        let proc = FakeProc::new();
        std::fs::create_dir_all(proc.0.path().join("sys/fs/cgroup/x.service")).expect("create");
        proc.add(7, 1, 5, &["/bin/x"], "3:pids:/x.service\n0::/x.service\n");
        let key = ProcessKey { tgid: Tgid(7), start: BootTime(50_000_000) };
        let mut placements = Placements::default();
        assert!(placements.find(&proc.procfs(), key, 1).is_some());
        assert!(placements.by_id.is_empty());
    }
}
