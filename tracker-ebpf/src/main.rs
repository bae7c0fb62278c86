//! The BPF programs: who forked, executed and exited, who sent which netlink request or ioctl about links, who mounted, who replaced
//! which legacy table, in whose name the kernel notifies, what the cgroups are called.
//!
//! One file per hook family. Rules they share:
//! - A record is built in ring memory and submitted; where it cannot be, a per-CPU counter says so ([`send`]).
//! - Kernel memory is only read with `bpf_probe_read_kernel`, at offsets the loader resolved ([`kernel`]). A member that
//!   is absent yields nothing; nothing is guessed.
//! - The syscall tracepoints are on hot paths of programs that have nothing to do with us, so the cheapest test that can
//!   reject a call comes first.
#![no_std]
#![no_main]

mod cgroup;
mod ioctl;
mod kernel;
mod mount;
mod notify;
mod process;
mod request;
mod send;
mod socket;
mod table;
mod task;

/// Helpers of the kernel that the programs need are for GPL-compatible programs only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here can panic: the verifier would reject an endless loop it can reach.
    loop {}
}
