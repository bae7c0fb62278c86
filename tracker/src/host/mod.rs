//! Host: the whole write surface. Only the executor calls it.

pub mod error;
pub mod files;
pub mod nft;
pub mod rtnetlink;

pub use error::HostError;

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone now.
    Removed,
    /// It was gone already.
    AlreadyGone,
}
