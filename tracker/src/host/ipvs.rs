//! Deleting IPVS services and destinations, and adding them, over generic netlink, in the calling thread's network
//! namespace.
//!
//! Between comparing and deleting lies a moment in which others may act; the subsystem offers nothing to close it.

use std::io;
use std::net::SocketAddr;

use netlink_sys::protocols::NETLINK_GENERIC;

use crate::capture::ipvs::{family, service};
use crate::decode::ipvs::{ListedService, VERSION, address_bytes, attribute, command, name_of};
use crate::decode::rtnl::attributes::push;
use crate::host::netlink::order;
use crate::host::{HostError, Removal};
use crate::model::ipvs::{
    INET, INET6, IpvsDestination, IpvsItem, IpvsService, IpvsSettings, IpvsSnapshot, IpvsSubject,
};

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;

/// Deletes a service that has no destinations, or a destination, if it still is what was planned for.
///
/// # Errors
/// [`HostError::Drifted`] when it is another one now; [`HostError::Collateral`] when the service has destinations, which the
/// kernel would delete with it; [`HostError::Io`] when the kernel refuses.
pub fn delete(subject: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError> {
    let Some(found) = service(subject.service).map_err(|error| failed("look up", subject)(io::Error::other(error)))?
    else {
        return Ok(Removal::AlreadyGone);
    };
    let ListedService { settings, destinations, .. } = found;
    let (command, now) = match subject.item {
        IpvsItem::Service => {
            if let Some((at, _)) = destinations.first() {
                return Err(HostError::Collateral {
                    object: format!("`{subject}`"),
                    other: format!("`{}`", IpvsSubject::destination(subject.service, *at)),
                });
            }
            (command::DEL_SERVICE, IpvsSnapshot::Service(settings))
        }
        IpvsItem::Destination { address, port } => {
            let at = SocketAddr::new(address, port);
            match destinations.into_iter().find(|(known, _)| *known == at) {
                Some((_, now)) => (command::DEL_DEST, IpvsSnapshot::Destination(now)),
                None => return Ok(Removal::AlreadyGone),
            }
        }
    };
    if now.digest() != expected.digest() {
        return Err(HostError::Drifted {
            object: format!("`{subject}`"),
            expected: text(subject, expected),
            found: text(subject, &now),
        });
    }
    match ask(command, subject, expected) {
        Ok(()) => Ok(Removal::Removed),
        // no such service, no such destination
        Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT)) => Ok(Removal::AlreadyGone),
        Err(error) => Err(failed("delete", subject)(error)),
    }
}

/// Adds a service or a destination as it was.
///
/// # Errors
/// [`HostError::Io`] when it is there, the destination's service is not, or the kernel refuses.
pub fn add(subject: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError> {
    let command = match subject.item {
        IpvsItem::Service => command::NEW_SERVICE,
        IpvsItem::Destination { .. } => command::NEW_DEST,
    };
    ask(command, subject, content).map_err(failed("add", subject))
}

fn failed(operation: &'static str, subject: &IpvsSubject) -> impl FnOnce(io::Error) -> HostError {
    let object = format!("`{subject}`");
    move |source| HostError::Io { operation, object, source }
}

fn text(subject: &IpvsSubject, content: &IpvsSnapshot) -> String {
    match content {
        IpvsSnapshot::Service(settings) => settings.options(subject.service.family()),
        IpvsSnapshot::Destination(destination) => destination.options(),
    }
}

fn ask(command: u8, subject: &IpvsSubject, content: &IpvsSnapshot) -> io::Result<()> {
    let family = family().map_err(io::Error::other)?;
    let family = family.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "IPVS is not loaded"))?;
    let attributes = match (&subject.item, content) {
        (IpvsItem::Service, IpvsSnapshot::Service(settings)) => vec![(attribute::SERVICE, made(subject, settings))],
        (IpvsItem::Destination { address, port }, IpvsSnapshot::Destination(destination)) => vec![
            (attribute::SERVICE, name_of(subject.service)),
            (attribute::DEST, placed(&subject.service, SocketAddr::new(*address, *port), destination)),
        ],
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "what was recorded of it is no such object")),
    };
    let attributes: Vec<(u16, Vec<u8>)> = attributes.into_iter().map(|(kind, nest)| (kind | NESTED, nest)).collect();
    order(NETLINK_GENERIC, (family, 0), &[command, VERSION, 0, 0], &attributes)
}

/// The attributes that make a service.
fn made(subject: &IpvsSubject, settings: &IpvsSettings) -> Vec<u8> {
    let IpvsSettings { scheduler, flags, timeout, netmask, engine } = settings;
    let text = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        bytes
    };
    let mut attributes = name_of(subject.service);
    if !scheduler.is_empty() && scheduler != "none" {
        push(&mut attributes, attribute::SVC_SCHED_NAME, &text(scheduler));
    }
    if let Some(engine) = engine {
        push(&mut attributes, attribute::SVC_PE_NAME, &text(engine));
    }
    // the flags, and all of them are meant
    let flags = [flags.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
    push(&mut attributes, attribute::SVC_FLAGS, &flags);
    push(&mut attributes, attribute::SVC_TIMEOUT, &timeout.to_ne_bytes());
    push(&mut attributes, attribute::SVC_NETMASK, netmask);
    attributes
}

/// The attributes that make a destination.
fn placed(service: &IpvsService, at: SocketAddr, destination: &IpvsDestination) -> Vec<u8> {
    let IpvsDestination { forwarding, weight, upper, lower, tunnel_kind, tunnel_port, tunnel_flags } = destination;
    let family = if at.is_ipv4() { INET } else { INET6 };
    let mut attributes = Vec::new();
    let mut put = |kind: u16, value: &[u8]| push(&mut attributes, kind, value);
    // kernels before 3.18 do not know it, and need it only where the families differ
    if family != service.family() {
        put(attribute::DEST_ADDR_FAMILY, &family.to_ne_bytes());
    }
    put(attribute::DEST_ADDR, &address_bytes(at.ip()));
    put(attribute::DEST_PORT, &at.port().to_be_bytes());
    put(attribute::DEST_FWD_METHOD, &forwarding.to_ne_bytes());
    put(attribute::DEST_WEIGHT, &weight.to_ne_bytes());
    put(attribute::DEST_U_THRESH, &upper.to_ne_bytes());
    put(attribute::DEST_L_THRESH, &lower.to_ne_bytes());
    if *tunnel_kind != 0 {
        put(attribute::DEST_TUN_TYPE, &[*tunnel_kind]);
        put(attribute::DEST_TUN_PORT, &tunnel_port.to_be_bytes());
        put(attribute::DEST_TUN_FLAGS, &tunnel_flags.to_ne_bytes());
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::ipvs;

    #[test]
    fn what_is_asked_for_is_what_would_be_listed() {
        let settings = IpvsSettings {
            scheduler: "wlc".to_owned(),
            flags: 1,
            timeout: 300,
            netmask: [255, 255, 255, 0],
            engine: None,
        };
        let destination = IpvsDestination {
            forwarding: 2,
            weight: 5,
            upper: 9,
            lower: 4,
            tunnel_kind: 1,
            tunnel_port: 6080,
            tunnel_flags: 1,
        };
        let at: SocketAddr = "[fd00::1]:53".parse().expect("an address");
        for text in ["udp 10.96.0.10:53", "tcp [fd00::a]:443", "fwmark 7", "fwmark 7/ipv6"] {
            let service: IpvsService = text.parse().expect(text);
            let subject = IpvsSubject::service(service);
            let mut answer = Vec::new();
            push(&mut answer, attribute::SERVICE | NESTED, &made(&subject, &settings));
            assert_eq!(ipvs::service(&answer), Some((service, settings.clone())));
            let mut answer = Vec::new();
            push(&mut answer, attribute::DEST | NESTED, &placed(&service, at, &destination));
            assert_eq!(ipvs::destination(service.family(), &answer), Some((at, destination)));
        }
    }
}
