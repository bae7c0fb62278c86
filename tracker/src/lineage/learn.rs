//! How records and /proc change the process tree.

use std::sync::Arc;

use super::image::{self, Entry, Node};
use super::procfs::{ProcRecord, is_descriptor};
use super::redact::redact;
use super::table::{ProcessTable, Thread, lives_of};
use crate::model::ids::{Tgid, Tid};
use crate::model::observation::{AncestorRef, Observation, TaskRef};
use crate::model::process::{ExecId, Image, ProcessKey, ProcessSource};
use crate::model::time::BootTime;

/// A start time of /proc may be rounded down by so much.
const TICK: u64 = 10_000_000;

impl ProcessTable {
    /// A task in a record: remembers it and its thread.
    pub(super) fn see(&mut self, time: BootTime, task: &TaskRef) {
        let key = self.learn_task(task);
        if task.tid.0 == task.process.tgid.0 {
            return;
        }
        if self.threads.len() >= self.limits.threads {
            let retention = self.limits.retention;
            self.threads.retain(|_, thread| time.since(thread.last) <= retention);
            if self.threads.len() >= self.limits.threads {
                self.threads.clear();
            }
        }
        let new = Thread { process: key, first: time, last: time };
        let thread = self.threads.entry(task.tid).or_insert(new);
        if thread.process.matches(key) {
            thread.last = thread.last.max(time);
        } else {
            *thread = new;
        }
    }

    pub(super) fn fork(&mut self, time: BootTime, parent: &TaskRef, child: ProcessKey, inner: Option<Tgid>) {
        let parent_key = self.learn_task(parent);
        let Some(parent_node) = self.processes.get(&parent_key).map(|entry| Arc::clone(&entry.node)) else { return };
        if let Some(key) = self.find(child) {
            // read from /proc before this record was handled: it may have another image or another parent since
            let key = self.rekey(key, child);
            if let Some(entry) = self.processes.get_mut(&key) {
                let mut image = entry.node.image.clone();
                image.parent = Some(parent_key);
                image.source = ProcessSource::Kernel;
                entry.node = Node::new(image, Some(parent_node));
            }
            return;
        }
        let mut image = parent_node.image.clone();
        image.id = ExecId { process: child, exec: 0 };
        image.parent = Some(parent_key);
        image.comm.clone_from(&parent.comm);
        image.login_uid = parent.login_uid.or(image.login_uid);
        image.netns = parent.netns;
        image.seat.inner_tgid = inner;
        image.source = ProcessSource::Kernel;
        self.insert(child, Entry::new(Node::new(image, Some(parent_node)), child.start));
        self.forget(time);
    }

    pub(super) fn exec(&mut self, observation: &Observation) {
        let Observation::Exec { time, task, exe, argv, argv_truncated, cni_env, seat, v1_cgroup } = observation else {
            return;
        };
        let key = self.learn_key(task);
        let Some(last) = self.processes.get(&key).map(|entry| Arc::clone(&entry.node)) else { return };
        let exe = match exe.as_deref() {
            Some(path) if !is_descriptor(path) => Some(path.to_owned()),
            // executed through a descriptor: the path is the one it runs, if it still runs that
            _ => self.read(task.process).filter(|record| record.comm == task.comm).and_then(|record| record.exe),
        };
        let cni = super::cni::cni_call(exe.as_deref(), cni_env);
        let placement = self.placements.find(&self.procfs, task.process, task.cgroup_id, *v1_cgroup);
        let (argv, was_cut) = redact(argv.clone());
        let mut image = Image {
            id: ExecId { process: key, exec: last.image.id.exec + 1 },
            parent: last.image.parent,
            exe,
            comm: task.comm.clone(),
            argv,
            argv_truncated: *argv_truncated || was_cut,
            uid: task.uid,
            login_uid: task.login_uid.or(last.image.login_uid),
            netns: task.netns,
            seat: seat.clone(),
            placement: placement.unwrap_or_else(|| last.image.placement.clone()),
            cni,
            source: ProcessSource::Kernel,
        };
        self.name_pod(&mut image);
        if let Some(entry) = self.processes.get_mut(&key) {
            entry.exec(*time, Node::new(image, last.parent.clone()));
        }
    }

    pub(super) fn exit(&mut self, time: BootTime, process: ProcessKey) {
        if let Some(key) = self.find(process) {
            self.mark_exited(key, time);
        }
        self.forget(time);
    }

    fn mark_exited(&mut self, key: ProcessKey, time: BootTime) {
        if let Some(entry) = self.processes.get_mut(&key).filter(|entry| entry.exited.is_none()) {
            entry.exited = Some(time);
            self.exited.push_back((time, key));
        }
    }

    /// Makes sure that a task, and where needed its ancestors, are known; notices what was missed of it.
    pub(super) fn learn_task(&mut self, task: &TaskRef) -> ProcessKey {
        let key = self.learn_key(task);
        self.reconcile(key, task);
        key
    }

    fn learn_key(&mut self, task: &TaskRef) -> ProcessKey {
        if let Some(key) = self.find(task.process) {
            let key = self.rekey(key, task.process);
            if self.processes.get(&key).is_some_and(|entry| !entry.node.is_rooted())
                && let Some(parent) = self.learn_ancestors(&task.ancestors)
            {
                self.attach(key, parent);
            }
            return key;
        }
        let parent = self.learn_ancestors(&task.ancestors);
        let parent_key = parent.as_ref().map(|node| node.image.id.process);
        let placement = self.placements.of_id(task.cgroup_id).cloned();
        let is_leader = task.tid.0 == task.process.tgid.0;
        // with another task name it is another image by now
        let record = self.read(task.process).filter(|record| !is_leader || record.comm == task.comm);
        let image = match record {
            Some(record) => {
                let placement = placement.unwrap_or_else(|| self.placements.learn(&self.procfs, &record.cgroup));
                image::image_of_proc(record, placement, parent_key)
            }
            None => image::image_of_task(task, placement.unwrap_or_default(), parent_key),
        };
        let mut image = Image { id: ExecId { process: task.process, exec: 0 }, source: ProcessSource::Kernel, ..image };
        self.name_pod(&mut image);
        self.insert(task.process, Entry::new(Node::new(image, parent), task.process.start));
        task.process
    }

    /// An exec that was missed shows in the task name: what is known of the image is then another program's.
    fn reconcile(&mut self, key: ProcessKey, task: &TaskRef) {
        let is_leader = task.tid.0 == task.process.tgid.0;
        let Some(last) = self.processes.get(&key).map(|entry| Arc::clone(&entry.node)) else { return };
        if !is_leader || last.image.comm == task.comm {
            return;
        }
        let now = self.read(task.process).filter(|record| record.comm == task.comm);
        let placement = self.placements.of_id(task.cgroup_id).cloned().unwrap_or_else(|| last.image.placement.clone());
        let mut image = match now {
            Some(record) if record.exe.is_some() && record.exe == last.image.exe => {
                // it only renamed itself
                let image = Image { comm: task.comm.clone(), ..last.image.clone() };
                if let Some(entry) = self.processes.get_mut(&key) {
                    entry.node = Node::new(image, last.parent.clone());
                }
                return;
            }
            Some(record) => image::image_of_proc(record, placement, last.image.parent),
            None => Image {
                login_uid: task.login_uid.or(last.image.login_uid),
                source: ProcessSource::Ancestor,
                ..image::image_of_task(task, placement, last.image.parent)
            },
        };
        image.id = ExecId { process: key, exec: last.image.id.exec + 1 };
        self.name_pod(&mut image);
        if let Some(entry) = self.processes.get_mut(&key) {
            entry.exec(key.start, Node::new(image, last.parent.clone()));
        }
    }

    /// Makes sure that the ancestors of a record are known; gives the nearest.
    fn learn_ancestors(&mut self, ancestors: &[AncestorRef]) -> Option<Arc<Node>> {
        let mut parent: Option<Arc<Node>> = None;
        for ancestor in ancestors.iter().rev() {
            let key = match self.find(ancestor.process) {
                Some(key) => {
                    let key = self.rekey(key, ancestor.process);
                    if let Some(parent) = parent.take() {
                        self.attach(key, parent);
                    }
                    key
                }
                None => {
                    self.insert_ancestor(ancestor, parent.take());
                    ancestor.process
                }
            };
            parent = self.processes.get(&key).map(|entry| Arc::clone(&entry.node));
        }
        parent
    }

    fn insert_ancestor(&mut self, ancestor: &AncestorRef, parent: Option<Arc<Node>>) {
        let parent_key = parent.as_ref().map(|node| node.image.id.process);
        let image = match self.read(ancestor.process).filter(|record| record.comm == ancestor.comm) {
            Some(record) => {
                let placement = self.placements.learn(&self.procfs, &record.cgroup);
                image::image_of_proc(record, placement, parent_key)
            }
            None => image::image_of_ancestor(ancestor, parent_key),
        };
        let mut image = Image { id: ExecId { process: ancestor.process, exec: 0 }, ..image };
        self.name_pod(&mut image);
        self.insert(ancestor.process, Entry::new(Node::new(image, parent), ancestor.process.start));
    }

    /// Takes in the process that has this id now, and the ancestors it has now, as far as they are not known. Shows exits
    /// that no record told of.
    pub(super) fn learn_present(&mut self, tgid: Tgid) {
        let Some((leader, start)) = self.procfs.process_of(Tid(tgid.0)) else { return };
        if leader != tgid || self.find(ProcessKey { tgid, start }).is_some() {
            return;
        }
        let mut chain: Vec<ProcRecord> = Vec::new();
        let mut next = tgid;
        while let Some(record) = self.procfs.read(next)
            && self.find(record.key).is_none()
            && chain.len() < usize::from(image::MAX_ANCESTRY)
        {
            next = record.parent;
            chain.push(record);
        }
        chain.into_iter().rev().for_each(|record| self.learn_proc(record));
    }

    /// Takes in a process as /proc shows it; one that records told of keeps what they told.
    pub(super) fn learn_proc(&mut self, record: ProcRecord) {
        let key = record.key;
        let lives = self.processes.range(lives_of(record.parent)).rev();
        let mut parents = lives.filter(|(parent, entry)| parent.start.0 < key.start.0 + TICK && entry.exited.is_none());
        let parent = parents.next().map(|(_, entry)| Arc::clone(&entry.node));
        let placement = self.placements.learn(&self.procfs, &record.cgroup);
        let mut image = image::image_of_proc(record, placement, parent.as_ref().map(|node| node.image.id.process));
        self.name_pod(&mut image);
        match self.find(key) {
            None => self.insert(key, Entry::new(Node::new(image, parent), key.start)),
            Some(known) => {
                if let Some(entry) = self.processes.get_mut(&known)
                    && entry.node.image.source == ProcessSource::Ancestor
                    && entry.node.image.comm == image.comm
                {
                    image.id = entry.node.image.id;
                    image.parent = entry.node.image.parent.or(image.parent);
                    entry.node = Node::new(image, entry.node.parent.clone().or(parent));
                }
            }
        }
    }

    fn read(&self, process: ProcessKey) -> Option<ProcRecord> {
        self.procfs.read(process.tgid).filter(|record| record.key.matches(process))
    }

    pub(super) fn find(&self, process: ProcessKey) -> Option<ProcessKey> {
        if self.processes.contains_key(&process) {
            return Some(process);
        }
        self.processes.range(lives_of(process.tgid)).map(|(key, _)| *key).find(|key| key.matches(process))
    }

    /// Gives a process found in /proc the exact start time of a record.
    fn rekey(&mut self, known: ProcessKey, exact: ProcessKey) -> ProcessKey {
        if known.start >= exact.start {
            return known;
        }
        let Some(mut entry) = self.processes.remove(&known) else { return known };
        let mut image = entry.node.image.clone();
        image.id.process = exact;
        entry.node = Node::new(image, entry.node.parent.clone());
        self.processes.insert(exact, entry);
        exact
    }

    /// Gives a process the parent it lacks.
    fn attach(&mut self, key: ProcessKey, parent: Arc<Node>) {
        if let Some(entry) = self.processes.get_mut(&key).filter(|entry| entry.node.parent.is_none())
            && parent.image.id.process.tgid != key.tgid
            && key.tgid != Tgid(1)
        {
            let mut image = entry.node.image.clone();
            image.parent = Some(parent.image.id.process);
            entry.node = Node::new(image, Some(parent));
        }
    }

    fn insert(&mut self, key: ProcessKey, mut entry: Entry) {
        // what it executes may be among the lost
        entry.is_doubtful = entry.node.image.source == ProcessSource::Kernel && key.start <= self.lost_until;
        // an id is free again only after its last owner exited: that exit was missed
        let earlier: Vec<ProcessKey> = self.processes.range(lives_of(key.tgid)).map(|(key, _)| *key).collect();
        for known in earlier.into_iter().filter(|known| known.start < key.start) {
            self.mark_exited(known, key.start);
        }
        self.threads.remove(&Tid(key.tgid.0));
        self.processes.insert(key, entry);
        self.forget(BootTime(0));
    }

    /// Forgets what is over the limits or, at `now`, too old.
    fn forget(&mut self, now: BootTime) {
        while let Some((time, key)) = self.exited.front().copied() {
            let is_full = self.exited.len() > self.limits.exited || self.processes.len() > self.limits.processes;
            if !is_full && now.since(time) <= self.limits.retention {
                break;
            }
            self.exited.pop_front();
            if let Some(key) = self.find(key) {
                self.processes.remove(&key);
            }
        }
        while self.processes.len() > self.limits.processes {
            // never the first process and the first kernel thread: every chain ends there
            let Some(key) = self.processes.keys().find(|key| key.tgid.0 > 2).copied() else { break };
            self.processes.remove(&key);
        }
    }
}
