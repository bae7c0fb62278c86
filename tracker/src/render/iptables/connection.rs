//! Connection tracking.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::{address, bits, mask, not, plain, range};
use crate::decode::xt::connection::{Cluster, Connbytes, Connlabel, Connlimit, Conntrack, Ct, Ct0, Helper, Nfacct};

/// States in the order `--ctstate` writes them; `XT_CONNTRACK_STATE_BIT`.
const STATES: [(u32, &str); 7] =
    [(1, "INVALID"), (8, "NEW"), (4, "RELATED"), (2, "ESTABLISHED"), (256, "UNTRACKED"), (64, "SNAT"), (128, "DNAT")];
/// `IPS_*`.
const STATUS: [(u32, &str); 4] = [(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];
/// `IPCT_*`.
const EVENTS: [(u32, &str); 9] = [
    (1, "new"),
    (2, "related"),
    (4, "destroy"),
    (8, "reply"),
    (16, "assured"),
    (32, "protoinfo"),
    (64, "helper"),
    (128, "mark"),
    (256, "natseqinfo"),
];

/// The name an extension is written by: some revisions are written by the name of their predecessor.
pub(super) fn alias<'a>(name: &'a str, info: &[u8]) -> &'a str {
    let bit = |at: usize, bit: u16| {
        let bytes = info.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(|bytes| u16::from_ne_bytes(bytes) & bit != 0)
    };
    match name {
        // XT_CONNTRACK_STATE_ALIAS in the match flags
        "conntrack" if bit(146, 1 << 13) => "state",
        // XT_CT_NOTRACK_ALIAS in the flags
        "CT" if bit(0, 2) => "NOTRACK",
        other => other,
    }
}

pub(super) fn state(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    // `struct xt_state_info`: a mask of 4 bytes, padded
    (info.len() == 8).then_some(())?;
    line.push(" --state ");
    states(line, u32::from_ne_bytes(info.get(..4)?.try_into().ok()?))
}

fn states(line: &mut Line, mask: u32) -> Option<()> {
    bits(line, mask, &STATES)
}

pub(super) fn conntrack(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let info = Conntrack::read(info)?;
    let option = |line: &mut Line, bit: u16, option: &str| {
        let is_matched = info.matched & bit != 0;
        if is_matched {
            not(line, info.invert & bit != 0);
            write!(line, " --{option} ");
        }
        is_matched
    };
    if info.matched & 1 << 13 != 0 {
        // of a `state` match nothing else is written
        (info.matched == 1 | 1 << 13).then_some(())?;
        option(line, 1, "state");
        return states(line, u32::from(info.state));
    }
    if option(line, 1, "ctstate") {
        states(line, u32::from(info.state))?;
    }
    if option(line, 2, "ctproto") {
        write!(line, "{}", info.protocol);
    }
    let addresses = [
        (4, "ctorigsrc", info.original_source),
        (8, "ctorigdst", info.original_destination),
        (16, "ctreplsrc", info.reply_source),
        (32, "ctrepldst", info.reply_destination),
    ];
    for (bit, word, [bytes, bytes_mask]) in addresses {
        if option(line, bit, word) {
            write!(line, "{}{}", address(with.is_ipv6, &bytes), mask(with.is_ipv6, &bytes_mask));
        }
    }
    for (index, word) in ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"].iter().enumerate() {
        if option(line, 1 << (8 + index), word) {
            range(line, [info.ports[index], info.ports_high[index].max(info.ports[index])]);
        }
    }
    if option(line, 64, "ctstatus") {
        if info.status == 0 {
            line.push("NONE");
        }
        bits(line, u32::from(info.status), &STATUS)?;
    }
    if option(line, 128, "ctexpire") {
        range(line, info.expires);
    }
    if info.matched & 1 << 12 != 0 {
        line.push(if info.invert & 1 << 12 != 0 { " --ctdir REPLY" } else { " --ctdir ORIGINAL" });
    }
    Some(())
}

pub(super) fn connbytes(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Connbytes { range: [from, to], what, direction } = Connbytes::read(info)?;
    // an inverted range is stored the wrong way round
    let (from, to) = if from > to && to != u64::MAX {
        line.push(" !");
        (to, from)
    } else {
        (from, to)
    };
    match to {
        // an end of 0 is shown like none
        0 | u64::MAX => write!(line, " --connbytes {from}"),
        to => write!(line, " --connbytes {from}:{to}"),
    }
    let what = ["packets", "bytes", "avgpkt"].get(usize::from(what))?;
    let direction = ["original", "reply", "both"].get(usize::from(direction))?;
    write!(line, " --connbytes-mode {what} --connbytes-dir {direction}");
    Some(())
}

pub(super) fn connlimit(with: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Connlimit { mask, limit, flags } = Connlimit::read(info)?;
    line.push(if flags & 1 != 0 { " --connlimit-upto" } else { " --connlimit-above" });
    let used = if with.is_ipv6 { &mask[..] } else { &mask[..4] };
    let side = if flags & 2 != 0 { "daddr" } else { "saddr" };
    write!(line, " {limit} --connlimit-mask {} --connlimit-{side}", super::words::prefix_length(used)?);
    Some(())
}

/// By number: names are in a file of the machine.
pub(super) fn connlabel(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Connlabel { bit, options } = Connlabel::read(info)?;
    not(line, options & 1 != 0);
    write!(line, " --label \"{bit}\"");
    if options & 2 != 0 {
        line.push(" --set");
    }
    Some(())
}

pub(super) fn helper(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Helper { invert, name } = Helper::read(info)?;
    not(line, invert != 0);
    line.push(" --helper");
    super::words::quoted(line, name.bytes());
    Some(())
}

pub(super) fn nfacct(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    // two spaces, as iptables has them
    line.push(" --nfacct-name ");
    super::words::quoted(line, Nfacct::read(info)?.name.bytes());
    Some(())
}

pub(super) fn cluster(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Cluster { total, mask, seed, flags } = Cluster::read(info)?;
    not(line, flags & 1 != 0);
    write!(
        line,
        " --cluster-local-nodemask {mask:#010x} --cluster-total-nodes {total} --cluster-hash-seed {seed:#010x}"
    );
    Some(())
}

pub(super) fn ct(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Ct { flags, zone, events, expectation_events, helper, timeout } = Ct::read(info)?;
    if flags & 2 != 0 {
        return Some(());
    }
    tracking(line, flags, zone, events, expectation_events, helper.bytes(), timeout.bytes())
}

pub(super) fn ct0(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Ct0 { flags, zone, events, expectation_events, helper } = Ct0::read(info)?;
    if flags & 2 != 0 {
        return Some(());
    }
    tracking(line, flags, zone, events, expectation_events, helper.bytes(), &[])
}

fn tracking(
    line: &mut Line,
    flags: u16,
    zone: u16,
    events: u32,
    expectation_events: u32,
    helper: &[u8],
    timeout: &[u8],
) -> Option<()> {
    if flags & 1 != 0 {
        line.push(" --notrack");
    }
    if !helper.is_empty() {
        line.push(" --helper");
        plain(line, helper);
    }
    if !timeout.is_empty() {
        line.push(" --timeout");
        plain(line, timeout);
    }
    if events != 0 {
        line.push(" --ctevents ");
        bits(line, events, &EVENTS)?;
    }
    if expectation_events != 0 {
        // IPEXP_NEW
        (expectation_events == 1).then_some(())?;
        line.push(" --expevents new");
    }
    let option = match flags & 12 {
        0 => "zone",
        4 => "zone-orig",
        8 => "zone-reply",
        _ => return None,
    };
    if flags & 16 != 0 {
        write!(line, " --{option} mark");
    } else if zone != 0 {
        write!(line, " --{option} {zone}");
    }
    Some(())
}

/// Targets without options.
pub(super) fn notrack(_: &Extensions<'_>, _: &mut Line, _: &[u8]) -> Option<()> {
    Some(())
}
