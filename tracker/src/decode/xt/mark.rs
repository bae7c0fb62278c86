//! Marks.

use super::layout;

layout! {
    /// `struct xt_mark_mtinfo1`: `mark` revision 1; `connmark` revision 1 is the same.
    Mark[12] {
        mark: u32 = 0,
        mask: u32 = 4,
        invert: bool = 8,
    }
    /// `struct xt_mark_tginfo2`: `MARK` revision 2.
    SetMark[8] {
        mark: u32 = 0,
        mask: u32 = 4,
    }
    /// `struct xt_connmark_tginfo1`: `CONNMARK` revision 1.
    SetConnmark1[16] {
        ctmark: u32 = 0,
        ctmask: u32 = 4,
        nfmask: u32 = 8,
        /// 0 set, 1 save, 2 restore.
        mode: u8 = 12,
    }
    /// `struct xt_connmark_tginfo2`: `CONNMARK` revision 2.
    SetConnmark2[16] {
        ctmark: u32 = 0,
        ctmask: u32 = 4,
        nfmask: u32 = 8,
        /// 0 left, 1 right.
        shift_direction: u8 = 12,
        shift_bits: u8 = 13,
        mode: u8 = 14,
    }
    /// `struct xt_tproxy_target_info`: `TPROXY` revision 0.
    Tproxy0[16] {
        mark_mask: u32 = 0,
        mark_value: u32 = 4,
        address: [u8; 4] = 8,
        port: u16 = 12,
    }
    /// `struct xt_tproxy_target_info_v1`: `TPROXY` revision 1.
    Tproxy1[28] {
        mark_mask: u32 = 0,
        mark_value: u32 = 4,
        address: [u8; 16] = 8,
        port: u16 = 24,
    }
    /// `struct xt_connsecmark_target_info`.
    Connsecmark[1] {
        /// 1 save, 2 restore.
        mode: u8 = 0,
    }
    /// `struct xt_hmark_info`.
    Hmark[60] {
        source_mask: [u8; 16] = 0,
        destination_mask: [u8; 16] = 16,
        /// Bit n: what the nth option of `enum` in the header sets; ports at 32 and protocol at 44 are not read.
        flags: u32 = 40,
        random: u32 = 48,
        modulus: u32 = 52,
        offset: u32 = 56,
    }
}
