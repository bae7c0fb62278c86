//! Deleting ip rules.

use libc::RTM_DELRULE;

use super::{delete, live, unusable};
use crate::capture::rtnetlink::Listing;
use crate::decode::rtnl::attributes::push;
use crate::decode::rtnl::ip_rule::{FIB_RULE_INVERT, IpRuleView, fra};
use crate::decode::rtnl::wire::Wire;
use crate::host::{HostError, Removal};
use crate::model::route::{IpRuleSnapshot, IpRuleSubject};
use crate::model::subject::{Snapshot, Subject, describe};

/// Length of `struct fib_rule_hdr`, and where its flags are.
const HEADER: usize = 12;
const FLAGS: std::ops::Range<usize> = 8..12;

/// Deletes one ip rule.
///
/// To the kernel a selector that is not given matches every rule: asked for `from 10.0.0.5 lookup 2` it deletes
/// `from 10.0.0.5 to 192.168.0.0/16 lookup 2` where that comes first among those of the same priority. Delete by falling
/// [`selector_count`](crate::decode::rtnl::selector_count) where several go.
///
/// # Errors
/// [`HostError::Collateral`] when the kernel would take another rule for it; [`HostError::Io`] when it refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_ip_rule(subject: &IpRuleSubject, snapshot: &IpRuleSnapshot) -> Result<Removal, HostError> {
    let wanted = Subject::IpRule(subject.clone());
    let object = describe(&wanted, &Snapshot::IpRule(snapshot.clone()));
    let view = IpRuleView::parse(&snapshot.message).ok_or_else(|| unusable(&object))?;
    let body = request(&view, &snapshot.message).ok_or_else(|| unusable(&object))?;
    let live = live(Listing::IpRules, &object)?;
    if !live.iter().any(|(candidate, _)| *candidate == wanted) {
        return Ok(Removal::AlreadyGone);
    }
    let first = live.iter().find(|(_, found)| match found {
        Snapshot::IpRule(found) => IpRuleView::parse(&found.message).is_some_and(|found| takes(&view, &found)),
        _ => false,
    });
    match first {
        Some((candidate, found)) if *candidate != wanted => {
            Err(HostError::Collateral { object, other: describe(candidate, found) })
        }
        _ => delete(Wire { kind: RTM_DELRULE, body }, &object),
    }
}

/// The request for a rule: all it has, with its priority even when that is 0.
fn request(view: &IpRuleView<'_>, message: &[u8]) -> Option<Vec<u8>> {
    let mut body = message.get(..HEADER)?.to_vec();
    body[FLAGS].copy_from_slice(&(view.flags() & FIB_RULE_INVERT).to_ne_bytes());
    for (kind, value) in view.attributes.iter().filter(|(kind, _)| !matches!(*kind, fra::PRIORITY | fra::PAD)) {
        push(&mut body, kind, value);
    }
    push(&mut body, fra::PRIORITY, &view.priority().to_ne_bytes());
    Some(body)
}

/// Whether the kernel may take `found` for what a request made of `wanted` asks for. Errs to the side of yes: flags
/// (`not`), protocol and the target of `goto` do not keep rules apart on every kernel.
fn takes(wanted: &IpRuleView<'_>, found: &IpRuleView<'_>) -> bool {
    let (ours, theirs) = (&wanted.header, &found.header);
    let unset_or_same = |ours: u8, theirs: u8| ours == 0 || ours == theirs;
    wanted.family() == found.family()
        && wanted.priority() == found.priority()
        && unset_or_same(wanted.action(), found.action())
        && (wanted.table() == 0 || wanted.table() == found.table())
        && unset_or_same(ours.src_len, theirs.src_len)
        && unset_or_same(ours.dst_len, theirs.dst_len)
        && unset_or_same(ours.tos, theirs.tos)
        && wanted
            .selectors()
            .into_iter()
            .filter(|(kind, _)| *kind != fra::GOTO)
            .all(|(kind, value)| found.attributes.get(kind) == Some(value))
}
