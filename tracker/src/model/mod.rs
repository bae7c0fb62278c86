//! The vocabulary: identifiers, objects, processes, owners and changes. Values only: no I/O, and the clocks are read by
//! [`time`] alone.
//!
//! Every serialized type here may be stored in the journal, so changing one is a format change: see
//! [`crate::journal::codec`].

pub mod change;
pub mod digest;
pub mod gap;
pub mod ids;
pub mod ipset;
pub mod ipvs;
pub mod legacy;
pub mod link;
pub mod live;
pub mod mount;
pub mod neighbour;
pub mod nft;
pub mod object;
pub mod observation;
pub mod operation;
pub mod owner;
pub mod path;
pub mod process;
pub mod route;
pub mod subject;
pub mod sysctl;
pub mod time;
pub mod traffic;
