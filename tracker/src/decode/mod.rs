//! Decode: bytes to observations. Total (any bytes give an answer), no panics, no I/O; what is not understood is kept.

pub mod ioctl;
pub mod ipset;
pub mod ipvs;
pub mod legacy;
pub mod nft;
pub mod request;
pub mod rtnl;
pub mod task;
pub(crate) mod xt;
