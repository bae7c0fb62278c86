//! `setsockopt` with the options that replace a table and add to its counters.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

use crate::model::legacy::{LegacyFamily, LegacyTable};

/// `IPT_SO_SET_REPLACE` and `IP6T_SO_SET_REPLACE`; `*_SO_SET_ADD_COUNTERS` is one more.
const INET_REPLACE: libc::c_int = 64;
/// `ARPT_SO_SET_REPLACE`.
const ARP_REPLACE: libc::c_int = 96;
/// Bytes of a table's name in every structure.
const NAME_BYTES: usize = 32;
/// `struct xt_counters_info` up to the counters.
const COUNTERS_HEAD: usize = 40;

/// A raw socket by which the tables of its network namespace are changed.
pub(super) struct Socket {
    socket: OwnedFd,
    level: libc::c_int,
    replace: libc::c_int,
}

impl Socket {
    pub(super) fn open(family: LegacyFamily) -> io::Result<Self> {
        let (domain, level, replace) = match family {
            LegacyFamily::Ip => (AddressFamily::INET, libc::SOL_IP, INET_REPLACE),
            LegacyFamily::Ip6 => (AddressFamily::INET6, libc::SOL_IPV6, INET_REPLACE),
            LegacyFamily::Arp => (AddressFamily::INET, libc::SOL_IP, ARP_REPLACE),
            // replaced in another way, which is not written
            LegacyFamily::Bridge => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))?;
        Ok(Self { socket, level, replace })
    }

    /// Replaces a table of `entries` entries and gives the counters that its entries had; `counters_at` is where the
    /// structure says how many those are and where they go.
    pub(super) fn replace(
        &self,
        mut replacement: Vec<u8>,
        counters_at: usize,
        entries: u32,
    ) -> io::Result<Vec<[u8; 16]>> {
        let mut counters = vec![[0_u8; 16]; entries as usize];
        let address = counters.as_mut_ptr().expose_provenance() as u64;
        let place = replacement.get_mut(counters_at..counters_at + 8).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(&address.to_ne_bytes());
        // SAFETY: the kernel reads the bytes, and writes `entries` counters of 16 bytes to where `counters` lives: it
        // refuses any other number of counters than the table has entries, and that is what the structure says.
        unsafe { self.set(self.replace, &replacement) }?;
        Ok(counters)
    }

    /// Adds to the counters of a table's entries.
    pub(super) fn add_counters(&self, table: &LegacyTable, counters: &[[u8; 16]]) -> io::Result<()> {
        let mut bytes = vec![0; COUNTERS_HEAD];
        let name = table.name.as_str().as_bytes();
        bytes.get_mut(..name.len().min(NAME_BYTES - 1)).unwrap_or_default().copy_from_slice(name);
        let count = u32::try_from(counters.len()).map_err(io::Error::other)?;
        bytes[NAME_BYTES..NAME_BYTES + 4].copy_from_slice(&count.to_ne_bytes());
        bytes.extend(counters.iter().flatten());
        // SAFETY: the kernel only reads.
        unsafe { self.set(self.replace + 1, &bytes) }
    }

    /// # Safety
    /// What the kernel writes because of `value` must be memory that nobody else uses.
    unsafe fn set(&self, option: libc::c_int, value: &[u8]) -> io::Result<()> {
        let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
        // SAFETY: `value` is readable for its length; the rest is the caller's promise.
        let result =
            unsafe { libc::setsockopt(self.socket.as_raw_fd(), self.level, option, value.as_ptr().cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
