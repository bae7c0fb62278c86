//! TCP options, IPv6 extension headers, IPv4 options and SCTP chunks.

use super::datatype::Datatype;
use super::keys::named;
use super::registers::Load;
use crate::decode::nft::expr::Exthdr;

/// Offset and length in bits, name, type.
type Field = (u32, u32, &'static str, Datatype);
/// Number, name, fields.
type Header = (u8, &'static str, &'static [Field]);

use Datatype::{Integer, Protocol};

const TCP: &[Header] = &[
    (0, "eol", &[]),
    (1, "nop", &[]),
    (2, "maxseg", &[(8, 8, "length", Integer), (16, 16, "size", Integer)]),
    (3, "window", &[(8, 8, "length", Integer), (16, 8, "count", Integer)]),
    (4, "sack-perm", &[(8, 8, "length", Integer)]),
    (5, "sack", &[(8, 8, "length", Integer), (16, 32, "left", Integer), (48, 32, "right", Integer)]),
    (8, "timestamp", &[(8, 8, "length", Integer), (16, 32, "tsval", Integer), (48, 32, "tsecr", Integer)]),
    (19, "md5sig", &[(8, 8, "length", Integer)]),
    (30, "mptcp", &[(8, 8, "length", Integer)]),
    (34, "fastopen", &[(8, 8, "length", Integer)]),
];
const IPV6: &[Header] = &[
    (0, "hbh", &[(0, 8, "nexthdr", Protocol), (8, 8, "hdrlength", Integer)]),
    (
        43,
        "rt",
        &[
            (0, 8, "nexthdr", Protocol),
            (8, 8, "hdrlength", Integer),
            (16, 8, "type", Integer),
            (24, 8, "seg-left", Integer),
        ],
    ),
    (44, "frag", &[(0, 8, "nexthdr", Protocol), (8, 8, "reserved", Integer), (32, 32, "id", Integer)]),
    (60, "dst", &[(0, 8, "nexthdr", Protocol), (8, 8, "hdrlength", Integer)]),
    (
        135,
        "mh",
        &[
            (0, 8, "nexthdr", Protocol),
            (8, 8, "hdrlength", Integer),
            (16, 8, "type", Datatype::MhType),
            (24, 8, "reserved", Integer),
            (32, 16, "checksum", Integer),
        ],
    ),
];
const IPV4: &[Header] = &[
    (
        7,
        "rr",
        &[(0, 8, "type", Integer), (8, 8, "length", Integer), (16, 8, "ptr", Integer), (24, 32, "addr", Integer)],
    ),
    (
        131,
        "lsrr",
        &[(0, 8, "type", Integer), (8, 8, "length", Integer), (16, 8, "ptr", Integer), (24, 32, "addr", Integer)],
    ),
    (
        137,
        "ssrr",
        &[(0, 8, "type", Integer), (8, 8, "length", Integer), (16, 8, "ptr", Integer), (24, 32, "addr", Integer)],
    ),
    (148, "ra", &[(0, 8, "type", Integer), (8, 8, "length", Integer), (16, 16, "value", Integer)]),
];
const SCTP_COMMON: &[Field] = &[(0, 8, "type", Integer), (8, 8, "flags", Integer), (16, 16, "length", Integer)];
const SCTP: &[Header] = &[
    (0, "data", SCTP_COMMON),
    (
        1,
        "init",
        &[
            (0, 8, "type", Integer),
            (8, 8, "flags", Integer),
            (16, 16, "length", Integer),
            (32, 32, "init-tag", Integer),
            (64, 32, "a-rwnd", Integer),
        ],
    ),
    (2, "init-ack", SCTP_COMMON),
    (3, "sack", SCTP_COMMON),
    (4, "heartbeat", SCTP_COMMON),
    (5, "heartbeat-ack", SCTP_COMMON),
    (6, "abort", SCTP_COMMON),
    (7, "shutdown", SCTP_COMMON),
    (8, "shutdown-ack", SCTP_COMMON),
    (9, "error", SCTP_COMMON),
    (10, "cookie-echo", SCTP_COMMON),
    (11, "cookie-ack", SCTP_COMMON),
];

/// What is loaded, or the field that is written.
pub(super) fn load(exthdr: &Exthdr<'_>) -> Option<Load<'static>> {
    let (offset, length) = (exthdr.offset.unwrap_or_default(), exthdr.length.unwrap_or_default());
    let bytes = usize::try_from(length).ok()?;
    let is_presence = exthdr.flags.unwrap_or_default() & 1 != 0;
    let operation = exthdr.operation.unwrap_or_default();
    let headers = [IPV6, TCP, IPV4, SCTP].get(usize::try_from(operation).ok()?)?;
    let prefix = ["", "tcp option ", "ip option ", "sctp chunk "].get(usize::try_from(operation).ok()?)?;
    let header = headers.iter().find(|(number, ..)| *number == exthdr.kind);
    if is_presence {
        let prefix = if operation == 0 { "exthdr " } else { prefix };
        let text = match header {
            Some((_, name, _)) => format!("{prefix}{name}"),
            None if operation == 1 => format!("{prefix}{}", exthdr.kind),
            None => return None,
        };
        return Some(named(text, Datatype::Boolean, 1));
    }
    let (_, name, fields) = header?;
    let at = |field: &&Field| field.0 == offset.saturating_mul(8) && field.1 == length.saturating_mul(8);
    let (_, _, field, kind) = fields.iter().find(at)?;
    // the second and later blocks of these have names of their own
    Some(named(format!("{prefix}{name} {field}"), *kind, bytes))
}

/// The option that is removed.
pub(super) fn removed(exthdr: &Exthdr<'_>) -> Option<String> {
    (exthdr.operation == Some(1)).then_some(())?;
    let name = TCP.iter().find(|(number, ..)| *number == exthdr.kind)?.1;
    Some(format!("reset tcp option {name}"))
}
