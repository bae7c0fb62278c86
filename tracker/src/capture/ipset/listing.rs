//! Listing sets.

use std::path::Path;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::{NetfilterMessageInner, NetfilterSubsystem};

use crate::capture::CaptureError;
use crate::capture::nfnetlink::request::Asker;
use crate::decode::ipset::attribute::{FLAGS, PROTOCOL, SETNAME};
use crate::decode::ipset::{LIST, Listing, SUBSYSTEM};
use crate::model::ids::IpSetName;
use crate::model::ipset::IpSetHeader;
use crate::model::subject::{Snapshot, Subject};

/// Protocols to speak, newest first: 7 (Linux 4.20) also tells the index of a set.
const PROTOCOLS: [u8; 2] = [7, 6];
/// `IPSET_ERR_PROTOCOL`, the subsystem's own number.
const ERR_PROTOCOL: i32 = 4097;
/// `IPSET_FLAG_LIST_HEADER`.
const LIST_HEADER: u32 = 1 << 2;

/// Whether the kernel has the subsystem, without loading it.
pub fn is_loaded() -> bool {
    Path::new("/sys/module/ip_set").exists()
}

/// Lists every set of the calling thread's network namespace with its members; nothing when the subsystem is not there.
///
/// # Errors
/// [`CaptureError`] when the kernel does not answer, or answers what is not understood.
pub fn dump() -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    list(None, 0).map(Listing::into_objects)
}

/// What a set is, without its members; `None` when there is no such set.
///
/// # Errors
/// As [`dump`].
pub fn header_of(name: &IpSetName) -> Result<Option<IpSetHeader>, CaptureError> {
    Ok(list(Some(name), LIST_HEADER)?.sets.into_iter().next().map(|set| set.header))
}

/// Lists one set, or all of them.
pub(super) fn list(name: Option<&IpSetName>, flags: u32) -> Result<Listing, CaptureError> {
    if !is_loaded() {
        return Ok(Listing::default());
    }
    let mut asker = Asker::open()?;
    for protocol in PROTOCOLS {
        let mut listing = Listing::default();
        match asker.dump("list ip sets", 0, question(protocol, name, flags), &mut |message| listing.add(message)) {
            Ok(_) => {
                return match &listing.undecoded {
                    None => Ok(listing),
                    Some(reason) => Err(CaptureError::Io {
                        operation: "decode the list",
                        object: "ip sets".to_owned(),
                        source: std::io::Error::new(std::io::ErrorKind::InvalidData, reason.clone()),
                    }),
                };
            }
            Err(CaptureError::Refused { source, .. }) if source.raw_os_error() == Some(ERR_PROTOCOL) => {}
            Err(CaptureError::Refused { source, .. })
                if name.is_some() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(Listing::default());
            }
            Err(error) => return Err(error),
        }
    }
    let remedy = "this kernel's ip_set subsystem speaks another protocol than 6 or 7".to_owned();
    Err(CaptureError::Unavailable { what: "ip sets cannot be listed".to_owned(), remedy })
}

fn question(protocol: u8, name: Option<&IpSetName>, flags: u32) -> NetfilterMessageInner {
    let mut attributes = vec![DefaultNla::new(PROTOCOL, vec![protocol])];
    attributes.extend(name.map(|name| {
        let mut text = name.as_str().as_bytes().to_vec();
        text.push(0);
        DefaultNla::new(SETNAME, text)
    }));
    if flags != 0 {
        attributes.push(DefaultNla::new(FLAGS | NET_BYTEORDER, flags.to_be_bytes().to_vec()));
    }
    NetfilterMessageInner::Other { subsys: NetfilterSubsystem::Other(SUBSYSTEM), message_type: LIST, attributes }
}

/// `NLA_F_NET_BYTEORDER`.
const NET_BYTEORDER: u16 = 1 << 14;
