//! Requests by what they are about: for IPv6 addresses and neighbours, whose notifications do not number the request
//! they answer.

use super::{Known, Match, RequestTable, Window, one_process};
use crate::model::ids::{NetnsId, Portid};
use crate::model::observation::RequestMessage;
use crate::model::owner::Evidence;
use crate::model::subject::{Subject, describe_bare};
use crate::model::time::BootTime;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

/// How long a kernel worker may take to do what a request asked for, nanoseconds: it waits for the lock that every
/// change of links and addresses takes.
const WORKER: u64 = 5_000_000_000;
/// Requests that are kept for a worker.
const MAX_DEFERRED: usize = 1024;

impl RequestTable {
    /// The request that asks for what a notification tells of an address or a neighbour: that it is there now, or gone
    /// (`is_removal`). `portid` is the notification's; where it is 0, the request's content alone decides.
    pub fn about(&self, subject: &Subject, is_removal: bool, portid: Portid, netns: NetnsId, window: Window) -> Match {
        let asks = |known: &&Known| {
            known.is_of_links()
                && known.netns == netns
                && known.messages.iter().any(|message| message.asks_for(subject, is_removal))
        };
        let evidence = || Evidence::RequestContent { matched: describe_bare(subject) };
        let within: Vec<&Known> = self.newest_first().filter(|known| known.is_within(window)).collect();
        if portid != Portid(0) {
            let numbered: Vec<&Known> =
                within.iter().copied().filter(|known| known.portid == portid).filter(asks).collect();
            if let Match::One { actor, evidence, .. } = one_process(&numbered, evidence()) {
                return Match::One { actor, evidence, is_exact: true };
            }
        }
        if self.is_blind(window) {
            return Match::Lost;
        }
        let mut fitting: Vec<&Known> = within.iter().copied().filter(asks).collect();
        if fitting.is_empty() && !is_removal {
            fitting = self.deferred.iter().filter(asks).collect();
        }
        // the messages behind the captured ones may be about it
        let is_cut = |known: &&Known| known.is_truncated && known.netns == netns && known.is_of_links();
        if fitting.is_empty() && within.iter().any(|known| is_cut(known) && known.can_end_in(subject, is_removal)) {
            return Match::Lost;
        }
        one_process(&fitting, evidence())
    }

    /// Keeps a request that ended for the worker that does what it asked for.
    pub(super) fn defer(&mut self, known: Known) {
        if known.messages.iter().any(|message| message.is_deferred) {
            self.deferred.push_back(known);
            if self.deferred.len() > MAX_DEFERRED {
                self.deferred.pop_front();
            }
        }
    }

    /// Forgets the requests whose workers are done by now.
    pub(super) fn forget_deferred(&mut self, window: Window) {
        let since = BootTime(window.after.0.saturating_sub(WORKER));
        while self.deferred.front().is_some_and(|known| known.closed.is_some_and(|closed| closed < since)) {
            self.deferred.pop_front();
        }
    }
}

impl Known {
    /// Whether its last captured messages are of the kind that would cause this.
    fn can_end_in(&self, subject: &Subject, is_removal: bool) -> bool {
        self.messages.last().is_none_or(|message| kind_for(subject, is_removal) == Some(message.kind))
    }
}

fn kind_for(subject: &Subject, is_removal: bool) -> Option<u16> {
    match (subject, is_removal) {
        (Subject::Address(_), false) => Some(RTM_NEWADDR),
        (Subject::Address(_), true) => Some(RTM_DELADDR),
        (Subject::Neighbour(_), false) => Some(RTM_NEWNEIGH),
        (Subject::Neighbour(_), true) => Some(RTM_DELNEIGH),
        _ => None,
    }
}

impl RequestMessage {
    fn asks_for(&self, subject: &Subject, is_removal: bool) -> bool {
        kind_for(subject, is_removal) == Some(self.kind)
            && self.about.iter().any(|asked| match (asked, subject) {
                (Subject::Neighbour(asked), Subject::Neighbour(told)) => asked.covers(told),
                (asked, told) => asked == told,
            })
    }
}
