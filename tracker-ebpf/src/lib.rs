//! What the kernel side and user space of netdeed agree on. The BPF programs are this crate's binary.
//!
//! [`abi`] is the only definition of the records: the programs fill these structures in ring memory, user space reads
//! fields at their `offset_of!`. A change of any layout needs a new [`abi::ABI_VERSION`].
#![no_std]

pub mod abi;
