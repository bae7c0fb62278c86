//! Deleting qdiscs, classes and filters.

use libc::{RTM_DELQDISC, RTM_DELTCLASS, RTM_DELTFILTER};

use super::{delete, live, unusable};
use crate::capture::rtnetlink::Listing;
use crate::decode::rtnl::attributes::{Attributes, push};
use crate::decode::rtnl::traffic::{HEADER, TCA_CHAIN, TCA_KIND};
use crate::decode::rtnl::wire::Wire;
use crate::host::{HostError, Removal};
use crate::model::subject::{Snapshot, Subject, describe};
use crate::model::traffic::{FilterSubject, TrafficSnapshot};

/// Deletes one qdisc with all that hangs below it, one class or one filter, if it is what was recorded. Where a qdisc
/// was at the root of a link, the kernel puts its own.
///
/// # Errors
/// [`HostError::Drifted`] when kind, place or settings are other than recorded; [`HostError::Io`] when the kernel
/// refuses, as it does for a class in use.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_traffic(subject: &Subject, snapshot: &TrafficSnapshot) -> Result<Removal, HostError> {
    let object = describe(subject, &Snapshot::Traffic(snapshot.clone()));
    let kind = match subject {
        Subject::Qdisc(_) => RTM_DELQDISC,
        Subject::TrafficClass(_) => RTM_DELTCLASS,
        Subject::Filter(_) => RTM_DELTFILTER,
        _ => return Err(unusable(&object)),
    };
    let mut body = request(&snapshot.message).ok_or_else(|| unusable(&object))?;
    let live = live(Listing::Traffic, &object)?;
    let Some((_, found)) = live.iter().find(|(live, _)| live == subject) else { return Ok(Removal::AlreadyGone) };
    if found.digest() != snapshot.content {
        return Err(HostError::Drifted {
            object,
            expected: format!("content {}", snapshot.content),
            found: format!("content {}", found.digest()),
        });
    }
    // of the last filter of a priority `u32` would keep an empty hash table; asked for all of it, it goes too
    if snapshot.kind == "u32" && is_last(subject, &live) {
        body[HANDLE].fill(0);
    }
    delete(Wire { kind, body }, &object)
}

/// Where the handle is in a `tcmsg`.
const HANDLE: std::ops::Range<usize> = 8..12;

/// Whether a filter is the only one of its place, priority and protocol.
fn is_last(subject: &Subject, live: &[(Subject, Snapshot)]) -> bool {
    let Subject::Filter(filter) = subject else { return false };
    let all = FilterSubject { handle: 0, ..filter.clone() };
    let shares = |(other, _): &&(Subject, Snapshot)| matches!(other, Subject::Filter(other) if FilterSubject { handle: 0, ..other.clone() } == all);
    live.iter().filter(shares).count() == 1
}

/// The recorded header, which holds link, handle, place and priority, with the kind and the chain.
fn request(message: &[u8]) -> Option<Vec<u8>> {
    let mut body = message.get(..HEADER)?.to_vec();
    let attributes = Attributes::parse(message.get(HEADER..)?)?;
    for (kind, value) in attributes.iter().filter(|(kind, _)| matches!(*kind, TCA_KIND | TCA_CHAIN)) {
        push(&mut body, kind, value);
    }
    Some(body)
}
