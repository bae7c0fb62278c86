//! Deleting neighbours and forwarding entries.

use libc::{AF_BRIDGE, RTM_DELNEIGH};

use super::{delete, live, unusable};
use crate::capture::rtnetlink::Listing;
use crate::decode::rtnl::attributes::push;
use crate::decode::rtnl::neighbour::{
    HEADER, NDA_DST, NDA_LLADDR, NDA_MASTER, NDA_VLAN, NTF_MASTER, NTF_SELF, NeighbourView,
};
use crate::decode::rtnl::wire::Wire;
use crate::host::{HostError, Removal};
use crate::model::ids::Ifindex;
use crate::model::neighbour::{NeighbourKey, NeighbourSnapshot, NeighbourSubject};
use crate::model::subject::{Snapshot, Subject, describe};

/// Deletes one neighbour, if it still has the hardware address that was recorded.
///
/// # Errors
/// [`HostError::Drifted`] when it has another; [`HostError::Io`] when the kernel refuses.
///
/// # Panics
/// On a thread that runs asynchronous tasks.
pub fn delete_neighbour(subject: &NeighbourSubject, snapshot: &NeighbourSnapshot) -> Result<Removal, HostError> {
    let wanted = Subject::Neighbour(subject.clone());
    let object = describe(&wanted, &Snapshot::Neighbour(snapshot.clone()));
    let body = request(subject, &snapshot.message).ok_or_else(|| unusable(&object))?;
    let found = live(Listing::Neighbours, &object)?.into_iter().find(|(live, _)| *live == wanted);
    let Some((_, found)) = found else { return Ok(Removal::AlreadyGone) };
    if found.digest() != snapshot.digest() {
        return Err(HostError::Drifted {
            object,
            expected: format!("content {}", snapshot.digest()),
            found: format!("content {}", found.digest()),
        });
    }
    delete(Wire { kind: RTM_DELNEIGH, body }, &object)
}

/// The request for a neighbour: its key, and whose table a forwarding entry is in. A bridge's own entry is asked for in
/// the bridge's own table.
fn request(subject: &NeighbourSubject, message: &[u8]) -> Option<Vec<u8>> {
    let view = NeighbourView::parse(message)?;
    let mut body = message.get(..HEADER)?.to_vec();
    let mut wanted: &[u16] = &[NDA_DST];
    if i32::from(view.family) == AF_BRIDGE {
        let is_bridges = view.attributes.u32(NDA_MASTER).map(Ifindex) == Some(subject.ifindex);
        let is_self = matches!(subject.key, NeighbourKey::Forwarding { is_self: true, .. }) || is_bridges;
        body[10] = if is_self { NTF_SELF } else { NTF_MASTER };
        wanted = &[NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI, NDA_IFINDEX];
    } else {
        body[10] = 0;
    }
    for (kind, value) in view.attributes.iter().filter(|(kind, _)| wanted.contains(kind)) {
        push(&mut body, kind, value);
    }
    Some(body)
}

/// What else tells remote ends of a vxlan entry apart.
const NDA_PORT: u16 = 6;
const NDA_VNI: u16 = 7;
const NDA_IFINDEX: u16 = 8;
