//! Images in the process tree, and one process' record of them.

use std::sync::Arc;

use super::procfs::ProcRecord;
use super::redact::redact;
use crate::model::ids::NetnsId;
use crate::model::observation::{AncestorRef, TaskRef};
use crate::model::process::{ExecId, Image, Placement, ProcessKey, ProcessSource, Seat};
use crate::model::time::BootTime;

/// Ancestors kept of an image. Real chains are below 20; a program that forks itself for ever must not grow one.
pub(super) const MAX_ANCESTRY: u16 = 48;

/// One image and the one that forked its process. Nodes never change: a descendant keeps its ancestors as they were
/// when they forked, for as long as it is kept itself.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) image: Image,
    pub(super) parent: Option<Arc<Node>>,
    depth: u16,
}

impl Node {
    pub(super) fn new(image: Image, parent: Option<Arc<Self>>) -> Arc<Self> {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        let parent = parent.map(|parent| if depth > MAX_ANCESTRY { parent.cut(MAX_ANCESTRY / 2) } else { parent });
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        Arc::new(Self { image, parent, depth })
    }

    /// A copy with at most `ancestors` ancestors.
    fn cut(&self, ancestors: u16) -> Arc<Self> {
        let parent = match (&self.parent, ancestors) {
            (Some(parent), 1..) => Some(parent.cut(ancestors - 1)),
            _ => None,
        };
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        Arc::new(Self { image: self.image.clone(), parent, depth })
    }

    /// Whether the chain reaches the first process or the first kernel thread, which nobody forked.
    pub(super) fn is_rooted(&self) -> bool {
        match &self.parent {
            Some(parent) => parent.is_rooted(),
            None => matches!(self.image.id.process.tgid.0, 1 | 2),
        }
    }
}

/// One process: its image now and the last ones before.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) node: Arc<Node>,
    /// Since when it runs `node`'s image.
    since: BootTime,
    /// Earlier images with the time they began, oldest first.
    past: Vec<(BootTime, Arc<Node>)>,
    /// When its last thread exited; for an exit that was not seen, when another process had its id.
    pub(super) exited: Option<BootTime>,
    /// Whether it may have executed something since, of which the record was lost.
    pub(super) is_doubtful: bool,
}

impl Entry {
    /// Earlier images kept: wrappers execute one or two programs, nobody asks about the time before.
    const MAX_PAST: usize = 4;

    pub(super) fn new(node: Arc<Node>, since: BootTime) -> Self {
        Self { node, since, past: Vec::new(), exited: None, is_doubtful: false }
    }

    /// Puts a new image in force.
    pub(super) fn exec(&mut self, time: BootTime, node: Arc<Node>) {
        if self.past.len() == Self::MAX_PAST {
            self.past.remove(0);
        }
        self.past.push((self.since, std::mem::replace(&mut self.node, node)));
        self.since = time;
        self.is_doubtful = false;
    }

    /// The image in force at a time; the oldest known for an earlier one.
    pub(super) fn at(&self, time: BootTime) -> &Arc<Node> {
        if self.since <= time {
            return &self.node;
        }
        let then = self.past.iter().rev().find(|(since, _)| *since <= time).or(self.past.first());
        then.map_or(&self.node, |(_, node)| node)
    }

    /// The images in force at any time of a window, the last one last. The copy of its parent that a process is until it
    /// executes something does not count beside what it executed: programs act after that.
    pub(super) fn between(&self, after: BootTime, before: BootTime) -> Vec<Arc<Node>> {
        let last = self.at(before);
        let mut ends = self.past.iter().skip(1).map(|(since, _)| *since).chain([self.since]);
        let earlier = self.past.iter().filter(|(_, node)| {
            let is_over = ends.next().is_some_and(|end| end <= after);
            !is_over && node.image.id.exec > 0 && node.image.id.exec < last.image.id.exec
        });
        earlier.map(|(_, node)| Arc::clone(node)).chain([Arc::clone(last)]).collect()
    }

    /// What is known now of the image with this number.
    pub(super) fn image(&self, exec: u32) -> Option<&Arc<Node>> {
        let past = self.past.iter().map(|(_, node)| node);
        std::iter::once(&self.node).chain(past).find(|node| node.image.id.exec == exec)
    }

    /// Whether the process lived at any time of the window.
    pub(super) fn overlaps(&self, after: BootTime, before: BootTime) -> bool {
        self.node.image.id.process.start <= before && self.exited.is_none_or(|exited| exited >= after)
    }
}

/// An image of which only the process is certain: what it runs by now is not known.
pub(super) fn doubted(image: Image) -> Image {
    let (comm, argv, source) = ("?".to_owned(), Vec::new(), ProcessSource::Ancestor);
    Image { exe: None, comm, argv, cni: None, source, ..image }
}

/// Image of a running process.
pub(super) fn image_of_proc(record: ProcRecord, placement: Placement, parent: Option<ProcessKey>) -> Image {
    let cni = super::cni::cni_call(record.exe.as_deref(), &record.cni_env);
    let (argv, was_cut) = redact(record.argv);
    Image {
        id: ExecId { process: record.key, exec: 0 },
        parent,
        exe: record.exe,
        comm: record.comm,
        argv,
        argv_truncated: record.argv_truncated || was_cut,
        uid: record.uid,
        login_uid: record.login_uid,
        netns: record.netns,
        seat: record.seat,
        placement,
        cni,
        source: ProcessSource::Proc,
    }
}

/// Image of a task of which nothing is known but its own record.
pub(super) fn image_of_task(task: &TaskRef, placement: Placement, parent: Option<ProcessKey>) -> Image {
    Image {
        id: ExecId { process: task.process, exec: 0 },
        parent,
        exe: None,
        comm: task.comm.clone(),
        argv: Vec::new(),
        argv_truncated: false,
        uid: task.uid,
        login_uid: task.login_uid,
        netns: task.netns,
        seat: Seat::default(),
        placement,
        cni: None,
        source: ProcessSource::Kernel,
    }
}

/// Image of an ancestor of which nothing is known but key and task name.
pub(super) fn image_of_ancestor(ancestor: &AncestorRef, parent: Option<ProcessKey>) -> Image {
    Image {
        id: ExecId { process: ancestor.process, exec: 0 },
        parent,
        exe: None,
        comm: ancestor.comm.clone(),
        argv: Vec::new(),
        argv_truncated: false,
        // the overflow user: nobody
        uid: 65534,
        login_uid: None,
        netns: NetnsId(0),
        seat: Seat::default(),
        placement: Placement::default(),
        cni: None,
        source: ProcessSource::Ancestor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Tgid;

    fn node(tgid: u32, parent: Option<Arc<Node>>) -> Arc<Node> {
        let process = ProcessKey { tgid: Tgid(tgid), start: BootTime(0) };
        Node::new(image_of_ancestor(&AncestorRef { process, comm: String::new() }, None), parent)
    }

    #[test]
    fn a_chain_of_forks_stays_bounded() {
        let mut last = node(1, None);
        for tgid in 10..1000 {
            last = node(tgid, Some(last));
        }
        assert!(last.depth <= MAX_ANCESTRY, "{}", last.depth);
        assert!(!last.is_rooted());
        let nearest = last.parent.as_ref().expect("a parent").image.id.process.tgid;
        assert_eq!(nearest, Tgid(998), "near ancestors are the ones kept");
    }

    #[test]
    fn the_image_at_a_time_is_the_one_in_force_then() {
        let mut entry = Entry::new(node(10, None), BootTime(5));
        for exec in 1..=6_u32 {
            let mut image = node(10, None).image.clone();
            image.id.exec = exec;
            entry.exec(BootTime(u64::from(exec) * 10), Node::new(image, None));
        }
        let execs = |after, before| -> Vec<u32> {
            let images = entry.between(BootTime(after), BootTime(before));
            images.iter().map(|node| node.image.id.exec).collect()
        };
        assert_eq!((execs(45, 100), execs(45, 45), execs(60, 100)), (vec![4, 5, 6], vec![4], vec![6]));
        let exec_at = |time| entry.at(BootTime(time)).image.id.exec;
        assert_eq!((exec_at(100), exec_at(60), exec_at(59), exec_at(20)), (6, 6, 5, 2));
        assert_eq!(exec_at(7), 2, "older ones are forgotten");
        assert!(entry.image(4).is_some() && entry.image(0).is_none());
    }
}
