//! Comparisons.

use super::Rule;
use super::context::{SERVICE_TAG, Tells};
use super::datatype::Datatype;
use super::operand::Operand;
use super::protocol::Protocol;
use super::registers::{Key, Load, Operation, Source};
use super::value::{self, Style, number, prefix};
use crate::decode::nft::expr::{Compare, Range};

/// A comparison that may be one end of a range.
pub(super) struct Bound {
    /// Left side.
    text: String,
    /// `NFT_CMP_*`.
    operation: u32,
    /// What it is compared with.
    number: u128,
}

/// `NFT_CMP_*` as written.
const SIGNS: [&str; 6] = ["", "!= ", "< ", "<= ", "> ", ">= "];
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

impl<'a> Rule<'a> {
    pub(super) fn compare(&mut self, compare: &Compare<'a>) -> Option<()> {
        let load = self.registers.load(compare.source)?.clone();
        let bytes = compare.data.value()?;
        let operation = compare.operation;
        if let (Source::Payload { base, offset, bits }, false) = (&load.source, load.is_swapped) {
            (bytes.len() * 8 == usize::try_from(*bits).ok()?).then_some(())?;
            let constant = Self::big(bytes)?;
            let cut = self.cut(&load);
            let (offset, bits, shift) = cut.unwrap_or((*offset, *bits, 0));
            if operation <= NOT_EQUAL && (cut.is_some() || load.is_whole()) {
                return self.compare_payload(*base, offset, bits, operation == EQUAL, constant >> shift);
            }
            if cut.is_some() {
                let (text, kind) = self.payload_text(*base, offset, bits)?;
                let operand = Operand { text, kind, is_host: false, bits };
                return self.compare_plain(&load, operand, operation, constant >> shift);
            }
        }
        let operand = self.operand(&load)?;
        if operand.kind.is_text() {
            load.operations.is_empty().then_some(())?;
            let mut text = format!("{} {}", operand.text, SIGNS.get(usize::try_from(operation).ok()?)?);
            value::name(&mut text, bytes)?;
            return self.push_match(text);
        }
        if let Some(beginning) = beginning(&operand, bytes) {
            return self.compare_beginning(&load, &operand, operation, beginning);
        }
        // what is only there or not has been stored in registers of either size
        (bytes.len() == load.length || operand.kind == Datatype::Boolean).then_some(())?;
        let constant = number(bytes, operand.is_host)?;
        match &load.operations[..] {
            [] => self.compare_plain(&load, operand, operation, constant),
            [Operation::Bits { mask, xor, is_swapped }] if xor.iter().all(|byte| *byte == 0) => {
                let mask = number(mask, operand.kind.description().is_host && !is_swapped)?;
                self.compare_masked(operand, operation, mask, constant)
            }
            operations => {
                let Operand { mut text, kind, bits, .. } = operand;
                self.push_operations(&mut text, kind, bits, operations)?;
                self.finish(text, kind, operation, constant, true)
            }
        }
    }

    pub(super) fn range(&mut self, range: &Range<'a>) -> Option<()> {
        let load = self.registers.load(range.source)?.clone();
        let sign = if range.operation == 1 { " != " } else { " " };
        if let (Source::Payload { base, .. }, Some((offset, bits, shift))) = (&load.source, self.cut(&load)) {
            let (mut text, kind) = self.payload_text(*base, offset, bits)?;
            text.push_str(sign);
            let (from, to) = (Self::big(range.from.value()?)?, Self::big(range.to.value()?)?);
            push_range(&mut text, kind, from >> shift, to >> shift, self.style())?;
            return self.push_match(text);
        }
        let Operand { mut text, kind, is_host, bits } = self.operand(&load)?;
        (!kind.is_text()).then_some(())?;
        self.push_operations(&mut text, kind, bits, &load.operations)?;
        text.push_str(sign);
        let (from, to) = (number(range.from.value()?, is_host)?, number(range.to.value()?, is_host)?);
        push_range(&mut text, kind, from, to, self.style())?;
        self.push_match(text)
    }

    /// The first bytes of an address are compared.
    fn compare_beginning(&mut self, load: &Load<'_>, operand: &Operand, operation: u32, bytes: &[u8]) -> Option<()> {
        (operation <= NOT_EQUAL && load.operations.is_empty()).then_some(())?;
        let mut text = format!("{} {}", operand.text, SIGNS.get(usize::try_from(operation).ok()?)?);
        let constant = number(bytes, false)?.checked_shl(operand.bits - u32::try_from(bytes.len() * 8).ok()?)?;
        value::write(&mut text, operand.kind, constant, self.style())?;
        text.push_str(&format!("/{}", bytes.len() * 8));
        self.push_match(text)
    }

    /// Where a mask cuts a field out of a piece that is none itself.
    pub(super) fn cut(&self, load: &Load<'_>) -> Option<(u32, u32, u32)> {
        let (Source::Payload { base, offset, bits }, [Operation::Bits { mask, xor, .. }]) =
            (&load.source, &load.operations[..])
        else {
            return None;
        };
        let whole = self
            .context
            .protocol(*base, *offset)
            .and_then(|protocol| protocol.field(*offset, self.context.icmp, |length| length == *bits));
        let is_known = whole.is_some_and(|(_, _, _, kind, ..)| kind.has_prefixes() || kind.description().is_bitmask);
        let mask = Self::big(mask).filter(|_| !is_known && xor.iter().all(|byte| *byte == 0))?;
        self.trimmed(*base, *offset, *bits, mask)
    }

    fn compare_plain(&mut self, load: &Load<'_>, operand: Operand, operation: u32, constant: u128) -> Option<()> {
        let Operand { text, kind, .. } = operand;
        if self.merge(&text, kind, operation, constant)? {
            return Some(());
        }
        let left = text.clone();
        let is_flag = kind.description().is_bitmask && constant.count_ones() <= 1;
        self.finish(text, kind, operation, constant, is_flag)?;
        if let Source::Named { key, .. } = &load.source
            && *key != Key::None
            && operation == EQUAL
        {
            self.tell(*key, constant);
        }
        self.bound = Some(Bound { text: left, operation, number: constant });
        Some(())
    }

    /// Two comparisons are one range.
    fn merge(&mut self, text: &str, kind: Datatype, operation: u32, constant: u128) -> Option<bool> {
        let Some(Bound { text: before, operation: first, number: from }) = self.bound.take() else {
            return Some(false);
        };
        match (first, operation) {
            (5, 3) if before == text => {
                let mut text = format!("{text} ");
                push_range(&mut text, kind, from, constant, self.style())?;
                self.statements.pop();
                self.push_match(text)?;
                Some(true)
            }
            // here nft takes two comparisons of different things, or of what is outside, for one range
            (5, 3) | (2, 4) => None,
            _ => Some(false),
        }
    }

    fn compare_masked(&mut self, operand: Operand, operation: u32, mask: u128, constant: u128) -> Option<()> {
        let Operand { mut text, kind, bits, .. } = operand;
        let style = self.style();
        if kind.description().is_bitmask && operation <= NOT_EQUAL {
            match (operation, constant) {
                (NOT_EQUAL, 0) => {
                    text.push(' ');
                    value::bits(&mut text, kind, mask, ",", style)?;
                    return self.push_match(text);
                }
                (EQUAL, 0) => {
                    text.push_str(" ! ");
                    value::bits(&mut text, kind, mask, ",", style)?;
                    return self.push_match(text);
                }
                _ if mask.count_ones() > 1 => {
                    text.push_str(if operation == NOT_EQUAL { " != " } else { " " });
                    value::bits(&mut text, kind, constant, ",", style)?;
                    text.push_str(" / ");
                    value::bits(&mut text, kind, mask, ",", style)?;
                    return self.push_match(text);
                }
                _ => {}
            }
        }
        if let (true, EQUAL | NOT_EQUAL, Some(length)) = (kind.has_prefixes(), operation, prefix(mask, bits)) {
            text.push_str(if operation == NOT_EQUAL { " != " } else { " " });
            value::write(&mut text, kind, constant, style)?;
            // a mask of all bits is none
            if length < bits {
                text.push_str(&format!("/{length}"));
            }
            return self.push_match(text);
        }
        text.push_str(" & ");
        value::bits(&mut text, kind, mask, ",", style)?;
        self.finish(text, kind, operation, constant, true)
    }

    /// Adds sign and constant to the left side.
    fn finish(
        &mut self,
        mut text: String,
        kind: Datatype,
        operation: u32,
        constant: u128,
        has_sign: bool,
    ) -> Option<()> {
        text.push(' ');
        text.push_str(match SIGNS.get(usize::try_from(operation).ok()?)? {
            &"" if has_sign => "== ",
            sign => sign,
        });
        match kind.description().is_bitmask {
            true => value::bits(&mut text, kind, constant, " | ", self.style())?,
            false => value::write(&mut text, kind, constant, self.style())?,
        }
        self.push_match(text)
    }

    /// A key that tells a protocol was compared, in the last statement.
    fn tell(&mut self, key: Key, constant: u128) {
        use crate::model::nft::Family;
        let (layer, tells) = match key {
            Key::NfProto => {
                if self.context.family == Family::Inet {
                    self.context.network = match constant {
                        2 => Some(Protocol::Ip),
                        10 => Some(Protocol::Ip6),
                        _ => None,
                    };
                }
                (1, Tells::NfProto(constant))
            }
            Key::EtherType => {
                // the constant is in network order already
                if matches!(self.context.family, Family::Netdev | Family::Bridge) {
                    self.context.has_service_tag |= constant == SERVICE_TAG;
                    match Protocol::of_ether_type(constant) {
                        Some(Protocol::Vlan) => self.context.has_vlan = true,
                        network => self.context.network = network,
                    }
                }
                (1, Tells::EtherType(constant))
            }
            Key::L4Proto => {
                self.context.transport = Protocol::of_ip(constant);
                (2, Tells::L4Proto)
            }
            Key::LinkType => {
                if constant == 1 {
                    self.context.link = Some(Protocol::Ether);
                }
                (0, Tells::LinkType)
            }
            Key::None => return,
        };
        let needless = self.context.use_key(layer, constant, key == Key::L4Proto);
        self.leave_out(needless);
        self.context.remember(layer + 1, self.statements.len() - 1, tells);
    }
}

/// The bytes, where they are fewer than the address has.
fn beginning<'b>(operand: &Operand, bytes: &'b [u8]) -> Option<&'b [u8]> {
    (operand.kind.has_prefixes() && !bytes.is_empty() && bytes.len() * 8 < operand.bits as usize).then_some(bytes)
}

/// Appends `5-9`, without names.
pub(super) fn push_range(text: &mut String, kind: Datatype, from: u128, to: u128, style: Style<'_>) -> Option<()> {
    let style = Style { is_numeric: true, ..style };
    value::write(text, kind, from, style)?;
    text.push('-');
    value::write(text, kind, to, style)
}
