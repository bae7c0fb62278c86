//! The table of programs, and attaching them.

use std::path::{Path, PathBuf};

use aya::Btf;
use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::{FEntry, ProgramError, RawTracePoint, TracePoint};
use tracker_ebpf::abi::{ABSENT, Offsets};

use super::environment;
use super::report::{ProgramReport, ProgramState};

/// Where tracefs may be mounted, in the order aya looks.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// How a program attaches.
enum Attach {
    /// To a raw tracepoint; needs no tracefs.
    Raw(&'static str),
    /// To an event of the `syscalls` category.
    Syscall(&'static str),
    /// To the entry of a function of the kernel itself, not of a module.
    Entry(&'static str),
}

/// One program of the object.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) hook: &'static str,
    attach: Attach,
    /// The offsets without which it would only send nonsense.
    needs: fn(&Offsets) -> bool,
    /// A program that must run for this one to be of use: the one that ends what this one begins.
    after: Option<&'static str>,
}

/// Who a task is.
fn identity(offsets: &Offsets) -> bool {
    present(&[offsets.task_group_leader, offsets.task_tgid, offsets.task_start_boottime])
}

fn fork(offsets: &Offsets) -> bool {
    identity(offsets) && present(&[offsets.task_pid])
}

fn exec(offsets: &Offsets) -> bool {
    identity(offsets) && present(&[offsets.binprm_filename])
}

fn exit(offsets: &Offsets) -> bool {
    identity(offsets) && present(&[offsets.task_signal, offsets.signal_live])
}

/// What a cgroup is called.
fn cgroups(offsets: &Offsets) -> bool {
    identity(offsets) && present(&[offsets.cgroup_root, offsets.root_hierarchy, offsets.cgroup_kn, offsets.kernfs_id])
}

fn mounts(offsets: &Offsets) -> bool {
    identity(offsets) && present(&[offsets.task_nsproxy, offsets.nsproxy_mnt_ns, offsets.mnt_inum])
}

/// From a descriptor to a socket and its network namespace.
fn sockets(offsets: &Offsets) -> bool {
    let descriptor = [
        offsets.task_files,
        offsets.files_fdt,
        offsets.fdtable_max_fds,
        offsets.fdtable_fd,
        offsets.file_private_data,
        offsets.file_inode,
        offsets.inode_mode,
        offsets.socket_sk,
    ];
    identity(offsets) && present(&descriptor) && present(&[offsets.sock_net, offsets.net_inum])
}

fn requests(offsets: &Offsets) -> bool {
    sockets(offsets) && present(&[offsets.sock_family, offsets.sock_protocol, offsets.netlink_portid])
}

fn notifications(offsets: &Offsets) -> bool {
    let datagram = [offsets.skb_data, offsets.skb_len, offsets.task_flags];
    let socket = [offsets.sock_protocol, offsets.sock_net, offsets.net_inum];
    identity(offsets) && present(&datagram) && present(&socket)
}

fn present(offsets: &[u32]) -> bool {
    offsets.iter().all(|offset| *offset != ABSENT)
}

macro_rules! syscall {
    ($name:literal, $event:literal, $needs:expr, $after:expr) => {
        Program {
            name: $name,
            hook: concat!("syscalls:", $event),
            attach: Attach::Syscall($event),
            needs: $needs,
            after: $after,
        }
    };
}

macro_rules! raw {
    ($name:literal, $category:literal, $event:literal, $needs:expr) => {
        Program {
            name: $name,
            hook: concat!($category, ":", $event),
            attach: Attach::Raw($event),
            needs: $needs,
            after: None,
        }
    };
}

/// The program on notifications.
pub(super) const NOTIFY: &str = "netdeed_notify";

/// Every program, in the order of attaching: exits before forks (so that what is seen to begin is seen to end), the end
/// of a call before its begin.
pub(super) const PROGRAMS: [Program; 23] = [
    raw!("netdeed_exit", "sched", "sched_process_exit", exit),
    raw!("netdeed_cgroup_renamed", "cgroup", "cgroup_rename", cgroups),
    raw!("netdeed_cgroup_made", "cgroup", "cgroup_mkdir", cgroups),
    raw!("netdeed_exec", "sched", "sched_process_exec", exec),
    raw!("netdeed_fork", "sched", "sched_process_fork", fork),
    syscall!("netdeed_sendto_done", "sys_exit_sendto", requests, None),
    syscall!("netdeed_sendto", "sys_enter_sendto", requests, Some("netdeed_sendto_done")),
    syscall!("netdeed_sendmsg_done", "sys_exit_sendmsg", requests, None),
    syscall!("netdeed_sendmsg", "sys_enter_sendmsg", requests, Some("netdeed_sendmsg_done")),
    syscall!("netdeed_sendmmsg_done", "sys_exit_sendmmsg", requests, None),
    syscall!("netdeed_sendmmsg", "sys_enter_sendmmsg", requests, Some("netdeed_sendmmsg_done")),
    syscall!("netdeed_setsockopt_done", "sys_exit_setsockopt", sockets, None),
    syscall!("netdeed_setsockopt", "sys_enter_setsockopt", sockets, Some("netdeed_setsockopt_done")),
    // attached later, it runs later: it goes on with what the one before began
    syscall!("netdeed_setsockopt_copy", "sys_enter_setsockopt", sockets, Some("netdeed_setsockopt")),
    syscall!("netdeed_ioctl_done", "sys_exit_ioctl", sockets, None),
    syscall!("netdeed_ioctl", "sys_enter_ioctl", sockets, Some("netdeed_ioctl_done")),
    syscall!("netdeed_mount_done", "sys_exit_mount", mounts, None),
    syscall!("netdeed_mount", "sys_enter_mount", mounts, Some("netdeed_mount_done")),
    syscall!("netdeed_umount_done", "sys_exit_umount", mounts, None),
    syscall!("netdeed_umount", "sys_enter_umount", mounts, Some("netdeed_umount_done")),
    syscall!("netdeed_move_mount_done", "sys_exit_move_mount", mounts, None),
    syscall!("netdeed_move_mount", "sys_enter_move_mount", mounts, Some("netdeed_move_mount_done")),
    Program {
        name: NOTIFY,
        hook: "fentry:nlmsg_notify",
        attach: Attach::Entry("nlmsg_notify"),
        needs: notifications,
        after: None,
    },
];

/// What keeps programs attached, by their names.
pub(super) type Links = Vec<(&'static str, FdLink)>;

/// Loads and attaches every program and says what became of each. Attachments that are descriptors of their own (before
/// 5.15 those of tracepoints are not) are handed out.
pub(super) fn attach_all(ebpf: &mut Ebpf, offsets: &Offsets) -> (Vec<ProgramReport>, Links) {
    let tracefs = tracefs();
    let mut links = Links::new();
    let mut reports: Vec<ProgramReport> = Vec::with_capacity(PROGRAMS.len());
    for program in &PROGRAMS {
        let attached = |name| reports.iter().any(|report| report.name == name && report.is_attached());
        let state = if !(program.needs)(offsets) {
            unavailable("kernel structure members it reads could not be located", None)
        } else if let Some(after) = program.after.filter(|after| !attached(*after)) {
            unavailable(&format!("`{after}`, which would end what it begins, does not run"), None)
        } else {
            attach(ebpf, program, tracefs.as_deref(), &mut links)
        };
        reports.push(ProgramReport { name: program.name, hook: program.hook, state });
    }
    (reports, links)
}

fn unavailable(reason: &str, remedy: Option<&str>) -> ProgramState {
    ProgramState::Unavailable { reason: reason.to_owned(), remedy: remedy.map(ToOwned::to_owned) }
}

/// The tracefs mount, if there is one. Looked for here before aya does, because aya remembers a failure for good.
fn tracefs() -> Option<PathBuf> {
    TRACEFS.iter().map(Path::new).find(|mount| mount.join("events").is_dir()).map(Path::to_path_buf)
}

fn attach(ebpf: &mut Ebpf, program: &Program, tracefs: Option<&Path>, links: &mut Links) -> ProgramState {
    if let Attach::Syscall(event) = program.attach {
        let Some(tracefs) = tracefs else {
            return unavailable("tracefs is not mounted", Some("mount -t tracefs none /sys/kernel/tracing"));
        };
        let id = tracefs.join("events/syscalls").join(event).join("id");
        if let Err(error) = std::fs::metadata(&id) {
            let remedy = (error.kind() == std::io::ErrorKind::NotFound)
                .then_some("use a kernel built with CONFIG_FTRACE_SYSCALLS");
            return unavailable(&format!("cannot read `{}`: {error}", id.display()), remedy);
        }
    }
    match try_attach(ebpf, program, links) {
        Ok(verified_instructions) => ProgramState::Attached { verified_instructions },
        // With a log it was the verifier that refused, whatever the error number: no privilege would change its mind.
        Err(ProgramError::LoadError { verifier_log, .. }) if !verifier_log.to_string().trim().is_empty() => {
            unavailable(
                &format!("the verifier rejects it: {}", environment::last_lines(&verifier_log.to_string(), 6)),
                Some("report this with the kernel's version"),
            )
        }
        Err(error) => unavailable(&environment::causes(&error), environment::remedy(&error).as_deref()),
    }
}

fn try_attach(ebpf: &mut Ebpf, program: &Program, links: &mut Links) -> Result<Option<u32>, ProgramError> {
    // The object is ours and embedded: a missing program is a fault of the build, and reported like any other.
    let loaded = ebpf
        .program_mut(program.name)
        .ok_or_else(|| ProgramError::IOError(std::io::Error::other("no such program in the object")))?;
    match program.attach {
        Attach::Raw(event) => {
            let point: &mut RawTracePoint = loaded.try_into()?;
            point.load()?;
            let link = point.attach(event)?;
            links.push((program.name, point.take_link(link)?.into()));
            Ok(point.info()?.verified_instruction_count())
        }
        Attach::Syscall(event) => {
            let point: &mut TracePoint = loaded.try_into()?;
            point.load()?;
            let link = point.attach("syscalls", event)?;
            match FdLink::try_from(point.take_link(link)?) {
                Ok(link) => links.push((program.name, link)),
                // what could not be converted is detached by now
                Err(_) => {
                    point.attach("syscalls", event)?;
                }
            }
            Ok(point.info()?.verified_instruction_count())
        }
        Attach::Entry(function) => {
            let entry: &mut FEntry = loaded.try_into()?;
            entry.load(function, &Btf::from_sys_fs()?)?;
            let link = entry.attach()?;
            links.push((program.name, entry.take_link(link)?.into()));
            Ok(entry.info()?.verified_instruction_count())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_members_switch_off_what_reads_them_and_nothing_else() {
        let all = Offsets { net_inum: 0, ..every(1) };
        assert!(PROGRAMS.iter().all(|program| (program.needs)(&all)), "0 is an offset");
        let without_portid = Offsets { netlink_portid: ABSENT, ..every(1) };
        let usable = |offsets: &Offsets| {
            PROGRAMS.iter().filter(|program| (program.needs)(offsets)).map(|program| program.name).collect::<Vec<_>>()
        };
        let expected = [
            "netdeed_exit",
            "netdeed_cgroup_renamed",
            "netdeed_cgroup_made",
            "netdeed_exec",
            "netdeed_fork",
            "netdeed_setsockopt_done",
            "netdeed_setsockopt",
            "netdeed_setsockopt_copy",
            "netdeed_ioctl_done",
            "netdeed_ioctl",
            "netdeed_mount_done",
            "netdeed_mount",
            "netdeed_umount_done",
            "netdeed_umount",
            "netdeed_move_mount_done",
            "netdeed_move_mount",
            NOTIFY,
        ];
        assert_eq!(usable(&without_portid), expected);
        assert!(usable(&Offsets { task_start_boottime: ABSENT, ..every(1) }).is_empty());
        assert_eq!(usable(&Offsets { task_loginuid: ABSENT, ..every(1) }).len(), PROGRAMS.len());
    }

    #[test]
    fn the_end_of_a_call_attaches_before_its_begin() {
        for (index, program) in PROGRAMS.iter().enumerate() {
            if let Some(after) = program.after {
                assert!(PROGRAMS[..index].iter().any(|earlier| earlier.name == after), "{}", program.name);
            }
        }
    }

    fn every(offset: u32) -> Offsets {
        Offsets {
            task_group_leader: offset,
            task_real_parent: offset,
            task_tgid: offset,
            task_pid: offset,
            task_start_boottime: offset,
            task_comm: offset,
            task_loginuid: offset,
            task_nsproxy: offset,
            task_mm: offset,
            task_files: offset,
            task_signal: offset,
            signal_live: offset,
            mm_arg_start: offset,
            mm_arg_end: offset,
            mm_env_start: offset,
            mm_env_end: offset,
            binprm_filename: offset,
            nsproxy_net_ns: offset,
            net_inum: offset,
            files_fdt: offset,
            fdtable_max_fds: offset,
            fdtable_fd: offset,
            file_private_data: offset,
            file_inode: offset,
            inode_mode: offset,
            socket_sk: offset,
            sock_family: offset,
            sock_net: offset,
            sock_protocol: offset,
            netlink_portid: offset,
            task_flags: offset,
            skb_data: offset,
            skb_len: offset,
            task_cgroups: offset,
            css_set_controller: offset,
            css_cgroup: offset,
            cgroup_kn: offset,
            cgroup_root: offset,
            root_hierarchy: offset,
            kernfs_id: offset,
            nsproxy_mnt_ns: offset,
            mnt_inum: offset,
            task_sessionid: offset,
            task_thread_pid: offset,
            pid_level: offset,
            pid_numbers: offset,
            signal_tty: offset,
            tty_driver: offset,
            tty_index: offset,
            driver_major: offset,
            driver_minor: offset,
            net_cookie: offset,
        }
    }
}
