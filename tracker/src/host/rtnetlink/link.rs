//! Deleting links.

use std::io;

use super::{block_on, live, removal, unusable};
use crate::capture::rtnetlink::Listing;
use crate::host::{HostError, Removal};
use crate::model::link::LinkSnapshot;
use crate::model::subject::{Snapshot, Subject, describe};

/// Deletes a link by its number, if name, kind and hardware address are still those of `expected`. (Bridges, bonds and
/// teams take the hardware address of a port, so theirs is not compared.)
///
/// With a link go its addresses and routes, the other end of a veth pair, and links stacked on it.
///
/// # Errors
/// [`HostError::Drifted`] when the number belongs to another link now; [`HostError::Io`] when the kernel refuses, as it
/// does for hardware and for the links a module makes by itself (`tunl0`).
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_link(subject: &Subject, expected: &LinkSnapshot) -> Result<Removal, HostError> {
    let object = describe(subject, &Snapshot::Link(expected.clone()));
    let Subject::Link(ifindex) = subject else { return Err(unusable(&object)) };
    let found = live(Listing::Links, &object)?.into_iter().find(|(live, _)| live == subject);
    let Some((_, Snapshot::Link(found))) = found else { return Ok(Removal::AlreadyGone) };
    if !is_same(expected, &found) {
        return Err(HostError::Drifted { object, expected: identity(expected), found: identity(&found) });
    }
    let answer = block_on(async {
        let (connection, handle, _unsolicited) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        handle.link().del(ifindex.0).execute().await.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        })
    });
    removal(answer, &object)
}

fn is_same(expected: &LinkSnapshot, found: &LinkSnapshot) -> bool {
    let takes_ports_address = matches!(expected.kind.as_deref(), Some("bridge" | "bond" | "team"));
    expected.name == found.name && expected.kind == found.kind && (takes_ports_address || expected.mac == found.mac)
}

fn identity(link: &LinkSnapshot) -> String {
    let mac: Vec<String> = link.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} `{}` {}", link.kind.as_deref().unwrap_or("link"), link.name, mac.join(":"))
}
