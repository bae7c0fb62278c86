//! What the server asks of the tracker.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::watch;

use crate::journal::{JournalError, Read};
use crate::model::ids::{ChainName, Handle};
use crate::model::legacy::{LegacyItem, LegacyTable};
use crate::model::live::Ruleset;
use crate::model::nft::TableRef;

use super::api::{OperationView, PlanRequest, PlanView, ResetRequest, StatusView, SwapRequest, SwapView, UndoRequest};

/// The running tracker as the server sees it. Methods may block: the server calls them on threads made for that.
pub trait Node: Send + Sync + 'static {
    /// How the tracker is.
    fn status(&self) -> StatusView;

    /// The journal, for reading.
    fn journal(&self) -> Arc<dyn Read>;

    /// Handles of a chain's rules in the live ruleset, in the order the kernel walks them.
    ///
    /// # Errors
    /// [`NodeError::NoSuchChain`], or [`NodeError::Failed`] when the kernel does not answer.
    fn chain_rules(&self, table: &TableRef, chain: &ChainName) -> Result<Vec<Handle>, NodeError>;

    /// The rules of a chain of a legacy table as it is now, in their order.
    ///
    /// # Errors
    /// [`NodeError::NoSuchLegacyChain`], or [`NodeError::Failed`] when the kernel does not answer.
    fn legacy_rules(&self, table: &LegacyTable, chain: &ChainName) -> Result<Vec<LegacyItem>, NodeError>;

    /// The live ruleset, to be compared with the journal as it is afterwards. Takes a fraction of a second for tens of
    /// thousands of rules.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when the kernel does not answer, or changes more often than it can be read.
    fn ruleset(&self) -> Result<Ruleset, NodeError>;

    /// Marked changed after every append to the journal; followers then read what is new from the journal itself, so a
    /// slow one misses nothing. Dropping the sender ends all followers.
    fn appended(&self) -> watch::Receiver<()>;

    /// What a reset would do. Changes nothing.
    ///
    /// # Errors
    /// [`NodeError`] when the plan cannot be made; a refused object is no error but part of the plan.
    fn plan(&self, request: &PlanRequest) -> Result<PlanView, NodeError>;

    /// What to know before one CNI is swapped for another, or what is left after. Changes nothing.
    ///
    /// # Errors
    /// [`NodeError`] when the journal, the live state or the CNI configurations cannot be read.
    fn swap(&self, request: &SwapRequest) -> Result<SwapView, NodeError>;

    /// Takes back what one owner made, asked for by user `uid`; calls `progress(done, total)` as it goes. With
    /// `dry_run` it checks and changes nothing. The server lets one reset run at a time and has already compared
    /// [`ResetRequest::plan`] with a fresh plan.
    ///
    /// # Errors
    /// [`NodeError`] when nothing was begun; a reset that failed half-way is an [`OperationView`] that says so.
    fn reset(
        &self,
        request: &ResetRequest,
        uid: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<OperationView, NodeError>;

    /// Puts back what an operation took away, asked for by user `uid`; calls `progress(done, total)` as it goes. With
    /// `dry_run` it checks and changes nothing. The server lets one operation run at a time.
    ///
    /// # Errors
    /// [`NodeError`] when nothing was begun; one that failed half-way is an [`OperationView`] that says so.
    fn undo(
        &self,
        request: &UndoRequest,
        uid: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<OperationView, NodeError>;
}

/// Why the tracker could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The live ruleset has no such chain.
    #[error("the ruleset has no chain `{chain}` in table `{table}`")]
    NoSuchChain {
        /// The table.
        table: TableRef,
        /// The chain.
        chain: ChainName,
    },
    /// There is no such chain in a legacy table.
    #[error("there is no chain `{chain}` in legacy table `{table}`")]
    NoSuchLegacyChain {
        /// The table.
        table: LegacyTable,
        /// The chain.
        chain: ChainName,
    },
    /// The journal could not be read or written.
    #[error("cannot use the journal")]
    Journal(#[from] JournalError),
    /// The state of things kept changing, or changed since the plan was made; nothing was done.
    #[error("{what}")]
    Conflict {
        /// What changed.
        what: String,
    },
    /// There is no such operation, or none that can be undone.
    #[error("{what}")]
    NoSuchOperation {
        /// What is missing.
        what: String,
    },
    /// The owner of what was to go still runs and would add it again; nothing was done.
    #[error("{what}")]
    OwnerRuns {
        /// Which programs.
        what: String,
        /// The commands that stop them.
        remedy: String,
    },
    /// The tracker cannot do it now, or not on this machine.
    #[error("{what}")]
    Unavailable {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// Something failed.
    #[error("cannot {operation}")]
    Failed {
        /// What was tried on what.
        operation: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}
