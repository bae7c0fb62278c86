//! Logging, queues and refusals.

use super::super::line::Line;
use super::extension::Extensions;
use super::words::quoted;
use crate::decode::nft::expr;
use crate::decode::xt::report::{Audit, Log, Nflog, Nfqueue, Reject};

/// `enum ipt_reject_with`.
const REJECT: [&str; 9] = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "tcp-reset",
    "icmp-admin-prohibited",
];
/// `enum ip6t_reject_with`.
const REJECT_6: [&str; 9] = [
    "icmp6-no-route",
    "icmp6-adm-prohibited",
    "",
    "icmp6-addr-unreachable",
    "icmp6-port-unreachable",
    "",
    "tcp-reset",
    "icmp6-policy-fail",
    "icmp6-reject-route",
];

pub(super) fn reject4(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    reject(line, &REJECT, info)
}

pub(super) fn reject6(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    reject(line, &REJECT_6, info)
}

fn reject(line: &mut Line, names: &[&str], info: &[u8]) -> Option<()> {
    let with = usize::try_from(Reject::read(info)?.with).ok()?;
    let name = names.get(with).filter(|name| !name.is_empty())?;
    write!(line, " --reject-with {name}");
    Some(())
}

pub(super) fn log(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Log { level, flags, prefix } = Log::read(info)?;
    if !prefix.bytes().is_empty() {
        line.push(" --log-prefix");
        quoted(line, prefix.bytes());
    }
    if level != 4 {
        write!(line, " --log-level {level}");
    }
    let options = [(1, "tcp-sequence"), (2, "tcp-options"), (4, "ip-options"), (8, "uid"), (32, "macdecode")];
    for (_, option) in options.into_iter().filter(|(bit, _)| flags & bit != 0) {
        write!(line, " --log-{option}");
    }
    Some(())
}

pub(super) fn nflog(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Nflog { length, group, threshold, flags, prefix } = Nflog::read(info)?;
    nflog_options(line, prefix.bytes(), group);
    if flags & 1 != 0 {
        write!(line, " --nflog-size {length}");
    } else if length != 0 {
        write!(line, " --nflog-range {length}");
    }
    if threshold != 0 {
        write!(line, " --nflog-threshold {threshold}");
    }
    Some(())
}

/// `NFLOG` as a native expression (since 1.8.8); one without a group is not iptables'.
pub(super) fn native_log(line: &mut Line, log: &expr::Log<'_>) -> Option<()> {
    (log.level.is_none() && log.flags.is_none()).then_some(())?;
    line.push(" -j NFLOG");
    let prefix = log.prefix.unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    nflog_options(line, prefix, log.group?);
    if let Some(length) = log.length.filter(|length| *length != 0) {
        write!(line, " --nflog-size {length}");
    }
    if let Some(threshold) = log.threshold.filter(|threshold| *threshold != 0) {
        write!(line, " --nflog-threshold {threshold}");
    }
    Some(())
}

fn nflog_options(line: &mut Line, prefix: &[u8], group: u16) {
    if !prefix.is_empty() {
        line.push(" --nflog-prefix");
        quoted(line, prefix);
    }
    if group != 0 {
        write!(line, " --nflog-group {group}");
    }
}

pub(super) fn nfqueue(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    let Nfqueue { number, total, flags } = Nfqueue::read(info)?;
    if total > 1 {
        write!(line, " --queue-balance {number}:{}", number.checked_add(total - 1)?);
    } else {
        write!(line, " --queue-num {number}");
    }
    for (bit, option) in [(1, "bypass"), (2, "cpu-fanout")] {
        if flags & bit != 0 {
            write!(line, " --queue-{option}");
        }
    }
    Some(())
}

pub(super) fn audit(_: &Extensions<'_>, line: &mut Line, info: &[u8]) -> Option<()> {
    write!(line, " --type {}", ["accept", "drop", "reject"].get(usize::from(Audit::read(info)?.kind))?);
    Some(())
}
