//! The vocabulary: identifiers, objects, processes, owners and changes. Values only: no I/O, no clock.
//!
//! Every type here may be stored in the journal, so changing a serialized one is a format change: see
//! [`crate::journal::codec`].

pub mod change;
pub mod digest;
pub mod gap;
pub mod ids;
pub mod link;
pub mod nft;
pub mod object;
pub mod observation;
pub mod operation;
pub mod owner;
pub mod path;
pub mod process;
pub mod route;
pub mod subject;
pub mod time;
