//! Values as nft writes them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::Surroundings;
use super::super::names;
use super::datatype::{Base, Datatype};

/// How a value is written.
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) surroundings: &'a dyn Surroundings,
    /// Without names, as in ranges.
    pub(super) is_numeric: bool,
}

/// A number out of bytes; `None` where they are none or too many.
pub(super) fn number(bytes: &[u8], is_host: bool) -> Option<u128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let is_little = is_host && cfg!(target_endian = "little");
    let fold = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    Some(if is_little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
}

/// All ones in the lowest bits.
pub(super) fn ones(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

/// Length of the prefix a mask of so many bits is; `None` where it is none.
pub(super) fn prefix(mask: u128, bits: u32) -> Option<u32> {
    let zeros = mask.trailing_zeros().min(bits);
    (mask == ones(bits) & !ones(zeros)).then_some(bits - zeros)
}

/// Appends a number of a type; `None` where nft's form is not known for certain.
pub(super) fn write(out: &mut String, kind: Datatype, number: u128, style: Style<'_>) -> Option<()> {
    let small = u32::try_from(number).ok();
    // writing to a string does not fail
    let _ = match kind {
        Datatype::Ipv4 => write!(out, "{}", Ipv4Addr::from(small?)),
        Datatype::Ipv6 => {
            out.push_str(&ipv6(number));
            Ok(())
        }
        Datatype::Ether => {
            let [_, _, a, b, c, d, e, f] = u64::try_from(number).ok()?.to_be_bytes();
            write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
        }
        Datatype::Protocol => match u8::try_from(number).ok().and_then(names::protocol).filter(|_| !style.is_numeric) {
            Some(name) => write!(out, "{name}"),
            None => write!(out, "{number}"),
        },
        Datatype::Ifindex => match style.surroundings.link(small?).filter(|_| number != 0) {
            Some(name) => return quoted(out, name.as_bytes()),
            None => write!(out, "{number}"),
        },
        // the two names iproute2 comes with
        Datatype::Realm if number == 0 && !style.is_numeric => write!(out, "\"cosmos\""),
        Datatype::DevGroup if number == 0 && !style.is_numeric => write!(out, "\"default\""),
        Datatype::ClassId => match small? {
            0 => write!(out, "none"),
            u32::MAX => write!(out, "root"),
            class => write!(out, "{:x}:{:x}", class >> 16, class & 0xffff),
        },
        Datatype::Time if style.is_numeric => write!(out, "{}s", number / 1000),
        Datatype::Time => {
            duration(out, u64::try_from(number).ok()?);
            Ok(())
        }
        Datatype::Local | Datatype::Ifname | Datatype::String => return None,
        Datatype::CtLabel => {
            (number.count_ones() == 1).then_some(())?;
            write!(out, "{}", number.trailing_zeros())
        }
        _ => return symbol(out, kind, number, style),
    };
    Some(())
}

fn symbol(out: &mut String, kind: Datatype, number: u128, style: Style<'_>) -> Option<()> {
    let description = kind.description();
    let name = description.names.iter().find(|(value, _)| u128::from(*value) == number);
    let _ = match (name.filter(|_| !style.is_numeric), description.base) {
        (Some((_, name)), _) => write!(out, "{name}"),
        (None, Base::Decimal) => write!(out, "{number}"),
        (None, Base::Hex(digits)) => write!(out, "0x{number:0digits$x}"),
    };
    Some(())
}

/// Appends a number; of a bitmask type its bits, `separator` between; `None` where a bit has no name.
pub(super) fn bits(out: &mut String, kind: Datatype, number: u128, separator: &str, style: Style<'_>) -> Option<()> {
    if number.count_ones() <= 1 || !kind.description().is_bitmask {
        return write(out, kind, number, style);
    }
    let mut left = number;
    while left != 0 {
        let bit = 1_u128 << left.trailing_zeros();
        if left != number {
            out.push_str(separator);
        }
        let known = kind.description().names.iter().any(|(value, _)| u128::from(*value) == bit);
        (known || kind == Datatype::CtLabel).then_some(())?;
        write(out, kind, bit, style)?;
        left &= !bit;
    }
    Some(())
}

/// Appends text in quotes; `None` where it has characters that nft would escape in ways not known here.
pub(super) fn quoted(out: &mut String, bytes: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = !text.chars().any(|character| character.is_control() || character == '"');
    let _ = is_plain.then(|| write!(out, "\"{text}\""))?;
    Some(())
}

/// A name up to its NUL; `None` where it would upset the line.
pub(super) fn word(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// Appends a name out of a register of 16 bytes, or of fewer where only its beginning is compared.
pub(super) fn name(out: &mut String, bytes: &[u8]) -> Option<()> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let shown = &bytes[..end.unwrap_or(bytes.len())];
    (end.is_some() || bytes.len() < 16).then_some(())?;
    match (end, shown) {
        (None, beginning) => quoted(out, &[beginning, b"*"].concat()),
        // the asterisk is a part of the name
        (Some(_), [name @ .., b'*']) => {
            quoted(out, name)?;
            out.pop();
            out.push_str("\\*\"");
            Some(())
        }
        (Some(_), name) => quoted(out, name),
    }
}

/// Appends milliseconds as `1d2h3m4s5ms`.
pub(super) fn duration(out: &mut String, milliseconds: u64) {
    let parts = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let mut left = milliseconds;
    for (length, unit) in parts {
        if left >= length {
            let _ = write!(out, "{}{unit}", left / length);
            left %= length;
        }
    }
}

/// As inet_ntop(3) writes it, which differs from Rust for `::1.2.3.4`.
pub(super) fn ipv6(number: u128) -> String {
    match u32::try_from(number) {
        Ok(low) if low > 0xffff => format!("::{}", Ipv4Addr::from(low)),
        _ => Ipv6Addr::from(number).to_string(),
    }
}
