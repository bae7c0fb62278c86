//! Byte offsets of kernel structure members on the running kernel.

/// Value of an [`Offsets`] field whose member this kernel does not have (or has as something else).
pub const ABSENT: u32 = u32::MAX;

macro_rules! offsets {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Offsets of kernel structure members, resolved in user space and frozen before the programs are verified, so
        /// that the verifier knows them as constants and removes what needs an absent one.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Offsets {
            $($(#[$doc])* pub $field: u32,)*
        }

        impl Offsets {
            /// Every offset absent.
            pub const ABSENT: Self = Self { $($field: ABSENT,)* };
        }

        const _: () = assert!(size_of::<Offsets>() == 4 * [$(stringify!($field)),*].len());
    };
}

offsets! {
    /// `task_struct.group_leader`
    task_group_leader,
    /// `task_struct.real_parent`
    task_real_parent,
    /// `task_struct.tgid`
    task_tgid,
    /// `task_struct.pid`
    task_pid,
    /// `task_struct.start_boottime`
    task_start_boottime,
    /// `task_struct.comm`
    task_comm,
    /// `task_struct.loginuid`
    task_loginuid,
    /// `task_struct.nsproxy`
    task_nsproxy,
    /// `task_struct.mm`
    task_mm,
    /// `task_struct.files`
    task_files,
    /// `task_struct.signal`
    task_signal,
    /// `signal_struct.live`
    signal_live,
    /// `mm_struct.arg_start`
    mm_arg_start,
    /// `mm_struct.arg_end`
    mm_arg_end,
    /// `mm_struct.env_start`
    mm_env_start,
    /// `mm_struct.env_end`
    mm_env_end,
    /// `linux_binprm.filename`
    binprm_filename,
    /// `nsproxy.net_ns`
    nsproxy_net_ns,
    /// `net.ns.inum`
    net_inum,
    /// `files_struct.fdt`
    files_fdt,
    /// `fdtable.max_fds`
    fdtable_max_fds,
    /// `fdtable.fd`
    fdtable_fd,
    /// `file.private_data`
    file_private_data,
    /// `file.f_inode`
    file_inode,
    /// `inode.i_mode`
    inode_mode,
    /// `socket.sk`
    socket_sk,
    /// `sock.__sk_common.skc_family`
    sock_family,
    /// `sock.__sk_common.skc_net.net`
    sock_net,
    /// `sock.sk_protocol`
    sock_protocol,
    /// `netlink_sock.portid`
    netlink_portid,
    /// `task_struct.flags`
    task_flags,
    /// `sk_buff.data`
    skb_data,
    /// `sk_buff.len`
    skb_len,
    /// `task_struct.cgroups`
    task_cgroups,
    /// The element of `css_set.subsys` of a controller with a v1 hierarchy of its own; absent where none has
    css_set_controller,
    /// `cgroup_subsys_state.cgroup`
    css_cgroup,
    /// `cgroup.kn`
    cgroup_kn,
    /// `cgroup.root`
    cgroup_root,
    /// `cgroup_root.hierarchy_id`
    root_hierarchy,
    /// `kernfs_node.id`
    kernfs_id,
    /// `nsproxy.mnt_ns`
    nsproxy_mnt_ns,
    /// `mnt_namespace.ns.inum`
    mnt_inum,
    /// `task_struct.sessionid`
    task_sessionid,
    /// `task_struct.thread_pid`
    task_thread_pid,
    /// `pid.level`
    pid_level,
    /// `pid.numbers`
    pid_numbers,
    /// `signal_struct.tty`
    signal_tty,
    /// `tty_struct.driver`
    tty_driver,
    /// `tty_struct.index`
    tty_index,
    /// `tty_driver.major`
    driver_major,
    /// `tty_driver.minor_start`
    driver_minor,
    /// `net.net_cookie`
    net_cookie,
}
