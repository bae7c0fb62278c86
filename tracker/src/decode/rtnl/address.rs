//! Addresses: `RTM_NEWADDR`, `RTM_DELADDR`.

use libc::{
    AF_INET, IFA_ADDRESS, IFA_CACHEINFO, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_OPTIMISTIC, IFA_F_PERMANENT,
    IFA_F_SECONDARY, IFA_F_TENTATIVE, IFA_FLAGS, IFA_LABEL, IFA_LOCAL,
};

use super::Decoded;
use super::attributes::Attributes;
use crate::model::digest::{Digest, DigestBuilder};
use crate::model::ids::{Ifindex, Ifname};
use crate::model::link::{AddressSnapshot, AddressSubject};
use crate::model::subject::{Snapshot, Subject};

/// Length of `struct ifaddrmsg`.
pub(super) const HEADER: usize = 8;
const IFA_TARGET_NETNSID: u16 = 10;

/// What tells two addresses apart and what the kernel keeps of one, read from its `ifaddrmsg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressView<'a> {
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// Prefix length.
    pub prefix: u8,
    /// `IFA_F_*`, all 32 bits.
    pub flags: u32,
    /// Where the address is valid.
    pub scope: u8,
    /// The link that carries it.
    pub ifindex: Ifindex,
    /// The attributes as sent.
    pub attributes: Attributes<'a>,
}

impl<'a> AddressView<'a> {
    /// Reads an `ifaddrmsg` with its attributes; `None` when it is cut or malformed.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let [family, prefix, flags, scope, ..] = *message else { return None };
        let attributes = Attributes::parse(message.get(HEADER..)?)?;
        Some(Self {
            family,
            prefix,
            flags: attributes.u32(IFA_FLAGS).unwrap_or(u32::from(flags)),
            scope,
            ifindex: Ifindex(u32::from_ne_bytes(*message.get(4..)?.first_chunk()?)),
            attributes,
        })
    }

    /// Whether it is an IPv4 address.
    pub fn is_ipv4(&self) -> bool {
        self.family == AF_INET as u8
    }

    /// Whether the kernel made it a secondary of another IPv4 address, with which it goes unless promoted.
    pub fn is_secondary(&self) -> bool {
        self.family == AF_INET as u8 && self.flags & IFA_F_SECONDARY != 0
    }

    /// What it keeps whatever happens around it: not the state of duplicate detection, not lifetimes, not which of
    /// several IPv4 addresses is primary (deleting the primary changes that), not the link's name within the label.
    fn content(&self) -> Digest {
        let mut fleeting = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC | IFA_F_DEPRECATED;
        if self.family == AF_INET as u8 {
            fleeting |= IFA_F_SECONDARY;
        }
        let mut digest = DigestBuilder::new("address");
        digest.field(&[self.family, self.prefix, self.scope]).field(&(self.flags & !fleeting).to_ne_bytes());
        for (kind, value) in self.attributes.sorted().iter() {
            let value = match kind {
                IFA_CACHEINFO | IFA_FLAGS | IFA_TARGET_NETNSID => continue,
                IFA_LABEL => match value.iter().position(|byte| *byte == b':') {
                    Some(colon) => &value[colon..],
                    None => continue,
                },
                _ => value,
            };
            digest.field(&kind.to_ne_bytes()).field(value);
        }
        digest.finish()
    }
}

/// Decodes an `ifaddrmsg` with its attributes.
///
/// An IPv4 link may hold one local address with several peers; [`AddressSubject`] takes them for one.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let view = AddressView::parse(body)?;
    let address = view.attributes.address(IFA_LOCAL).or_else(|| view.attributes.address(IFA_ADDRESS))?;
    let subject = AddressSubject { ifindex: view.ifindex, address, prefix: view.prefix };
    let snapshot = AddressSnapshot {
        ifname: view.attributes.text(IFA_LABEL).map(|label| Ifname::new(label.split(':').next().unwrap_or_default())),
        message: body.to_vec(),
        content: view.content(),
        is_dynamic: view.flags & IFA_F_PERMANENT == 0,
    };
    Some(vec![(Subject::Address(subject), Snapshot::Address(snapshot))])
}
