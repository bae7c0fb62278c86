//! The acts, and their truth as /proc and the sockets tell it.

mod notify;

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use tracker_ebpf::abi::{ioctl, sockopt};

use crate::model::ids::{NetnsId, Portid, Tgid, Tid};
use crate::model::process::ProcessKey;
use crate::model::time::BootTime;

/// The argument the child is started with, and its variable's value.
pub(super) const ARGUMENT: &str = "netdeed-self-test";
/// The variable the child is started with.
pub(super) const VARIABLE: &str = "CNI_NETDEED_SELF_TEST";
/// Programs that do nothing, in the order they are looked for.
const PROGRAMS: [&str; 2] = ["/bin/true", "/usr/bin/true"];

/// What was done.
pub(super) struct Truth {
    pub(super) own: io::Result<Own>,
    pub(super) child: io::Result<Child>,
    pub(super) sendto: io::Result<Sent>,
    pub(super) sendmsg: io::Result<Sent>,
    pub(super) setsockopt: io::Result<i64>,
    pub(super) ioctl: io::Result<i64>,
    /// `None` when nothing would see it.
    pub(super) raised: Option<io::Result<Raised>>,
}

/// Ourselves.
pub(super) struct Own {
    /// Start time rounded down to 10 ms.
    pub(super) process: ProcessKey,
    pub(super) tid: Tid,
    pub(super) netns: NetnsId,
}

/// The child that was run.
pub(super) struct Child {
    /// Start time rounded down to 10 ms.
    pub(super) process: ProcessKey,
    pub(super) exe: &'static str,
}

/// A request that was sent.
pub(super) struct Sent {
    pub(super) portid: Portid,
    pub(super) bytes: usize,
}

/// A thread that raised the loopback link of a network namespace of its own.
pub(super) struct Raised {
    pub(super) tid: Tid,
    pub(super) netns: NetnsId,
}

/// Does everything once; what notifies somebody only where the notification would be seen.
pub(super) fn perform(with_notification: bool) -> Truth {
    Truth {
        own: own(),
        child: run_child(),
        sendto: send_request(|socket, request| socket.send(request, 0)),
        sendmsg: send_request(|socket, request| {
            use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
            let fragments = [io::IoSlice::new(&request[..20]), io::IoSlice::new(&request[20..])];
            let fd = std::os::fd::AsFd::as_fd(socket);
            Ok(sendmsg(fd, &fragments, &mut SendAncillaryBuffer::default(), SendFlags::empty())?)
        }),
        setsockopt: replace_nothing(),
        ioctl: rename_nothing(),
        raised: with_notification.then(notify::raise_loopback),
    }
}

/// The start time of a process, from /proc: ticks of 10 ms since boot.
fn proc_process(directory: &str, tgid: u32) -> io::Result<ProcessKey> {
    let stat = std::fs::read_to_string(format!("{directory}/stat"))?;
    let start = start_of(&stat).ok_or_else(|| io::Error::other(format!("cannot parse `{directory}/stat`")))?;
    Ok(ProcessKey { tgid: Tgid(tgid), start })
}

/// Field 22 of `/proc/PID/stat`. The task name before it may hold spaces and parentheses, so counting starts after the
/// last of those.
fn start_of(stat: &str) -> Option<BootTime> {
    let (_, after_comm) = stat.rsplit_once(") ")?;
    let ticks: u64 = after_comm.split(' ').nth(19)?.parse().ok()?;
    Some(BootTime(ticks.checked_mul(10_000_000)?))
}

fn own_tid() -> Tid {
    Tid(rustix::thread::gettid().as_raw_pid().unsigned_abs())
}

fn own_netns() -> io::Result<NetnsId> {
    let inode = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
    Ok(NetnsId(u32::try_from(inode).map_err(io::Error::other)?))
}

fn own() -> io::Result<Own> {
    Ok(Own { process: proc_process("/proc/self", std::process::id())?, tid: own_tid(), netns: own_netns()? })
}

fn run_child() -> io::Result<Child> {
    let exe = PROGRAMS
        .into_iter()
        .find(|program| Path::new(program).exists())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("none of {PROGRAMS:?} is there to run")))?;
    let mut child = Command::new(exe)
        .arg(ARGUMENT)
        .env(VARIABLE, ARGUMENT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Before waiting: its directory stays until then, even after it exited.
    let process = proc_process(&format!("/proc/{}", child.id()), child.id());
    child.wait()?;
    Ok(Child { process: process?, exe })
}

/// Sends a message that netlink itself passes over. A question would have no effect either, but is not recorded.
fn send_request(send: impl Fn(&Socket, &[u8; 32]) -> io::Result<usize>) -> io::Result<Sent> {
    const NLMSG_NOOP: u16 = 1;
    const NLM_F_REQUEST: u16 = 1;
    let mut request = [0; 32];
    request[..4].copy_from_slice(&32_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&NLMSG_NOOP.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    let address = socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let bytes = send(&socket, &request)?;
    Ok(Sent { portid: Portid(address.port_number()), bytes })
}

/// Asks to replace a table that does not exist with nothing, and returns the kernel's refusal. It refuses before it looks
/// for the table, because no replacement has no counters.
fn replace_nothing() -> io::Result<i64> {
    let option = libc::c_int::try_from(sockopt::IPT_SO_SET_REPLACE).map_err(io::Error::other)?;
    let socket = UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("0.0.0.0", 0)))?;
    let mut value = [0_u8; 512];
    value[..ARGUMENT.len()].copy_from_slice(ARGUMENT.as_bytes());
    // SAFETY: `value` is as long as is said.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_IP, option, value.as_ptr().cast(), 512) };
    match result {
        0 => Err(io::Error::other("the kernel took an empty table")),
        _ => Ok(-i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
    }
}

/// The loopback link, which every network namespace has.
pub(super) const LOOPBACK: &str = "lo";

/// Renames the loopback link to the name it has, which changes nothing, and returns the kernel's answer.
fn rename_nothing() -> io::Result<i64> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("0.0.0.0", 0)))?;
    let mut request = [0_u8; ioctl::IFREQ_BYTES];
    request[..LOOPBACK.len()].copy_from_slice(LOOPBACK.as_bytes());
    request[ioctl::IFREQ_DATA..][..LOOPBACK.len()].copy_from_slice(LOOPBACK.as_bytes());
    // SAFETY: `request` is a whole `struct ifreq`, which the kernel reads and writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), ioctl::SIOCSIFNAME.into(), request.as_mut_ptr()) };
    match result {
        0 => Ok(0),
        _ => Ok(-i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_are_found_behind_any_task_name() {
        let fields: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) b) c) S {}", fields.join(" "));
        assert_eq!(start_of(&stat), Some(BootTime(220_000_000)));
        assert_eq!(start_of("7 (x) S 1"), None);
    }
}
