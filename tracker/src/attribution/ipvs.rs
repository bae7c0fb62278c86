//! Requests to IPVS: whose can explain a difference between two looks at its services and destinations.
//!
//! Services and destinations are named in full by every request about them. What a request cut by the capture, or lost,
//! asked for may be anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::pending::{Candidate, Pending};
use crate::model::ids::Tid;
use crate::model::ipvs::{IpvsItem, IpvsOrder, IpvsService, IpvsSubject, IpvsVerb};
use crate::model::process::{Actor, ProcessKey};
use crate::model::time::BootTime;

/// What happened to a service or destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpvsAct {
    /// It appeared.
    Added,
    /// Its settings are others.
    Edited,
    /// It is gone.
    Deleted,
}

/// The services a request touches; `None` is every one.
pub type TouchedServices = Option<BTreeSet<IpvsService>>;

/// The requests since the last look.
#[derive(Debug, Default)]
pub struct IpvsRequests(Pending<IpvsOrder>);

impl IpvsRequests {
    /// Notes a request under way.
    pub fn open(&mut self, time: BootTime, tid: Tid, orders: Vec<IpvsOrder>, actor: Arc<Actor>) {
        self.0.open(time, tid, orders, actor);
    }

    /// Notes that the kernel is done with the request of a thread: which services may look different now. `None` when
    /// there was none.
    pub fn close(&mut self, tid: Tid, time: BootTime) -> Option<TouchedServices> {
        Some(self.0.close(tid, time)?.iter().map(|order| order.service).collect())
    }

    /// Notes that a process is gone, whatever it had under way.
    pub fn exited(&mut self, process: ProcessKey, time: BootTime) -> Option<TouchedServices> {
        let tids = self.0.under_way(process);
        let touched = tids.into_iter().filter_map(|tid| self.close(tid, time));
        touched.reduce(|one, other| Some(one?.into_iter().chain(other?).collect()))
    }

    /// Notes that records of requests up to this moment are missing.
    pub fn lost(&mut self, time: BootTime) {
        self.0.lost(time);
    }

    /// Forgets requests that ended before a look began, if it was at all they touch: their effect is in it.
    pub fn forget(&mut self, began: BootTime, was_seen: impl Fn(&IpvsService) -> bool, saw_all: bool) {
        self.0.forget(began, |order| order.service.as_ref().map_or(saw_all, &was_seen), saw_all);
    }

    /// Whether requests are missing that could explain what a look finds.
    pub fn is_blind(&self) -> bool {
        self.0.is_blind()
    }

    /// Every request that can explain a difference, in the order they began.
    pub fn candidates(&self, act: IpvsAct, subject: &IpvsSubject) -> Vec<Candidate> {
        self.0.candidates(|order| fits(order, act, subject), ToString::to_string)
    }
}

/// Whether an order can have done it: surely (if it was carried out), perhaps, or not (`None`).
fn fits(order: &IpvsOrder, act: IpvsAct, subject: &IpvsSubject) -> Option<bool> {
    use IpvsVerb::{
        Anything, DelDestination, DelService, Flush, NewDestination, NewService, SetDestination, SetService,
    };
    if order.verb == Anything {
        return Some(false);
    }
    let is_of_service = order.service.is_none_or(|service| service == subject.service);
    let is_of_destination = match (&subject.item, order.destination) {
        (IpvsItem::Destination { address, port }, Some(at)) => at.ip() == *address && at.port() == *port,
        _ => false,
    };
    let did = match (act, order.verb) {
        (IpvsAct::Deleted, Flush | DelService) => true,
        (IpvsAct::Added, NewService) | (IpvsAct::Edited, SetService) => subject.item == IpvsItem::Service,
        (IpvsAct::Added, NewDestination) | (IpvsAct::Edited, SetDestination) | (IpvsAct::Deleted, DelDestination) => {
            is_of_destination
        }
        _ => false,
    };
    (is_of_service && did).then_some(true)
}
