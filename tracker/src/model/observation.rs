//! Observations: what decoding makes of raw records, before anybody asks who did it.

use super::gap::Source;
use super::ids::{Generation, Ifindex, NetlinkSeq, NetnsId, Portid, Tgid, Tid};
use super::ipset::IpSetOrder;
use super::ipvs::IpvsOrder;
use super::process::{ProcessKey, Seat};
use super::subject::{Snapshot, Subject};
use super::sysctl::SysctlName;
use super::time::BootTime;

/// An ancestor as a BPF record carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AncestorRef {
    /// The process.
    pub process: ProcessKey,
    /// Its task name at that moment.
    pub comm: String,
}

/// A cgroup by number. Neither number is given out again while the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CgroupId {
    /// The hierarchy; 0 for v2.
    pub hierarchy: u32,
    /// The cgroup in it: the inode number of its directory.
    pub id: u64,
}

impl CgroupId {
    /// A cgroup of the v2 hierarchy.
    pub fn v2(id: u64) -> Self {
        Self { hierarchy: 0, id }
    }
}

/// The task a BPF record was made in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRef {
    /// The process.
    pub process: ProcessKey,
    /// The thread.
    pub tid: Tid,
    /// Task name of the thread.
    pub comm: String,
    /// Real user id.
    pub uid: u32,
    /// Login user id, when a login set one.
    pub login_uid: Option<u32>,
    /// The task's network namespace.
    pub netns: NetnsId,
    /// cgroup v2 id; the same for all tasks where only v1 hierarchies are used.
    pub cgroup_id: u64,
    /// Ancestors, parent first, at most 12.
    pub ancestors: Vec<AncestorRef>,
}

/// One decoded fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A process was made. Threads are not reported.
    Fork {
        /// When.
        time: BootTime,
        /// The task that forked.
        parent: TaskRef,
        /// The new process.
        child: ProcessKey,
        /// Its process id in its own pid namespace, where that is not the host's.
        inner_tgid: Option<Tgid>,
    },
    /// A process replaced its image.
    Exec {
        /// When.
        time: BootTime,
        /// The task, already with its new comm.
        task: TaskRef,
        /// The path it was executed by (a script's own path, not its interpreter's).
        exe: Option<String>,
        /// Arguments, bounded.
        argv: Vec<String>,
        /// Whether arguments were cut.
        argv_truncated: bool,
        /// `CNI_*` variables of its environment.
        cni_env: Vec<(String, String)>,
        /// Terminal, login and namespaces.
        seat: Seat,
        /// Its cgroup in a v1 hierarchy, where processes are told apart by one.
        v1_cgroup: Option<CgroupId>,
    },
    /// The last thread of a process exited.
    Exit {
        /// When.
        time: BootTime,
        /// The process.
        process: ProcessKey,
    },
    /// A task handed a netlink request to the kernel; everything it causes is notified after this record was sent.
    RequestOpened(Request),
    /// The kernel is done with the request this thread had under way.
    RequestClosed {
        /// When.
        time: BootTime,
        /// The thread.
        tid: Tid,
        /// The socket's portid, known now even when the request bound the socket.
        portid: Portid,
        /// What the system call returned.
        result: i64,
    },
    /// A task is about to replace a legacy xtables table.
    TableOpened {
        /// When the call was entered; with the thread it names the call.
        opened: BootTime,
        /// The thread.
        tid: Tid,
        /// Network namespace of the socket.
        netns: NetnsId,
        /// `ip`, `ip6`, `arp` or `eb`.
        family: &'static str,
        /// Table name.
        table: String,
    },
    /// A piece of what a legacy table is replaced with.
    TableChunk {
        /// When the call was entered.
        opened: BootTime,
        /// The thread.
        tid: Tid,
        /// Where in the whole it stands, bytes.
        offset: u64,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// A task replaced a legacy xtables table (`*_SO_SET_REPLACE`).
    TableReplaced {
        /// When the call returned.
        time: BootTime,
        /// When the call was entered.
        opened: BootTime,
        /// Bytes the table was replaced with.
        total: u64,
        /// How many of them came as [`Observation::TableChunk`].
        copied: u64,
        /// Who.
        task: TaskRef,
        /// Network namespace of the socket.
        netns: NetnsId,
        /// `ip`, `ip6`, `arp` or `eb`.
        family: &'static str,
        /// Table name.
        table: String,
        /// What the system call returned.
        result: i64,
    },
    /// An nf_tables object was added or changed (`Some`) or deleted (`None`), in a commit not yet closed.
    Nft {
        /// The object.
        subject: Subject,
        /// Its content.
        after: Option<Snapshot>,
    },
    /// `NFT_MSG_NEWGEN`: closes the commit to which the preceding nf_tables observations belong.
    NftCommitted {
        /// Number of the ruleset now in force.
        generation: Generation,
        /// Thread that committed, in the host's pid namespace; `None` when the kernel did not say.
        tid: Option<Tid>,
        /// Its task name.
        comm: Option<String>,
    },
    /// A link, address, route, ip rule, neighbour or traffic control object was added or changed (`Some`) or deleted (`None`).
    Rtnetlink {
        /// The object.
        subject: Subject,
        /// Its content.
        after: Option<Snapshot>,
        /// Requester's socket; 0 when the kernel did not say.
        portid: Portid,
        /// Requester's sequence number; 0 when the kernel did not say.
        seq: NetlinkSeq,
        /// Name the link had in this message, for links.
        ifname: Option<String>,
    },
    /// A directory or file was made, changed or removed.
    Path(PathObservation),
    /// Records are missing from here on.
    Loss {
        /// Of which stream.
        source: Source,
        /// How many, where known.
        lost: Option<u64>,
    },
    /// The kernel is about to send an rtnetlink notification.
    Notified(Notified),
    /// A cgroup was made, or renamed with all below it.
    CgroupNamed {
        /// The cgroup.
        cgroup: CgroupId,
        /// Its path from the top of the hierarchy.
        path: String,
    },
    /// A task asks for a change of mounts; [`Observation::RequestClosed`] ends this too.
    MountOpened(MountRequest),
}

/// A system call about mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// When it began.
    pub time: BootTime,
    /// Who.
    pub task: TaskRef,
    /// Number of the task's mount namespace.
    pub namespace: u32,
    /// Which.
    pub call: MountCall,
    /// Its flags: `MS_*`, `MNT_*` or `MOVE_MOUNT_*`.
    pub flags: u64,
    /// The path it acts on, as it was given; empty when it was not readable.
    pub target: Vec<u8>,
    /// The path from which something is mounted or moved; empty as above.
    pub from: Vec<u8>,
}

/// The system calls about mounts that are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountCall {
    /// `mount(2)`.
    Mount,
    /// `umount2(2)`.
    Unmount,
    /// `move_mount(2)`.
    Move,
}

/// An rtnetlink notification on its way, and whose doing it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// When.
    pub time: BootTime,
    /// In which task.
    pub task: TaskRef,
    /// What that says.
    pub by: NotifiedBy,
    /// Network namespace whose listeners get it.
    pub netns: NetnsId,
    /// Length of the datagram, bytes.
    pub length: u32,
    /// Its first bytes, as listeners get them.
    pub head: Vec<u8>,
}

/// Whose doing a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifiedBy {
    /// The task's.
    Task,
    /// The kernel's own: a thread of its sends it.
    Kernel,
    /// Perhaps somebody else's: it may be sent in an interrupt.
    Unsure,
}

/// A directory or file event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathObservation {
    /// The path.
    pub subject: Subject,
    /// Content right after; `None` when it was removed or is already gone.
    pub after: Option<Snapshot>,
    /// What kind of event.
    pub event: PathEvent,
    /// Process that did it; `None` for another pid namespace's process or a kernel thread.
    pub tgid: Option<Tgid>,
    /// The event happened after this moment (the previous read of an empty queue)...
    pub after_time: BootTime,
    /// ...and before this one.
    pub before_time: BootTime,
}

/// Kinds of directory and file events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEvent {
    /// Made here.
    Created,
    /// Moved to here from elsewhere; identity is the inode's.
    MovedIn,
    /// Moved away from here.
    MovedOut,
    /// Removed.
    Deleted,
    /// Written and closed, or given another mode or owner.
    Written,
}

/// The protocol of requests that came by ioctl: their messages are what rtnetlink would have been asked for.
pub const IOCTL: u32 = u32::MAX;
/// The protocol of requests that came by `setsockopt`: they ask IPVS for something.
pub const SOCKOPT: u32 = u32::MAX - 1;

/// A request a task handed to the kernel, by netlink, by ioctl or by `setsockopt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When the system call was entered.
    pub time: BootTime,
    /// Who.
    pub task: TaskRef,
    /// `NETLINK_*` protocol: 0 route, 12 netfilter, 16 generic; [`IOCTL`] or [`SOCKOPT`] for a request by these.
    pub protocol: u32,
    /// Network namespace of the socket, which need not be the task's.
    pub netns: NetnsId,
    /// The socket's portid; 0 when it is not bound yet.
    pub portid: Portid,
    /// Length of the whole request, bytes.
    pub length: u64,
    /// The messages within the bytes that were captured.
    pub messages: Vec<RequestMessage>,
    /// Whether messages or attributes were cut.
    pub is_truncated: bool,
    /// What it asks of the ip_set subsystem.
    pub ip_sets: Vec<IpSetOrder>,
    /// What it asks of IPVS; of generic netlink, only if its messages are of that family's type.
    pub ipvs: Vec<IpvsOrder>,
}

/// One netlink message of a request, as far as attribution needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMessage {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub seq: NetlinkSeq,
    /// What link messages name; empty for others.
    pub link: LinkMention,
    /// The addresses or neighbours it is about, as far as it says; empty for other messages.
    pub about: Vec<Subject>,
    /// Whether a kernel worker does, later, what is asked for here.
    pub is_deferred: bool,
}

/// What a link request names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkMention {
    /// `ifi_index`, when not 0.
    pub ifindex: Option<Ifindex>,
    /// `IFLA_IFNAME`; may be a pattern such as `veth%d`.
    pub ifname: Option<String>,
    /// `IFLA_IFNAME` inside `VETH_INFO_PEER`.
    pub peer_ifname: Option<String>,
    /// `IFLA_INFO_KIND`.
    pub kind: Option<String>,
    /// Whether a move to another network namespace is asked for (`IFLA_NET_NS_FD`, `IFLA_NET_NS_PID`), here or for the
    /// peer.
    pub moves_netns: bool,
}

/// Writes to one sysctl of this network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlWrite {
    /// Which.
    pub name: SysctlName,
    /// Its value after the last of them; `None` when it could not be read.
    pub value: Option<String>,
    /// Who wrote, each once; `None` is a process of another pid namespace.
    pub writers: Vec<Option<Tgid>>,
    /// They happened after this moment...
    pub after: BootTime,
    /// ...and before this one.
    pub before: BootTime,
}
