//! A node in namespaces of its own, the real tools acting in it, and the tracker watching: what the integration tests,
//! the demo and the benchmarks share.
//!
//! Everything made here lives in a network namespace, a mount namespace and temporary directories that are made here,
//! and goes away when the [`node::Node`] is dropped, also by a panic.

pub mod accuracy;
pub mod canonical;
pub mod cgroup;
pub mod failure;
pub mod manager;
pub mod namespace;
pub mod node;
pub mod oracle;
pub mod process;
pub mod scenario;
pub mod tracker;
pub mod wait;

pub use failure::{Failure, Result};
