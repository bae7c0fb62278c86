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
        let path = match family {
            LegacyFamily::Ip => "/proc/thread-self/net/ip_tables_names",
            LegacyFamily::Ip6 => "/proc/thread-self/net/ip6_tables_names",
            LegacyFamily::Arp => "/proc/thread-self/net/arp_tables_names",
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
    let socket = sys::Socket::open(table.family).map_err(|error| failed("open a socket for", table, error))?;
    for _ in 0..ATTEMPTS {
        let info = read_info(&socket, layout, table)?;
        let entries = match socket.entries(table, info.size) {
            Ok(entries) => entries,
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => continue,
            Err(error) => return Err(failed("read", table, error)),
        };
        // replaced in between by one of equal size
        if read_info(&socket, layout, table)? != info {
            continue;
        }
        let parsed = legacy::parse(layout, &info, &entries)
            .map_err(|error| failed("understand", table, io::Error::new(io::ErrorKind::InvalidData, error)))?;
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

fn read_info(socket: &sys::Socket, layout: Layout, table: &LegacyTable) -> Result<TableInfo, CaptureError> {
    let bytes = socket.info(table, layout.info_bytes()).map_err(|error| failed("read", table, error))?;
    TableInfo::read(layout, &bytes)
        .map_err(|error| failed("understand", table, io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn failed(operation: &'static str, table: &LegacyTable, source: io::Error) -> CaptureError {
    CaptureError::Io { operation, object: format!("legacy table `{table}`"), source }
}
