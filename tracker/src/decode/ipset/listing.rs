//! Listings: sets with their members.

use netlink_packet_core::NetlinkBuffer;

use super::attribute::{
    ADT, BITMASK, BUCKETSIZE, CADT_FLAGS, CIDR, DATA, FAMILY, INDEX, INITVAL, IP, IP_TO, MARKMASK, MAXELEM, NETMASK,
    PORT, PORT_TO, REFERENCES, REVISION, SETNAME, SIZE, TIMEOUT, TYPENAME,
};
use super::member::member;
use super::{LIST, SUBSYSTEM, be16, be32, flag};
use crate::decode::rtnl::attributes::Attributes;
use crate::model::ids::IpSetName;
use crate::model::ipset::{IpSetHeader, IpSetMember, IpSetSnapshot, IpSetSubject};
use crate::model::subject::{Snapshot, Subject};

/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADERS: usize = 20;

/// A set of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSet {
    /// Its name.
    pub name: IpSetName,
    /// What it is.
    pub header: IpSetHeader,
    /// Its members, by their keys.
    pub members: Vec<(String, IpSetMember)>,
}

/// The answers of `IPSET_CMD_LIST`, put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The sets in the kernel's order.
    pub sets: Vec<ListedSet>,
    /// Why something of the answers was not understood, when something was not.
    pub undecoded: Option<String>,
}

impl Listing {
    /// Takes one answer; a large set comes in several.
    pub fn add(&mut self, message: &NetlinkBuffer<&[u8]>) {
        if message.message_type() != u16::from(SUBSYSTEM) << 8 | u16::from(LIST) {
            return;
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX).min(message.buffer.len());
        let attributes = message.buffer.get(HEADERS..length).unwrap_or_default();
        if let Err(reason) = self.add_attributes(attributes) {
            self.undecoded = Some(reason.to_owned());
        }
    }

    /// Takes the attributes of one answer.
    pub(super) fn add_attributes(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let attributes = Attributes::parse(bytes).ok_or("an ip set's attributes do not fit")?;
        let name = IpSetName::new(attributes.text(SETNAME).ok_or("an ip set without a name")?);
        if attributes.get(TYPENAME).is_some() {
            let header = header(&attributes).ok_or("an ip set's settings are not understood")?;
            self.sets.push(ListedSet { name: name.clone(), header, members: Vec::new() });
        }
        let set = self.sets.last_mut().filter(|set| set.name == name).ok_or("members of an ip set without a header")?;
        let Some(list) = attributes.get(ADT) else { return Ok(()) };
        let list = Attributes::parse(list).ok_or("an ip set's members do not fit")?;
        for (_, value) in list.iter().filter(|(kind, _)| *kind == DATA) {
            set.members.push(member(&set.header.kind, value).ok_or("an ip set's member is not understood")?);
        }
        Ok(())
    }

    /// Sets, each followed by its members, as objects.
    pub fn into_objects(self) -> Vec<(Subject, Snapshot)> {
        self.sets.into_iter().flat_map(ListedSet::into_objects).collect()
    }
}

impl ListedSet {
    fn into_objects(self) -> Vec<(Subject, Snapshot)> {
        let Self { name, header, members } = self;
        let mut objects =
            vec![(Subject::IpSet(IpSetSubject::set(name.clone())), Snapshot::IpSet(IpSetSnapshot::Set(header)))];
        objects.extend(members.into_iter().map(|(key, member)| {
            (Subject::IpSet(IpSetSubject::member(name.clone(), key)), Snapshot::IpSet(IpSetSnapshot::Member(member)))
        }));
        objects
    }
}

fn header(attributes: &Attributes<'_>) -> Option<IpSetHeader> {
    let data = Attributes::parse(attributes.get(DATA).unwrap_or_default())?;
    let kind = attributes.text(TYPENAME)?;
    let family = attributes.u8(FAMILY).unwrap_or_default();
    Some(IpSetHeader {
        options: options(&kind, family, &data),
        kind,
        family,
        revision: attributes.u8(REVISION).unwrap_or_default(),
        index: attributes.get(INDEX).and_then(be16),
        seed: data.get(INITVAL).and_then(be32),
        references: data.get(REFERENCES).and_then(be32).unwrap_or_default(),
        has_timeout: data.get(TIMEOUT).is_some(),
    })
}

fn options(kind: &str, family: u8, data: &Attributes<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    if kind.starts_with("hash:") {
        match family {
            2 => words.push("family inet".to_owned()),
            10 => words.push("family inet6".to_owned()),
            _ => {}
        }
    }
    words.extend(range(data));
    let number = |kind: u16| data.get(kind).and_then(be32);
    words.extend(number(MAXELEM).map(|most| format!("maxelem {most}")));
    words.extend(number(SIZE).map(|size| format!("size {size}")));
    words.extend(data.u8(BUCKETSIZE).map(|size| format!("bucketsize {size}")));
    words.extend(data.u8(NETMASK).map(|length| format!("netmask {length}")));
    words.extend(address(data, BITMASK).map(|mask| format!("bitmask {mask}")));
    words.extend(number(MARKMASK).filter(|mask| *mask != u32::MAX).map(|mask| format!("markmask {mask:#010x}")));
    words.extend(number(TIMEOUT).map(|timeout| format!("timeout {timeout}")));
    let flags = number(CADT_FLAGS).unwrap_or_default();
    let extensions = [
        (flag::COUNTERS, "counters"),
        (flag::COMMENT, "comment"),
        (flag::SKBINFO, "skbinfo"),
        (flag::FORCEADD, "forceadd"),
    ];
    words.extend(extensions.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| (*word).to_owned()));
    words.join(" ")
}

/// What a bitmap spans.
fn range(data: &Attributes<'_>) -> Option<String> {
    if let (Some(from), Some(to)) = (address(data, IP), address(data, IP_TO)) {
        return Some(format!("range {from}-{to}"));
    }
    if let (Some(from), Some(length)) = (address(data, IP), data.u8(CIDR)) {
        return Some(format!("range {from}/{length}"));
    }
    let port = |kind: u16| data.get(kind).and_then(be16);
    Some(format!("range {}-{}", port(PORT)?, port(PORT_TO)?))
}

fn address(data: &Attributes<'_>, kind: u16) -> Option<std::net::IpAddr> {
    let nested = Attributes::parse(data.get(kind)?)?;
    nested.address(1).or_else(|| nested.address(2))
}
