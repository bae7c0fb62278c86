//! Legacy xtables: the tables of the calling thread's network namespace, read over raw sockets.
//!
//! Only tables that are there are asked for. A question about another one would make the kernel load a module and make
//! the table.

mod sys;

use std::io;

use crate::capture::CaptureError;
use crate::decode::legacy::{self, Layout, Table, TableInfo};
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyContent, LegacyFamily, LegacyItem, LegacyTable};
use crate::model::subject::{Snapshot, Subject};

/// How often a table that changes while it is read is read again.
const ATTEMPTS: u32 = 8;

/// A table as the kernel gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyDump {
    /// The table.
    pub table: LegacyTable,
    /// The kernel's description of it.
    pub info: TableInfo,
    /// Its entries.
    pub entries: Vec<u8>,
    /// Where in them chains and rules are.
    pub parsed: Table,
}

impl LegacyDump {
    /// What is in it.
    ///
    /// # Errors
    /// [`CaptureError::Io`] when it is no table.
    pub fn content(&self) -> Result<LegacyContent, CaptureError> {
        legacy::content(self.table.clone(), &self.parsed, &self.entries)
            .map_err(|error| failed("understand", &self.table, io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}

/// The tables of this network namespace.
///
/// # Errors
/// [`CaptureError::Io`] when the kernel's list cannot be read.
pub fn tables() -> Result<Vec<LegacyTable>, CaptureError> {
    let mut tables = Vec::new();
    for family in LegacyFamily::ALL {
        if family == LegacyFamily::Bridge {
            tables.extend(bridge_tables()?);
            continue;
        }
        let path = match family {
            LegacyFamily::Ip => "/proc/thread-self/net/ip_tables_names",
            LegacyFamily::Ip6 => "/proc/thread-self/net/ip6_tables_names",
            LegacyFamily::Arp | LegacyFamily::Bridge => "/proc/thread-self/net/arp_tables_names",
        };
        let names = match std::fs::read_to_string(path) {
            Ok(names) => names,
            // this kernel has no such tables, or has not loaded them
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(CaptureError::Io { operation: "read", object: path.to_owned(), source }),
        };
        tables.extend(names.lines().map(|name| LegacyTable { family, name: name.into() }));
    }
    tables.sort_unstable();
    tables.dedup();
    Ok(tables)
}

/// The bridge tables whose module is loaded, as `ebtables-legacy-save` finds them: the kernel lists none. Reading such a
/// table makes it in this network namespace, empty, where it is not there yet (Linux 5.15 and later).
fn bridge_tables() -> Result<Vec<LegacyTable>, CaptureError> {
    let path = "/proc/modules";
    let modules = match std::fs::read_to_string(path) {
        Ok(modules) => modules,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(CaptureError::Io { operation: "read", object: path.to_owned(), source }),
    };
    let names = modules.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("ebtable_"));
    Ok(names.map(|name| LegacyTable { family: LegacyFamily::Bridge, name: name.into() }).collect())
}

/// Reads one table; `None` when it is not there.
///
/// # Errors
/// [`CaptureError::Io`] when the kernel refuses or answers with what is no table, [`CaptureError::Unstable`] when it
/// kept changing.
pub fn dump_table(table: &LegacyTable) -> Result<Option<LegacyDump>, CaptureError> {
    if !tables()?.contains(table) {
        return Ok(None);
    }
    let layout = Layout::of(table.family);
    let is_bridge = table.family == LegacyFamily::Bridge;
    let socket = sys::Socket::open(table.family).map_err(|error| failed("open a socket for", table, error))?;
    for _ in 0..ATTEMPTS {
        let info = read_info(&socket, layout, table)?;
        let entries = match is_bridge {
            true => socket.bridge_entries(table, &info),
            false => socket.entries(table, info.size),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if is_conflict(&error, is_bridge) => continue,
            Err(error) => return Err(failed("read", table, error)),
        };
        // replaced in between by one of equal size
        if read_info(&socket, layout, table)? != info {
            continue;
        }
        let parsed =
            if is_bridge { legacy::bridge::parse(&info, &entries) } else { legacy::parse(layout, &info, &entries) };
        let parsed =
            parsed.map_err(|error| failed("understand", table, io::Error::new(io::ErrorKind::InvalidData, error)))?;
        return Ok(Some(LegacyDump { table: table.clone(), info, entries, parsed }));
    }
    Err(CaptureError::Unstable { object: "a legacy table", attempts: ATTEMPTS })
}

/// Reads the content of every table that is there.
///
/// # Errors
/// As [`dump_table`].
pub fn contents() -> Result<Vec<LegacyContent>, CaptureError> {
    let mut contents = Vec::new();
    for table in tables()? {
        if let Some(dump) = dump_table(&table)? {
            contents.push(dump.content()?);
        }
    }
    Ok(contents)
}

/// Every table, chain and rule that is there, rules in their order.
///
/// # Errors
/// As [`dump_table`].
pub fn dump() -> Result<Vec<(Subject, Snapshot)>, CaptureError> {
    let objects = contents()?.into_iter().flat_map(LegacyContent::into_objects);
    Ok(objects.map(|(subject, snapshot)| (Subject::Legacy(subject), Snapshot::Legacy(snapshot))).collect())
}

/// The rules of a chain by the names they are recorded under, in their order; `None` when there is no such chain.
///
/// # Errors
/// As [`dump_table`].
pub fn rules_of(table: &LegacyTable, chain: &ChainName) -> Result<Option<Vec<LegacyItem>>, CaptureError> {
    let Some(content) = dump_table(table)?.map(|dump| dump.content()).transpose()? else { return Ok(None) };
    if !content.chains.iter().any(|it| it.name == *chain) {
        return Ok(None);
    }
    let items = content.into_objects().into_iter().map(|(subject, _)| subject.item);
    Ok(Some(items.filter(|item| matches!(item, LegacyItem::Rule { chain: its, .. } if its == chain)).collect()))
}

/// Whether the table has another size by now.
fn is_conflict(error: &io::Error, is_bridge: bool) -> bool {
    error.raw_os_error() == Some(if is_bridge { libc::EINVAL } else { libc::EAGAIN })
}

fn read_info(socket: &sys::Socket, layout: Layout, table: &LegacyTable) -> Result<TableInfo, CaptureError> {
    let is_bridge = table.family == LegacyFamily::Bridge;
    let length = if is_bridge { legacy::bridge::REPLACEMENT_BYTES } else { layout.info_bytes() };
    let bytes = socket.info(table, length).map_err(|error| failed("read", table, error))?;
    let info = if is_bridge { legacy::bridge::info(&bytes) } else { TableInfo::read(layout, &bytes) };
    info.map_err(|error| failed("understand", table, io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn failed(operation: &'static str, table: &LegacyTable, source: io::Error) -> CaptureError {
    CaptureError::Io { operation, object: format!("legacy table `{table}`"), source }
}
