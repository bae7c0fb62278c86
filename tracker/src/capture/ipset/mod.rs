//! IP sets over nfnetlink. The subsystem notifies nobody: [`IpSetSource`] lists sets whenever somebody who saw a request
//! to change them asks it to, in line with the other queues.
//!
//! The subsystem is asked only when it is there already: a question would load its module.

mod listing;
mod source;

pub use listing::{dump, header_of, is_loaded};
pub use source::{IpSetLister, IpSetLook, IpSetLooks, IpSetSource};
