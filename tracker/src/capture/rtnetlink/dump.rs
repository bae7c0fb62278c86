//! Listing what is there, in the order the kernel keeps it.

use std::collections::BTreeSet;
use std::io;

use futures::StreamExt;
use libc::{AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC, IFLA_EXT_MASK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::proto::{self, ConnectionHandle};
use rustix::io::Errno;

use super::traffic;
use crate::capture::CaptureError;
use crate::decode::rtnl::attributes::push;
use crate::decode::rtnl::neighbour::is_set;
use crate::decode::rtnl::objects;
use crate::decode::rtnl::wire::Wire;
use crate::model::neighbour::NeighbourKey;
use crate::model::subject::{Snapshot, Subject};

const ATTEMPTS: u32 = 10;
/// Do without statistics, which make up most of a link message.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

/// What can be listed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listing {
    /// Links.
    Links,
    /// IPv4 and IPv6 addresses.
    Addresses,
    /// IPv4 and IPv6 routes of all tables, without cached clones.
    Routes,
    /// IPv4 and IPv6 ip rules.
    IpRules,
    /// IPv4 and IPv6 neighbours and forwarding entries that somebody set.
    Neighbours,
    /// Qdiscs, classes and filters that somebody set.
    Traffic,
}

impl Listing {
    /// Every listing.
    pub const ALL: [Self; 6] =
        [Self::Links, Self::Addresses, Self::Routes, Self::IpRules, Self::Neighbours, Self::Traffic];

    fn as_str(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::Routes => "routes",
            Self::IpRules => "ip rules",
            Self::Neighbours => "neighbours",
            Self::Traffic => "qdiscs",
        }
    }

    /// Message type of the request, length of the fixed header, address families to ask for.
    fn request(self) -> (u16, usize, &'static [i32]) {
        match self {
            Self::Links => (libc::RTM_GETLINK, 16, &[AF_UNSPEC]),
            Self::Addresses => (libc::RTM_GETADDR, 8, &[AF_INET, AF_INET6]),
            Self::Routes => (libc::RTM_GETROUTE, 12, &[AF_INET, AF_INET6]),
            Self::IpRules => (libc::RTM_GETRULE, 12, &[AF_INET, AF_INET6]),
            Self::Neighbours => (libc::RTM_GETNEIGH, 12, &[AF_INET, AF_INET6, AF_BRIDGE]),
            Self::Traffic => (libc::RTM_GETQDISC, 20, &[AF_UNSPEC]),
        }
    }
}

/// Lists everything of [`Listing::ALL`] of the calling thread's network namespace. Blocks, and runs an event
/// loop meanwhile: not to be called from within one.
///
/// # Errors
/// [`CaptureError::Unstable`] when a list kept changing while it was read, [`CaptureError::Io`] and
/// [`CaptureError::Refused`] when there is no answer.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn dump() -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    run(&Listing::ALL)
}

/// Lists one kind of object. See [`dump`].
///
/// # Errors
/// As [`dump`].
///
/// # Panics
/// As [`dump`].
pub fn dump_of(listing: Listing) -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    run(&[listing])
}

fn run(listings: &[Listing]) -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|source| failed("start an event loop", source))?;
    runtime.block_on(async {
        let (mut connection, handle, _unsolicited) =
            proto::new_connection::<Wire>(NETLINK_ROUTE).map_err(|source| failed("open", source))?;
        // the end of a list says, too, whether the list changed while it was read
        connection.set_forward_done(true);
        tokio::spawn(connection);
        let mut found = Vec::new();
        for listing in listings {
            let (_, _, families) = listing.request();
            for family in families {
                found.extend(list(&handle, *listing, request(*listing, *family)).await?);
            }
            if *listing == Listing::Traffic {
                traffic::list_below(&handle, &mut found).await?;
            }
        }
        forget_ports_own(&mut found);
        Ok(found)
    })
}

/// The addresses of bridges themselves that the kernel keeps, one for each port: they have the address of a link.
fn forget_ports_own(found: &mut Vec<(Subject, Snapshot)>) {
    let macs: BTreeSet<Vec<u8>> = found
        .iter()
        .filter_map(|(_, snapshot)| match snapshot {
            Snapshot::Link(link) => Some(link.mac.clone()),
            _ => None,
        })
        .collect();
    found.retain(|(subject, snapshot)| match (subject, snapshot) {
        (Subject::Neighbour(neighbour), Snapshot::Neighbour(content)) if content.is_bridges_own() => {
            !matches!(&neighbour.key, NeighbourKey::Forwarding { mac, .. } if macs.contains(mac))
        }
        _ => true,
    });
}

/// Lists what a request asks for.
pub(super) async fn list(
    handle: &ConnectionHandle<Wire>,
    listing: Listing,
    request: Wire,
) -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    let family = request.body.first().copied();
    for _ in 0..ATTEMPTS {
        if let Some(messages) = attempt(handle, listing, &request).await? {
            return Ok(messages
                .into_iter()
                // where a family has no handler the kernel lists all families instead
                .filter(|message| message.body.first().copied() == family)
                .filter_map(|message| objects(message.kind, &message.body))
                .flatten()
                .filter(|(_, snapshot)| !matches!(snapshot, Snapshot::Neighbour(found) if !is_set(found)))
                .collect());
        }
    }
    Err(CaptureError::Unstable { object: listing.as_str(), attempts: ATTEMPTS })
}

/// Reads one list; `None` when it changed meanwhile.
async fn attempt(
    handle: &ConnectionHandle<Wire>,
    listing: Listing,
    request: &Wire,
) -> Result<Option<Vec<Wire>>, CaptureError> {
    let mut header = NetlinkHeader::default();
    header.flags = (NLM_F_REQUEST | NLM_F_DUMP) as u16;
    let request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request.clone()));
    let mut answers = handle
        .request(request, SocketAddr::new(0, 0))
        .map_err(|source| failed("send a request", io::Error::other(source)))?;
    let mut messages = Vec::new();
    while let Some(answer) = answers.next().await {
        if answer.header.flags & NLM_F_DUMP_INTR as u16 != 0 {
            // the rest has to be read, or it would be taken for the next attempt's
            while answers.next().await.is_some() {}
            return Ok(None);
        }
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => messages.push(message),
            NetlinkPayload::Done(done) if done.code == 0 => return Ok(Some(messages)),
            NetlinkPayload::Done(done) => return answer_to_error(listing, io::Error::from_raw_os_error(-done.code)),
            NetlinkPayload::Error(error) => return answer_to_error(listing, error.to_io()),
            NetlinkPayload::Overrun(_) => return Ok(None),
            _ => {}
        }
    }
    Err(failed("receive", io::ErrorKind::UnexpectedEof.into()))
}

/// A kernel without IPv6 or without policy routing has none of what was asked for.
fn answer_to_error(listing: Listing, source: io::Error) -> Result<Option<Vec<Wire>>, CaptureError> {
    match Errno::from_io_error(&source) {
        Some(Errno::AFNOSUPPORT | Errno::OPNOTSUPP) => Ok(Some(Vec::new())),
        _ => Err(CaptureError::Refused {
            operation: match listing {
                Listing::Links => "list links",
                Listing::Addresses => "list addresses",
                Listing::Routes => "list routes",
                Listing::IpRules => "list ip rules",
                Listing::Neighbours => "list neighbours",
                Listing::Traffic => "list qdiscs",
            },
            source,
        }),
    }
}

fn request(listing: Listing, family: i32) -> Wire {
    let (kind, header, _) = listing.request();
    let mut body = vec![0; header];
    body[0] = family as u8;
    if listing == Listing::Links {
        push(&mut body, IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    }
    Wire { kind, body }
}

fn failed(operation: &'static str, source: io::Error) -> CaptureError {
    CaptureError::Io { operation, object: "rtnetlink socket".to_owned(), source }
}
