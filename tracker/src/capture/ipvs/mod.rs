//! IPVS over generic netlink. The subsystem notifies nobody: [`IpvsSource`] lists services whenever somebody who saw a
//! request to change them asks it to, in line with the other queues.
//!
//! It is asked only when it is there already. Its family is looked for in a list of all: a question for the name would
//! load its module.

mod listing;
mod source;

pub use listing::{dump, family, is_loaded, service};
pub use source::{IpvsLister, IpvsLook, IpvsLooks, IpvsSource};
