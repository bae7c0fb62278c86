//! Deleting links, addresses, routes, ip rules, neighbours, qdiscs, classes and filters: one each, and none that looks like
//! it; and making links, addresses, routes and ip rules anew.
//!
//! The kernel deletes the first object that has *at least* what a request asks for, and for IPv4 a metric of 0 or a
//! missing gateway asks for nothing. So each delete lists the live objects first, sees which one the kernel would take,
//! and refuses with [`HostError::Collateral`] when it is another. Between listing and deleting lies a moment in which
//! others may act; the kernel offers nothing to close it.
//!
//! Everything here works in the calling thread's network namespace, blocks, and must not be called on a thread that runs
//! asynchronous tasks.

mod add;
mod address;
mod ip_rule;
mod link;
mod neighbour;
mod route;
mod traffic;

use std::future::Future;
use std::io;

use futures::StreamExt;
use libc::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::proto;
use rustix::io::Errno;

use super::{HostError, Removal};
use crate::capture::rtnetlink::{Listing, dump_of};
use crate::decode::rtnl::wire::Wire;
use crate::model::subject::{Snapshot, Subject};

pub use add::{add_address, add_ip_rule, add_route, attach_link, create_link};
pub use address::delete_address;
pub use ip_rule::delete_ip_rule;
pub use link::delete_link;
pub use neighbour::delete_neighbour;
pub use route::delete_route;
pub use traffic::delete_traffic;

/// What is there now, in the kernel's order.
fn live(listing: Listing, object: &str) -> Result<Vec<(Subject, Snapshot)>, HostError> {
    dump_of(listing).map_err(|error| refused("list what there is before deleting", object, io::Error::other(error)))
}

/// Runs an exchange with the kernel to its end.
fn block_on<T>(exchange: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(exchange)
}

/// Sends one delete request and waits for the kernel's answer.
fn delete(request: Wire, object: &str) -> Result<Removal, HostError> {
    removal(send(request, NLM_F_REQUEST | NLM_F_ACK), object)
}

/// Sends one request with `NLM_F_*` flags and waits for the kernel's answer.
fn send(request: Wire, flags: i32) -> io::Result<()> {
    block_on(async {
        let (connection, handle, _unsolicited) = proto::new_connection::<Wire>(NETLINK_ROUTE)?;
        tokio::spawn(connection);
        let mut header = NetlinkHeader::default();
        header.flags = flags as u16;
        let request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        let mut answers = handle.request(request, SocketAddr::new(0, 0)).map_err(io::Error::other)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                return Err(error.to_io());
            }
        }
        Ok(())
    })
}

/// Tells "gone already" from a refusal.
fn removal(answer: io::Result<()>, object: &str) -> Result<Removal, HostError> {
    match answer {
        Ok(()) => Ok(Removal::Removed),
        Err(source) => match Errno::from_io_error(&source) {
            Some(Errno::NODEV | Errno::SRCH | Errno::NOENT | Errno::ADDRNOTAVAIL) => Ok(Removal::AlreadyGone),
            _ => Err(refused("delete", object, source)),
        },
    }
}

fn refused(operation: &'static str, object: &str, source: io::Error) -> HostError {
    HostError::Io { operation, object: object.to_owned(), source }
}

/// A recorded message that does not decode, or a subject of another class.
fn unusable(object: &str) -> HostError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, "what was recorded of it is no such object");
    refused("delete", object, source)
}
