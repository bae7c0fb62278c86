//! Rates, quotas, probabilities.

use super::{Name, layout};

layout! {
    /// `struct xt_rateinfo`: `limit`.
    Limit[40] {
        average: u32 = 0,
        burst: u32 = 4,
    }
    /// `struct xt_hashlimit_mtinfo1`.
    Hashlimit1<'a>[56] {
        name: Name<'a, 16> = 0,
        mode: u32 = 16,
        average: u32 = 20,
        burst: u32 = 24,
        /// Size, most entries, garbage collection interval, expiry.
        table: [u32; 4] = 28,
        source_mask: u8 = 44,
        destination_mask: u8 = 45,
    }
    /// `struct xt_hashlimit_mtinfo2`.
    Hashlimit2<'a>[304] {
        name: Name<'a, 255> = 0,
        average: u64 = 256,
        burst: u64 = 264,
        mode: u32 = 272,
        table: [u32; 4] = 276,
        source_mask: u8 = 292,
        destination_mask: u8 = 293,
    }
    /// `struct xt_hashlimit_mtinfo3`.
    Hashlimit3<'a>[312] {
        name: Name<'a, 255> = 0,
        average: u64 = 256,
        burst: u64 = 264,
        mode: u32 = 272,
        table: [u32; 4] = 276,
        interval: u32 = 292,
        source_mask: u8 = 296,
        destination_mask: u8 = 297,
    }
    /// `struct xt_statistic_info`.
    Statistic[24] {
        /// 0 random, 1 every nth.
        mode: u16 = 0,
        /// 1 inverted.
        flags: u16 = 2,
        /// Of 2^31.
        probability: u32 = 4,
        every: u32 = 4,
        packet: u32 = 8,
    }
    /// `struct xt_quota_info`.
    Quota[24] {
        /// 1 inverted.
        flags: u32 = 0,
        quota: u64 = 8,
    }
    /// `struct xt_recent_mtinfo`: revision 0.
    Recent0<'a>[212] {
        seconds: u32 = 0,
        hits: u32 = 4,
        /// 1 check, 2 set, 4 update, 8 remove, 16 TTL, 32 reap.
        mode: u8 = 8,
        invert: bool = 9,
        name: Name<'a, 200> = 10,
        /// 0 source, 1 destination.
        side: u8 = 210,
    }
    /// `struct xt_recent_mtinfo_v1`.
    Recent1<'a>[228] {
        seconds: u32 = 0,
        hits: u32 = 4,
        mode: u8 = 8,
        invert: bool = 9,
        name: Name<'a, 200> = 10,
        side: u8 = 210,
        mask: [u8; 16] = 212,
    }
}
