//! Processes: who acted, and from where.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{NetnsId, Tgid};
use super::time::BootTime;

/// One process of this boot: a reused process id has another start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread group id in the host's pid namespace.
    pub tgid: Tgid,
    /// Start of the group leader, `CLOCK_BOOTTIME`. From /proc it is only exact to 10 ms: see [`ProcessKey::matches`].
    pub start: BootTime,
}

impl ProcessKey {
    /// Whether both name one process, when one of the two start times may be rounded down to /proc's 10 ms ticks.
    pub fn matches(self, other: Self) -> bool {
        const TICK: u64 = 10_000_000;
        self.tgid == other.tgid
            && (self.start == other.start
                || (self.start.0 / TICK == other.start.0 / TICK
                    && (self.start.0.is_multiple_of(TICK) || other.start.0.is_multiple_of(TICK))))
    }
}

/// One program image: a process from one exec to the next or to its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecId {
    /// The process.
    pub process: ProcessKey,
    /// How many execs the tracker has seen of it; 0 for the image it was forked or found with.
    pub exec: u32,
}

/// How the tracker learned of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessSource {
    /// Its fork or exec was seen by a BPF program.
    Kernel,
    /// Read from /proc while it ran.
    Proc,
    /// Only known as an ancestor in another task's record: start time and comm, nothing else.
    Ancestor,
}

/// Where a process runs, read from its cgroup path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Placement {
    /// The cgroup path (v2, or the v1 hierarchy with the most to say); empty when it could not be read.
    pub cgroup: String,
    /// Container id, 64 hexadecimal digits.
    pub container: Option<String>,
    /// Runtime that named the cgroup: `docker`, `containerd`, `crio`, `podman`.
    pub runtime: Option<String>,
    /// Pod uid, with dashes.
    pub pod_uid: Option<String>,
    /// Pod namespace and name, from the kubelet's log directory of the uid or from `CNI_ARGS`.
    pub pod: Option<PodName>,
    /// Systemd unit (`kubelet.service`), the innermost one.
    pub unit: Option<String>,
    /// Login session scope (`session-3.scope`).
    pub session: Option<String>,
}

/// A pod's namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodName {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where a program was executed from: its terminal and its login, and what its own namespaces call it. Each is `None`
/// where there is none, and where it could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Seat {
    /// Controlling terminal: `pts/3`, `tty1`.
    pub tty: Option<String>,
    /// Session number of the kernel's audit, which a login sets; systemd-logind names its sessions by it.
    pub audit_session: Option<u32>,
    /// `SSH_CONNECTION` of its environment: address and port of the client, then of the server. Self-declared.
    pub ssh: Option<String>,
    /// Process id in its own pid namespace, where that is not the host's.
    pub inner_tgid: Option<Tgid>,
    /// Cookie of its network namespace: unlike the inode number, no other gets it before the next boot.
    pub netns_cookie: Option<u64>,
}

impl Seat {
    /// Name of the environment variable that tells of an SSH connection.
    pub const SSH: &str = "SSH_CONNECTION";

    /// A terminal's name below `/dev`, by its device number; `None` for number 0, which is no terminal.
    pub fn terminal(major: u32, minor: u32) -> Option<String> {
        /// Majors of `/dev/pts`, 256 terminals each.
        const PTS: std::ops::Range<u32> = 136..144;
        match (major, minor) {
            (0, 0) => None,
            (4, 0..64) => Some(format!("tty{minor}")),
            (4, _) => Some(format!("ttyS{}", minor - 64)),
            (5, 1) => Some("console".to_owned()),
            // the kernel gives this driver 20 bits of numbers from the first major on
            (136, _) => Some(format!("pts/{minor}")),
            (major, _) if PTS.contains(&major) => Some(format!("pts/{}", (major - PTS.start) * 256 + minor)),
            _ => Some(format!("{major}:{minor}")),
        }
    }
}

/// The CNI call a plugin was run for: its `CNI_*` environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct CniCall {
    /// `CNI_COMMAND`: `ADD`, `DEL`, `CHECK`, `GC`, `VERSION`.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `K8S_POD_NAMESPACE` and `K8S_POD_NAME` of `CNI_ARGS`.
    pub pod: Option<PodName>,
    /// `K8S_POD_UID` of `CNI_ARGS`.
    pub pod_uid: Option<String>,
}

/// A program image with what the tracker knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// Which image of which process.
    pub id: ExecId,
    /// The parent at fork time.
    pub parent: Option<ProcessKey>,
    /// The path it was executed by; `None` when not known.
    pub exe: Option<String>,
    /// Task name, 15 bytes, settable by the task: weak evidence.
    pub comm: String,
    /// Arguments, bounded, secrets redacted. Self-declared: the process can overwrite them.
    pub argv: Vec<String>,
    /// Whether arguments were cut.
    pub argv_truncated: bool,
    /// Real user id.
    pub uid: u32,
    /// Login user id (`loginuid`), when a login set one.
    pub login_uid: Option<u32>,
    /// The task's network namespace.
    pub netns: NetnsId,
    /// Where it was executed from.
    pub seat: Seat,
    /// Where it runs.
    pub placement: Placement,
    /// The CNI call it serves, if it is a CNI plugin.
    pub cni: Option<CniCall>,
    /// How the tracker learned of it.
    pub source: ProcessSource,
}

impl Image {
    /// Last part of the exe path, or the comm when the path is not known.
    pub fn program(&self) -> &str {
        match &self.exe {
            Some(exe) => exe.rsplit('/').next().unwrap_or(exe),
            None => &self.comm,
        }
    }
}

/// Who acted: an image and, nearest first, the images it descends from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The image that acted.
    pub image: Image,
    /// Its ancestors, parent first.
    pub ancestry: Vec<Image>,
    /// Whether an ancestor is missing before the first process (a parent was never seen and is gone).
    pub is_truncated: bool,
}

impl Actor {
    /// The acting image, then its ancestors, nearest first.
    pub fn lineage(&self) -> impl Iterator<Item = &Image> {
        std::iter::once(&self.image).chain(&self.ancestry)
    }

    /// The nearest image that all of these are or descend from; `None` when that is the first process or nobody known.
    pub fn nearest_common(actors: &[&Self]) -> Option<Self> {
        let (first, others) = actors.split_first()?;
        let is_shared = |image: &Image| others.iter().all(|other| other.lineage().any(|its| its.id == image.id));
        let index = first.lineage().position(is_shared)?;
        let mut lineage = first.lineage().skip(index).cloned();
        let image = lineage.next().filter(|image| image.id.process.tgid.0 > 1)?;
        Some(Self { image, ancestry: lineage.collect(), is_truncated: first.is_truncated })
    }
}

impl fmt::Display for Actor {
    /// `iptables-nft-restore ← kube-proxy ← containerd-shim ← systemd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.image.program())?;
        self.ancestry.iter().try_for_each(|image| write!(f, " ← {}", image.program()))?;
        if self.is_truncated { f.write_str(" ← ?") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_the_names_of_their_numbers() {
        for (major, minor, name) in [
            (136, 3, "pts/3"),
            (136, 300, "pts/300"),
            (137, 1, "pts/257"),
            (4, 1, "tty1"),
            (4, 64, "ttyS0"),
            (5, 1, "console"),
            (229, 0, "229:0"),
        ] {
            assert_eq!(Seat::terminal(major, minor).as_deref(), Some(name));
        }
        assert_eq!(Seat::terminal(0, 0), None);
    }

    #[test]
    fn a_proc_start_time_matches_within_its_tick_only() {
        let key = |start| ProcessKey { tgid: Tgid(7), start: BootTime(start) };
        assert!(key(123_456_789).matches(key(120_000_000)));
        assert!(!key(123_456_789).matches(key(130_000_000)));
        assert!(!key(123_456_789).matches(key(123_456_788)), "two kernel times must be equal");
    }
}
