//! Logging, queues and refusals.

use super::{Name, layout};

layout! {
    /// `struct xt_log_info`.
    Log<'a>[32] {
        level: u8 = 0,
        /// 1 TCP sequence, 2 TCP options, 4 IP options, 8 user, 32 MAC.
        flags: u8 = 1,
        prefix: Name<'a, 30> = 2,
    }
    /// `struct xt_nflog_info`.
    Nflog<'a>[80] {
        length: u32 = 0,
        group: u16 = 4,
        threshold: u16 = 6,
        /// 1: the length was given as size.
        flags: u16 = 8,
        prefix: Name<'a, 64> = 12,
    }
    /// `struct xt_NFQ_info_v3`; earlier revisions are its beginning.
    Nfqueue[6] {
        number: u16 = 0,
        total: u16 = 2,
        /// 1 bypass, 2 by CPU.
        flags: u16 = 4,
    }
    /// `struct ipt_reject_info` and `struct ip6t_reject_info`.
    Reject[4] {
        with: u32 = 0,
    }
    /// `struct xt_audit_info`.
    Audit[1] {
        /// 0 accept, 1 drop, 2 reject.
        kind: u8 = 0,
    }
}
