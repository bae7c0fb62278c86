//! Layer 4 headers.

use super::{Name, layout};

layout! {
    /// `struct xt_tcp`.
    Tcp[12] {
        source: [u16; 2] = 0,
        destination: [u16; 2] = 4,
        option: u8 = 8,
        flags_mask: u8 = 9,
        flags: u8 = 10,
        /// 1 source, 2 destination, 4 flags, 8 option.
        invert: u8 = 11,
    }
    /// `struct xt_udp`.
    Udp[10] {
        source: [u16; 2] = 0,
        destination: [u16; 2] = 4,
        /// 1 source, 2 destination.
        invert: u8 = 8,
    }
    /// `struct xt_sctp_info`.
    Sctp[292] {
        destination: [u16; 2] = 0,
        source: [u16; 2] = 4,
        /// One bit per type, 32 in each; the kernel leaves the rest of the 256 bytes unused.
        chunk_map: [u32; 8] = 8,
        /// 1 any, 2 all, 4 only.
        chunk_match: u32 = 264,
        /// Chunk type, flags, mask of flags: four of them.
        chunk_flags: [u8; 12] = 268,
        flag_count: i32 = 280,
        /// 1 source, 2 destination, 4 chunk types.
        flags: u32 = 284,
        invert: u32 = 288,
    }
    /// `struct xt_dccp_info`.
    Dccp[16] {
        destination: [u16; 2] = 0,
        source: [u16; 2] = 4,
        /// 1 source, 2 destination, 4 type, 8 option.
        flags: u16 = 8,
        invert: u16 = 10,
        types: u16 = 12,
        option: u8 = 14,
    }
    /// `struct ipt_icmp` and `struct ip6t_icmp`.
    Icmp[4] {
        kind: u8 = 0,
        code: [u8; 2] = 1,
        invert: u8 = 3,
    }
    /// `struct xt_multiport_v1`.
    Multiport<'a>[48] {
        /// 0 source, 1 destination, 2 either.
        which: u8 = 0,
        count: u8 = 1,
        ports: [u16; 15] = 2,
        /// Whether a port is the first of a range.
        ranges: Name<'a, 15> = 32,
        invert: bool = 47,
    }
    /// `struct xt_esp`, and `struct ipt_ah`.
    Spi[12] {
        spis: [u32; 2] = 0,
        invert: u8 = 8,
    }
    /// `struct xt_tcpmss_match_info`.
    Tcpmss[6] {
        range: [u16; 2] = 0,
        invert: bool = 4,
    }
    /// `struct xt_tcpmss_info`: the target.
    SetTcpmss[2] {
        /// 0xffff: as the path allows.
        size: u16 = 0,
    }
    /// `struct xt_tcpoptstrip_target_info`.
    Tcpoptstrip[32] {
        map: [u32; 8] = 0,
    }
    /// `struct nf_synproxy_info`.
    Synproxy[4] {
        /// 1 segment size, 2 window scale, 4 selective acknowledgement, 8 timestamps, 16 ECN.
        options: u8 = 0,
        window_scale: u8 = 1,
        segment_size: u16 = 2,
    }
}
