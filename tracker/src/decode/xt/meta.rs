//! The socket, the machine and the rule itself.

use super::{Name, layout};

layout! {
    /// `struct xt_comment_info`.
    Comment<'a>[256] {
        text: Name<'a, 256> = 0,
    }
    /// `struct xt_owner_match_info`: revision 1.
    Owner[18] {
        uid: [u32; 2] = 0,
        gid: [u32; 2] = 8,
        /// 1 user, 2 group, 4 socket, 8 supplementary groups.
        matched: u8 = 16,
        invert: u8 = 17,
    }
    /// `struct xt_cgroup_info_v0`.
    Cgroup0[8] {
        class: u32 = 0,
        invert: u32 = 4,
    }
    /// `struct xt_cgroup_info_v1`.
    Cgroup1<'a>[4112] {
        has_path: bool = 0,
        has_class: bool = 1,
        invert_path: bool = 2,
        invert_class: bool = 3,
        path: Name<'a, 4096> = 4,
        class: u32 = 4100,
    }
    /// `struct xt_cgroup_info_v2`: path or class id.
    Cgroup2<'a>[528] {
        has_path: bool = 0,
        has_class: bool = 1,
        invert_path: bool = 2,
        invert_class: bool = 3,
        path: Name<'a, 512> = 4,
        class: u32 = 4,
    }
    /// `struct xt_cpu_info`.
    Cpu[8] {
        cpu: u32 = 0,
        invert: u32 = 4,
    }
    /// `struct xt_socket_mtinfo1` to 3.
    Socket[1] {
        /// 1 transparent, 2 no wildcard, 4 restore the mark.
        flags: u8 = 0,
    }
    /// `struct xt_time_info`.
    Time[24] {
        date: [u32; 2] = 0,
        daytime: [u32; 2] = 8,
        monthdays: u32 = 16,
        weekdays: u8 = 20,
        /// 1 local time zone, 2 contiguous.
        flags: u8 = 21,
    }
    /// `struct xt_osf_info`.
    Osf<'a>[48] {
        genre: Name<'a, 32> = 0,
        /// 1 genre, 2 TTL, 4 log, 8 inverted.
        flags: u32 = 36,
        log_level: u32 = 40,
        ttl: u32 = 44,
    }
    /// `struct idletimer_tg_info_v1`.
    Idletimer1<'a>[48] {
        timeout: u32 = 0,
        label: Name<'a, 28> = 4,
        notify: bool = 32,
        kind: u8 = 33,
    }
}
