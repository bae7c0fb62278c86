//! `getsockopt` with the options of `linux/netfilter_*/*_tables.h`, which no crate has.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

use crate::decode::legacy::{TableInfo, bridge};
use crate::model::legacy::{LegacyFamily, LegacyTable};

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`; `IPT_SO_GET_ENTRIES` is one more.
const INET_INFO: libc::c_int = 64;
/// `ARPT_SO_GET_INFO`.
const ARP_INFO: libc::c_int = 96;
/// `EBT_SO_GET_INFO`.
const BRIDGE_INFO: libc::c_int = 128;
/// Bytes of a table's name in every structure.
const NAME_BYTES: usize = 32;
/// `struct ipt_get_entries` and its likes: name, size, padding.
const ENTRIES_HEAD: usize = 40;

/// A raw socket by which the tables of its network namespace are asked for.
pub(super) struct Socket {
    socket: OwnedFd,
    level: libc::c_int,
    info: libc::c_int,
}

impl Socket {
    pub(super) fn open(family: LegacyFamily) -> io::Result<Self> {
        let (domain, level, info) = match family {
            LegacyFamily::Ip => (AddressFamily::INET, libc::SOL_IP, INET_INFO),
            LegacyFamily::Ip6 => (AddressFamily::INET6, libc::SOL_IPV6, INET_INFO),
            LegacyFamily::Arp => (AddressFamily::INET, libc::SOL_IP, ARP_INFO),
            LegacyFamily::Bridge => (AddressFamily::INET, libc::SOL_IP, BRIDGE_INFO),
        };
        let socket = socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))?;
        Ok(Self { socket, level, info })
    }

    /// `*_SO_GET_INFO`.
    pub(super) fn info(&self, table: &LegacyTable, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        put_name(&mut buffer, table)?;
        self.get(self.info, &mut buffer)?;
        Ok(buffer)
    }

    /// `*_SO_GET_ENTRIES`: `size` bytes of entries. `EAGAIN` when the table has another size.
    pub(super) fn entries(&self, table: &LegacyTable, size: u32) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; ENTRIES_HEAD + size as usize];
        put_name(&mut buffer, table)?;
        buffer[NAME_BYTES..NAME_BYTES + 4].copy_from_slice(&size.to_ne_bytes());
        self.get(self.info + 1, &mut buffer)?;
        buffer.drain(..ENTRIES_HEAD);
        Ok(buffer)
    }

    /// `EBT_SO_GET_ENTRIES`: the entries of a table that is still as `info` says. `EINVAL` when it is not.
    pub(super) fn bridge_entries(&self, table: &LegacyTable, info: &TableInfo) -> io::Result<Vec<u8>> {
        let mut entries = vec![0_u8; info.size as usize];
        // the length stands for the entries, too, wherever they go
        let mut buffer = vec![0; bridge::REPLACEMENT_BYTES + entries.len()];
        put_name(&mut buffer, table)?;
        let address = entries.as_mut_ptr().expose_provenance() as u64;
        buffer[36..40].copy_from_slice(&info.num_entries.to_ne_bytes());
        buffer[40..44].copy_from_slice(&info.size.to_ne_bytes());
        buffer[bridge::ENTRIES_AT..bridge::ENTRIES_AT + 8].copy_from_slice(&address.to_ne_bytes());
        // no counters are asked for, so that the kernel writes `info.size` bytes to where `entries` lives, or refuses
        self.get(self.info + 1, &mut buffer)?;
        Ok(entries)
    }

    fn get(&self, option: libc::c_int, buffer: &mut [u8]) -> io::Result<()> {
        let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `length` bytes, which is what the buffer has, and the length itself; of a
        // bridge table also its entries, to an address in the buffer that is the caller's and has room for them.
        let result = unsafe {
            libc::getsockopt(self.socket.as_raw_fd(), self.level, option, buffer.as_mut_ptr().cast(), &raw mut length)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Puts a table's name at the start; its last byte stays 0.
fn put_name(buffer: &mut [u8], table: &LegacyTable) -> io::Result<()> {
    let name = table.name.as_str().as_bytes();
    if name.len() >= NAME_BYTES {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    buffer[..name.len()].copy_from_slice(name);
    Ok(())
}
