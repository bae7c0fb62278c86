//! Expressions that fill a register, some of which can write as well.
//!
//! A register is `NFT_REG_*`: 0 the verdict, 1 to 4 of 16 bytes each, 8 to 23 the same bytes in pieces of 4.

use super::attributes::expression;

expression! {
    /// `NFTA_PAYLOAD_*`: bytes of the packet; a write where `source` is.
    Payload {
        /// Register to fill.
        register: Option<u32> = 1,
        /// `NFT_PAYLOAD_*`: 0 link layer, 1 network, 2 transport header, 3 what is inside.
        base: u32 = 2,
        /// From the start of the header, in bytes.
        offset: u32 = 3,
        /// In bytes.
        length: u32 = 4,
        /// Register to write from.
        source: Option<u32> = 5,
        /// `NFT_PAYLOAD_CSUM_*`: which checksum to correct.
        checksum_kind: Option<u32> = 6,
        /// Where it is, in bytes.
        checksum_offset: Option<u32> = 7,
        /// 1: correct the transport header's checksum too.
        checksum_flags: Option<u32> = 8,
    }
    /// `NFTA_META_*`; a write where `source` is.
    Meta {
        /// Register to fill.
        register: Option<u32> = 1,
        /// `NFT_META_*`.
        key: u32 = 2,
        /// Register to write from.
        source: Option<u32> = 3,
    }
    /// `NFTA_CT_*`; a write where `source` is.
    Ct {
        /// Register to fill.
        register: Option<u32> = 1,
        /// `NFT_CT_*`.
        key: u32 = 2,
        /// 0 original, 1 reply.
        direction: Option<u8> = 3,
        /// Register to write from.
        source: Option<u32> = 4,
    }
    /// `NFTA_RT_*`.
    Rt {
        /// Register to fill.
        register: u32 = 1,
        /// `NFT_RT_*`: 0 class id, 1 and 2 next hop, 3 TCP segment size, 4 whether IPsec applies.
        key: u32 = 2,
    }
    /// `NFTA_SOCKET_*`.
    Socket {
        /// `NFT_SOCKET_*`: 0 transparent, 1 mark, 2 wildcard, 3 cgroup v2.
        key: u32 = 1,
        /// Register to fill.
        register: u32 = 2,
        /// Ancestor level of the cgroup.
        level: Option<u32> = 3,
    }
    /// `NFTA_OSF_*`.
    Osf {
        /// Register to fill.
        register: u32 = 1,
        /// 0 strict, 1 loose, 2 the TTL is not compared.
        ttl: Option<u8> = 2,
        /// 1: with version.
        flags: Option<u32> = 3,
    }
    /// `NFTA_FIB_*`.
    Fib {
        /// Register to fill.
        register: u32 = 1,
        /// `NFT_FIB_RESULT_*`: 1 number, 2 name of the link, 3 address type.
        result: u32 = 2,
        /// `NFTA_FIB_F_*`: 1 source, 2 destination, 4 mark, 8 incoming, 16 outgoing link, 32 presence only.
        flags: u32 = 3,
    }
    /// `NFTA_NG_*`.
    Numgen {
        /// Register to fill.
        register: u32 = 1,
        /// Numbers generated are below it.
        modulus: u32 = 2,
        /// 0 incremental, 1 random.
        mode: u32 = 3,
        /// Added to the result.
        offset: Option<u32> = 4,
    }
    /// `NFTA_HASH_*`.
    Hash {
        /// Register with what is hashed; none for the symmetric hash.
        source: Option<u32> = 1,
        /// Register to fill.
        register: u32 = 2,
        /// Length hashed.
        length: Option<u32> = 3,
        /// Results are below it.
        modulus: u32 = 4,
        /// Start value.
        seed: Option<u32> = 5,
        /// Added to the result.
        offset: Option<u32> = 6,
        /// 0 Jenkins, 1 symmetric.
        kind: Option<u32> = 7,
    }
    /// `NFTA_EXTHDR_*`; a write where `source` is, a removal where neither register is.
    Exthdr {
        /// Register to fill.
        register: Option<u32> = 1,
        /// Header or option type.
        kind: u8 = 2,
        /// In bytes.
        offset: Option<u32> = 3,
        /// In bytes.
        length: Option<u32> = 4,
        /// 1: whether it is there.
        flags: Option<u32> = 5,
        /// `NFT_EXTHDR_OP_*`: 0 IPv6, 1 TCP option, 2 IPv4 option, 3 SCTP chunk, 4 DCCP option.
        operation: Option<u32> = 6,
        /// Register to write from.
        source: Option<u32> = 7,
    }
    /// `NFTA_XFRM_*`.
    Xfrm {
        /// Register to fill.
        register: u32 = 1,
        /// `NFT_XFRM_KEY_*`: 1 and 3 IPv4, 2 and 4 IPv6 addresses, 5 request id, 6 SPI.
        key: u32 = 2,
        /// 0 in, 1 out.
        direction: u8 = 3,
        /// Index in the path.
        index: Option<u32> = 4,
    }
}
