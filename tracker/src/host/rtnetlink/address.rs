//! Deleting addresses.

use std::net::IpAddr;

use libc::{AF_INET, AF_INET6, IFA_ADDRESS, IFA_LOCAL, RTM_DELADDR};

use super::{delete, live, refused, unusable};
use crate::capture::rtnetlink::Listing;
use crate::decode::rtnl::address::AddressView;
use crate::decode::rtnl::attributes::{address, push};
use crate::decode::rtnl::wire::Wire;
use crate::host::{HostError, Removal};
use crate::model::ids::Ifindex;
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::subject::{Snapshot, Subject, describe};

/// Deletes one address.
///
/// With a primary IPv4 address the kernel deletes its secondaries (further addresses of the link in the same subnet),
/// unless `promote_secondaries` is set for the link or for all. Without it a primary with secondaries is refused: delete
/// the secondaries first, where they are to go as well. With the last IPv4 address go, unannounced, the routes over the
/// link.
///
/// # Errors
/// [`HostError::Drifted`] when scope, flags, peer or broadcast address are other than recorded;
/// [`HostError::Collateral`] when secondaries would go with it; [`HostError::Io`] when the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_address(subject: &AddressSubject, snapshot: &AddressSnapshot) -> Result<Removal, HostError> {
    let wanted = Subject::Address(subject.clone());
    let object = describe(&wanted, &Snapshot::Address(snapshot.clone()));
    let request = request(subject, snapshot).ok_or_else(|| unusable(&object))?;
    let live = live(Listing::Addresses, &object)?;
    let mut is_there = false;
    for (candidate, found) in &live {
        let Snapshot::Address(found) = found else { continue };
        is_there |= *candidate == wanted && found.content == snapshot.content;
    }
    if !is_there {
        return match live.iter().find(|(candidate, _)| *candidate == wanted) {
            None => Ok(Removal::AlreadyGone),
            Some((_, found)) => Err(HostError::Drifted {
                object,
                expected: format!("content {}", snapshot.content),
                found: format!("content {}", found.digest()),
            }),
        };
    }
    if let Some(other) = secondary_of(subject, snapshot, &live)
        && !promotes_secondaries(subject.ifindex, &object)?
    {
        return Err(HostError::Collateral { object, other });
    }
    delete(Wire { kind: RTM_DELADDR, body: request }, &object)
}

/// The recorded message less what the kernel might compare and others might change: the label (it follows the link's
/// name) and flags.
fn request(subject: &AddressSubject, snapshot: &AddressSnapshot) -> Option<Vec<u8>> {
    let view = AddressView::parse(&snapshot.message)?;
    let family = if subject.address.is_ipv4() { AF_INET } else { AF_INET6 };
    if i32::from(view.family) != family || view.ifindex != subject.ifindex {
        return None;
    }
    let mut body = vec![view.family, view.prefix, 0, view.scope];
    body.extend(view.ifindex.0.to_ne_bytes());
    for (kind, value) in view.attributes.iter().filter(|(kind, _)| matches!(*kind, IFA_LOCAL | IFA_ADDRESS)) {
        push(&mut body, kind, value);
    }
    Some(body)
}

/// Name of a secondary that the kernel would delete with this address.
fn secondary_of(subject: &AddressSubject, snapshot: &AddressSnapshot, live: &[(Subject, Snapshot)]) -> Option<String> {
    let network = |message: &[u8]| {
        let view = AddressView::parse(message)?;
        match address(view.attributes.get(IFA_ADDRESS)?)? {
            IpAddr::V4(address) => Some((u32::from(address) & mask(view.prefix), view.prefix, view.is_secondary())),
            IpAddr::V6(_) => None,
        }
    };
    // which of them is primary may have changed since it was recorded
    let ours = live.iter().find_map(|(candidate, found)| match (candidate, found) {
        (Subject::Address(candidate), Snapshot::Address(found))
            if candidate == subject && found.content == snapshot.content =>
        {
            network(&found.message)
        }
        _ => None,
    });
    let (ours, prefix, is_secondary) = ours?;
    if is_secondary {
        return None;
    }
    live.iter().find_map(|(candidate, found)| match (candidate, found) {
        (Subject::Address(address), Snapshot::Address(secondary)) if address.ifindex == subject.ifindex => {
            (network(&secondary.message)? == (ours, prefix, true)).then(|| describe(candidate, found))
        }
        _ => None,
    })
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(prefix))).unwrap_or(0)
}

/// Whether a secondary takes the place of its primary. The link's own setting or that for all will do.
fn promotes_secondaries(ifindex: Ifindex, object: &str) -> Result<bool, HostError> {
    let links = live(Listing::Links, object)?;
    let name = links.iter().find_map(|(subject, snapshot)| match snapshot {
        Snapshot::Link(link) if *subject == Subject::Link(ifindex) => Some(link.name.as_str().to_owned()),
        _ => None,
    });
    for scope in ["all"].into_iter().chain(name.as_deref()) {
        let path = format!("/proc/sys/net/ipv4/conf/{scope}/promote_secondaries");
        let value = std::fs::read_to_string(&path)
            .map_err(|source| refused("tell whether secondaries are promoted before deleting", object, source))?;
        if value.trim() != "0" {
            return Ok(true);
        }
    }
    Ok(false)
}
