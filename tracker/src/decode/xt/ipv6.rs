//! IPv6 extension headers and prefix translation.

use super::layout;

layout! {
    /// `struct ip6t_frag`.
    Frag[16] {
        ids: [u32; 2] = 0,
        length: u32 = 8,
        /// 1 ids, 2 length, 4 reserved, 8 first, 16 more, 32 last.
        flags: u8 = 12,
        invert: u8 = 13,
    }
    /// `struct ip6t_rt`.
    Rt[280] {
        kind: u32 = 0,
        segments_left: [u32; 2] = 4,
        length: u32 = 12,
        /// 1 type, 2 segments left, 4 length, 8 reserved, 16 addresses, 32 not strict.
        flags: u8 = 16,
        invert: u8 = 17,
        addresses: [[u8; 16]; 16] = 20,
        count: u8 = 276,
    }
    /// `struct ip6t_opts`: `hbh` and `dst`.
    Options[40] {
        length: u32 = 0,
        /// 1 length, 2 options, 4 not strict.
        flags: u8 = 4,
        invert: u8 = 5,
        options: [u16; 16] = 6,
        count: u8 = 38,
    }
    /// `struct ip6t_ipv6header_info`.
    Headers[3] {
        matched: u8 = 0,
        invert: u8 = 1,
        soft: bool = 2,
    }
    /// `struct ip6t_ah`.
    Ah[16] {
        spis: [u32; 2] = 0,
        length: u32 = 8,
        reserved: bool = 12,
        /// 1 SPIs, 2 length.
        invert: u8 = 13,
    }
    /// `struct ip6t_mh`.
    Mobility[3] {
        kinds: [u8; 2] = 0,
        invert: u8 = 2,
    }
    /// `struct ip6t_srh`: `srh` revision 0.
    Segments0[10] {
        /// Next header, length, segments left, last entry.
        numbers: [u8; 4] = 0,
        tag: u16 = 4,
        flags: u16 = 6,
        invert: u16 = 8,
    }
    /// `struct ip6t_srh1`.
    Segments1[108] {
        numbers: [u8; 4] = 0,
        tag: u16 = 4,
        /// Of the previous, the next and the last segment.
        addresses: [[u8; 16]; 3] = 8,
        masks: [[u8; 16]; 3] = 56,
        flags: u16 = 104,
        invert: u16 = 106,
    }
    /// `struct ip6t_npt_tginfo`.
    Npt[40] {
        source: [u8; 16] = 0,
        destination: [u8; 16] = 16,
        source_length: u8 = 32,
        destination_length: u8 = 33,
    }
}
