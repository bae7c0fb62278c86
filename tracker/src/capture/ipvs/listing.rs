//! Listing services and their destinations.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use netlink_packet_core::NetlinkBuffer;

use crate::capture::CaptureError;
use crate::capture::nfnetlink::request::Asker;
use crate::decode::ipvs::{self, FAMILY, HEADERS, ListedService, VERSION, attribute, command, into_objects};
use crate::decode::rtnl::attributes::push;
use crate::model::ipvs::{IpvsDestination, IpvsService, IpvsSettings};
use crate::model::subject::{Snapshot, Subject};

/// `GENL_ID_CTRL`, and `CTRL_CMD_GETFAMILY` of its version 1.
const CONTROLLER: u16 = 16;
const GET_FAMILY: [u8; 4] = [3, 1, 0, 0];
/// Answers that surely fit one datagram. The kernel counts its way through a longer list from datagram to datagram: what is
/// deleted meanwhile makes it leave out another.
const FEW: usize = 8;

/// Whether the kernel has the subsystem, without loading it.
pub fn is_loaded() -> bool {
    Path::new("/sys/module/ip_vs").exists()
}

/// The number of the family IPVS in the calling thread's network namespace; `None` while the subsystem is not loaded.
///
/// # Errors
/// [`CaptureError`] when the kernel does not answer.
pub fn family() -> Result<Option<u16>, CaptureError> {
    let mut found = None;
    let mut each = |message: &NetlinkBuffer<&[u8]>| {
        if let Some((number, name)) = ipvs::family_of(body(message))
            && name == FAMILY
        {
            found = Some(number);
        }
    };
    Asker::generic()?.dump_generic("list generic netlink families", (CONTROLLER, &GET_FAMILY), &mut each)?;
    Ok(found)
}

/// Lists every service of the calling thread's network namespace with its destinations; nothing when the subsystem is not
/// there.
///
/// # Errors
/// [`CaptureError`] when the kernel does not answer, or answers what is not understood.
pub fn dump() -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    list(None).map(into_objects)
}

/// One service with its destinations; `None` when there is no such service.
///
/// # Errors
/// As [`dump`].
pub fn service(service: IpvsService) -> Result<Option<ListedService>, CaptureError> {
    Ok(list(Some(&BTreeSet::from([service])))?.into_iter().next())
}

/// Lists some services, or all of them.
pub(super) fn list(wanted: Option<&BTreeSet<IpvsService>>) -> Result<Vec<ListedService>, CaptureError> {
    let Some(family) = family()? else { return Ok(Vec::new()) };
    let mut listing = Listing { asker: Asker::generic()?, family };
    let services = match wanted {
        None => listing.services()?.into_iter().collect(),
        Some(wanted) => {
            let mut services = Vec::new();
            for service in wanted {
                services.extend(listing.one(*service)?);
            }
            services
        }
    };
    let with_destinations = |(service, settings): (IpvsService, IpvsSettings)| {
        let destinations = listing.twice(|listing| listing.destinations(service))?.into_iter().collect();
        Ok(ListedService { service, settings, destinations })
    };
    services.into_iter().map(with_destinations).collect()
}

struct Listing {
    asker: Asker,
    family: u16,
}

impl Listing {
    /// A long list is taken twice: what either has was there.
    fn twice<K: Ord, V>(
        &mut self,
        mut list: impl FnMut(&mut Self) -> Result<BTreeMap<K, V>, CaptureError>,
    ) -> Result<BTreeMap<K, V>, CaptureError> {
        let mut found = list(self)?;
        if found.len() > FEW {
            found.extend(list(self)?);
        }
        Ok(found)
    }

    fn services(&mut self) -> Result<BTreeMap<IpvsService, IpvsSettings>, CaptureError> {
        self.twice(|listing| {
            let mut found = Gathered::default();
            let question = question(command::GET_SERVICE, None);
            let each = &mut |message: &NetlinkBuffer<&[u8]>| found.add(ipvs::service(body(message)));
            listing.asker.dump_generic("list ipvs services", (listing.family, &question), each)?;
            found.whole("ipvs services")
        })
    }

    fn one(&mut self, service: IpvsService) -> Result<Option<(IpvsService, IpvsSettings)>, CaptureError> {
        let mut found = Gathered::default();
        let question = question(command::GET_SERVICE, Some(service));
        let each = &mut |message: &NetlinkBuffer<&[u8]>| found.add(ipvs::service(body(message)));
        match self.asker.ask_generic("look up an ipvs service", (self.family, &question), each) {
            Ok(()) => Ok(found.whole("ipvs services")?.pop_first()),
            Err(CaptureError::Refused { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn destinations(&mut self, service: IpvsService) -> Result<BTreeMap<SocketAddr, IpvsDestination>, CaptureError> {
        let mut found = Gathered::default();
        let question = question(command::GET_DEST, Some(service));
        let each = &mut |message: &NetlinkBuffer<&[u8]>| found.add(ipvs::destination(service.family(), body(message)));
        self.asker.dump_generic("list ipvs destinations", (self.family, &question), each)?;
        found.whole("ipvs destinations")
    }
}

/// The answers to one question.
struct Gathered<K, V> {
    found: BTreeMap<K, V>,
    is_understood: bool,
}

impl<K, V> Default for Gathered<K, V> {
    fn default() -> Self {
        Self { found: BTreeMap::new(), is_understood: true }
    }
}

impl<K: Ord, V> Gathered<K, V> {
    fn add(&mut self, answer: Option<(K, V)>) {
        self.is_understood &= answer.is_some();
        self.found.extend(answer);
    }

    fn whole(self, object: &str) -> Result<BTreeMap<K, V>, CaptureError> {
        if self.is_understood {
            return Ok(self.found);
        }
        let source = io::Error::new(io::ErrorKind::InvalidData, "an answer has not the attributes it should");
        Err(CaptureError::Io { operation: "decode the list of", object: object.to_owned(), source })
    }
}

/// What an answer holds behind its headers.
fn body<'a>(message: &NetlinkBuffer<&'a [u8]>) -> &'a [u8] {
    let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
    message.buffer.get(HEADERS..length.min(message.buffer.len())).unwrap_or_default()
}

/// `struct genlmsghdr`, and what names the service.
fn question(command: u8, service: Option<IpvsService>) -> Vec<u8> {
    let mut question = vec![command, VERSION, 0, 0];
    if let Some(service) = service {
        push(&mut question, attribute::SERVICE | NESTED, &ipvs::name_of(service));
    }
    question
}

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
