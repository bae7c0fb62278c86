//! From a file descriptor of the current task to its socket.

use crate::kernel::{Address, offset};
use crate::task;

/// `AF_NETLINK`.
pub(crate) const AF_NETLINK: u16 = 16;
/// `NETLINK_ROUTE`.
const NETLINK_ROUTE: u16 = 0;
/// `NETLINK_NETFILTER`.
const NETLINK_NETFILTER: u16 = 12;
/// `NETLINK_GENERIC`.
pub(crate) const NETLINK_GENERIC: u16 = 16;

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// A descriptor's open file and what would be its `struct sock` if it is a socket.
pub(crate) struct Descriptor {
    table: Address,
    fd: u64,
    file: Address,
    /// The socket; only to be trusted after [`Descriptor::is_socket`].
    pub(crate) sock: Address,
}

impl Descriptor {
    /// The open file of a descriptor.
    #[inline(always)]
    pub(crate) fn file(fd: u64) -> Option<Address> {
        let fd = fd & 0x7fff_ffff;
        let table = task::current().pointer(offset!(task_files))?.pointer(offset!(files_fdt))?;
        if fd >= u64::from(table.read::<u32>(offset!(fdtable_max_fds))?) {
            return None;
        }
        let array = table.pointer(offset!(fdtable_fd))?;
        Address(array.0 + fd * 8).pointer(0)
    }

    /// Follows a descriptor as if it were a socket.
    #[inline(always)]
    pub(crate) fn open(fd: u64) -> Option<Self> {
        let fd = fd & 0x7fff_ffff;
        let table = task::current().pointer(offset!(task_files))?.pointer(offset!(files_fdt))?;
        let array = table.pointer(offset!(fdtable_fd))?;
        let file = Address(array.0 + fd * 8).pointer(0)?;
        let sock = file.pointer(offset!(file_private_data))?.pointer(offset!(socket_sk))?;
        Some(Self { table, fd, file, sock })
    }

    /// Whether the descriptor is within the table and its file is a socket. Asked last, of the few calls that pass the
    /// other tests: memory that only looked like a socket is found out here.
    #[inline(always)]
    pub(crate) fn is_socket(&self) -> bool {
        let Some(size) = self.table.read::<u32>(offset!(fdtable_max_fds)) else { return false };
        if self.fd >= u64::from(size) {
            return false;
        }
        let mode = self.file.pointer(offset!(file_inode)).and_then(|inode| inode.read::<u16>(offset!(inode_mode)));
        match mode {
            Some(mode) => mode & S_IFMT == S_IFSOCK,
            None => false,
        }
    }
}

/// The inode number of a socket's network namespace.
#[inline(always)]
pub(crate) fn netns(sock: Address) -> Option<u32> {
    sock.pointer(offset!(sock_net))?.read(offset!(net_inum))
}

/// The portid of a netlink socket. `struct netlink_sock` starts with its `struct sock`.
#[inline(always)]
pub(crate) fn portid(sock: Address) -> Option<u32> {
    sock.read(offset!(netlink_portid))
}

/// A netlink socket of a protocol that can change what we record.
pub(crate) struct NetlinkSocket {
    /// The socket.
    pub(crate) sock: Address,
    /// `NETLINK_*`.
    pub(crate) protocol: u32,
    /// Its address; 0 while not bound.
    pub(crate) portid: u32,
    /// Its network namespace.
    pub(crate) netns: u32,
}

impl NetlinkSocket {
    /// The netlink socket behind a descriptor; the family decides before anything else is read.
    #[inline(always)]
    pub(crate) fn open(fd: u64) -> Option<Self> {
        let descriptor = Descriptor::open(fd)?;
        let sock = descriptor.sock;
        if sock.read::<u16>(offset!(sock_family))? != AF_NETLINK {
            return None;
        }
        let protocol = sock.read::<u16>(offset!(sock_protocol))?;
        if protocol != NETLINK_ROUTE && protocol != NETLINK_NETFILTER && protocol != NETLINK_GENERIC {
            return None;
        }
        if !descriptor.is_socket() {
            return None;
        }
        Some(Self { sock, protocol: u32::from(protocol), portid: portid(sock)?, netns: netns(sock)? })
    }
}
