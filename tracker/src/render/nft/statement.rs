//! Statements that use no registers, and those that are little more than their operands.

use super::Rule;
use super::context::{NETWORK, TRANSPORT};
use super::datatype::Datatype;
use super::protocol::Protocol;
use super::symbols::{ICMP_CODES, ICMPV6_CODES, ICMPX_CODES};
use super::value::{quoted, word};
use crate::decode::nft::expr::{Data, Duplicate, Forward, Kind, Limit, Log, ObjectReference, Queue, Quota, Reject};
use crate::model::nft::Family;

/// `accept`, `jump chain` and so on.
pub(super) fn verdict(data: Data<'_>) -> Option<String> {
    let Data::Verdict { code, chain } = data else { return None };
    let chain = match chain {
        None => None,
        // a chain that is part of the rule is written there, in lines of its own
        Some(chain) => Some(word(chain).filter(|chain| !chain.starts_with("__chain"))?),
    };
    Some(match (code, chain) {
        (0, None) => "drop".to_owned(),
        (1, None) => "accept".to_owned(),
        (-1, None) => "continue".to_owned(),
        (-2, None) => "break".to_owned(),
        (-5, None) => "return".to_owned(),
        (-3, Some(chain)) => format!("jump {chain}"),
        (-4, Some(chain)) => format!("goto {chain}"),
        _ => return None,
    })
}

/// A statement that uses no registers, and so may stand in a set as well.
pub(super) fn plain(kind: &Kind<'_>) -> Option<String> {
    match kind {
        Kind::Counter(_) => Some("counter".to_owned()),
        Kind::Notrack => Some("notrack".to_owned()),
        // when it was is left out, as are counters
        Kind::Last(_) => Some("last".to_owned()),
        Kind::Limit(limit) => self::limit(limit),
        Kind::Quota(quota) => self::quota(quota),
        Kind::Log(log) => self::log(log),
        Kind::Connlimit(connlimit) => {
            let over = if connlimit.flags.unwrap_or_default() & 1 != 0 { "over " } else { "" };
            Some(format!("ct count {over}{}", connlimit.count))
        }
        Kind::FlowOffload(offload) => Some(format!("flow add @{}", word(offload.flowtable)?)),
        Kind::Synproxy(synproxy) => {
            (synproxy.flags & !0xf == 0).then_some(())?;
            let mut text = "synproxy".to_owned();
            let mut word = |bit: u32, word: String| {
                if synproxy.flags & bit != 0 {
                    text.push_str(&word);
                }
            };
            word(1, format!(" mss {}", synproxy.segment_size));
            word(2, format!(" wscale {}", synproxy.window_scale));
            word(8, " timestamp".to_owned());
            word(4, " sack-perm".to_owned());
            Some(text)
        }
        _ => None,
    }
}

/// A volume with the largest unit that leaves nothing over.
fn volume(bytes: u64) -> (u64, &'static str) {
    match bytes {
        bytes if bytes == 0 || bytes % 1024 != 0 => (bytes, "bytes"),
        bytes if bytes % (1024 * 1024) != 0 => (bytes / 1024, "kbytes"),
        bytes => (bytes / (1024 * 1024), "mbytes"),
    }
}

fn limit(limit: &Limit<'_>) -> Option<String> {
    let over = if limit.flags.unwrap_or_default() & 1 != 0 { "over " } else { "" };
    let unit = match limit.unit {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => return None,
    };
    match limit.kind {
        0 => {
            let burst = match limit.burst {
                0 | 5 => String::new(),
                burst => format!(" burst {burst} packets"),
            };
            Some(format!("limit rate {over}{}/{unit}{burst}", limit.rate))
        }
        1 => {
            let (rate, size) = volume(limit.rate);
            let burst = match (limit.burst, volume(u64::from(limit.burst))) {
                (0, _) => String::new(),
                (_, (burst, size)) => format!(" burst {burst} {size}"),
            };
            Some(format!("limit rate {over}{rate} {size}/{unit}{burst}"))
        }
        _ => None,
    }
}

fn quota(quota: &Quota<'_>) -> Option<String> {
    let over = if quota.flags.unwrap_or_default() & 1 != 0 { "over " } else { "" };
    let (number, size) = volume(quota.limit);
    Some(format!("quota {over}{number} {size}"))
}

fn log(log: &Log<'_>) -> Option<String> {
    const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"];
    let mut text = "log".to_owned();
    if let Some(prefix) = log.prefix {
        text.push_str(" prefix ");
        quoted(&mut text, prefix.split(|byte| *byte == 0).next()?)?;
    }
    let mut option = |word: &str, value: Option<u32>| {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    };
    option("group", log.group.map(u32::from));
    option("snaplen", log.length.filter(|length| *length != 0));
    option("queue-threshold", log.threshold.filter(|threshold| *threshold != 0).map(u32::from));
    if let Some(level) = log.level.filter(|level| *level != 4) {
        text.push_str(&format!(" level {}", LEVELS.get(usize::try_from(level).ok()?)?));
    }
    let flags = log.flags.unwrap_or_default();
    (flags & !0x2f == 0).then_some(())?;
    if flags == 0x2f {
        text.push_str(" flags all");
        return Some(text);
    }
    match flags & 3 {
        1 => text.push_str(" flags tcp sequence"),
        2 => text.push_str(" flags tcp options"),
        3 => text.push_str(" flags tcp sequence,options"),
        _ => {}
    }
    for (bit, word) in [(4, "ip options"), (8, "skuid"), (32, "ether")] {
        if flags & bit != 0 {
            text.push_str(&format!(" flags {word}"));
        }
    }
    Some(text)
}

impl<'a> Rule<'a> {
    pub(super) fn reject(&mut self, reject: &Reject<'_>) -> Option<()> {
        let code = u32::from(reject.code.unwrap_or_default());
        let named = |names: &[(u32, &str)]| {
            let name = names.iter().find(|(number, _)| *number == code).map(|(_, name)| (*name).to_owned());
            name.unwrap_or_else(|| code.to_string())
        };
        let family = self.context.family;
        let is_mixed = matches!(family, Family::Inet | Family::Bridge | Family::Netdev);
        let text = match (reject.kind, self.context.network) {
            (1, _) => "reject with tcp reset".to_owned(),
            (2, _) if code == 1 => "reject".to_owned(),
            (2, _) => format!("reject with icmpx {}", named(ICMPX_CODES)),
            (0, Some(Protocol::Ip)) if code == 3 && !is_mixed => "reject".to_owned(),
            (0, Some(Protocol::Ip)) => format!("reject with icmp {}", named(ICMP_CODES)),
            (0, Some(Protocol::Ip6)) if code == 4 && !is_mixed => "reject".to_owned(),
            (0, Some(Protocol::Ip6)) => format!("reject with icmpv6 {}", named(ICMPV6_CODES)),
            _ => return None,
        };
        let base = match (is_mixed, reject.kind) {
            (true, 2) => None,
            (true, _) => Some(NETWORK),
            (false, 1) => Some(TRANSPORT),
            (false, _) => None,
        };
        if let Some(base) = base {
            let needless = self.context.release(base);
            self.leave_out(needless);
        }
        self.push(text)
    }

    pub(super) fn object(&mut self, reference: &ObjectReference<'a>) -> Option<()> {
        // NFT_OBJECT_*, which maps of objects have in the set
        let kind = match (reference.kind, reference.set) {
            (Some(kind), None) => kind,
            (None, Some(set)) => {
                let content = self.content(set)?;
                // NFTA_SET_OBJ_TYPE = 15
                let kind = crate::decode::nft::attribute::fields::<16>(&content.attributes).ok()?[15]?;
                u32::from_be_bytes(kind.try_into().ok()?)
            }
            _ => return None,
        };
        let words = match kind {
            1 => "counter name",
            2 => "quota name",
            3 => "ct helper set",
            4 => "limit name",
            7 => "ct timeout set",
            8 => "meta secmark set",
            9 => "ct expectation set",
            10 => "synproxy name",
            _ => return None,
        };
        let mut text = format!("{words} ");
        match reference.set {
            None => quoted(&mut text, reference.name?.split(|byte| *byte == 0).next()?)?,
            Some(set) => {
                let parts = self.key_parts(set, reference.source?)?;
                text.push_str(&self.object_map_text(&parts, set)?);
            }
        }
        self.push(text)
    }

    pub(super) fn duplicate(&mut self, duplicate: &Duplicate<'_>) -> Option<()> {
        let (address, device) = match (duplicate.address, duplicate.device) {
            (Some(address), device) => (address, device),
            (None, Some(device)) => {
                let device = self.register_text(device, Datatype::Ifindex)?;
                return self.push(format!("dup to {device}"));
            }
            (None, None) => return None,
        };
        let kind = match self.context.family {
            Family::Ip => Datatype::Ipv4,
            Family::Ip6 => Datatype::Ipv6,
            _ => return None,
        };
        let mut text = format!("dup to {}", self.register_text(address, kind)?);
        if let Some(device) = device {
            text.push_str(&format!(" device {}", self.register_text(device, Datatype::Ifindex)?));
        }
        self.push(text)
    }

    /// As nft 1.0 and later write it.
    pub(super) fn queue(&mut self, queue: &Queue<'_>) -> Option<()> {
        let mut text = "queue".to_owned();
        let flags = queue.flags.unwrap_or_default();
        (flags & !3 == 0).then_some(())?;
        text.push_str(["", " flags bypass", " flags fanout", " flags bypass,fanout"][usize::from(flags)]);
        let (first, total) = (queue.number.unwrap_or_default(), queue.total.unwrap_or_default());
        text.push_str(" to ");
        text.push_str(&match (queue.source, total) {
            (Some(register), _) => self.register_text(register, Datatype::Integer)?,
            (None, 0 | 1) => first.to_string(),
            (None, total) => format!("{first}-{}", first.wrapping_add(total - 1)),
        });
        self.push(text)
    }

    pub(super) fn forward(&mut self, forward: &Forward<'_>) -> Option<()> {
        let device = self.register_text(forward.device?, Datatype::Ifindex)?;
        let text = match (forward.address, forward.family) {
            (None, _) => format!("fwd to {device}"),
            (Some(address), Some(2)) => {
                format!("fwd ip to {} device {device}", self.register_text(address, Datatype::Ipv4)?)
            }
            (Some(address), Some(10)) => {
                format!("fwd ip6 to {} device {device}", self.register_text(address, Datatype::Ipv6)?)
            }
            _ => return None,
        };
        self.push(text)
    }
}
