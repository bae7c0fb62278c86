//! Netlink attributes of nf_tables messages, borrowed from the datagram.
//!
//! The attribute walk is `netlink-packet-core`'s. The typed nf_tables attributes of `netlink-packet-netfilter` 0.4 are
//! not parsed into here: they panic on a nested value shorter than an attribute header, refuse names and comms that are
//! not UTF-8, and would copy what must be kept byte for byte anyway. Its enumerations of message types, meta keys,
//! operators and verdicts, and its messages for requests, are used.

use std::borrow::Cow;

use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};

use super::report::Reason;

/// One attribute; `kind` without the nested and byte order flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

/// Walks a run of attributes; ends with an error where the bytes stop being attributes.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Reason>> {
    NlasIterator::new(bytes).map(|nla| {
        let nla = nla.map_err(|_| Reason::Malformed("attribute header"))?;
        let (kind, length) = (nla.kind(), usize::from(nla.length()));
        let value = nla.into_inner().get(NLA_HEADER_SIZE..length).ok_or(Reason::Malformed("attribute length"))?;
        Ok(Attribute { kind, value })
    })
}

/// The values of attributes 0 to N-1; of one that repeats, the last; higher numbers are passed over.
pub(crate) fn fields<const N: usize>(bytes: &[u8]) -> Result<[Option<&[u8]>; N], Reason> {
    let mut fields = [None; N];
    for attribute in attributes(bytes) {
        let Attribute { kind, value } = attribute?;
        if let Some(field) = fields.get_mut(usize::from(kind)) {
            *field = Some(value);
        }
    }
    Ok(fields)
}

/// A number in network byte order, 4 bytes.
pub(crate) fn be32(value: &[u8]) -> Result<u32, Reason> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Reason::Malformed("32-bit number"))
}

/// A number in network byte order, 8 bytes.
pub(crate) fn be64(value: &[u8]) -> Result<u64, Reason> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| Reason::Malformed("64-bit number"))
}

/// A number that is 0 when its attribute is absent.
pub(crate) fn be32_or_zero(value: Option<&[u8]>) -> Result<u32, Reason> {
    value.map_or(Ok(0), be32)
}

/// A string up to its NUL. The kernel does not ask for UTF-8: other bytes become `\xNN`, so that such an object stays
/// visible and distinct; a request by that name finds nothing.
pub(crate) fn string(value: &[u8]) -> Cow<'_, str> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    match std::str::from_utf8(&value[..end]) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value[..end].utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
            text
        })),
    }
}

/// A name that must be there.
pub(crate) fn required<'a>(value: Option<&'a [u8]>, attribute: &'static str) -> Result<&'a [u8], Reason> {
    value.ok_or(Reason::Missing(attribute))
}

/// Appends one attribute, padded.
pub(crate) fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // an attribute parsed from a message fits its length field; nothing longer is ever built
    let length = u16::try_from(value.len() + NLA_HEADER_SIZE).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_attributes_and_stops_at_a_broken_one() {
        // length 5, type 1, "a", 3 bytes of padding; length 8, type 0x8002 (nested flag), 1; length 3 is below a header
        let bytes = [5, 0, 1, 0, b'a', 0, 0, 0, 8, 0, 2, 0x80, 0, 0, 0, 1, 3, 0, 9, 0];
        let walked: Vec<_> = attributes(&bytes).collect();
        assert!(matches!(walked[0], Ok(Attribute { kind: 1, value: b"a" })));
        assert!(matches!(walked[1], Ok(Attribute { kind: 2, value: [0, 0, 0, 1] })));
        assert!(walked[2].is_err() && walked.len() == 3);
        assert_eq!(fields::<3>(&bytes[..16]).expect("whole"), [None, Some(&b"a"[..]), Some(&[0, 0, 0, 1][..])]);
    }

    #[test]
    fn names_that_are_not_utf8_stay_distinct() {
        assert_eq!(string(b"filter\0"), "filter");
        assert_eq!(string(b"a\xff\0junk"), "a\\xff");
        assert_ne!(string(b"\xfe"), string(b"\xff"));
    }

    #[test]
    fn a_pushed_attribute_reads_back() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 7, b"abcde");
        push_attribute(&mut bytes, 8, b"");
        assert_eq!(bytes.len(), 16);
        assert_eq!(fields::<9>(&bytes).expect("whole")[7..], [Some(&b"abcde"[..]), Some(&b""[..])]);
    }
}
