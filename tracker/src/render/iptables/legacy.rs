//! `iptables-legacy-save` lines from the entries of legacy tables.

use super::super::line::Line;
use super::super::{Rendered, Surroundings};
use super::extension::Extensions;
use super::native::Native;
use super::words::{plain, write_verdict};
use super::{arp, bridge};
use crate::decode::legacy::{Layout, Part, parts, verdict};
use crate::model::legacy::{LegacyFamily, LegacyRule};

/// `IPT_F_FRAG`; `IP6T_F_PROTO` for IPv6, which needs no words.
const FRAGMENT: u8 = 1;
/// `IPT_INV_*`: incoming link, outgoing link, TOS, source, destination, fragment, protocol.
const NOT_IN: u8 = 1;
const NOT_OUT: u8 = 2;
const NOT_SOURCE: u8 = 8;
const NOT_DESTINATION: u8 = 16;
const NOT_FRAGMENT: u8 = 32;
const NOT_PROTOCOL: u8 = 64;

/// `struct ipt_ip` or `struct ip6t_ip6`.
struct Fixed<'a> {
    source: &'a [u8],
    destination: &'a [u8],
    source_mask: &'a [u8],
    destination_mask: &'a [u8],
    links: [&'a [u8]; 2],
    masks: [&'a [u8]; 2],
    protocol: u16,
    flags: u8,
    inverted: u8,
}

impl<'a> Fixed<'a> {
    fn read(is_ipv6: bool, entry: &'a [u8]) -> Option<Self> {
        let width = if is_ipv6 { 16 } else { 4 };
        let address = |place: usize| entry.get(place * width..(place + 1) * width);
        let link = |place: usize| entry.get(4 * width + place * 16..4 * width + (place + 1) * 16);
        let rest = entry.get(4 * width + 64..)?;
        // IPv6 has a traffic class between protocol and flags
        let flags = if is_ipv6 { 3 } else { 2 };
        Some(Self {
            source: address(0)?,
            destination: address(1)?,
            source_mask: address(2)?,
            destination_mask: address(3)?,
            links: [link(0)?, link(1)?],
            masks: [link(2)?, link(3)?],
            protocol: u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?),
            flags: *rest.get(flags)?,
            inverted: *rest.get(flags + 1)?,
        })
    }

    fn is(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }

    /// The mask covers the whole name with its NUL, or the part before a `+`.
    fn link(&self, place: usize, bit: u8) -> Option<(bool, String)> {
        let (name, mask) = (self.links[place], self.masks[place]);
        let covered = mask.iter().position(|byte| *byte == 0).unwrap_or(mask.len());
        let covered = name.get(..covered).filter(|covered| !covered.is_empty())?;
        let end = covered.iter().position(|byte| *byte == 0);
        let text = String::from_utf8_lossy(&covered[..end.unwrap_or(covered.len())]).into_owned();
        Some((self.is(bit), if end.is_none() && covered.len() < name.len() { text + "+" } else { text }))
    }
}

/// `-A CHAIN ...` for a rule of a legacy table, in the words of iptables-legacy-save 1.8.9, arptables-legacy 0.0.5 or
/// ebtables-legacy-save 2.0.11.
pub fn iptables_legacy(
    family: LegacyFamily,
    chain: &str,
    rule: &LegacyRule,
    surroundings: &dyn Surroundings,
) -> Rendered {
    if family == LegacyFamily::Bridge {
        return bridge::line(chain, rule);
    }
    let mut line = Line::new();
    line.push("-A");
    plain(&mut line, chain.as_bytes());
    let written = match family {
        LegacyFamily::Ip | LegacyFamily::Ip6 => write_rule(&mut line, family == LegacyFamily::Ip6, rule, surroundings),
        LegacyFamily::Arp | LegacyFamily::Bridge => arp::write_rule(&mut line, rule),
    };
    if written.is_none() {
        line.mark(format_args!("entry of {} bytes", rule.entry.len()));
    }
    line.finish()
}

fn write_rule(line: &mut Line, is_ipv6: bool, rule: &LegacyRule, surroundings: &dyn Surroundings) -> Option<()> {
    let layout = Layout::of(if is_ipv6 { LegacyFamily::Ip6 } else { LegacyFamily::Ip });
    let fixed = Fixed::read(is_ipv6, &rule.entry)?;
    let parts = parts(layout, &rule.entry);
    let (target, matches) = parts.split_last()?;
    let extensions = Extensions { is_ipv6, surroundings };
    let mut native = Native::new(is_ipv6);
    let wide = |bytes: &[u8]| {
        let mut wide = [0; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        wide
    };
    let source = (fixed.is(NOT_SOURCE), wide(fixed.source), wide(fixed.source_mask));
    let destination = (fixed.is(NOT_DESTINATION), wide(fixed.destination), wide(fixed.destination_mask));
    let number = u8::try_from(fixed.protocol).ok();
    let protocol = number.filter(|number| *number != 0 || fixed.is(NOT_PROTOCOL));
    let fragment = (!is_ipv6 && fixed.flags & FRAGMENT != 0).then(|| fixed.is(NOT_FRAGMENT));
    native.fixed(
        [source, destination],
        [fixed.link(0, NOT_IN), fixed.link(1, NOT_OUT)],
        protocol.map(|number| (fixed.is(NOT_PROTOCOL), number)),
        fragment,
    );
    for part in matches {
        native.extension(|line| write_part(&extensions, line, part));
    }
    native.write(line);
    if number.is_none() {
        line.mark(format_args!("protocol {}", fixed.protocol));
    }
    match (verdict(target), &rule.chain) {
        (None, _) => write_part(&extensions, line, target)?,
        (Some(_), Some(chain)) => {
            let is_goto = fixed.flags & layout.goto_bit() != 0;
            line.push(if is_goto { " -g" } else { " -j" });
            plain(line, chain.as_str().as_bytes());
        }
        (Some(verdict), None) => write_verdict(line, verdict),
    }
    Some(())
}

fn write_part(extensions: &Extensions<'_>, line: &mut Line, part: &Part<'_>) -> Option<()> {
    extensions.write_part(line, part.is_target, part.name, u32::from(part.revision), part.info)
}
