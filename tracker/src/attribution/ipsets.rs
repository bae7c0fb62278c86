//! Requests to the ip_set subsystem: whose can explain a difference between two looks at the sets.
//!
//! Every request under way between two looks that could have made a difference is a candidate (see [`super::pending`]), and
//! only when all of them are one owner's is the difference that owner's. A member counts as named by a request when its words mean that member; a range, or a request
//! that was cut by the capture, may mean any member of its set.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::pending::{Candidate, Pending};

use crate::model::ids::{IpSetName, Tid};
use crate::model::ipset::{IpSetHeader, IpSetOrder, IpSetVerb};
use crate::model::process::{Actor, ProcessKey};
use crate::model::time::BootTime;

/// A difference to be explained.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "fields are the names of the things")]
pub enum IpSetDeed<'a> {
    /// A set appeared under a name.
    Created { name: &'a IpSetName },
    /// A set is gone.
    Destroyed { name: &'a IpSetName },
    /// A set has another name.
    Renamed { from: &'a IpSetName, to: &'a IpSetName },
    /// A name has the content of another set.
    Swapped { name: &'a IpSetName },
    /// A member appeared in a set.
    Added { set: &'a IpSetName, header: &'a IpSetHeader, key: &'a str },
    /// A member is gone from a set that is there.
    Deleted { set: &'a IpSetName, header: &'a IpSetHeader, key: &'a str },
    /// A member went with what held it.
    Dropped { set: &'a IpSetName },
}

/// The requests since the last look.
#[derive(Debug, Default)]
pub struct IpSetRequests(Pending<IpSetOrder>);

/// The sets a request touches; `None` is every set.
pub type Touched = Option<BTreeSet<IpSetName>>;

impl IpSetRequests {
    /// Notes a request under way.
    pub fn open(&mut self, time: BootTime, tid: Tid, orders: Vec<IpSetOrder>, actor: Arc<Actor>) {
        self.0.open(time, tid, orders, actor);
    }

    /// Notes that the kernel is done with the request of a thread: which sets may look different now. `None` when there
    /// was none.
    pub fn close(&mut self, tid: Tid, time: BootTime) -> Option<Touched> {
        let orders = self.0.close(tid, time)?.to_vec();
        Some(self.touched(&orders))
    }

    /// Notes that a process is gone, whatever it had under way.
    pub fn exited(&mut self, process: ProcessKey, time: BootTime) -> Option<Touched> {
        let tids = self.0.under_way(process);
        let touched = tids.into_iter().filter_map(|tid| self.close(tid, time));
        touched.reduce(|one, other| Some(one?.into_iter().chain(other?).collect()))
    }

    /// Notes that records of requests up to this moment are missing.
    pub fn lost(&mut self, time: BootTime) {
        self.0.lost(time);
    }

    /// Forgets requests that ended before a look began, if it was at all they touch: their effect is in it.
    pub fn forget(&mut self, began: BootTime, was_seen: impl Fn(&IpSetName) -> bool, saw_all: bool) {
        let is_seen = |order: &IpSetOrder| match &order.set {
            None => saw_all,
            Some(set) => was_seen(set) && order.other.as_ref().is_none_or(&was_seen),
        };
        self.0.forget(began, is_seen, saw_all);
    }

    /// Whether requests are missing that could explain what a look finds.
    pub fn is_blind(&self) -> bool {
        self.0.is_blind()
    }

    fn touched(&self, orders: &[IpSetOrder]) -> Touched {
        let mut names = BTreeSet::new();
        for order in orders {
            let set = order.set.as_ref().filter(|_| order.verb != IpSetVerb::Anything)?;
            for name in std::iter::once(set).chain(&order.other) {
                names.extend(self.group(name, false));
            }
        }
        Some(names)
    }

    /// The names whose content can have been under a name since the last look: by renames, and by swaps too unless
    /// `renames_only`.
    pub fn group(&self, name: &IpSetName, renames_only: bool) -> BTreeSet<IpSetName> {
        let is_link =
            |order: &&IpSetOrder| order.verb == IpSetVerb::Rename || (order.verb == IpSetVerb::Swap && !renames_only);
        let links: Vec<(&IpSetName, &IpSetName)> = self
            .0
            .orders()
            .filter(is_link)
            .filter_map(|order| Some((order.set.as_ref()?, order.other.as_ref()?)))
            .collect();
        let mut group = BTreeSet::from([name.clone()]);
        loop {
            let before = group.len();
            for (one, other) in &links {
                if group.contains(*one) || group.contains(*other) {
                    group.insert((*one).clone());
                    group.insert((*other).clone());
                }
            }
            if group.len() == before {
                return group;
            }
        }
    }

    /// Whether any request asks one of these of a set by name, or may.
    pub fn asks(&self, verbs: &[IpSetVerb], name: &IpSetName) -> bool {
        self.0.orders().any(|order| {
            order.verb == IpSetVerb::Anything
                || (verbs.contains(&order.verb)
                    && (order.set.as_ref().is_none_or(|set| set == name) || order.other.as_ref() == Some(name)))
        })
    }

    /// Every request that can explain a difference, in the order they began.
    pub fn candidates(&self, deed: IpSetDeed<'_>) -> Vec<Candidate> {
        let names = match deed {
            IpSetDeed::Created { name } | IpSetDeed::Destroyed { name } => self.group(name, true),
            IpSetDeed::Renamed { to: name, .. }
            | IpSetDeed::Swapped { name }
            | IpSetDeed::Added { set: name, .. }
            | IpSetDeed::Deleted { set: name, .. }
            | IpSetDeed::Dropped { set: name } => self.group(name, false),
        };
        self.0.candidates(|order| fits(order, deed, &names), |order| in_words(order, deed))
    }
}

/// Whether an order can have done a deed: surely (if it was carried out), perhaps, or not (`None`).
fn fits(order: &IpSetOrder, deed: IpSetDeed<'_>, names: &BTreeSet<IpSetName>) -> Option<bool> {
    if order.verb == IpSetVerb::Anything {
        return Some(false);
    }
    let concerns = |name: &Option<IpSetName>| name.as_ref().is_none_or(|name| names.contains(name));
    if !concerns(&order.set) {
        return None;
    }
    let of_member = |header: &IpSetHeader, key: &str| {
        if order.members.iter().any(|mention| mention.means(header, key) == Some(true)) {
            return Some(true);
        }
        let may = order.is_cut || order.members.iter().any(|mention| mention.means(header, key).is_none());
        may.then_some(false)
    };
    match (deed, order.verb) {
        (IpSetDeed::Created { .. }, IpSetVerb::Create)
        | (IpSetDeed::Destroyed { .. }, IpSetVerb::Destroy)
        | (IpSetDeed::Renamed { .. }, IpSetVerb::Rename)
        | (IpSetDeed::Swapped { .. }, IpSetVerb::Swap) => Some(true),
        (IpSetDeed::Added { header, key, .. }, IpSetVerb::Add) => of_member(header, key),
        (IpSetDeed::Deleted { header, key, .. }, IpSetVerb::Del) => of_member(header, key),
        (IpSetDeed::Deleted { .. }, IpSetVerb::Flush | IpSetVerb::Destroy) => Some(names.len() == 1),
        (IpSetDeed::Deleted { .. }, IpSetVerb::Swap) => Some(false),
        (IpSetDeed::Dropped { .. }, IpSetVerb::Destroy | IpSetVerb::Flush | IpSetVerb::Del | IpSetVerb::Swap) => {
            Some(order.verb == IpSetVerb::Destroy)
        }
        _ => None,
    }
}

fn in_words(order: &IpSetOrder, deed: IpSetDeed<'_>) -> String {
    let mut words = format!("ipset {}", order.verb);
    for name in order.set.iter().chain(&order.other) {
        words.push_str(&format!(" {name}"));
    }
    if let IpSetDeed::Added { key, .. } | IpSetDeed::Deleted { key, .. } = deed
        && matches!(order.verb, IpSetVerb::Add | IpSetVerb::Del)
    {
        words.push_str(&format!(" {key}"));
    }
    words
}
