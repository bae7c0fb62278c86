//! The pipeline: connects the stages. Two threads: the [`capture_loop`] empties the kernel's queues, the [`recorder`]
//! decodes, attributes and writes the journal; between them a bounded channel.
//!
//! Nothing here knows a wire format, an owner rule or a key of the journal.

mod attach;
pub mod capture_loop;
pub mod command;
pub mod effects;
pub mod ip_sets;
pub mod ipvs;
mod ledger;
pub mod legacy;
pub mod node;
pub mod recorder;
pub mod restored;
mod running;
mod sources;
pub mod start;
pub mod status;
mod swap;
mod undo;
pub mod world;
