//! Statements that write: to the packet, to its meta information, to its connection.

use super::Rule;
use super::datatype::Datatype;
use super::registers::{Held, Load, Operation, Source};
use super::value::{self, number, ones};
use super::{exthdr, keys};
use crate::decode::nft::expr::{Ct, Exthdr, Meta, Payload};

impl<'a> Rule<'a> {
    pub(super) fn write_meta(&mut self, meta: &Meta<'_>) -> Option<()> {
        let target = keys::meta(meta)?;
        self.write_named(&target, meta.source?)
    }

    pub(super) fn write_ct(&mut self, ct: &Ct<'_>) -> Option<()> {
        let target = keys::ct(ct, self.context.family)?;
        self.write_named(&target, ct.source?)
    }

    fn write_named(&mut self, target: &Load<'_>, source: u32) -> Option<()> {
        let Source::Named { text, kind, .. } = &target.source else { return None };
        let value = self.register_text(source, *kind)?;
        self.push(format!("{text} set {value}"))
    }

    pub(super) fn write_exthdr(&mut self, exthdr: &Exthdr<'a>, source: u32) -> Option<()> {
        let target = exthdr::load(exthdr)?;
        let Source::Named { text, kind, .. } = &target.source else { return None };
        self.use_option(text);
        let value = self.register_text(source, *kind)?;
        self.push(format!("{text} set {value}"))
    }

    pub(super) fn write_payload(&mut self, payload: &Payload<'a>) -> Option<()> {
        let (offset, bits) = (payload.offset.checked_mul(8)?, payload.length.checked_mul(8)?);
        let held = self.registers.get(payload.source?)?.clone();
        if let Held::Load(Load { source, operations, .. }) = &held
            && let (Source::Payload { base, offset: from, bits: length }, [Operation::Bits { mask, xor, .. }]) =
                (source, &operations[..])
            && (*base, *from, *length) == (payload.base, offset, bits)
        {
            // a part of the bytes: what is kept is around it
            let (mask, xor) = (Self::big(mask)?, Self::big(xor)?);
            let (at, bits, shift) = self.trimmed(payload.base, offset, bits, !mask & ones(bits))?;
            (xor & mask == 0).then_some(())?;
            let (mut text, kind) = self.payload_text(payload.base, at, bits)?;
            text.push_str(" set ");
            value::bits(&mut text, kind, xor >> shift & ones(bits), ",", self.style())?;
            return self.push(text);
        }
        let (text, kind) = self.payload_text(payload.base, offset, bits)?;
        (kind != Datatype::Raw).then_some(())?;
        let value = match held {
            Held::Constant(bytes) => {
                let mut value = String::new();
                value::bits(&mut value, kind, number(bytes, kind.description().is_host)?, ",", self.style())?;
                value
            }
            Held::Load(load) => self.operand_text(&load)?.0,
        };
        self.push(format!("{text} set {value}"))
    }
}
