//! Connection tracking.

use super::{Name, layout};

layout! {
    /// `struct xt_conntrack_mtinfo3`: revision 3; `state` is the same with bit 13 set.
    Conntrack[164] {
        /// Address and mask.
        original_source: [[u8; 16]; 2] = 0,
        original_destination: [[u8; 16]; 2] = 32,
        reply_source: [[u8; 16]; 2] = 64,
        reply_destination: [[u8; 16]; 2] = 96,
        expires: [u32; 2] = 128,
        protocol: u16 = 136,
        /// Original source and destination, reply source and destination.
        ports: [u16; 4] = 138,
        /// `XT_CONNTRACK_*`.
        matched: u16 = 146,
        invert: u16 = 148,
        state: u16 = 150,
        status: u16 = 152,
        ports_high: [u16; 4] = 154,
    }
    /// `struct xt_connbytes_info`.
    Connbytes[24] {
        range: [u64; 2] = 0,
        /// 0 packets, 1 bytes, 2 bytes per packet.
        what: u8 = 16,
        /// 0 original, 1 reply, 2 both.
        direction: u8 = 17,
    }
    /// `struct xt_connlimit_info`: revision 1.
    Connlimit[32] {
        mask: [u8; 16] = 0,
        limit: u32 = 16,
        /// 1 inverted, 2 destination.
        flags: u32 = 20,
    }
    /// `struct xt_connlabel_mtinfo`.
    Connlabel[4] {
        bit: u16 = 0,
        /// 1 inverted, 2 set.
        options: u16 = 2,
    }
    /// `struct xt_helper_info`.
    Helper<'a>[36] {
        invert: i32 = 0,
        name: Name<'a, 30> = 4,
    }
    /// `struct xt_nfacct_match_info` and `xt_nfacct_match_info_v1`.
    Nfacct<'a>[40] {
        name: Name<'a, 32> = 0,
    }
    /// `struct xt_cluster_match_info`.
    Cluster[16] {
        total: u32 = 0,
        mask: u32 = 4,
        seed: u32 = 8,
        /// 1 inverted.
        flags: u32 = 12,
    }
    /// `struct xt_ct_target_info_v1`: `CT` revisions 1 and 2.
    Ct<'a>[72] {
        /// 1 no tracking, 2 written as `NOTRACK`, 4 and 8 zone of one direction, 16 zone is the mark.
        flags: u16 = 0,
        zone: u16 = 2,
        events: u32 = 4,
        expectation_events: u32 = 8,
        helper: Name<'a, 16> = 12,
        timeout: Name<'a, 32> = 28,
    }
    /// `struct xt_ct_target_info`: revision 0.
    Ct0<'a>[40] {
        flags: u16 = 0,
        zone: u16 = 2,
        events: u32 = 4,
        expectation_events: u32 = 8,
        helper: Name<'a, 16> = 12,
    }
}
