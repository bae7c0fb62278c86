//! Rules of legacy ARP tables as `arptables-legacy -n -L` 0.0.5 prints them, behind `-A CHAIN` as arptables-save has it.

use std::net::Ipv4Addr;

use super::super::line::Line;
use super::words::{not, plain, prefix_length, write_verdict};
use crate::decode::legacy::{Layout, Part, parts, verdict};
use crate::model::legacy::{LegacyFamily, LegacyRule};

/// `ARPT_INV_*`.
const NOT_IN: u16 = 1;
const NOT_OUT: u16 = 2;
const NOT_SOURCE: u16 = 4;
const NOT_TARGET: u16 = 8;
const NOT_SOURCE_MAC: u16 = 16;
const NOT_TARGET_MAC: u16 = 32;
const NOT_OPCODE: u16 = 64;
const NOT_HARDWARE: u16 = 128;
const NOT_PROTOCOL: u16 = 256;
const NOT_LENGTH: u16 = 512;

/// `struct arpt_arp`.
struct Fixed<'a>(&'a [u8]);

impl<'a> Fixed<'a> {
    fn bytes(&self, at: usize, length: usize) -> &'a [u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }

    /// A number of the network's byte order with its mask behind it.
    fn masked(&self, at: usize) -> (u16, u16) {
        let half = |at: usize| self.bytes(at, 2).try_into().map_or(0, u16::from_be_bytes);
        (half(at), half(at + 2))
    }

    fn is_not(&self, bit: u16) -> bool {
        self.bytes(160, 2).try_into().is_ok_and(|bits| u16::from_ne_bytes(bits) & bit != 0)
    }
}

/// Writes everything after `-A CHAIN`; `None` for bytes that are no rule.
pub(super) fn write_rule(line: &mut Line, rule: &LegacyRule) -> Option<()> {
    let layout = Layout::of(LegacyFamily::Arp);
    let parts = parts(layout, &rule.entry);
    let (target, matches) = parts.split_last()?;
    let fixed = Fixed(rule.entry.get(..layout.entry_bytes())?);
    match (verdict(target), &rule.chain) {
        (None, _) => {
            line.push(" -j");
            plain(line, target.name);
        }
        (Some(_), Some(chain)) => {
            line.push(" -j");
            plain(line, chain.as_str().as_bytes());
        }
        (Some(verdict), None) => write_verdict(line, verdict),
    }
    write_fixed(line, &fixed);
    for part in matches {
        line.mark(format_args!("match {} revision {}", part.name.escape_ascii(), part.revision));
    }
    if verdict(target).is_none() && !line.attempt(|line| write_target(line, target)) {
        line.mark(format_args!("target {} revision {}", target.name.escape_ascii(), target.revision));
    }
    Some(())
}

fn write_fixed(line: &mut Line, fixed: &Fixed<'_>) {
    for (at, bit, option) in [(94, NOT_IN, "-i"), (110, NOT_OUT, "-o")] {
        let name = fixed.bytes(at, 16).split(|byte| *byte == 0).next().unwrap_or_default();
        if !name.is_empty() {
            not(line, fixed.is_not(bit));
            write!(line, " {option}");
            plain(line, name);
        }
    }
    for (at, bit, option, mac_at, mac_bit, mac_option) in
        [(0, NOT_SOURCE, "-s", 18, NOT_SOURCE_MAC, "--src-mac"), (4, NOT_TARGET, "-d", 50, NOT_TARGET_MAC, "--dst-mac")]
    {
        address(line, fixed.is_not(bit), option, fixed.bytes(at, 4), fixed.bytes(at + 8, 4));
        hardware(line, fixed.is_not(mac_bit), mac_option, fixed.bytes(mac_at, 16), fixed.bytes(mac_at + 16, 16));
    }
    let length = fixed.bytes(16, 2);
    if let [length, mask] = *length {
        let width = (u16::from(length), u16::from(mask));
        number(line, fixed.is_not(NOT_LENGTH), "--h-length", width, 0xff);
    }
    number(line, fixed.is_not(NOT_OPCODE), "--opcode", fixed.masked(82), u16::MAX);
    number(line, fixed.is_not(NOT_HARDWARE), "--h-type", fixed.masked(86), u16::MAX);
    let (protocol, mask) = fixed.masked(90);
    if mask != 0 {
        not(line, fixed.is_not(NOT_PROTOCOL));
        write!(line, " --proto-type 0x{protocol:x}");
        if mask != u16::MAX {
            write!(line, "/{mask:x}");
        }
    }
}

fn number(line: &mut Line, is_not: bool, option: &str, (value, mask): (u16, u16), whole: u16) {
    if mask == 0 {
        return;
    }
    not(line, is_not);
    write!(line, " {option} {value}");
    if mask != whole {
        write!(line, "/{mask}");
    }
}

/// Without a mask the tool shows nothing, whether inverted or not.
fn address(line: &mut Line, is_not: bool, option: &str, address: &[u8], mask: &[u8]) {
    let (Ok(address), Ok(bits)) = (<[u8; 4]>::try_from(address), <[u8; 4]>::try_from(mask)) else { return };
    if bits == [0; 4] {
        if is_not {
            line.mark(format_args!("! {option} any"));
        }
        return;
    }
    not(line, is_not);
    write!(line, " {option} {}", Ipv4Addr::from(address));
    match prefix_length(mask) {
        Some(32) => {}
        Some(length) => write!(line, "/{length}"),
        None => write!(line, "/{}", Ipv4Addr::from(bits)),
    }
}

fn hardware(line: &mut Line, is_not: bool, option: &str, address: &[u8], mask: &[u8]) {
    let (address, mask) = (address.get(..6).unwrap_or_default(), mask.get(..6).unwrap_or_default());
    if mask.iter().all(|byte| *byte == 0) {
        return;
    }
    not(line, is_not);
    write!(line, " {option} ");
    mac(line, address);
    if mask.iter().any(|byte| *byte != 0xff) {
        line.push("/");
        mac(line, mask);
    }
}

fn mac(line: &mut Line, bytes: &[u8]) {
    let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    line.push(&text.join(":"));
}

fn write_target(line: &mut Line, target: &Part<'_>) -> Option<()> {
    let word = |at: usize| target.info.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    match (target.name, target.revision) {
        (b"mangle", 0) => mangle(line, target.info),
        (b"CLASSIFY", 0) => {
            let class = word(0)?;
            write!(line, " --set-class {:x}:{:x}", class >> 16, class & 0xffff);
            Some(())
        }
        (b"MARK", 2) => {
            let (mark, mask) = (word(0)?, word(4)?);
            match (mark, mask) {
                (0, mask) => write!(line, " --and-mark {:x}", !mask),
                (mark, mask) if mark == mask => write!(line, " --or-mark {mark:x}"),
                // the tool itself sets no mask, and shows none
                (mark, 0 | u32::MAX) => write!(line, " --set-mark {mark:x}"),
                _ => return None,
            }
            Some(())
        }
        _ => None,
    }
}

/// `struct arpt_mangle`: two hardware addresses of 16 bytes, two IP addresses, which of them are meant, the verdict.
fn mangle(line: &mut Line, info: &[u8]) -> Option<()> {
    let flags = *info.get(40)?;
    let address = |at: usize| <[u8; 4]>::try_from(info.get(at..at + 4)?).ok().map(Ipv4Addr::from);
    for (ip_bit, ip_at, mac_bit, mac_at, side) in [(4, 32, 1, 0, 's'), (8, 36, 2, 16, 'd')] {
        if flags & ip_bit != 0 {
            write!(line, " --mangle-ip-{side} {}", address(ip_at)?);
        }
        if flags & mac_bit != 0 {
            write!(line, " --mangle-mac-{side} ");
            mac(line, info.get(mac_at..mac_at + 6)?);
        }
    }
    // NF_DROP, NF_ACCEPT, XT_CONTINUE
    match i32::from_ne_bytes(info.get(44..48)?.try_into().ok()?) {
        0 => line.push(" --mangle-target DROP"),
        1 => {}
        -1 => line.push(" --mangle-target CONTINUE"),
        _ => return None,
    }
    Some(())
}
