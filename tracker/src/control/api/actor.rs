//! Who acted.

use serde::{Deserialize, Serialize};

use crate::model::ids::{ActorId, NetnsId, Tgid};
use crate::model::process::ProcessSource;

/// Who acted, in short: enough for one line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorBrief {
    /// Number in the journal.
    pub id: ActorId,
    /// Last part of the exe path, or the comm when the path is not known.
    pub program: String,
    /// Process id, host pid namespace.
    pub tgid: Tgid,
    /// Real user id.
    pub uid: u32,
    /// Programs, nearest first: the acting one, its parent and so on.
    pub lineage: Vec<String>,
    /// Whether the lineage ends before the first process.
    pub lineage_truncated: bool,
}

/// Who acted, with everything recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorView {
    /// Number in the journal.
    pub id: ActorId,
    /// The program image that acted.
    #[serde(flatten)]
    pub image: ImageView,
    /// Programs, nearest first: the acting one, its parent and so on.
    pub lineage: Vec<String>,
    /// Whether the lineage ends before the first process.
    pub lineage_truncated: bool,
    /// The ancestors, parent first.
    pub ancestry: Vec<ImageView>,
}

/// One program image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageView {
    /// Last part of the exe path, or the comm when the path is not known.
    pub program: String,
    /// The path it was executed by.
    pub exe: Option<String>,
    /// Task name, 15 bytes; settable by the task itself.
    pub comm: String,
    /// Arguments, the program's name first; secrets redacted.
    pub argv: Vec<String>,
    /// Whether arguments were cut.
    pub argv_truncated: bool,
    /// Process id, host pid namespace.
    pub tgid: Tgid,
    /// Start of the process, nanoseconds since boot; tells a reused process id apart.
    pub start_boottime_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Login user id, when a login set one.
    pub login_uid: Option<u32>,
    /// Network namespace of the task (inode number).
    pub netns: NetnsId,
    /// Cookie of that namespace: no other gets it before the next boot.
    pub netns_cookie: Option<u64>,
    /// Process id in its own pid namespace, where that is not the host's.
    pub inner_tgid: Option<Tgid>,
    /// Controlling terminal: `pts/3`.
    pub tty: Option<String>,
    /// Session number of the kernel's audit, when a login set one.
    pub audit_session: Option<u32>,
    /// `SSH_CONNECTION` of its environment.
    pub ssh: Option<String>,
    /// Systemd unit.
    pub unit: Option<String>,
    /// Login session scope.
    pub session: Option<String>,
    /// cgroup path; empty when it could not be read.
    pub cgroup: String,
    /// Container id.
    pub container: Option<String>,
    /// Runtime that named the cgroup.
    pub runtime: Option<String>,
    /// Pod, `namespace/name`.
    pub pod: Option<String>,
    /// Pod uid.
    pub pod_uid: Option<String>,
    /// The CNI call it served.
    pub cni: Option<CniView>,
    /// How the tracker learned of it: `kernel`, `proc` or `ancestor`, strong to weak.
    pub source: ProcessSource,
}

/// The CNI call a plugin was run for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniView {
    /// `ADD`, `DEL`, `CHECK`, `GC` or `VERSION`.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// Pod, `namespace/name`.
    pub pod: Option<String>,
    /// Pod uid.
    pub pod_uid: Option<String>,
}
