//! Netlink attributes of one message, looked up by number.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable, NLA_HEADER_SIZE, NlasIterator};

/// The attributes of a message or of a nested attribute, as sent, in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Splits attributes; `None` when a length does not fit.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut attributes = Vec::new();
        for attribute in NlasIterator::new(bytes) {
            let attribute = attribute.ok()?;
            let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
            attributes.push((kind, attribute.into_inner().get(NLA_HEADER_SIZE..length)?));
        }
        Some(Self(attributes))
    }

    /// Every attribute, in the order they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + '_ {
        self.0.iter().copied()
    }

    /// The attributes in the order of their numbers, so that equal content is equal however it was sent.
    pub fn sorted(&self) -> Self {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|(kind, _)| *kind);
        Self(sorted)
    }

    /// The payload of an attribute.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, _)| *found == kind).map(|(_, value)| *value)
    }

    /// A one-byte number.
    pub fn u8(&self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// A four-byte number in host order.
    pub fn u32(&self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.get(kind)?.first_chunk()?))
    }

    /// Text up to its first NUL.
    pub fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }

    /// An IPv4 or IPv6 address, told apart by its length.
    pub fn address(&self, kind: u16) -> Option<IpAddr> {
        address(self.get(kind)?)
    }

    /// The attributes inside an attribute.
    pub fn nested(&self, kind: u16) -> Option<Attributes<'a>> {
        Attributes::parse(self.get(kind)?)
    }
}

/// Text up to its first NUL.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An IPv4 or IPv6 address, told apart by its length.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    }
}

/// Appends one attribute with its padding.
pub fn push(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let attribute = DefaultNla::new(kind, value.to_vec());
    let start = message.len();
    message.resize(start + attribute.buffer_len(), 0);
    attribute.emit(&mut message[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_found_again_with_its_padding_skipped() {
        let mut bytes = Vec::new();
        push(&mut bytes, 3, b"cni0\0");
        push(&mut bytes, 1 | 0x8000, &7_u32.to_ne_bytes());
        push(&mut bytes, 5, &[10, 0, 0, 1]);
        assert_eq!(bytes.len(), 12 + 8 + 8);
        let attributes = Attributes::parse(&bytes).unwrap();
        assert_eq!(attributes.text(3).as_deref(), Some("cni0"));
        assert_eq!(attributes.u32(1), Some(7), "the nested flag is no part of the number");
        assert_eq!(attributes.address(5), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(attributes.get(9), None);
        assert_eq!(attributes.sorted().iter().map(|(kind, _)| kind).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert_eq!(Attributes::parse(&[9, 0, 1, 0, 0, 0, 0, 0]), None);
        assert_eq!(Attributes::parse(&[3, 0, 1, 0]), None);
        assert_eq!(Attributes::parse(&[4, 0]), None);
    }
}
