//! IP sets, which a rule has by index: the name is not in the rule.

use super::layout;

layout! {
    /// `struct xt_set_info_match_v4`.
    Match4[48] {
        index: u16 = 0,
        dimensions: u8 = 2,
        /// Bit 0 inverted, bits 1 to 6 source of that dimension, bit 7 no match is a match.
        flags: u8 = 3,
        packets: u64 = 8,
        packets_operation: u8 = 16,
        bytes: u64 = 24,
        bytes_operation: u8 = 32,
        options: u32 = 40,
    }
    /// `struct xt_set_info_target_v3`, of which revision 2 is a part in another order.
    Target3[20] {
        add: [u16; 2] = 0,
        delete: [u16; 2] = 4,
        map: [u16; 2] = 8,
        flags: u32 = 12,
        timeout: u32 = 16,
    }
}
