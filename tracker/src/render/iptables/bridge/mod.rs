//! Rules of bridge tables as `ebtables-legacy -L` 2.0.11 prints them, behind `-A CHAIN` as ebtables-legacy-save has it.

mod packets;
mod words;

use super::super::Rendered;
use super::super::line::Line;
use super::words::{escaped, plain};
use crate::decode::legacy::{Layout, Part, Verdict, parts, verdict};
use crate::model::legacy::{LegacyFamily, LegacyRule};
use words::{ether_type, mac, mac_and_mask, not, number};

/// `EBT_I*`: what of the fixed part is inverted.
const NOT_PROTOCOL: u32 = 1;
const NOT_IN: u32 = 2;
const NOT_OUT: u32 = 4;
const NOT_SOURCE: u32 = 8;
const NOT_DESTINATION: u32 = 16;
const NOT_LOGICAL_IN: u32 = 32;
const NOT_LOGICAL_OUT: u32 = 64;
/// `EBT_NOPROTO` and the like: what of the fixed part is looked at.
const NO_PROTOCOL: u32 = 2;
const LENGTH: u32 = 4;
const SOURCE: u32 = 8;
const DESTINATION: u32 = 16;
/// `EBT_VERDICT_BITS`.
const VERDICT_BITS: i32 = 15;

/// `-A CHAIN ...` for a rule of a bridge table.
pub(super) fn line(chain: &str, rule: &LegacyRule) -> Rendered {
    let mut line = Line::new();
    line.push("-A");
    plain(&mut line, chain.as_bytes());
    line.push(" ");
    if write_rule(&mut line, rule).is_none() {
        line.mark(format_args!("entry of {} bytes", rule.entry.len()));
    }
    let Rendered { text, is_exact } = line.finish();
    Rendered { text: text.trim_end().to_owned(), is_exact }
}

/// As the tool does, each part with a space behind it.
fn write_rule(line: &mut Line, rule: &LegacyRule) -> Option<()> {
    let parts = parts(Layout::of(LegacyFamily::Bridge), &rule.entry);
    let (target, others) = parts.split_last()?;
    write_fixed(line, &rule.entry)?;
    for part in others {
        if !line.attempt(|line| packets::write(line, part)) {
            line.mark(format_args!("match {} revision {}", part.name.escape_ascii(), part.revision));
            line.push(" ");
        }
    }
    line.push("-j ");
    match (verdict(target), &rule.chain) {
        (Some(_), Some(chain)) => line.push(&escaped(chain.as_str().as_bytes())),
        (Some(Verdict::Accept), _) => line.push("ACCEPT"),
        (Some(Verdict::Drop), _) => line.push("DROP"),
        (Some(Verdict::Continue), _) => line.push("CONTINUE"),
        (Some(Verdict::Return), _) => line.push("RETURN"),
        (Some(_), _) => line.mark(format_args!("verdict")),
        (None, _) => {
            line.push(&escaped(target.name));
            if !line.attempt(|line| write_target(line, target)) {
                line.mark(format_args!("{} bytes", target.info.len()));
            }
        }
    }
    Some(())
}

fn write_fixed(line: &mut Line, entry: &[u8]) -> Option<()> {
    let (mask, inverted) = (number(entry, 0)?, number(entry, 4)?);
    if mask & NO_PROTOCOL == 0 {
        line.push("-p ");
        not(line, inverted & NOT_PROTOCOL != 0);
        let protocol = u16::from_be_bytes(entry.get(8..10)?.try_into().ok()?);
        match ether_type(protocol) {
            _ if mask & LENGTH != 0 => line.push("Length "),
            Some(name) => write!(line, "{name} "),
            None => write!(line, "{protocol:#x} "),
        }
    }
    for (bit, inverse, word, at) in [(SOURCE, NOT_SOURCE, "-s ", 74), (DESTINATION, NOT_DESTINATION, "-d ", 86)] {
        if mask & bit != 0 {
            line.push(word);
            not(line, inverted & inverse != 0);
            mac_and_mask(line, entry.get(at..at + 12)?)?;
            line.push(" ");
        }
    }
    let links = [
        (NOT_IN, "-i ", 10),
        (NOT_LOGICAL_IN, "--logical-in ", 26),
        (NOT_LOGICAL_OUT, "--logical-out ", 58),
        (NOT_OUT, "-o ", 42),
    ];
    for (inverse, word, at) in links {
        let name = entry.get(at..at + 16)?.split(|byte| *byte == 0).next().unwrap_or_default();
        if !name.is_empty() {
            line.push(word);
            not(line, inverted & inverse != 0);
            // IF_WILDCARD
            let name: Vec<u8> = name.iter().map(|byte| if *byte == 1 { b'+' } else { *byte }).collect();
            write!(line, "{} ", escaped(&name));
        }
    }
    Some(())
}

/// What follows the name of a target; `None` for one that is not known.
fn write_target(line: &mut Line, target: &Part<'_>) -> Option<()> {
    let info = target.info;
    let signed = |at: usize| number(info, at).map(u32::cast_signed);
    match target.name {
        b"dnat" => {
            line.push(" --to-dst ");
            mac(line, info.get(..6)?);
            write!(line, " --dnat-target {}", target_word(signed(8)?)?);
        }
        b"snat" => {
            line.push(" --to-src ");
            mac(line, info.get(..6)?);
            // NAT_ARP_BIT
            if signed(8)? & 16 == 0 {
                line.push(" --snat-arp");
            }
            write!(line, " --snat-target {}", target_word(signed(8)?)?);
        }
        b"arpreply" => {
            line.push(" --arpreply-mac ");
            mac(line, info.get(..6)?);
            if signed(8)? != -2 {
                write!(line, " --arpreply-target {}", target_word(signed(8)?)?);
            }
        }
        b"redirect" => {
            line.push(" ");
            if signed(0)? != -1 {
                write!(line, " --redirect-target {}", target_word(signed(0)?)?);
            }
        }
        b"mark" => {
            let word = match signed(8)? & !VERDICT_BITS {
                -16 => "set",
                -32 => "or",
                -48 => "and",
                -64 => "xor",
                _ => return None,
            };
            let mark = u64::from_ne_bytes(info.get(..8)?.try_into().ok()?);
            write!(line, " --mark-{word} {mark:#x} --mark-target {}", target_word(signed(8)?)?);
        }
        _ => return None,
    }
    Some(())
}

/// What becomes of the packet behind a target of its own: the low bits of its number.
fn target_word(number: i32) -> Option<&'static str> {
    Some(match number | !VERDICT_BITS {
        -1 => "ACCEPT",
        -2 => "DROP",
        -3 => "CONTINUE",
        -4 => "RETURN",
        _ => return None,
    })
}
