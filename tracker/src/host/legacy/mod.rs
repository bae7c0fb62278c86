//! Changing a legacy table: all of it at once, under the lock that iptables-legacy takes.
//!
//! The table is read again under the lock and must be what the plan was made for. The kernel compares too, but only the
//! number of entries. What others count goes on: the counters that the kernel hands back are added to the rules kept, and
//! rules that come back get those they had.

mod lock;
mod rebuild;
mod sys;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rebuild::Counted;

use super::HostError;
use crate::capture;
use crate::model::digest::Digest;
use crate::model::ids::ChainName;
use crate::model::legacy::{LegacyItem, LegacyPolicy, LegacyRule, LegacyTable};

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
    /// Chains that come, in the order in which they are put in.
    pub chains: Vec<NewChain>,
    /// Rules that come; those at one place in their order.
    pub rules: Vec<NewRule>,
}

/// An empty chain to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChain {
    /// Its name.
    pub name: ChainName,
    /// The chain it stands behind, which may come by the same edit; `None` for the place behind the built-in ones. Chains
    /// have no order but in listings.
    pub after: Option<ChainName>,
}

/// A rule to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// Its chain, which may come by the same edit.
    pub chain: ChainName,
    /// How many of the rules that the chain has before the edit stand ahead of it.
    pub at: usize,
    /// The rule.
    pub rule: LegacyRule,
}

impl LegacyEdit {
    /// An edit that changes nothing yet of the table with the digest `expected`.
    pub fn new(table: LegacyTable, expected: Digest) -> Self {
        Self {
            table,
            expected,
            removed: BTreeSet::new(),
            policies: BTreeMap::new(),
            chains: Vec::new(),
            rules: Vec::new(),
        }
    }
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
    let counted = rebuilt.counted.iter().map(|counted| match counted {
        Counted::Kept(entry) => counters.get(*entry).copied().unwrap_or_default(),
        Counted::Before(counters) => *counters,
    });
    if let Err(error) = socket.add_counters(table, &counted.collect::<Vec<_>>()) {
        // the rules are as planned; what was counted is not worth failing for
        tracing::warn!(%table, error = &error as &dyn std::error::Error, "counters of a legacy table are lost");
    }
    Ok(())
}
