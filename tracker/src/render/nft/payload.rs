//! Pieces of the packet: which field of which header they are.

use super::Rule;
use super::context::{LINK, TRANSPORT, Tells};
use super::datatype::Datatype;
use super::protocol::Protocol;
use super::value::{self, number, ones};

/// A field found at a place.
pub(super) struct Found {
    protocol: Protocol,
    text: String,
    kind: Datatype,
    bits: u32,
    is_key: bool,
    only: Option<u8>,
}

impl Rule<'_> {
    fn found(&self, base: u32, offset: u32, fits: impl Fn(u32) -> bool) -> Option<Found> {
        let protocol = self.context.protocol(base, offset)?;
        let (_, bits, name, kind, is_key, only) = *protocol.field(offset, self.context.icmp, fits)?;
        Some(Found { protocol, text: format!("{} {name}", protocol.header().0), kind, bits, is_key, only })
    }

    fn use_found(&mut self, base: u32, found: &Found) {
        let needless = self.context.use_field(base, found.protocol, found.is_key, found.only);
        self.leave_out(needless);
    }

    /// Text and type of a piece; nft's raw form where it is no field.
    pub(super) fn payload_text(&mut self, base: u32, offset: u32, bits: u32) -> Option<(String, Datatype)> {
        self.context.is_followed(base, offset).then_some(())?;
        if let Some(found) = self.found(base, offset, |length| length == bits) {
            self.use_found(base, &found);
            return Some((found.text, found.kind));
        }
        (base != LINK || !self.context.has_vlan).then_some(())?;
        raw(base, offset, bits)
    }

    /// Takes a TCP or IP option: the statement that only tells the header is needless.
    pub(super) fn use_option(&mut self, text: &str) {
        let base = if text.starts_with("tcp option ") {
            TRANSPORT
        } else if ["exthdr ", "hbh ", "rt nexthdr", "rt hdrlength", "rt type", "rt seg-left", "frag ", "dst ", "mh "]
            .iter()
            .any(|header| text.starts_with(header))
            || text.starts_with("ip option ")
        {
            super::context::NETWORK
        } else {
            return;
        };
        let needless = self.context.release(base);
        self.leave_out(needless);
    }

    /// The field that a mask cuts out of a piece: its offset and length, and by how much to shift values.
    pub(super) fn trimmed(&self, base: u32, offset: u32, bits: u32, mask: u128) -> Option<(u32, u32, u32)> {
        let shift = (mask != 0).then(|| mask.trailing_zeros())?;
        let top = 128 - mask.leading_zeros();
        (mask >> shift == ones(top - shift) && top <= bits).then_some(())?;
        let start = offset.checked_add(bits - top)?;
        let (mut at, mut left) = (start, bits);
        while at - start < top - shift {
            let found = self.found(base, at, |length| length < left)?;
            left -= found.bits;
            at += found.bits;
        }
        (at - start == top - shift).then_some((start, at - start, shift))
    }

    /// Compares a piece with a constant for being equal or not; of several fields each is a statement.
    pub(super) fn compare_payload(
        &mut self,
        base: u32,
        offset: u32,
        bits: u32,
        is_equal: bool,
        constant: u128,
    ) -> Option<()> {
        self.context.is_followed(base, offset).then_some(())?;
        let (mut at, mut left) = (offset, bits);
        while left > 0 {
            let fitting = self.found(base, at, |length| length <= left);
            let Some(found) = fitting.or_else(|| self.found(base, at, |_| true)) else {
                (base != LINK || !self.context.has_vlan).then_some(())?;
                let (mut text, kind) = raw(base, at, left)?;
                self.push_relation(&mut text, kind, is_equal, constant & ones(left), None)?;
                return self.push_match(text);
            };
            if found.bits > left {
                // the beginning of an address is a prefix of it
                found.kind.has_prefixes().then_some(())?;
                let number = (constant & ones(left)) << (found.bits - left);
                let mut text = found.text.clone();
                self.push_relation(&mut text, found.kind, is_equal, number, Some(left))?;
                self.use_found(base, &found);
                return self.push_match(text);
            }
            let number = constant >> (left - found.bits) & ones(found.bits);
            let mut text = found.text.clone();
            self.push_relation(&mut text, found.kind, is_equal, number, None)?;
            if is_equal && found.is_key {
                self.context.learn(found.protocol, number);
            }
            self.use_found(base, &found);
            self.push_match(text)?;
            if is_equal && found.is_key {
                let is_stacked = base == LINK && Protocol::of_ether_type(number) == Some(Protocol::Vlan);
                let layer = usize::try_from(base).ok()? + 2 - usize::from(is_stacked);
                self.context.remember(layer, self.statements.len() - 1, Tells::Field(found.protocol, number));
            }
            at = at.checked_add(found.bits)?;
            left -= found.bits;
        }
        Some(())
    }

    fn push_relation(
        &self,
        text: &mut String,
        kind: Datatype,
        is_equal: bool,
        number: u128,
        prefix: Option<u32>,
    ) -> Option<()> {
        text.push_str(match (is_equal, kind.description().is_bitmask) {
            (false, _) => " != ",
            (true, true) => " == ",
            (true, false) => " ",
        });
        value::write(text, kind, number, self.style())?;
        if let Some(prefix) = prefix {
            text.push_str(&format!("/{prefix}"));
        }
        Some(())
    }

    /// A constant in network byte order.
    pub(super) fn big(bytes: &[u8]) -> Option<u128> {
        number(bytes, false)
    }
}

/// `@nh,96,32`; ports where only the layer is known.
fn raw(base: u32, offset: u32, bits: u32) -> Option<(String, Datatype)> {
    if base == TRANSPORT && bits == 16 && matches!(offset, 0 | 16) {
        return Some((if offset == 0 { "th sport" } else { "th dport" }.to_owned(), Datatype::Service));
    }
    let base = ["ll", "nh", "th", "ih"].get(usize::try_from(base).ok()?)?;
    Some((format!("@{base},{offset},{bits}"), Datatype::Raw))
}
