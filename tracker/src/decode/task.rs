//! BPF records to observations.
//!
//! Total: any bytes give an observation or an error that says what is wrong. Counts and lengths a record states are
//! never trusted beyond the bytes that are there.

mod notified;
mod reader;

use std::mem::{offset_of, size_of};

use tracker_ebpf::abi::{
    ANCESTORS, Ancestor, Ancestry, CGROUP_PATH_BYTES, COMM_BYTES, CgroupNamed, EXE_BYTES, ExecHead, Exit, Fork, Header,
    IS_IOCTL, IS_MOUNT, IS_SOCKOPT, LENGTH_IS_LOWER_BOUND, MOUNT_PATH_BYTES, Notified, REQUEST_BYTES, RequestClosed,
    RequestOpened, TABLE_CHUNK_BYTES, TABLE_NAME_BYTES, TableChunk, TableOpened, TableReplaced, UNSET_SESSION,
    UNSET_UID, kind, mount, sockopt,
};

use crate::decode::ipvs::NETLINK_GENERIC;
use crate::decode::{ioctl, ipset, ipvs, request};
use crate::model::ids::{NetnsId, Portid, Tgid, Tid};
use crate::model::observation::{
    AncestorRef, CgroupId, IOCTL, MountCall, MountRequest, Observation, Request, SOCKOPT, TaskRef,
};
use crate::model::process::{ProcessKey, Seat};
use crate::model::time::BootTime;

use reader::Reader;

/// `NETLINK_NETFILTER`.
const NETLINK_NETFILTER: u32 = 12;

/// Why a record has no observation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record ends before a field.
    #[error("{record} record of {found} bytes, expected at least {expected}")]
    Short {
        /// What record.
        record: &'static str,
        /// Bytes it has.
        found: usize,
        /// Bytes it needs.
        expected: usize,
    },
    /// The record was made by programs of another version.
    #[error("record of version {found}, expected {}", tracker_ebpf::abi::ABI_VERSION)]
    Version {
        /// Its version.
        found: u16,
    },
    /// There is no such kind of record.
    #[error("record of unknown kind {found}")]
    Kind {
        /// Its kind.
        found: u16,
    },
    /// A table was replaced by an option that is none of the known ones.
    #[error("table replaced by unknown option {option} at level {level}")]
    Option {
        /// Protocol level.
        level: u32,
        /// Option.
        option: u32,
    },
    /// A request about mounts is none of the known calls.
    #[error("request about mounts by unknown call {found}")]
    Mount {
        /// Number of the call.
        found: u32,
    },
    /// A table was replaced whose name could not be read.
    #[error("table replaced without a readable name")]
    Unnamed,
}

/// Decodes one record of the ring.
///
/// # Errors
/// [`DecodeError`] when the bytes are no record of this version.
pub fn decode(record: &[u8]) -> Result<Observation, DecodeError> {
    if record.starts_with(&kind::TABLE_CHUNK.to_ne_bytes()) {
        return chunk(Reader::new("table piece", record, offset_of!(TableChunk, data))?);
    }
    let head = Reader::new("BPF", record, size_of::<Header>())?;
    let version = head.u16(offset_of!(Header, abi));
    if version != tracker_ebpf::abi::ABI_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    match head.u16(offset_of!(Header, kind)) {
        kind::FORK => fork(Reader::new("fork", record, size_of::<Fork>())?),
        kind::EXEC => exec(Reader::new("exec", record, size_of::<ExecHead>())?),
        kind::EXIT => Ok(exit(Reader::new("exit", record, size_of::<Exit>())?)),
        kind::REQUEST_OPENED => opened(Reader::new("request", record, size_of::<RequestOpened>())?),
        kind::REQUEST_CLOSED => Ok(closed(Reader::new("request end", record, size_of::<RequestClosed>())?)),
        kind::TABLE_OPENED => replacing(Reader::new("table begin", record, size_of::<TableOpened>())?),
        kind::TABLE_REPLACED => replaced(Reader::new("table", record, size_of::<TableReplaced>())?),
        kind::CGROUP_NAMED => Ok(named(Reader::new("cgroup", record, size_of::<CgroupNamed>())?)),
        kind::NOTIFIED => Ok(notified::decode(Reader::new("notification", record, size_of::<Notified>())?)),
        found => Err(DecodeError::Kind { found }),
    }
}

/// When the record was made.
fn time(record: Reader<'_>) -> BootTime {
    BootTime(record.u64(offset_of!(Header, time)))
}

fn process(record: Reader<'_>) -> ProcessKey {
    ProcessKey {
        tgid: Tgid(record.u32(offset_of!(Header, tgid))),
        start: BootTime(record.u64(offset_of!(Header, start))),
    }
}

/// The task, with the ancestors found at `ancestry`.
fn task(record: Reader<'_>, ancestry: usize) -> TaskRef {
    let login_uid = record.u32(offset_of!(Header, login_uid));
    let count = record.u32(ancestry + offset_of!(Ancestry, count)).min(ANCESTORS as u32) as usize;
    TaskRef {
        process: process(record),
        tid: Tid(record.u32(offset_of!(Header, tid))),
        comm: record.text(offset_of!(Header, comm), COMM_BYTES),
        uid: record.u32(offset_of!(Header, uid)),
        login_uid: (login_uid != UNSET_UID).then_some(login_uid),
        netns: NetnsId(record.u32(offset_of!(Header, netns))),
        cgroup_id: record.u64(offset_of!(Header, cgroup_id)),
        ancestors: (0..count)
            .map(|index| ancestor(record, ancestry + offset_of!(Ancestry, entries) + index * size_of::<Ancestor>()))
            .collect(),
    }
}

fn ancestor(record: Reader<'_>, at: usize) -> AncestorRef {
    AncestorRef {
        process: ProcessKey {
            tgid: Tgid(record.u32(at + offset_of!(Ancestor, tgid))),
            start: BootTime(record.u64(at + offset_of!(Ancestor, start))),
        },
        comm: record.text(at + offset_of!(Ancestor, comm), COMM_BYTES),
    }
}

fn fork(record: Reader<'_>) -> Result<Observation, DecodeError> {
    Ok(Observation::Fork {
        time: time(record),
        parent: task(record, offset_of!(Fork, ancestry)),
        child: ProcessKey {
            tgid: Tgid(record.u32(offset_of!(Fork, child_tgid))),
            start: BootTime(record.u64(offset_of!(Fork, child_start))),
        },
        inner_tgid: inner_tgid(record.u32(offset_of!(Fork, child_inner_tgid))),
    })
}

fn exec(record: Reader<'_>) -> Result<Observation, DecodeError> {
    let length = |at| record.u32(at) as usize;
    let capacity = length(offset_of!(ExecHead, argv_capacity));
    let argv_bytes = length(offset_of!(ExecHead, argv_bytes)).min(capacity);
    let env_start = size_of::<ExecHead>().saturating_add(capacity);
    let argv = record.area("exec", size_of::<ExecHead>(), argv_bytes)?;
    let env = record.area("exec", env_start, length(offset_of!(ExecHead, env_bytes)))?;
    let exe_bytes = length(offset_of!(ExecHead, exe_bytes)).min(EXE_BYTES);
    let exe = record.area("exec", offset_of!(ExecHead, exe), exe_bytes)?;
    let v1_cgroup = CgroupId {
        hierarchy: record.u32(offset_of!(ExecHead, v1_hierarchy)),
        id: record.u64(offset_of!(ExecHead, v1_cgroup_id)),
    };
    Ok(Observation::Exec {
        time: time(record),
        task: task(record, offset_of!(ExecHead, ancestry)),
        exe: (!exe.is_empty()).then(|| lossy(exe)),
        argv: arguments(argv),
        argv_truncated: length(offset_of!(ExecHead, argv_total)) > argv_bytes,
        cni_env: cni_variables(env),
        seat: seat(record, env),
        v1_cgroup: (v1_cgroup.hierarchy != 0).then_some(v1_cgroup),
    })
}

/// Terminal, login and namespaces of an exec record with this environment.
fn seat(record: Reader<'_>, env: &[u8]) -> Seat {
    let terminal = record.u32(offset_of!(ExecHead, terminal));
    let session = record.u32(offset_of!(ExecHead, audit_session));
    let cookie = record.u64(offset_of!(ExecHead, netns_cookie));
    Seat {
        tty: Seat::terminal(terminal >> 20, terminal & 0xf_ffff),
        audit_session: (session != UNSET_SESSION).then_some(session),
        ssh: variables(env, Seat::SSH.as_bytes()).find(|(name, _)| name == Seat::SSH).map(|(_, value)| value),
        inner_tgid: inner_tgid(record.u32(offset_of!(ExecHead, inner_tgid))),
        netns_cookie: (cookie != 0).then_some(cookie),
    }
}

fn inner_tgid(number: u32) -> Option<Tgid> {
    (number != 0).then_some(Tgid(number))
}

/// Splits an argument area. Every argument ends with NUL, so that the last one may be empty; what has no NUL was cut.
fn arguments(area: &[u8]) -> Vec<String> {
    area.strip_suffix(&[0]).map_or_else(
        || if area.is_empty() { Vec::new() } else { area.split(|byte| *byte == 0).map(lossy).collect() },
        |whole| whole.split(|byte| *byte == 0).map(lossy).collect(),
    )
}

fn cni_variables(area: &[u8]) -> Vec<(String, String)> {
    variables(area, b"CNI_").collect()
}

/// The variables of an environment area whose names begin so; one that was cut is left out, since half a value names
/// something else.
fn variables<'a>(area: &'a [u8], start: &'a [u8]) -> impl Iterator<Item = (String, String)> + 'a {
    area.split_inclusive(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_suffix(&[0]))
        .filter(move |variable| variable.starts_with(start))
        .filter_map(|variable| {
            let equals = variable.iter().position(|byte| *byte == b'=')?;
            Some((lossy(variable.get(..equals)?), lossy(variable.get(equals + 1..)?)))
        })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn named(record: Reader<'_>) -> Observation {
    let path_bytes = (record.u32(offset_of!(CgroupNamed, path_bytes)) as usize).min(CGROUP_PATH_BYTES);
    Observation::CgroupNamed {
        cgroup: CgroupId {
            hierarchy: record.u32(offset_of!(CgroupNamed, hierarchy)),
            id: record.u64(offset_of!(CgroupNamed, id)),
        },
        path: lossy(record.bytes(offset_of!(CgroupNamed, path), path_bytes)),
    }
}

fn exit(record: Reader<'_>) -> Observation {
    Observation::Exit { time: time(record), process: process(record) }
}

fn opened(record: Reader<'_>) -> Result<Observation, DecodeError> {
    if record.u32(offset_of!(RequestOpened, flags)) & IS_MOUNT != 0 {
        return mounting(record);
    }
    let protocol = record.u32(offset_of!(RequestOpened, protocol));
    let length = record.u64(offset_of!(RequestOpened, total_bytes));
    let captured = (record.u32(offset_of!(RequestOpened, data_bytes)) as usize).min(REQUEST_BYTES);
    let data = record.bytes(offset_of!(RequestOpened, data), captured);
    let flags = record.u32(offset_of!(RequestOpened, flags));
    let is_longer = flags & LENGTH_IS_LOWER_BOUND != 0;
    let by = match (flags & IS_IOCTL != 0, flags & IS_SOCKOPT != 0) {
        (true, _) => IOCTL,
        (_, true) => SOCKOPT,
        _ => protocol,
    };
    let (messages, is_cut) = match by {
        IOCTL => (ioctl::messages(protocol, data), false),
        SOCKOPT => (Vec::new(), false),
        _ => request::messages(protocol, data, length),
    };
    // a length that is not known is longer than all that is
    let total = if is_longer { u64::MAX } else { length };
    Ok(Observation::RequestOpened(Request {
        time: time(record),
        task: task(record, offset_of!(RequestOpened, ancestry)),
        protocol: by,
        netns: NetnsId(record.u32(offset_of!(RequestOpened, netns))),
        portid: Portid(record.u32(offset_of!(RequestOpened, portid))),
        length,
        messages,
        is_truncated: is_cut || is_longer,
        ip_sets: if by == NETLINK_NETFILTER { ipset::orders(data, total) } else { Vec::new() },
        ipvs: match by {
            NETLINK_GENERIC => ipvs::orders(data, total),
            SOCKOPT => ipvs::sockopt_order(protocol, data).into_iter().collect(),
            _ => Vec::new(),
        },
    }))
}

fn mounting(record: Reader<'_>) -> Result<Observation, DecodeError> {
    let call = match record.u32(offset_of!(RequestOpened, protocol)) {
        mount::MOUNT => MountCall::Mount,
        mount::UNMOUNT => MountCall::Unmount,
        mount::MOVE => MountCall::Move,
        found => return Err(DecodeError::Mount { found }),
    };
    let path = |at: usize, bytes: usize| {
        let bytes = (record.u32(bytes) as usize).min(MOUNT_PATH_BYTES);
        record.bytes(offset_of!(RequestOpened, data) + at, bytes).to_vec()
    };
    Ok(Observation::MountOpened(MountRequest {
        time: time(record),
        task: task(record, offset_of!(RequestOpened, ancestry)),
        namespace: record.u32(offset_of!(RequestOpened, netns)),
        call,
        flags: record.u64(offset_of!(RequestOpened, total_bytes)),
        target: path(0, offset_of!(RequestOpened, data_bytes)),
        from: path(MOUNT_PATH_BYTES, offset_of!(RequestOpened, reserved)),
    }))
}

fn closed(record: Reader<'_>) -> Observation {
    Observation::RequestClosed {
        time: time(record),
        tid: Tid(record.u32(offset_of!(Header, tid))),
        portid: Portid(record.u32(offset_of!(RequestClosed, portid))),
        result: record.u64(offset_of!(RequestClosed, result)).cast_signed(),
    }
}

fn replacing(record: Reader<'_>) -> Result<Observation, DecodeError> {
    let at = [offset_of!(TableOpened, level), offset_of!(TableOpened, option), offset_of!(TableOpened, table)];
    let (family, table) = table(record, at)?;
    Ok(Observation::TableOpened {
        opened: time(record),
        tid: Tid(record.u32(offset_of!(Header, tid))),
        netns: NetnsId(record.u32(offset_of!(TableOpened, netns))),
        family,
        table,
    })
}

fn chunk(record: Reader<'_>) -> Result<Observation, DecodeError> {
    let version = record.u16(offset_of!(TableChunk, abi));
    if version != tracker_ebpf::abi::ABI_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let count = (record.u32(offset_of!(TableChunk, bytes)) as usize).min(TABLE_CHUNK_BYTES);
    let bytes = record.area("table piece", offset_of!(TableChunk, data), count)?.to_vec();
    Ok(Observation::TableChunk {
        opened: BootTime(record.u64(offset_of!(TableChunk, opened))),
        // the low half is the thread
        tid: Tid(record.u64(offset_of!(TableChunk, thread)) as u32),
        offset: record.u64(offset_of!(TableChunk, offset)),
        bytes,
    })
}

/// Family and name of a table, from where level, option and name stand.
fn table(record: Reader<'_>, [level, option, table]: [usize; 3]) -> Result<(&'static str, String), DecodeError> {
    let (level, option) = (record.u32(level), record.u32(option));
    let family = family(level, option).ok_or(DecodeError::Option { level, option })?;
    let table = record.text(table, TABLE_NAME_BYTES);
    if table.is_empty() { Err(DecodeError::Unnamed) } else { Ok((family, table)) }
}

fn replaced(record: Reader<'_>) -> Result<Observation, DecodeError> {
    let at = [offset_of!(TableReplaced, level), offset_of!(TableReplaced, option), offset_of!(TableReplaced, table)];
    let (family, table) = table(record, at)?;
    Ok(Observation::TableReplaced {
        time: time(record),
        opened: BootTime(record.u64(offset_of!(TableReplaced, opened))),
        total: u64::from(record.u32(offset_of!(TableReplaced, total))),
        copied: u64::from(record.u32(offset_of!(TableReplaced, copied))),
        task: task(record, offset_of!(TableReplaced, ancestry)),
        netns: NetnsId(record.u32(offset_of!(TableReplaced, netns))),
        family,
        table,
        result: record.u64(offset_of!(TableReplaced, result)).cast_signed(),
    })
}

/// The family of a legacy table from the level and option that replaced it. All but IPv6 use `SOL_IP`, each with its own
/// option.
fn family(level: u32, option: u32) -> Option<&'static str> {
    match (level, option) {
        (sockopt::SOL_IP, sockopt::IPT_SO_SET_REPLACE) => Some("ip"),
        (sockopt::SOL_IPV6, sockopt::IPT_SO_SET_REPLACE) => Some("ip6"),
        (sockopt::SOL_IP, sockopt::ARPT_SO_SET_REPLACE) => Some("arp"),
        (sockopt::SOL_IP, sockopt::EBT_SO_SET_ENTRIES) => Some("eb"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
