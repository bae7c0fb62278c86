//! The process tree as the tracker knows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::image::{self, Entry, MAX_ANCESTRY, Node};
use super::placement::Placements;
use super::pods::PodNames;
use super::procfs::{ProcFs, ProcRecord};
use crate::model::ids::{Tgid, Tid};
use crate::model::observation::{NotifiedBy, Observation, TaskRef};
use crate::model::process::{Actor, ExecId, Image, Placement, ProcessKey};
use crate::model::time::BootTime;

/// Programs are executed soon after their process was forked.
const YOUNG: Duration = Duration::from_secs(10);

/// How much the table keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processes, living and exited. Beyond it the longest exited are forgotten, then living ones (which /proc still
    /// shows when they act again).
    pub processes: usize,
    /// Exited processes.
    pub exited: usize,
    /// How long an exited process is kept: the records it caused may come later by other streams.
    pub retention: Duration,
    /// Threads by number.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 65_536, exited: 16_384, retention: Duration::from_secs(60), threads: 16_384 }
    }
}

/// The processes a bare number may have meant in a window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidates {
    /// This one.
    One(Box<Actor>),
    /// One process that executed several programs in the window; in their order.
    Images(Vec<Actor>),
    /// Several processes had it, one after the other; nobody can tell which.
    Many(Vec<Actor>),
    /// None that is known.
    None,
}

/// A thread seen in a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    pub(super) process: ProcessKey,
    pub(super) first: BootTime,
    pub(super) last: BootTime,
}

/// The process tree as the tracker knows it, kept by its records and filled from /proc.
///
/// Memory is bounded by [`Limits`]; ancestors of kept processes are kept with them. It has no clock: time is what the
/// records say.
#[derive(Debug)]
pub struct ProcessTable {
    pub(super) procfs: ProcFs,
    pub(super) limits: Limits,
    pub(super) placements: Placements,
    pub(super) pods: PodNames,
    /// By key, so that all lives of one process id stand together.
    pub(super) processes: BTreeMap<ProcessKey, Entry>,
    pub(super) exited: VecDeque<(BootTime, ProcessKey)>,
    pub(super) threads: BTreeMap<Tid, Thread>,
    /// Records of processes up to this moment may be missing.
    pub(super) lost_until: BootTime,
}

impl ProcessTable {
    /// An empty table; call [`ProcessTable::backfill`] once the BPF programs are attached.
    pub fn new(procfs: ProcFs, limits: Limits) -> Self {
        let pods = PodNames::new(procfs.pod_logs());
        Self {
            procfs,
            limits,
            placements: Placements::default(),
            pods,
            processes: BTreeMap::new(),
            exited: VecDeque::new(),
            threads: BTreeMap::new(),
            lost_until: BootTime(0),
        }
    }

    /// Notes that records of processes were lost up to `time`: a process that was young then may have executed another
    /// program since, and so may one whose fork is still to be told.
    pub fn lost(&mut self, time: BootTime) {
        self.lost_until = self.lost_until.max(time);
        self.placements.lost();
        for (key, entry) in &mut self.processes {
            entry.is_doubtful |= entry.exited.is_none() && time.since(key.start) <= YOUNG;
        }
    }

    /// How many processes are known, living and exited.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is known.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Reads all of /proc: everything that runs and is not known yet. `now` bounds what can have been read: a process
    /// that starts later is left to the records.
    ///
    /// To be called when records already flow, and before they are handled: a fork in between is then in both.
    pub fn backfill(&mut self, now: BootTime) {
        self.placements.walk(&self.procfs);
        let mut records: BTreeMap<Tgid, ProcRecord> = BTreeMap::new();
        for tgid in self.procfs.tgids() {
            if let Some(record) = self.procfs.read(tgid).filter(|record| record.key.start <= now) {
                records.insert(tgid, record);
            }
        }
        while let Some((_, record)) = records.pop_first() {
            let mut chain = vec![record];
            while let Some(parent) = chain.last().and_then(|record| records.remove(&record.parent)) {
                chain.push(parent);
            }
            chain.into_iter().rev().for_each(|record| self.learn_proc(record));
        }
    }

    /// Follows one record: forks, execs and exits change the tree, and every task in a record teaches.
    pub fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Fork { time, parent, child, inner_tgid } => self.fork(*time, parent, *child, *inner_tgid),
            Observation::Exec { .. } => self.exec(observation),
            Observation::Exit { time, process } => self.exit(*time, *process),
            Observation::CgroupNamed { cgroup, path } => self.placements.named(*cgroup, path),
            Observation::RequestOpened(request) => self.see(request.time, &request.task),
            Observation::TableReplaced { time, task, .. } => self.see(*time, task),
            // a task of the kernel's, or one that is there by chance, teaches nothing about who acted
            Observation::Notified(notified) if notified.by == NotifiedBy::Task => {
                self.see(notified.time, &notified.task);
            }
            _ => {}
        }
    }

    /// Who acted, by the task of the record that was observed last.
    ///
    /// The acting image's user, login and network namespace are the record's; the rest is the image's as it was when it
    /// was executed.
    pub fn actor_of(&mut self, task: &TaskRef) -> Actor {
        let key = self.learn_task(task);
        let Some(node) = self.processes.get(&key).map(|entry| Arc::clone(&entry.node)) else {
            // the table is smaller than one chain
            let image = image::image_of_task(task, Placement::default(), None);
            return Actor { image, ancestry: Vec::new(), is_truncated: true };
        };
        let mut actor = self.actor(&node);
        // its task name was compared with the record's
        actor.image = self.refreshed(&node).image.clone();
        self.name_pod(&mut actor.image);
        actor.image.uid = task.uid;
        actor.image.login_uid = task.login_uid.or(actor.image.login_uid);
        if actor.image.netns != task.netns {
            actor.image.netns = task.netns;
            // of the one before
            actor.image.seat.netns_cookie = None;
        }
        if let Some(placement) = self.placements.of_id(task.cgroup_id) {
            actor.image.placement = placement.clone();
            self.name_pod(&mut actor.image);
        }
        actor
    }

    /// Who had this process id between two times, at the end of that window.
    pub fn process_at(&mut self, tgid: Tgid, after: BootTime, before: BootTime) -> Candidates {
        self.learn_present(tgid);
        let keys = self.lives(tgid, after, before);
        self.candidates(&keys, after, before)
    }

    /// Whose thread had this number between two times: known from records of that window or from /proc, never guessed.
    pub fn thread_at(&mut self, tid: Tid, after: BootTime, before: BootTime) -> Candidates {
        self.learn_present(Tgid(tid.0));
        let mut keys = self.lives(Tgid(tid.0), after, before);
        let seen = self.threads.get(&tid).copied();
        if let Some(thread) = seen.filter(|thread| thread.first <= before && thread.last >= after)
            && let Some(key) = self.find(thread.process)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
        if !keys.is_empty() {
            return self.candidates(&keys, after, before);
        }
        match self.procfs.process_of(tid).filter(|(_, start)| *start <= before) {
            Some((tgid, _)) => self.process_at(tgid, after, before),
            None => Candidates::None,
        }
    }

    /// Every process that is not known to have exited, as the actor it would be now. Right after a
    /// [`ProcessTable::backfill`] of an empty table: everything that runs.
    pub fn living(&mut self) -> Vec<Actor> {
        let exited: BTreeSet<ProcessKey> = self.exited.iter().map(|(_, key)| *key).collect();
        let living = self.processes.iter().filter(|(key, _)| !exited.contains(key));
        let nodes: Vec<Arc<Node>> = living.map(|(_, entry)| Arc::clone(&entry.node)).collect();
        nodes.iter().map(|node| self.actor(node)).collect()
    }

    fn lives(&self, tgid: Tgid, after: BootTime, before: BootTime) -> Vec<ProcessKey> {
        let all = self.processes.range(lives_of(tgid));
        all.filter(|(_, entry)| entry.overlaps(after, before)).map(|(key, _)| *key).collect()
    }

    fn candidates(&mut self, keys: &[ProcessKey], after: BootTime, before: BootTime) -> Candidates {
        let images = |key| self.processes.get(key).map(|entry| entry.between(after, before)).unwrap_or_default();
        let nodes: Vec<Arc<Node>> = keys.iter().flat_map(images).collect();
        let mut actors: Vec<Actor> = nodes.iter().map(|node| self.actor(node)).collect();
        match (actors.len(), keys) {
            (0, _) => Candidates::None,
            (1, _) => actors.pop().map_or(Candidates::None, |only| Candidates::One(Box::new(only))),
            (_, [_]) => Candidates::Images(actors),
            _ => Candidates::Many(actors),
        }
    }

    /// The actor an image is, with what is known by now of its ancestors.
    fn actor(&mut self, node: &Arc<Node>) -> Actor {
        let node = self.refreshed(node);
        let mut ancestry = Vec::new();
        let mut last = Arc::clone(&node);
        while let Some(parent) = last.parent.clone().filter(|_| ancestry.len() < usize::from(MAX_ANCESTRY)) {
            last = self.refreshed(&parent);
            ancestry.push(self.as_certain(&last));
        }
        let is_truncated = last.parent.is_some() || !last.is_rooted();
        let mut actor = Actor { image: self.as_certain(&node), ancestry, is_truncated };
        self.name_pod(&mut actor.image);
        for image in &mut actor.ancestry {
            self.name_pod(image);
        }
        actor
    }

    /// An image without what a lost record may have changed.
    fn as_certain(&self, node: &Node) -> Image {
        let entry = self.find(node.image.id.process).and_then(|key| self.processes.get(&key));
        let is_doubtful = entry.is_some_and(|entry| entry.is_doubtful && entry.node.image.id == node.image.id);
        if is_doubtful { image::doubted(node.image.clone()) } else { node.image.clone() }
    }

    /// The same image as it is known now: found out more about since a child kept it.
    fn refreshed(&self, node: &Arc<Node>) -> Arc<Node> {
        let ExecId { process, exec } = node.image.id;
        let entry = self.find(process).and_then(|key| self.processes.get(&key));
        Arc::clone(entry.and_then(|entry| entry.image(exec)).unwrap_or(node))
    }

    /// Names the pod: a CNI plugin's is in its call, another process' in its cgroup.
    pub(super) fn name_pod(&mut self, image: &mut Image) {
        if image.placement.pod.is_none() {
            let called_for = image.cni.as_ref().and_then(|call| call.pod.clone());
            let uid = image.placement.pod_uid.as_deref();
            image.placement.pod = called_for.or_else(|| self.pods.find(uid?).cloned());
        }
    }
}

/// All keys of one process id.
pub(super) fn lives_of(tgid: Tgid) -> RangeInclusive<ProcessKey> {
    ProcessKey { tgid, start: BootTime(0) }..=ProcessKey { tgid, start: BootTime(u64::MAX) }
}
