//! Records which process created each firewall rule, link, route and directory of a Linux node, and takes back exactly
//! the part that one owner created.
//!
//! The stages, in the order data flows (see `ARCHITECTURE.md` for what each may not do):
//! [`capture`] -> [`decode`] -> [`lineage`] -> [`attribution`] -> [`journal`] -> [`query`] -> [`control`], and
//! [`journal`] -> [`rollback`] -> [`host`]. [`pipeline`] connects them; [`model`] is the vocabulary they share.

pub mod attribution;
pub mod capture;
pub mod causes;
pub mod config;
pub mod control;
pub mod decode;
pub mod host;
pub mod journal;
pub mod lineage;
pub mod model;
pub mod pipeline;
pub mod query;
pub mod render;
pub mod rollback;
