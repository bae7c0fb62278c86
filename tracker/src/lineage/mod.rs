//! The lineage stage: which processes there are, where they run and whom they descend from.
//!
//! Most of what changes a node's network lives for a millisecond, and the interesting process is two or three ancestors
//! up. [`ProcessTable`] follows the fork, exec and exit records, fills what was there before from /proc, and makes an
//! [`Actor`](crate::model::process::Actor) of the task in a record at the moment the record is handled: images are
//! values, so what a process executes later does not change what it did before.
//!
//! Limits. What /proc says is only as old as the read: it is used for a process whose start time is the one in the
//! record, and its exe only when the task name fits too. A process that neither the records nor /proc show stays
//! unknown; ids alone never join anything.

mod cgroup;
mod cni;
mod hierarchies;
mod image;
mod learn;
mod placement;
mod pods;
mod procfs;
mod redact;
mod table;
#[cfg(test)]
mod tests;

pub use cgroup::parse as parse_cgroup;
pub(crate) use cgroup::slice_user;
pub use cni::cni_call;
pub use pods::PodNames;
pub use procfs::ProcFs;
pub use redact::redact;
pub use table::{Candidates, Limits, ProcessTable};
