//! Expressions on what a register holds.

use super::attributes::expression;
use super::data::Data;

expression! {
    /// `NFTA_CMP_*`.
    Compare {
        /// Register compared.
        source: u32 = 1,
        /// `NFT_CMP_*`: 0 equal, 1 not, 2 below, 3 at most, 4 above, 5 at least.
        operation: u32 = 2,
        /// Constant.
        data: Data<'a> = 3,
    }
    /// `NFTA_RANGE_*`.
    Range {
        /// Register compared.
        source: u32 = 1,
        /// 0 in, 1 outside.
        operation: u32 = 2,
        /// First value in it.
        from: Data<'a> = 3,
        /// Last value in it.
        to: Data<'a> = 4,
    }
    /// `NFTA_BITWISE_*`.
    Bitwise {
        /// Register read.
        source: u32 = 1,
        /// Register filled.
        register: u32 = 2,
        /// In bytes.
        length: u32 = 3,
        /// Bits kept.
        mask: Option<Data<'a>> = 4,
        /// Bits then inverted.
        xor: Option<Data<'a>> = 5,
        /// `NFT_BITWISE_*`: 0 mask and xor, 1 shift left, 2 shift right.
        operation: Option<u32> = 6,
        /// By how much to shift.
        data: Option<Data<'a>> = 7,
    }
    /// `NFTA_BYTEORDER_*`.
    Byteorder {
        /// Register read.
        source: u32 = 1,
        /// Register filled.
        register: u32 = 2,
        /// 0 from network to host order, 1 to network order.
        operation: u32 = 3,
        /// In bytes.
        length: u32 = 4,
        /// Bytes of one number.
        size: u32 = 5,
    }
    /// `NFTA_LOOKUP_*`.
    Lookup ignored 4 {
        /// Name of the set.
        set: &'a [u8] = 1,
        /// Register looked up.
        source: u32 = 2,
        /// Register filled from a map; 0 is the verdict.
        register: Option<u32> = 3,
        /// 1: matches what is not in it.
        flags: Option<u32> = 5,
    }
    /// `NFTA_IMMEDIATE_*`.
    Immediate {
        /// Register filled; 0 is the verdict.
        register: u32 = 1,
        /// With what.
        data: Data<'a> = 2,
    }
}
