//! Destroying IP sets and deleting members, over nfnetlink, in the calling thread's network namespace.
//!
//! Between comparing and deleting lies a moment in which others may act; the subsystem offers nothing to close it. A set
//! that a rule uses it does not destroy, whoever comes first.

use std::io;

use netlink_packet_core::NLM_F_EXCL;
use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::capture::ipset::{header_of, is_loaded};
use crate::host::netlink::order;
use crate::host::{HostError, Removal};
use crate::model::ipset::{IpSetHeader, IpSetItem, IpSetSnapshot, IpSetSubject};

/// `NFNL_SUBSYS_IPSET` with `IPSET_CMD_DESTROY` and `IPSET_CMD_DEL`.
const DESTROY: u16 = 6 << 8 | 3;
const DEL: u16 = 6 << 8 | 10;
/// `IPSET_ATTR_PROTOCOL`, `IPSET_ATTR_SETNAME`, `IPSET_ATTR_DATA` as a nest.
const PROTOCOL: u16 = 1;
const SETNAME: u16 = 2;
const DATA: u16 = 7 | 1 << 15;
/// The subsystem's own numbers: `IPSET_ERR_BUSY` of a set that something refers to, `IPSET_ERR_EXIST` of a member that
/// is not there, `IPSET_ERR_TYPE_SPECIFIC` of one that cannot be there (a list's, whose set is gone).
const ERR_BUSY: i32 = 4100;
const ERR_EXIST: i32 = 4103;
const ERR_TYPE_SPECIFIC: i32 = 4352;

/// Destroys a set, if it still is the one that was planned for, or deletes a member.
///
/// # Errors
/// [`HostError::Drifted`] when another set has the name now; [`HostError::Io`] when the kernel refuses.
pub fn delete(subject: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError> {
    if !is_loaded() {
        return Ok(Removal::AlreadyGone);
    }
    let failed = |operation, source| HostError::Io { operation, object: format!("`{subject}`"), source };
    let found = header_of(&subject.set).map_err(|error| failed("list", io::Error::other(error)))?;
    let Some(found) = found else { return Ok(Removal::AlreadyGone) };
    let mut name = subject.set.as_str().as_bytes().to_vec();
    name.push(0);
    let mut attributes = vec![(PROTOCOL, vec![6]), (SETNAME, name)];
    let (kind, operation) = match (&subject.item, expected) {
        (IpSetItem::Set, IpSetSnapshot::Set(expected)) => {
            if !is_same(expected, &found) {
                return Err(HostError::Drifted {
                    object: subject.to_string(),
                    expected: identity(expected),
                    found: identity(&found),
                });
            }
            (DESTROY, "destroy")
        }
        (IpSetItem::Member { .. }, IpSetSnapshot::Member(member)) => {
            attributes.push((DATA, member.attributes.clone()));
            (DEL, "delete")
        }
        _ => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "what was recorded of it is no such object");
            return Err(failed("delete", source));
        }
    };
    // without EXCL the subsystem takes the deletion of a member that is not there for done; nfgenmsg: no family, version 0
    match order(NETLINK_NETFILTER, (kind, NLM_F_EXCL), &[0, 0, 0, 0], &attributes) {
        Ok(()) => Ok(Removal::Removed),
        Err(source) => match source.raw_os_error() {
            Some(libc::ENOENT | ERR_EXIST | ERR_TYPE_SPECIFIC) => Ok(Removal::AlreadyGone),
            Some(ERR_BUSY) => Err(failed(operation, io::Error::other("a rule or another set uses it"))),
            _ => Err(failed(operation, source)),
        },
    }
}

fn is_same(expected: &IpSetHeader, found: &IpSetHeader) -> bool {
    expected.kind == found.kind && expected.options == found.options && expected.seed == found.seed
}

fn identity(set: &IpSetHeader) -> String {
    let seed = set.seed.map(|seed| format!(" with seed {seed:#x}")).unwrap_or_default();
    format!("{} {}{seed}", set.kind, set.options)
}
