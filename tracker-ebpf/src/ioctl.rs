//! Requests by ioctl: bridges, tunnels, tun devices, VLANs, names and flags of links, as older tools make them.
//!
//! Nearly every ioctl of a machine is about something else, a terminal for instance, so the number decides first. What is
//! asked for goes into the same record as a netlink request: [`RequestOpened`] with the flag [`IS_IOCTL`].

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use tracker_ebpf::abi::ioctl::{
    IFREQ_BYTES, IFREQ_DATA, PARAMETER_NAME_BYTES, SIOCADDTUNNEL, SIOCBRADDBR, SIOCBRADDIF, SIOCBRDELBR, SIOCBRDELIF,
    SIOCCHGTUNNEL, SIOCDELTUNNEL, SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFNAME, SIOCSIFVLAN, TUNSETIFF, VLAN_BYTES,
};
use tracker_ebpf::abi::{IS_IOCTL, RequestOpened, kind};

use crate::kernel::{Address, offset, read_user, read_user_bytes};
use crate::request::{self, argument, result};
use crate::send;
use crate::socket::{self, Descriptor};
use crate::task;

/// What the argument of an ioctl points to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A name of 16 bytes.
    Name,
    /// `struct ifreq`.
    Ifreq,
    /// `struct ifreq` whose data points to tunnel parameters, which begin with a name.
    Tunnel,
    /// `struct vlan_ioctl_args`.
    Vlan,
    /// `struct ifreq`, and the file is not a socket but a tun device.
    Tun,
}

#[inline(always)]
fn shape(command: u32) -> Option<Shape> {
    if command == TUNSETIFF {
        return Some(Shape::Tun);
    }
    if command >> 8 != 0x89 {
        return None;
    }
    match command {
        SIOCBRADDBR | SIOCBRDELBR => Some(Shape::Name),
        SIOCBRADDIF | SIOCBRDELIF | SIOCSIFNAME | SIOCSIFFLAGS | SIOCSIFHWADDR => Some(Shape::Ifreq),
        SIOCADDTUNNEL | SIOCDELTUNNEL | SIOCCHGTUNNEL => Some(Shape::Tunnel),
        SIOCSIFVLAN => Some(Shape::Vlan),
        _ => None,
    }
}

/// `ioctl(fd, command, argument)`.
#[tracepoint]
pub(crate) fn netdeed_ioctl(ctx: TracePointContext) -> u32 {
    let command = argument(&ctx, 1) as u32;
    let Some(shape) = shape(command) else { return 0 };
    let Some((sock, netns)) = place(argument(&ctx, 0), shape) else { return 0 };
    let Some((mut entry, sequence)) = send::reserve::<RequestOpened>(kind::REQUEST_OPENED) else { return 0 };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved ring memory.
    unsafe {
        task::fill_header(&raw mut (*record).header, kind::REQUEST_OPENED, sequence);
        (*record).protocol = command;
        (*record).portid = 0;
        (*record).netns = netns;
        (*record).flags = IS_IOCTL;
        (*record).data_bytes = copy((&raw mut (*record).data).cast(), argument(&ctx, 2), shape);
        (*record).total_bytes = u64::from((*record).data_bytes);
        (*record).reserved = 0;
        task::fill_ancestry(&raw mut (*record).ancestry);
    }
    entry.submit(send::QUIETLY);
    request::begin(sock);
    0
}

/// `ioctl` returns.
#[tracepoint]
pub(crate) fn netdeed_ioctl_done(ctx: TracePointContext) -> u32 {
    request::close(result(&ctx));
    0
}

/// The socket the call is made on, and the network namespace it acts in: a tun device's is that in which it was opened.
#[inline(always)]
fn place(fd: u64, shape: Shape) -> Option<(Address, u32)> {
    let sock = if shape == Shape::Tun {
        // `struct tun_file` begins with its `struct sock`
        Descriptor::file(fd)?.pointer(offset!(file_private_data))?
    } else {
        let descriptor = Descriptor::open(fd)?;
        if !descriptor.is_socket() {
            return None;
        }
        descriptor.sock
    };
    Some((sock, socket::netns(sock)?))
}

/// Copies what the argument points to and says how much.
///
/// # Safety
/// `to` must be writable for `IFREQ_BYTES` and `PARAMETER_NAME_BYTES` together.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: u64, shape: Shape) -> u32 {
    let bytes = match shape {
        Shape::Name => PARAMETER_NAME_BYTES,
        Shape::Ifreq | Shape::Tun | Shape::Tunnel => IFREQ_BYTES,
        Shape::Vlan => VLAN_BYTES,
    };
    // SAFETY: `to` is writable for as much.
    let read = unsafe { read_user_bytes(to, VLAN_BYTES as u32, from, bytes as u64) };
    if shape != Shape::Tunnel {
        return read;
    }
    let Some(parameters) = read_user::<u64>(from + IFREQ_DATA as u64) else { return read };
    // SAFETY: as above, behind the request.
    let name = unsafe {
        read_user_bytes(to.add(IFREQ_BYTES), PARAMETER_NAME_BYTES as u32, parameters, PARAMETER_NAME_BYTES as u64)
    };
    if name == PARAMETER_NAME_BYTES as u32 { (IFREQ_BYTES + PARAMETER_NAME_BYTES) as u32 } else { read }
}
