//! Requests to subsystems that notify nobody (IP sets, IPVS): kept from one look to the next, to explain what it finds.
//!
//! Nothing says whether such a request was carried out: the answer goes to the requester alone. So every request under
//! way between two looks that could have made a difference is a candidate.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::ids::Tid;
use crate::model::process::{Actor, ProcessKey};
use crate::model::time::BootTime;

/// Requests remembered between two looks; beyond that it is as if their records were lost.
const MAX_REQUESTS: usize = 8192;

/// One request.
#[derive(Debug)]
pub struct Asked<O> {
    /// When it began.
    pub opened: BootTime,
    /// When it ended; `None` while it is under way.
    pub closed: Option<BootTime>,
    /// Who asked.
    pub actor: Arc<Actor>,
    /// For what.
    pub orders: Vec<O>,
}

/// A request that can explain a difference.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Who asked.
    pub actor: Arc<Actor>,
    /// What for, in words.
    pub matched: String,
    /// Whether it surely did it, if it was carried out at all.
    pub is_certain: bool,
    /// When it began.
    pub opened: BootTime,
    /// When it ended; `None` while it is under way.
    pub closed: Option<BootTime>,
}

/// The requests since the last look, by what they order.
#[derive(Debug)]
pub struct Pending<O> {
    open: HashMap<Tid, Asked<O>>,
    done: Vec<Asked<O>>,
    lost_until: Option<BootTime>,
}

impl<O> Default for Pending<O> {
    fn default() -> Self {
        Self { open: HashMap::new(), done: Vec::new(), lost_until: None }
    }
}

impl<O> Pending<O> {
    /// Notes a request under way.
    pub fn open(&mut self, time: BootTime, tid: Tid, orders: Vec<O>, actor: Arc<Actor>) {
        if let Some(stale) = self.open.insert(tid, Asked { opened: time, closed: None, actor, orders }) {
            self.retire(stale, time);
        }
    }

    /// Notes that the kernel is done with the request of a thread: what it ordered. `None` when there was none.
    pub fn close(&mut self, tid: Tid, time: BootTime) -> Option<&[O]> {
        let request = self.open.remove(&tid)?;
        self.retire(request, time);
        self.done.last().map(|request| request.orders.as_slice())
    }

    /// The threads of a process that have requests under way.
    pub fn under_way(&self, process: ProcessKey) -> Vec<Tid> {
        self.open.iter().filter(|(_, it)| it.actor.image.id.process == process).map(|(tid, _)| *tid).collect()
    }

    /// Notes that records of requests up to this moment are missing.
    pub fn lost(&mut self, time: BootTime) {
        self.lost_until = self.lost_until.max(Some(time));
        let open = std::mem::take(&mut self.open);
        open.into_values().for_each(|request| self.retire(request, time));
    }

    fn retire(&mut self, mut request: Asked<O>, time: BootTime) {
        request.closed = Some(time);
        self.done.push(request);
        if self.done.len() > MAX_REQUESTS {
            self.lost_until = self.lost_until.max(Some(time));
            self.done.drain(..MAX_REQUESTS / 2);
        }
    }

    /// Forgets requests that ended before a look began, if all they touch was seen by it: their effect is in it.
    pub fn forget(&mut self, began: BootTime, is_seen: impl Fn(&O) -> bool, saw_all: bool) {
        self.done.retain(|request| {
            !(request.closed.is_some_and(|closed| closed < began) && request.orders.iter().all(&is_seen))
        });
        if saw_all && self.lost_until.is_some_and(|lost| lost < began) {
            self.lost_until = None;
        }
    }

    /// Whether requests are missing that could explain what a look finds.
    pub fn is_blind(&self) -> bool {
        self.lost_until.is_some()
    }

    /// Everything that was ordered.
    pub fn orders(&self) -> impl Iterator<Item = &O> {
        self.requests().flat_map(|request| &request.orders)
    }

    fn requests(&self) -> impl Iterator<Item = &Asked<O>> {
        self.done.iter().chain(self.open.values())
    }

    /// Every request one of whose orders fits, in the order they began. `fits`: surely, perhaps, or not (`None`).
    pub fn candidates(&self, fits: impl Fn(&O) -> Option<bool>, in_words: impl Fn(&O) -> String) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self
            .requests()
            .filter_map(|request| {
                let fitting = request.orders.iter().filter_map(|order| Some((order, fits(order)?)));
                let (order, is_certain) = fitting.max_by_key(|(_, is_certain)| *is_certain)?;
                let Asked { opened, closed, actor, .. } = request;
                let matched = in_words(order);
                Some(Candidate { actor: Arc::clone(actor), matched, is_certain, opened: *opened, closed: *closed })
            })
            .collect();
        found.sort_by_key(|candidate| candidate.opened);
        found
    }
}

/// Whether something that is there as before was deleted and made again meanwhile.
#[derive(Debug, Clone)]
pub enum Replacement {
    /// It was not.
    None,
    /// It was, by one of these.
    By(Vec<Candidate>),
    /// Nobody can tell.
    Unclear,
}

/// Tells it by the requests that can have deleted it (at least one, or it was not) and those that can have made it.
pub fn replacement(deleted: &[Candidate], mut added: Vec<Candidate>) -> Replacement {
    if added.is_empty() || deleted.is_empty() {
        return Replacement::None;
    }
    // surely deleted, and only then made: by one of those who came after
    let last = deleted.iter().filter(|it| it.is_certain).map(|it| it.closed).max();
    let is_clear = deleted.iter().all(|it| it.is_certain && it.closed.is_some());
    let Some(last) = last.flatten().filter(|_| is_clear) else { return Replacement::Unclear };
    let is_before = |it: &Candidate| it.closed.is_some_and(|closed| deleted.iter().all(|del| closed <= del.opened));
    if !added.iter().all(|it| it.opened >= last || is_before(it)) {
        return Replacement::Unclear;
    }
    added.retain(|it| it.opened >= last);
    if added.is_empty() { Replacement::None } else { Replacement::By(added) }
}
