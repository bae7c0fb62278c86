//! nf_tables over nfnetlink: the notifications of one network namespace, and consistent dumps of it.
//!
//! Sockets belong to the network namespace of the thread that opens them, whatever it does later.

mod dump;
pub(in crate::capture) mod request;
mod source;

pub use dump::{NftDump, dump, dump_chain, generation};
pub use source::NftSource;
