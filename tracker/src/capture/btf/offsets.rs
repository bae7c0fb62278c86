//! Which members the BPF programs read, and of which size they take them to be.

use tracker_ebpf::abi::Offsets;

use super::types::{Btf, MemberError};

/// Bytes of a pointer.
const POINTER: u32 = 8;

/// An offset that could not be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingOffset {
    /// `structure.member`.
    pub member: String,
    /// Why.
    pub reason: MemberError,
}

/// Resolves every offset the programs need. One that is missing stays [`tracker_ebpf::abi::ABSENT`].
///
/// `controller` is one that has a cgroup v1 hierarchy of its own, by its name in `/proc/cgroups`; where there is none, its
/// offset is absent and not missing.
pub fn resolve(btf: &Btf, controller: Option<&str>) -> (Offsets, Vec<MissingOffset>) {
    let mut missing = Vec::new();
    let mut find = |structure: &str, member: &str, bytes: u32| match btf.sized_member(structure, member, bytes) {
        Ok(found) => found.offset,
        Err(reason) => {
            missing.push(MissingOffset { member: format!("{structure}.{member}"), reason });
            tracker_ebpf::abi::ABSENT
        }
    };
    // Sizes: pointers and `unsigned long` 8, `pid_t`, `kuid_t`, `atomic_t` and `unsigned int` 4.
    let offsets = Offsets {
        task_group_leader: find("task_struct", "group_leader", 8),
        task_real_parent: find("task_struct", "real_parent", 8),
        task_tgid: find("task_struct", "tgid", 4),
        task_pid: find("task_struct", "pid", 4),
        task_start_boottime: find("task_struct", "start_boottime", 8),
        task_comm: find("task_struct", "comm", 16),
        task_loginuid: find("task_struct", "loginuid", 4),
        task_nsproxy: find("task_struct", "nsproxy", 8),
        task_mm: find("task_struct", "mm", 8),
        task_files: find("task_struct", "files", 8),
        task_signal: find("task_struct", "signal", 8),
        signal_live: find("signal_struct", "live", 4),
        mm_arg_start: find("mm_struct", "arg_start", 8),
        mm_arg_end: find("mm_struct", "arg_end", 8),
        mm_env_start: find("mm_struct", "env_start", 8),
        mm_env_end: find("mm_struct", "env_end", 8),
        binprm_filename: find("linux_binprm", "filename", 8),
        nsproxy_net_ns: find("nsproxy", "net_ns", 8),
        net_inum: find("net", "ns.inum", 4),
        files_fdt: find("files_struct", "fdt", 8),
        fdtable_max_fds: find("fdtable", "max_fds", 4),
        fdtable_fd: find("fdtable", "fd", 8),
        file_private_data: find("file", "private_data", 8),
        file_inode: find("file", "f_inode", 8),
        inode_mode: find("inode", "i_mode", 2),
        socket_sk: find("socket", "sk", 8),
        sock_family: find("sock", "__sk_common.skc_family", 2),
        sock_net: find("sock", "__sk_common.skc_net.net", 8),
        sock_protocol: find("sock", "sk_protocol", 2),
        netlink_portid: find("netlink_sock", "portid", 4),
        task_flags: find("task_struct", "flags", 4),
        skb_data: find("sk_buff", "data", 8),
        skb_len: find("sk_buff", "len", 4),
        task_cgroups: find("task_struct", "cgroups", 8),
        css_set_controller: tracker_ebpf::abi::ABSENT,
        css_cgroup: find("cgroup_subsys_state", "cgroup", 8),
        cgroup_kn: find("cgroup", "kn", 8),
        cgroup_root: find("cgroup", "root", 8),
        root_hierarchy: find("cgroup_root", "hierarchy_id", 4),
        kernfs_id: find("kernfs_node", "id", 8),
        nsproxy_mnt_ns: find("nsproxy", "mnt_ns", 8),
        mnt_inum: find("mnt_namespace", "ns.inum", 4),
        task_sessionid: find("task_struct", "sessionid", 4),
        task_thread_pid: find("task_struct", "thread_pid", 8),
        pid_level: find("pid", "level", 4),
        pid_numbers: tracker_ebpf::abi::ABSENT,
        signal_tty: find("signal_struct", "tty", 8),
        tty_driver: find("tty_struct", "driver", 8),
        tty_index: find("tty_struct", "index", 4),
        driver_major: find("tty_driver", "major", 4),
        driver_minor: find("tty_driver", "minor_start", 4),
        net_cookie: find("net", "net_cookie", 8),
    };
    // an array of one or of none, by the kernel's age
    let pid_numbers = btf.member("pid", "numbers").map_or_else(
        |reason| {
            missing.push(MissingOffset { member: "pid.numbers".to_owned(), reason });
            tracker_ebpf::abi::ABSENT
        },
        |found| found.offset,
    );
    let css_set_controller = match controller.map(|controller| element(btf, controller)) {
        None => tracker_ebpf::abi::ABSENT,
        Some(Ok(offset)) => offset,
        Some(Err(reason)) => {
            missing.push(MissingOffset { member: "css_set.subsys".to_owned(), reason });
            tracker_ebpf::abi::ABSENT
        }
    };
    (Offsets { css_set_controller, pid_numbers, ..offsets }, missing)
}

/// Where `css_set` points to its state of a controller.
fn element(btf: &Btf, controller: &str) -> Result<u32, MemberError> {
    let array = btf.member("css_set", "subsys")?;
    let no_member =
        || MemberError::NoMember { structure: "css_set".to_owned(), member: format!("subsys[{controller}]") };
    let index = btf.enumerator("cgroup_subsys_id", &format!("{controller}_cgrp_id")).ok_or_else(no_member)?;
    let at = index.checked_mul(POINTER).filter(|at| at + POINTER <= array.size).ok_or_else(no_member)?;
    Ok(array.offset + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_type_information_leaves_every_offset_absent() {
        let mut header = vec![0x9f, 0xeb, 1, 0];
        header.extend([24_u32, 0, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()));
        let (offsets, missing) = resolve(&Btf::parse(header).expect("a header alone is complete"), Some("pids"));
        assert_eq!(offsets, Offsets::ABSENT);
        assert_eq!(missing.len(), size_of::<Offsets>() / 4);
        assert!(missing.iter().all(|one| matches!(one.reason, MemberError::NoStructure { .. })));
    }
}
