//! Expressions with state.

use super::attributes::expression;

expression! {
    /// `NFTA_COUNTER_*`.
    Counter ignored 3 {
        /// Bytes counted.
        bytes_counted: Option<u64> = 1,
        /// Packets counted.
        packets: Option<u64> = 2,
    }
    /// `NFTA_LIMIT_*`.
    Limit ignored 6 {
        /// Per unit of time.
        rate: u64 = 1,
        /// Unit of time in seconds.
        unit: u64 = 2,
        /// Allowed at once.
        burst: u32 = 3,
        /// 0 packets, 1 bytes.
        kind: u32 = 4,
        /// 1: matches above the limit.
        flags: Option<u32> = 5,
    }
    /// `NFTA_QUOTA_*`.
    Quota ignored 3 {
        /// Volume in bytes.
        limit: u64 = 1,
        /// 1: matches above it; 2: used up.
        flags: Option<u32> = 2,
        /// Bytes used.
        consumed: Option<u64> = 4,
    }
    /// `NFTA_CONNLIMIT_*`.
    Connlimit {
        /// Number of connections.
        count: u32 = 1,
        /// 1: matches above it.
        flags: Option<u32> = 2,
    }
    /// `NFTA_LAST_*`.
    Last ignored 3 {
        /// Whether it was ever reached.
        set: Option<u32> = 1,
        /// Milliseconds since.
        milliseconds: Option<u64> = 2,
    }
}
