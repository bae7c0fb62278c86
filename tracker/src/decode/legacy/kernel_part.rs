//! Which part of an extension's structure is the kernel's own.
//!
//! The kernel shows that part as zeros, a program may have handed in anything there; the same rule must have the same
//! content either way. Rows are the `usersize` of each extension in `net/netfilter/xt_*.c` and `net/ipv4/netfilter`.

/// Name, revision, and the byte from which on it is the kernel's. Ascending by name and revision.
const MATCHES: &[(&[u8], u8, usize)] = &[
    (b"bpf", 0, 520),
    (b"bpf", 1, 520),
    (b"cgroup", 1, 4104),
    (b"cgroup", 2, 520),
    (b"connlimit", 1, 24),
    (b"hashlimit", 1, 48),
    (b"hashlimit", 2, 296),
    (b"hashlimit", 3, 304),
    (b"limit", 0, 8),
    (b"nfacct", 0, 32),
    (b"nfacct", 1, 32),
    (b"quota", 0, 16),
    (b"rateest", 0, 56),
    (b"statistic", 0, 16),
    (b"string", 0, 152),
    (b"string", 1, 152),
];

const TARGETS: &[(&[u8], u8, usize)] = &[
    (b"CLUSTERIP", 0, 56),
    (b"CT", 0, 32),
    (b"CT", 1, 64),
    (b"CT", 2, 64),
    (b"IDLETIMER", 0, 32),
    (b"IDLETIMER", 1, 40),
    (b"LED", 0, 32),
    (b"RATEEST", 0, 24),
    (b"SECMARK", 1, 260),
    (b"TEE", 1, 32),
];

/// The byte of the structure from which on it is the kernel's; `None` where all of it is content.
pub(super) fn begins_at(is_target: bool, name: &[u8], revision: u8) -> Option<usize> {
    let rows = if is_target { TARGETS } else { MATCHES };
    rows.binary_search_by_key(&(name, revision), |row| (row.0, row.1)).ok().map(|index| rows[index].2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_can_be_searched() {
        for rows in [MATCHES, TARGETS] {
            assert!(rows.is_sorted_by_key(|row| (row.0, row.1)));
        }
        assert_eq!(begins_at(false, b"limit", 0), Some(8));
        assert_eq!(begins_at(true, b"limit", 0), None);
        assert_eq!(begins_at(true, b"CT", 2), Some(64));
    }
}
