//! Where a process runs, by its cgroup.

use std::collections::HashMap;

use super::cgroup;
use super::procfs::ProcFs;
use crate::model::observation::CgroupId;
use crate::model::process::{Placement, ProcessKey};

/// Placements of cgroups by id.
///
/// A record's id says where the task was at that instant, even when process and cgroup are gone: cgroups are found once at
/// the start, and every new one has a record of its own before anything runs in it. On hosts that use nothing but v2 that
/// is all there is to know. Where v1 hierarchies are in use, a path in one of them may say less than another's: then
/// /proc is asked for all of them, and what the ids say counts when the process is gone or they say something.
#[derive(Debug, Default)]
pub(super) struct Placements {
    by_id: HashMap<CgroupId, Known>,
    /// Counts uses, for [`Known::used`].
    uses: u64,
    /// Whether the host has no v1 hierarchy.
    is_v2_alone: bool,
    /// Whether records of cgroups were lost since the last look.
    is_stale: bool,
}

#[derive(Debug)]
struct Known {
    placement: Placement,
    used: u64,
}

impl Placements {
    /// Beyond this many cgroups those not asked for longest are forgotten.
    const MAX: usize = 16_384;

    /// Takes in every cgroup there is.
    pub(super) fn walk(&mut self, procfs: &ProcFs) {
        self.is_stale = false;
        for (cgroup, path) in procfs.all_cgroups(Self::MAX / 2) {
            self.insert(cgroup, cgroup::of_path(&path));
        }
    }

    /// Notes that records of cgroups may be missing.
    pub(super) fn lost(&mut self) {
        self.is_stale = true;
    }

    /// A cgroup got a name. What is below a renamed one moves with it.
    pub(super) fn named(&mut self, cgroup: CgroupId, path: &str) {
        if path.is_empty() {
            return;
        }
        let old = self.by_id.get(&cgroup).map(|known| known.placement.cgroup.clone()).filter(|old| old != path);
        if let Some(old) = old {
            for (id, known) in self.by_id.iter_mut().filter(|(id, _)| id.hierarchy == cgroup.hierarchy) {
                let rest = known.placement.cgroup.strip_prefix(&old).filter(|rest| rest.starts_with('/'));
                if let Some(moved) = rest.map(|rest| format!("{path}{rest}")).filter(|_| *id != cgroup) {
                    known.placement = cgroup::of_path(&moved);
                }
            }
        }
        self.insert(cgroup, cgroup::of_path(path));
    }

    /// Placement of a process that was in cgroup `v2`, and where there are v1 hierarchies in `v1`; `None` when neither is
    /// known nor the process can be read.
    pub(super) fn find(
        &mut self,
        procfs: &ProcFs,
        process: ProcessKey,
        v2: u64,
        v1: Option<CgroupId>,
    ) -> Option<Placement> {
        let v2 = CgroupId::v2(v2);
        let is_unknown = [Some(v2), v1].into_iter().flatten().any(|cgroup| !self.by_id.contains_key(&cgroup));
        if is_unknown && self.is_stale {
            self.walk(procfs);
        }
        let known = match v1 {
            None => self.get(v2),
            // the more telling of both, if the one with containers is known at all
            Some(v1) => self.get(v1).map(|first| match self.get(v2) {
                Some(second) if cgroup::facts(&second) > cgroup::facts(&first) => second,
                _ => first,
            }),
        };
        let says_something = known.as_ref().is_some_and(|known| cgroup::facts(known) > 0);
        if known.is_some() && self.is_v2_alone || says_something && v1.is_some() {
            return known;
        }
        match procfs.cgroup_of(process) {
            Some(text) => Some(self.learn_as(procfs, &text, Some(v2))),
            None => known.filter(|_| says_something),
        }
    }

    /// Placement of a v2 cgroup, where there is no other.
    pub(super) fn of_id(&self, id: u64) -> Option<&Placement> {
        let known = self.by_id.get(&CgroupId::v2(id)).filter(|_| self.is_v2_alone);
        known.map(|known| &known.placement)
    }

    /// Parses a cgroup file's text and remembers it by id.
    pub(super) fn learn(&mut self, procfs: &ProcFs, text: &str) -> Placement {
        self.learn_as(procfs, text, None)
    }

    /// `wanted` is the cgroup that was asked for: a process that has moved on in the meantime must not be taken for it.
    fn learn_as(&mut self, procfs: &ProcFs, text: &str, wanted: Option<CgroupId>) -> Placement {
        let placement = cgroup::parse(text);
        let alone = cgroup::v2_only(text);
        if !text.is_empty() {
            self.is_v2_alone = alone.is_some();
        }
        if let Some(cgroup) = alone.and_then(|path| procfs.cgroup_id(path)).map(CgroupId::v2)
            && wanted.is_none_or(|wanted| wanted == cgroup)
        {
            self.insert(cgroup, placement.clone());
        }
        placement
    }

    fn get(&mut self, cgroup: CgroupId) -> Option<Placement> {
        self.uses += 1;
        let known = self.by_id.get_mut(&cgroup)?;
        known.used = self.uses;
        Some(known.placement.clone())
    }

    fn insert(&mut self, cgroup: CgroupId, placement: Placement) {
        if self.by_id.len() >= Self::MAX && !self.by_id.contains_key(&cgroup) {
            let mut uses: Vec<u64> = self.by_id.values().map(|known| known.used).collect();
            let (_, oldest, _) = uses.select_nth_unstable(Self::MAX / 4);
            let oldest = *oldest;
            self.by_id.retain(|_, known| known.used > oldest);
        }
        self.uses += 1;
        self.by_id.insert(cgroup, Known { placement, used: self.uses });
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
        assert_eq!(unit(placements.find(&proc.procfs(), key, id + 1, None)).as_deref(), Some("x.service"));
        assert!(placements.of_id(id + 1).is_none(), "the process was elsewhere by the time of the read");
        assert_eq!(unit(placements.find(&proc.procfs(), key, id, None)).as_deref(), Some("x.service"));
        proc.remove(7);
        assert_eq!(unit(placements.find(&proc.procfs(), key, id, None)).as_deref(), Some("x.service"));
        assert_eq!(placements.find(&proc.procfs(), key, id + 2, None), None);
    }

    #[test]
    fn with_v1_hierarchies_ids_mean_nothing() {
        let proc = FakeProc::new();
        std::fs::create_dir_all(proc.0.path().join("sys/fs/cgroup/x.service")).expect("create");
        proc.add(7, 1, 5, &["/bin/x"], "3:pids:/x.service\n0::/x.service\n");
        let key = ProcessKey { tgid: Tgid(7), start: BootTime(50_000_000) };
        let mut placements = Placements::default();
        assert!(placements.find(&proc.procfs(), key, 1, None).is_some());
        assert!(placements.by_id.is_empty());
    }

    /// A process that is gone, and the number of a v1 cgroup.
    const GONE: ProcessKey = ProcessKey { tgid: Tgid(9), start: BootTime(1) };
    const POD: CgroupId = CgroupId { hierarchy: 8, id: 70 };

    #[test]
    fn a_made_cgroup_is_known_before_anybody_reads_proc() {
        let proc = FakeProc::new();
        let mut placements = Placements::default();
        placements.named(POD, "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let found = placements.find(&proc.procfs(), GONE, 1, Some(POD)).expect("it was told");
        assert_eq!(found.runtime.as_deref(), Some("docker"));
        assert_eq!(placements.find(&proc.procfs(), GONE, 70, None), None, "another hierarchy's");
        assert!(placements.of_id(70).is_none());
        placements.named(CgroupId::v2(71), "/system.slice/x.service");
        let found = placements.find(&proc.procfs(), GONE, 71, None).expect("it was told");
        assert_eq!(found.unit.as_deref(), Some("x.service"));
        assert_eq!(
            placements.find(&proc.procfs(), GONE, 71, Some(CgroupId { id: 99, ..POD })),
            None,
            "a container's perhaps"
        );
    }

    #[test]
    fn a_path_that_says_nothing_does_not_hide_what_another_hierarchy_says() {
        let proc = FakeProc::new();
        proc.add(7, 1, 5, &["/bin/x"], "8:pids:/user.slice\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n");
        let mut placements = Placements::default();
        placements.named(POD, "/user.slice");
        let key = ProcessKey { tgid: Tgid(7), start: BootTime(50_000_000) };
        let found = placements.find(&proc.procfs(), key, 1, Some(POD)).expect("it lives");
        assert_eq!(found.session.as_deref(), Some("session-3.scope"));
        assert_eq!(placements.find(&proc.procfs(), GONE, 1, Some(POD)), None, "it is where its parent is, or unknown");
    }

    #[test]
    fn renaming_a_cgroup_renames_what_is_below() {
        let mut placements = Placements::default();
        let at = |id| CgroupId { id, ..POD };
        placements.named(at(1), "/a.service");
        placements.named(at(2), "/a.service/c.service");
        placements.named(at(3), "/a.service-not");
        placements.named(at(1), "/b.service");
        let paths = [1, 2, 3].map(|id| placements.get(at(id)).expect("known").cgroup);
        assert_eq!(paths, ["/b.service", "/b.service/c.service", "/a.service-not"]);
    }

    #[test]
    fn the_number_of_known_cgroups_is_bounded() {
        let mut placements = Placements::default();
        for id in 0..100_000 {
            placements.named(CgroupId::v2(id), "/x.service");
            assert!(placements.get(CgroupId::v2(0)).is_some(), "asked for all the time");
        }
        assert!(placements.by_id.len() <= Placements::MAX);
    }

    #[test]
    fn after_a_loss_one_look_finds_what_was_missed() {
        let proc = FakeProc::new();
        let dir = proc.0.path().join("sys/fs/cgroup/system.slice/x.service");
        std::fs::create_dir_all(&dir).expect("create");
        std::fs::write(proc.0.path().join("sys/fs/cgroup/cgroup.controllers"), "").expect("write");
        let id = std::fs::metadata(&dir).expect("metadata").ino();
        let mut placements = Placements { is_v2_alone: true, ..Placements::default() };
        assert_eq!(placements.find(&proc.procfs(), GONE, id, None), None);
        placements.lost();
        assert!(placements.find(&proc.procfs(), GONE, id, None).is_some());
    }
}
