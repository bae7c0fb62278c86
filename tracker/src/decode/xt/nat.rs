//! Address translation.

use super::layout;

layout! {
    /// `struct nf_nat_ipv4_multi_range_compat`: revision 0 of the IPv4 targets.
    Range0[20] {
        count: u32 = 0,
        flags: u32 = 4,
        addresses: [[u8; 4]; 2] = 8,
        ports: [u16; 2] = 16,
    }
    /// `struct nf_nat_range`: IPv6 targets, and `SNAT` revision 1.
    Range1[40] {
        flags: u32 = 0,
        addresses: [[u8; 16]; 2] = 4,
        ports: [u16; 2] = 36,
    }
    /// `struct nf_nat_range2`: `DNAT` revision 2.
    Range2[44] {
        flags: u32 = 0,
        addresses: [[u8; 16]; 2] = 4,
        ports: [u16; 2] = 36,
        base: u16 = 40,
    }
}
