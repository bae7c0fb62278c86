//! Values as iptables-save writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::line::Line;
use crate::decode::legacy::Verdict;

/// Bytes up to their NUL; what could upset a terminal escaped.
pub(super) fn escaped(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name[..end].escape_ascii().to_string()
}

/// ` text`, in quotes unless it is made of letters, digits, `_` and `-` only.
pub(super) fn quoted(line: &mut Line, text: &[u8]) {
    if text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)) && !text.is_empty() {
        line.push(" ");
        line.push(&String::from_utf8_lossy(text));
        return;
    }
    line.push(" \"");
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if matches!(character, '"' | '\\' | '\'') {
                line.push("\\");
            }
            if character.is_control() {
                line.mark(format_args!("{}", character.escape_default()));
            } else {
                write!(line, "{character}");
            }
        }
        if !chunk.invalid().is_empty() {
            line.mark(format_args!("{}", chunk.invalid().escape_ascii()));
        }
    }
    line.push("\"");
}

/// ` text` as it is; brackets where it has characters that break the line.
pub(super) fn plain(line: &mut Line, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) if !text.chars().any(char::is_control) => write!(line, " {text}"),
        _ => line.mark(format_args!("{}", text.escape_ascii())),
    }
}

/// ` !` where something is inverted.
pub(super) fn not(line: &mut Line, is_inverted: bool) {
    if is_inverted {
        line.push(" !");
    }
}

/// An address out of 16 bytes, of which IPv4 uses 4.
pub(super) fn address(is_ipv6: bool, bytes: &[u8; 16]) -> String {
    if is_ipv6 { ipv6(*bytes) } else { Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).to_string() }
}

/// As inet_ntop(3) writes it, which differs from Rust for `::1.2.3.4`.
pub(super) fn ipv6(bytes: [u8; 16]) -> String {
    let address = Ipv6Addr::from(bytes);
    if bytes[..12].iter().all(|byte| *byte == 0) && bytes[12..14] != [0, 0] {
        return format!("::{}", Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]));
    }
    address.to_string()
}

/// Length of a prefix mask; `None` where it is none.
pub(super) fn prefix_length(mask: &[u8]) -> Option<usize> {
    let full = mask.iter().take_while(|byte| **byte == 0xff).count();
    let length = full * 8 + mask.get(full).map_or(0, |byte| byte.leading_ones() as usize);
    let ones: usize = mask.iter().map(|byte| byte.count_ones() as usize).sum();
    (length == ones).then_some(length)
}

/// `/24`, `/255.0.255.0`, or nothing for a whole address.
pub(super) fn mask(is_ipv6: bool, mask: &[u8; 16]) -> String {
    let used = if is_ipv6 { &mask[..] } else { &mask[..4] };
    match prefix_length(used) {
        Some(length) if length == used.len() * 8 => String::new(),
        Some(length) => format!("/{length}"),
        None => format!("/{}", address(is_ipv6, mask)),
    }
}

/// `5` or `5:9`.
pub(super) fn range<T: std::fmt::Display + PartialEq>(line: &mut Line, [from, to]: [T; 2]) {
    if from == to { write!(line, "{from}") } else { write!(line, "{from}:{to}") }
}

/// `0x1` or `0x1/0xff`.
pub(super) fn masked(line: &mut Line, value: u32, mask: u32) {
    if mask == u32::MAX { write!(line, " {value:#x}") } else { write!(line, " {value:#x}/{mask:#x}") }
}

/// The names of the bits set, commas between; `None` where a bit has no name.
pub(super) fn bits(line: &mut Line, value: u32, names: &[(u32, &str)]) -> Option<()> {
    let mut left = value;
    for (bit, name) in names {
        if left & bit != 0 {
            if left != value {
                line.push(",");
            }
            line.push(name);
            left &= !bit;
        }
    }
    (left == 0).then_some(())
}

/// A verdict of the kernel's own; going on with the next rule has no words.
pub(super) fn write_verdict(line: &mut Line, verdict: Verdict) {
    match verdict {
        Verdict::To(_) => {}
        Verdict::Continue => line.push(" -j CONTINUE"),
        Verdict::Accept => line.push(" -j ACCEPT"),
        Verdict::Drop => line.push(" -j DROP"),
        Verdict::Queue => line.push(" -j QUEUE"),
        Verdict::Return => line.push(" -j RETURN"),
        Verdict::Other(number) => line.mark(format_args!("verdict {number}")),
    }
}
