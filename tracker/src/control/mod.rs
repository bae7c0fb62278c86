//! Control: the tracker's socket. HTTP/1.1 with JSON on a Unix socket, so that `curl --unix-socket` works too.
//!
//! [`api`] holds the documents (versioned, shared with the command line tool), [`node`] what the server asks of the
//! tracker, [`server`] the endpoints, [`client`] the other side. Everybody the socket's file mode lets in may read;
//! only user 0, by the kernel's word about the peer, may change anything.

pub mod api;
pub mod client;
mod failure;
pub mod node;
pub mod peer;
mod routes;
pub mod server;
pub mod socket;

pub use node::{Node, NodeError};
pub use server::serve;

#[cfg(test)]
pub(crate) mod tests;
