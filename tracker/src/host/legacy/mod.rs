//! Changing a legacy table: all of it at once, under the lock that iptables-legacy takes.
//!
//! The table is read again under the lock and must be what the plan was made for. The kernel compares too, but only the
//! number of entries. What others count goes on: the counters that the kernel hands back are added to the rules kept.

mod lock;
mod rebuild;
mod sys;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::HostError;
use crate::capture;
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyItem, LegacyPolicy, LegacyTable};

/// What is to change in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyEdit {
    /// The table.
    pub table: LegacyTable,
    /// Digest of the table that was planned for, see [`crate::model::legacy::table_digest`].
    pub expected: Digest,
    /// Rules and chains that go.
    pub removed: BTreeSet<LegacyItem>,
    /// Policies that built-in chains get.
    pub policies: BTreeMap<ChainName, LegacyPolicy>,
}

/// Replaces a table by itself with the changes of `edit`.
///
/// # Errors
/// [`HostError::TableConflict`] when it is not the table that was planned for, [`HostError::Io`] when the lock is not to
/// be had or the kernel refuses. Nothing was changed in either case.
pub(super) fn replace(edit: &LegacyEdit) -> Result<(), HostError> {
    let table = &edit.table;
    let failed = |operation: &'static str| {
        move |source: io::Error| HostError::Io { operation, object: format!("legacy table `{table}`"), source }
    };
    let conflict = || HostError::TableConflict { table: table.to_string() };
    let _lock = lock::take().map_err(failed("lock"))?;
    let read = |error: capture::CaptureError| failed("read")(io::Error::other(error));
    let dump = capture::legacy::dump_table(table).map_err(read)?.ok_or_else(conflict)?;
    let content = dump.content().map_err(read)?;
    if content.digest() != edit.expected {
        return Err(conflict());
    }
    let malformed = |error| failed("rebuild")(io::Error::new(io::ErrorKind::InvalidData, error));
    let rebuilt = rebuild::rebuild(&dump, &content, edit).map_err(malformed)?;
    let socket = sys::Socket::open(table.family).map_err(failed("open a socket for"))?;
    let counters = match socket.replace(rebuilt.replacement, rebuilt.counters_at, dump.info.num_entries) {
        Ok(counters) => counters,
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Err(conflict()),
        Err(error) => return Err(failed("replace")(error)),
    };
    let kept: Vec<[u8; 16]> =
        rebuilt.kept.iter().map(|entry| counters.get(*entry).copied().unwrap_or_default()).collect();
    if let Err(error) = socket.add_counters(table, &kept) {
        // the rules are as planned; what was counted is not worth failing for
        tracing::warn!(%table, error = &error as &dyn std::error::Error, "counters of a legacy table are lost");
    }
    Ok(())
}
