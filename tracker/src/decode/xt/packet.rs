//! Fields of the network header, and changes to the packet.

use super::layout;

layout! {
    /// `struct ipt_ttl_info`, `struct ip6t_hl_info`, and the `TTL` and `HL` targets.
    Hops[2] {
        /// As match: 0 equal, 1 not, 2 below, 3 above; as target: 0 set, 1 more, 2 less.
        mode: u8 = 0,
        value: u8 = 1,
    }
    /// `struct xt_length_info`.
    Length[6] {
        range: [u16; 2] = 0,
        invert: bool = 4,
    }
    /// `struct xt_dscp_info`.
    Dscp[2] {
        dscp: u8 = 0,
        invert: bool = 1,
    }
    /// `struct xt_tos_match_info`: revision 1.
    Tos[3] {
        mask: u8 = 0,
        value: u8 = 1,
        invert: bool = 2,
    }
    /// `struct xt_tos_target_info`: revision 1.
    SetTos[2] {
        value: u8 = 0,
        mask: u8 = 1,
    }
    /// `struct xt_DSCP_info`.
    SetDscp[1] {
        dscp: u8 = 0,
    }
    /// `struct xt_ecn_info`.
    Ecn[4] {
        /// 1 IP, 16 ECE, 32 CWR.
        operation: u8 = 0,
        invert: u8 = 1,
        ect: u8 = 2,
    }
    /// `struct ipt_ECN_info`.
    SetEcn[3] {
        /// 1 IP, 16 ECE, 32 CWR.
        operation: u8 = 0,
        ect: u8 = 1,
        /// 1 ECE, 2 CWR.
        bits: u8 = 2,
    }
    /// `struct xt_CHECKSUM_info`.
    Checksum[1] {
        /// 1 fill.
        operation: u8 = 0,
    }
    /// `struct xt_classify_target_info`.
    Classify[4] {
        priority: u32 = 0,
    }
}
