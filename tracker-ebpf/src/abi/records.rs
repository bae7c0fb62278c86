//! The records.

/// Bytes of a task name, the ending NUL included.
pub const COMM_BYTES: usize = 16;
/// Ancestors a record can hold.
pub const ANCESTORS: usize = 12;
/// Bytes kept of the path a program was executed by.
pub const EXE_BYTES: usize = 256;
/// Bytes kept of arguments in a short exec record.
pub const SHORT_ARGV_BYTES: usize = 256;
/// Bytes kept of the environment in a short exec record.
pub const SHORT_ENV_BYTES: usize = 1024;
/// Bytes kept of arguments in a long exec record.
pub const LONG_ARGV_BYTES: usize = 1024;
/// Bytes kept of the environment in a long exec record.
pub const LONG_ENV_BYTES: usize = 4096;
/// Bytes kept of a netlink request.
pub const REQUEST_BYTES: usize = 768;
/// Bytes of an xtables table name (`XT_TABLE_MAXNAMELEN`).
pub const TABLE_NAME_BYTES: usize = 32;
/// Bytes kept of a cgroup's path, the ending NUL included: as many as the kernel's own tracing keeps.
pub const CGROUP_PATH_BYTES: usize = 1024;
/// Bytes of what replaces a legacy table that one record carries.
pub const TABLE_CHUNK_BYTES: usize = (64 << 10) - 32;
/// Most records one replacement is carried in: 8 MiB.
pub const TABLE_CHUNKS: usize = 128;
/// Bytes of a bridge table's description (`struct ebt_replace`), which the pieces of one begin with.
pub const BRIDGE_HEAD_BYTES: usize = 120;
/// Where in it the address of the table's entries stands.
pub const BRIDGE_ENTRIES_AT: usize = 112;
/// A user id that was never set.
pub const UNSET_UID: u32 = u32::MAX;
/// A session number of the kernel's audit that was never set.
pub const UNSET_SESSION: u32 = u32::MAX;
/// Flag of [`RequestOpened`]: the request is longer than `total_bytes` says (more messages, or more fragments, than were
/// looked at).
pub const LENGTH_IS_LOWER_BOUND: u32 = 1;

/// Flag of [`RequestOpened`]: the request came by ioctl. `protocol` is the ioctl's number, `data` what its argument points
/// to, and, for tunnels, 16 bytes of name behind that.
pub const IS_IOCTL: u32 = 2;

/// Flag of [`RequestOpened`]: the request is a system call about mounts. `protocol` is one of [`mount`](super::mount),
/// `total_bytes` the call's flags, `netns` the inode number of the task's mount namespace. `data` begins with the path
/// that is acted on, `data_bytes` long; from [`MOUNT_PATH_BYTES`] on, `reserved` bytes long, is where a moved mount was.
pub const IS_MOUNT: u32 = 4;
/// Flag of [`RequestOpened`]: the request came by `setsockopt`, and asks IPVS for something. `protocol` is the option's
/// number, `data` the option's value.
pub const IS_SOCKOPT: u32 = 8;
/// Bytes kept of a path in a request about mounts, the ending NUL included.
pub const MOUNT_PATH_BYTES: usize = REQUEST_BYTES / 2;

/// Start of every record: the task that ran.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// One of [`kind`](super::kind).
    pub kind: u16,
    /// [`ABI_VERSION`](super::ABI_VERSION).
    pub abi: u16,
    /// CPU it ran on.
    pub cpu: u32,
    /// How many records of the same [`slot::attempts`](super::slot::attempts) this CPU tried to send before this one.
    pub sequence: u64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub time: u64,
    /// Start of the group leader, `CLOCK_BOOTTIME`, nanoseconds.
    pub start: u64,
    /// cgroup v2 id.
    pub cgroup_id: u64,
    /// Thread group id in the first pid namespace.
    pub tgid: u32,
    /// Thread id in the first pid namespace.
    pub tid: u32,
    /// Real user id in the first user namespace.
    pub uid: u32,
    /// Login user id; [`UNSET_UID`] when none was set, or when the kernel keeps none.
    pub login_uid: u32,
    /// Inode number of the task's network namespace; 0 when it has none (any more).
    pub netns: u32,
    /// Zero.
    pub reserved: u32,
    /// Task name of the thread.
    pub comm: [u8; COMM_BYTES],
}

/// One ancestor: the leader of a thread group.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Ancestor {
    /// Its start, `CLOCK_BOOTTIME`, nanoseconds.
    pub start: u64,
    /// Thread group id in the first pid namespace.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
    /// Its task name now.
    pub comm: [u8; COMM_BYTES],
}

/// The ancestors of a task, parent first.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Ancestry {
    /// How many entries are filled.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// The ancestors.
    pub entries: [Ancestor; ANCESTORS],
}

/// A process was made; sent by the forking task before the new one runs. New threads are not reported.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Fork {
    /// The task that forked. (With `CLONE_PARENT` the child's parent is another: that task's own parent.)
    pub header: Header,
    /// Ancestors of the task that forked.
    pub ancestry: Ancestry,
    /// Start of the child, `CLOCK_BOOTTIME`, nanoseconds.
    pub child_start: u64,
    /// Thread group id of the child.
    pub child_tgid: u32,
    /// Process id of the child in its own pid namespace; 0 where that is the first one.
    pub child_inner_tgid: u32,
}

/// A process replaced its image; `argv_capacity` bytes of arguments and the environment follow.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExecHead {
    /// The task, already with its new name and, after an exec by another thread, the leader's ids.
    pub header: Header,
    /// Its ancestors.
    pub ancestry: Ancestry,
    /// Path it was executed by, ended by NUL: a script's own, not its interpreter's.
    pub exe: [u8; EXE_BYTES],
    /// Bytes of `exe` without the NUL; 0 when it was not readable or did not fit.
    pub exe_bytes: u32,
    /// Bytes of the argument area in this record, filled or not; the environment area follows it.
    pub argv_capacity: u32,
    /// Bytes of arguments that were read: each argument ends with NUL.
    pub argv_bytes: u32,
    /// Bytes of arguments the process has.
    pub argv_total: u32,
    /// Bytes of environment that were read: each variable ends with NUL.
    pub env_bytes: u32,
    /// Bytes of environment the process has.
    pub env_total: u32,
    /// Number of the v1 hierarchy of the controller that [`Offsets`](super::Offsets) names; 0 when it has none.
    pub v1_hierarchy: u32,
    /// Session number of the kernel's audit; [`UNSET_SESSION`] when no login set one, or when the kernel keeps none.
    pub audit_session: u32,
    /// Id of its cgroup in that hierarchy.
    pub v1_cgroup_id: u64,
    /// Cookie of its network namespace; 0 when it has none yet.
    pub netns_cookie: u64,
    /// Device number of its controlling terminal, the major one from bit 20 on; 0 without one.
    pub terminal: u32,
    /// Process id in its own pid namespace; 0 where that is the first one.
    pub inner_tgid: u32,
}

/// [`ExecHead`] for the usual process.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExecShort {
    /// Everything of fixed size.
    pub head: ExecHead,
    /// Arguments.
    pub argv: [u8; SHORT_ARGV_BYTES],
    /// Environment.
    pub env: [u8; SHORT_ENV_BYTES],
}

/// [`ExecHead`] for a process with many arguments or a large environment.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExecLong {
    /// Everything of fixed size.
    pub head: ExecHead,
    /// Arguments.
    pub argv: [u8; LONG_ARGV_BYTES],
    /// Environment.
    pub env: [u8; LONG_ENV_BYTES],
}

/// The last thread of a process exits. Two threads exiting at once may both report it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// The task.
    pub header: Header,
}

/// A cgroup was made or renamed: sent before a process can be in it, or be executed under its new name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CgroupNamed {
    /// The task that did it.
    pub header: Header,
    /// The cgroup, a number that its hierarchy never gives out again.
    pub id: u64,
    /// Number of the hierarchy; 0 for v2.
    pub hierarchy: u32,
    /// Bytes of the path without the NUL.
    pub path_bytes: u32,
    /// Path from the top of the hierarchy, ended by NUL.
    pub path: [u8; CGROUP_PATH_BYTES],
}

/// A task hands a netlink request to the kernel: sent at the entry of the system call, before the kernel can notify
/// anybody of what the request does.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RequestOpened {
    /// The task.
    pub header: Header,
    /// Length of the request, bytes.
    pub total_bytes: u64,
    /// `NETLINK_*` protocol; with [`IS_IOCTL`] the number of the ioctl, with [`IS_SOCKOPT`] that of the option.
    pub protocol: u32,
    /// The socket's portid; 0 while it is not bound, and for sockets that have none.
    pub portid: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// [`LENGTH_IS_LOWER_BOUND`], [`IS_IOCTL`], [`IS_MOUNT`] and [`IS_SOCKOPT`], as they apply.
    pub flags: u32,
    /// Bytes of the request that were read.
    pub data_bytes: u32,
    /// Zero, but with [`IS_MOUNT`].
    pub reserved: u32,
    /// The request's first bytes.
    pub data: [u8; REQUEST_BYTES],
    /// The task's ancestors. Behind the data, so that the verifier sees room after it.
    pub ancestry: Ancestry,
}

/// The kernel is done with the request this thread had under way.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RequestClosed {
    /// The task.
    pub header: Header,
    /// What the system call returned: bytes taken, or a negated errno.
    pub result: i64,
    /// The socket's portid, read again when it was not bound at the start.
    pub portid: u32,
    /// Zero.
    pub reserved: u32,
}

/// A task is about to replace a legacy xtables table: sent at the entry of the system call, before anything changes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TableOpened {
    /// The task.
    pub header: Header,
    /// Protocol level: `SOL_IP` or `SOL_IPV6`.
    pub level: u32,
    /// Option: `IPT_SO_SET_REPLACE`, `ARPT_SO_SET_REPLACE` or `EBT_SO_SET_ENTRIES`.
    pub option: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// Zero.
    pub reserved: u32,
    /// Table name, ended by NUL.
    pub table: [u8; TABLE_NAME_BYTES],
}

/// A piece of what a legacy table is replaced with, in a ring of its own: sent between [`TableOpened`] and the call's
/// effect.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TableChunk {
    /// [`kind::TABLE_CHUNK`](super::kind::TABLE_CHUNK).
    pub kind: u16,
    /// [`ABI_VERSION`](super::ABI_VERSION).
    pub abi: u16,
    /// Bytes of `data` that were read.
    pub bytes: u32,
    /// Thread group id (high half) and thread id of the caller, in the first pid namespace.
    pub thread: u64,
    /// When the call was entered, `CLOCK_BOOTTIME`, nanoseconds: [`TableReplaced::opened`].
    pub opened: u64,
    /// Where in the option's value the piece stands.
    pub offset: u64,
    /// The piece.
    pub data: [u8; TABLE_CHUNK_BYTES],
}

/// A legacy xtables table was replaced, or the attempt failed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TableReplaced {
    /// The task.
    pub header: Header,
    /// Its ancestors.
    pub ancestry: Ancestry,
    /// What `setsockopt` returned: 0, or a negated errno.
    pub result: i64,
    /// When the call was entered, `CLOCK_BOOTTIME`, nanoseconds.
    pub opened: u64,
    /// Protocol level: `SOL_IP` or `SOL_IPV6`.
    pub level: u32,
    /// Option: `IPT_SO_SET_REPLACE`, `ARPT_SO_SET_REPLACE` or `EBT_SO_SET_ENTRIES`.
    pub option: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// Bytes of the option's value.
    pub total: u32,
    /// Bytes of it that [`TableChunk`] records carry; fewer than `total` when they did not fit or were not readable.
    pub copied: u32,
    /// Zero.
    pub reserved: u32,
    /// Table name, ended by NUL.
    pub table: [u8; TABLE_NAME_BYTES],
}

/// Asserts that a structure is exactly as long as its fields together: there is no padding, hence no hole that would
/// carry whatever the ring held before, and no difference between compilers.
macro_rules! assert_bytes {
    ($type:ty, $bytes:expr) => {
        const _: () = assert!(size_of::<$type>() == $bytes && size_of::<$type>() % 8 == 0 && align_of::<$type>() <= 8);
    };
}

pub(super) use assert_bytes;

assert_bytes!(Header, 2 * 2 + 4 + 4 * 8 + 6 * 4 + COMM_BYTES);
assert_bytes!(Ancestor, 8 + 2 * 4 + COMM_BYTES);
assert_bytes!(Ancestry, 2 * 4 + ANCESTORS * 32);
assert_bytes!(Fork, 80 + 392 + 8 + 2 * 4);
assert_bytes!(ExecHead, 80 + 392 + EXE_BYTES + 10 * 4 + 2 * 8);
assert_bytes!(ExecShort, 784 + SHORT_ARGV_BYTES + SHORT_ENV_BYTES);
assert_bytes!(ExecLong, 784 + LONG_ARGV_BYTES + LONG_ENV_BYTES);
assert_bytes!(Exit, 80);
assert_bytes!(CgroupNamed, 80 + 8 + 2 * 4 + CGROUP_PATH_BYTES);
assert_bytes!(RequestOpened, 80 + 8 + 6 * 4 + REQUEST_BYTES + 392);
assert_bytes!(RequestClosed, 80 + 8 + 2 * 4);
assert_bytes!(TableOpened, 80 + 4 * 4 + TABLE_NAME_BYTES);
assert_bytes!(TableChunk, 2 * 2 + 4 + 3 * 8 + TABLE_CHUNK_BYTES);
assert_bytes!(TableReplaced, 80 + 392 + 8 + 8 + 6 * 4 + TABLE_NAME_BYTES);
