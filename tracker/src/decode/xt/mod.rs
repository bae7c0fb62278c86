//! Structures of xtables matches and targets, as `NFTA_MATCH_INFO` and `NFTA_TARGET_INFO` carry them.
//!
//! Layouts are those of the `include/uapi/linux/netfilter*/` headers on a 64-bit machine; pointers the kernel puts at
//! their end are not read. Each is of one revision: the same name has another layout under another number. Bytes of
//! another length than the structure's, padded to 8, give `None`.

mod layout;

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod ipv6;
pub(crate) mod mark;
pub(crate) mod meta;
pub(crate) mod nat;
pub(crate) mod packet;
pub(crate) mod payload;
pub(crate) mod rate;
pub(crate) mod report;
pub(crate) mod set;
pub(crate) mod transport;

pub(crate) use layout::{Name, be16};

use layout::layout;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::mark::Mark;
    use super::meta::{Comment, Owner};
    use super::transport::Tcp;

    #[test]
    fn a_structure_is_read_at_its_offsets() {
        // mark 0x4000, mask 0xc000, inverted, padded from 9 bytes to 16
        let mut info = [0; 16];
        info[..4].copy_from_slice(&0x4000_u32.to_ne_bytes());
        info[4..8].copy_from_slice(&0xc000_u32.to_ne_bytes());
        info[8] = 1;
        let mark = Mark::read(&info).expect("fits");
        assert_eq!((mark.mark, mark.mask, mark.invert), (0x4000, 0xc000, true));
    }

    #[test]
    fn another_length_is_another_structure() {
        assert!(Mark::read(&[0; 9]).is_none() && Mark::read(&[0; 24]).is_none() && Mark::read(&[]).is_none());
        assert!(Owner::read(&[0; 24]).is_some() && Owner::read(&[0; 16]).is_none());
    }

    #[test]
    fn names_end_at_their_nul() {
        let mut info = [0; 256];
        info[..5].copy_from_slice(b"ab\0cd");
        assert_eq!(Comment::read(&info).expect("fits").text.bytes(), b"ab");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(info in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(Mark::read(&info).is_some(), info.len() == 16);
            prop_assert_eq!(Tcp::read(&info).is_some(), info.len() == 16);
        }
    }
}
