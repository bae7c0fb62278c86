//! A small reader of /proc. A process may vanish between any two reads: then there is no answer, never half of one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::ids::{NetnsId, Tgid, Tid};
use crate::model::process::{ProcessKey, Seat};
use crate::model::time::BootTime;

/// Nanoseconds per tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture Linux runs containers on).
const TICK: u64 = 10_000_000;
/// Bytes read of one file at most.
const MAX_FILE: u64 = 64 * 1024;

/// Where the kernel's views of processes are mounted.
#[derive(Debug, Clone)]
pub struct ProcFs {
    proc: PathBuf,
    cgroup: PathBuf,
    pod_logs: PathBuf,
}

/// One process as /proc shows it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcRecord {
    /// Start time rounded down to 10 ms.
    pub(super) key: ProcessKey,
    /// Parent now, 0 for none. After the first parent's exit, this is whoever adopted the process.
    pub(super) parent: Tgid,
    pub(super) comm: String,
    pub(super) uid: u32,
    pub(super) login_uid: Option<u32>,
    pub(super) netns: NetnsId,
    /// The executable's path, a script's own for a script.
    pub(super) exe: Option<String>,
    pub(super) argv: Vec<String>,
    pub(super) argv_truncated: bool,
    /// Text of its cgroup file.
    pub(super) cgroup: String,
    pub(super) cni_env: Vec<(String, String)>,
    /// Without the network namespace's cookie, which /proc does not tell.
    pub(super) seat: Seat,
}

impl ProcFs {
    /// The host's own mounts.
    pub fn host() -> Self {
        Self::at(Path::new("/"))
    }

    /// The mounts below another root: `proc`, `sys/fs/cgroup` and `var/log/pods`. The process ids there must be the
    /// host's (a container's own /proc shows others).
    pub fn at(root: &Path) -> Self {
        Self { proc: root.join("proc"), cgroup: root.join("sys/fs/cgroup"), pod_logs: root.join("var/log/pods") }
    }

    /// The directory below which cgroup hierarchies are mounted.
    pub(super) fn cgroups(&self) -> &Path {
        &self.cgroup
    }

    /// The text of `/proc/cgroups`.
    pub(super) fn controllers(&self) -> String {
        std::fs::read_to_string(self.proc.join("cgroups")).unwrap_or_default()
    }

    pub(super) fn pod_logs(&self) -> &Path {
        &self.pod_logs
    }

    /// Every process there is now.
    pub(super) fn tgids(&self) -> Vec<Tgid> {
        let Ok(entries) = std::fs::read_dir(&self.proc) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Tgid)).collect()
    }

    /// Reads a process; `None` when it is gone or another took its id while reading.
    pub(super) fn read(&self, tgid: Tgid) -> Option<ProcRecord> {
        let stat = self.stat(tgid.0)?;
        // /proc also answers for the number of a thread
        if self.status(tgid.0, "Tgid:")? != tgid.0 {
            return None;
        }
        let argv_bytes = self.bytes(tgid.0, "cmdline").unwrap_or_default();
        let argv_truncated = argv_bytes.len() as u64 == MAX_FILE;
        let argv: Vec<String> = strings(&argv_bytes).collect();
        let environ = self.bytes(tgid.0, "environ").unwrap_or_default();
        let seat = Seat {
            tty: stat.tty,
            audit_session: self.number(tgid, "sessionid"),
            ssh: strings(&environ).find_map(|pair| Some(pair.strip_prefix(Seat::SSH)?.strip_prefix('=')?.to_owned())),
            inner_tgid: self.inner_tgid(tgid),
            netns_cookie: None,
        };
        let record = ProcRecord {
            key: ProcessKey { tgid, start: stat.start },
            parent: stat.parent,
            comm: stat.comm,
            uid: self.status(tgid.0, "Uid:")?,
            login_uid: self.login_uid(tgid),
            netns: self.netns(tgid).unwrap_or_default(),
            exe: self.exe(tgid).map(|exe| script(&exe, &argv).unwrap_or(exe)),
            argv,
            argv_truncated,
            cgroup: self.cgroup_text(tgid).unwrap_or_default(),
            cni_env: strings(&environ)
                .filter(|pair| pair.starts_with("CNI_"))
                .filter_map(|pair| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
                .collect(),
            seat,
        };
        (self.start_of(tgid)? == record.key.start).then_some(record)
    }

    fn start_of(&self, tgid: Tgid) -> Option<BootTime> {
        self.stat(tgid.0).map(|stat| stat.start)
    }

    /// The process of a thread and the thread's own start.
    pub(super) fn process_of(&self, tid: Tid) -> Option<(Tgid, BootTime)> {
        let start = self.stat(tid.0)?.start;
        let tgid = Tgid(self.status(tid.0, "Tgid:")?);
        (self.stat(tid.0)?.start == start).then_some((tgid, start))
    }

    /// The cgroup file's text of a process, if it is still this one.
    pub(super) fn cgroup_of(&self, process: ProcessKey) -> Option<String> {
        let text = self.cgroup_text(process.tgid)?;
        let now = ProcessKey { tgid: process.tgid, start: self.start_of(process.tgid)? };
        process.matches(now).then_some(text)
    }

    /// The id of a cgroup v2 directory: what BPF records call it by.
    pub(super) fn cgroup_id(&self, path: &str) -> Option<u64> {
        let meta = std::fs::metadata(self.cgroup.join(path.trim_start_matches('/'))).ok()?;
        Some(meta.ino())
    }

    fn cgroup_text(&self, tgid: Tgid) -> Option<String> {
        self.text(tgid.0, "cgroup")
    }

    fn exe(&self, tgid: Tgid) -> Option<String> {
        let target = std::fs::read_link(self.path(tgid.0, "exe")).ok()?;
        let target = target.to_string_lossy();
        // a daemon whose package was upgraded still is that daemon
        Some(target.strip_suffix(" (deleted)").unwrap_or(&target).to_owned())
    }

    fn netns(&self, tgid: Tgid) -> Option<NetnsId> {
        let target = std::fs::read_link(self.path(tgid.0, "ns/net")).ok()?;
        target.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok().map(NetnsId)
    }

    fn login_uid(&self, tgid: Tgid) -> Option<u32> {
        self.number(tgid, "loginuid")
    }

    /// What a login sets once; `None` when none did.
    fn number(&self, tgid: Tgid, name: &str) -> Option<u32> {
        self.text(tgid.0, name)?.trim().parse().ok().filter(|number| *number != u32::MAX)
    }

    /// The last of its numbers, one for each pid namespace from the host's on.
    fn inner_tgid(&self, tgid: Tgid) -> Option<Tgid> {
        let text = self.text(tgid.0, "status")?;
        let numbers = text.lines().find_map(|line| line.strip_prefix("NStgid:"))?.split_whitespace();
        numbers.skip(1).last()?.parse().ok().map(Tgid)
    }

    /// First number of a line of `status`.
    fn status(&self, id: u32, key: &str) -> Option<u32> {
        let text = self.text(id, "status")?;
        text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    }

    fn stat(&self, id: u32) -> Option<Stat> {
        Stat::parse(&self.text(id, "stat")?)
    }

    fn text(&self, id: u32, name: &str) -> Option<String> {
        self.bytes(id, name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bytes(&self, id: u32, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(id, name)).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn path(&self, id: u32, name: &str) -> PathBuf {
        self.proc.join(id.to_string()).join(name)
    }
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: String,
    parent: Tgid,
    tty: Option<String>,
    start: BootTime,
}

impl Stat {
    /// `pid (comm) state ppid ...`, field 22 is the start; the comm may hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let (_, comm) = head.split_once('(')?;
        let mut fields = tail.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        // major in bits 8 to 19, minor around it
        let device = fields.nth(2)?.parse::<i32>().ok()?.cast_unsigned();
        let tty = Seat::terminal((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
        let ticks: u64 = fields.nth(14)?.parse().ok()?;
        Some(Self { comm: comm.to_owned(), parent: Tgid(parent), tty, start: BootTime(ticks.saturating_mul(TICK)) })
    }
}

/// NUL-separated strings; empty ones in the middle are arguments too.
fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let parts = (!bytes.is_empty()).then(|| bytes.split(|byte| *byte == 0));
    parts.into_iter().flatten().map(|part| String::from_utf8_lossy(part).into_owned())
}

/// The script an interpreter runs: the kernel makes `interpreter [option] /path/of/script ...` of an executed script.
fn script(exe: &str, argv: &[String]) -> Option<String> {
    /// Interpreters and the last letters of options after which no script but code or a module follows.
    const INTERPRETERS: [(&str, &str); 9] = [
        ("sh", "c"),
        ("bash", "c"),
        ("dash", "c"),
        ("ash", "c"),
        ("busybox", "c"),
        ("python", "cm"),
        ("perl", "eE"),
        ("ruby", "e"),
        ("node", "ep"),
    ];
    let program = exe.rsplit('/').next()?.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (_, code) = INTERPRETERS.iter().find(|(name, _)| *name == program)?;
    let first = argv.get(1)?;
    let path = match first.strip_prefix('-') {
        None => first,
        Some(option) if option.ends_with(|letter| code.contains(letter)) => return None,
        Some(_) => argv.get(2)?,
    };
    (path.starts_with('/') && !is_descriptor(path)).then(|| path.clone())
}

/// A path that names a file descriptor, not a file: `/proc/self/fd/6`, `/dev/fd/6`.
pub(super) fn is_descriptor(path: &str) -> bool {
    path.starts_with("/dev/fd/") || (path.starts_with("/proc/") && path.contains("/fd/"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A root directory with as much of /proc as the reader looks at.
    pub(in crate::lineage) struct FakeProc(pub(in crate::lineage) tempfile::TempDir);

    impl FakeProc {
        pub(in crate::lineage) fn new() -> Self {
            Self(tempfile::tempdir().expect("temporary directory"))
        }

        pub(in crate::lineage) fn procfs(&self) -> ProcFs {
            ProcFs::at(self.0.path())
        }

        /// Adds a process that started `ticks` after boot.
        pub(in crate::lineage) fn add(&self, tgid: u32, parent: u32, ticks: u64, argv: &[&str], cgroup: &str) {
            let dir = self.0.path().join(format!("proc/{tgid}"));
            std::fs::create_dir_all(dir.join("ns")).expect("create");
            let comm: String = argv[0].rsplit('/').next().expect("a part").chars().take(15).collect();
            let zeros = "0 ".repeat(17);
            let write = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("write");
            write("stat", format!("{tgid} ({comm}) S {parent} {zeros}{ticks} 0 0\n"));
            write("status", format!("Name:\t{comm}\nTgid:\t{tgid}\nUid:\t0\t0\t0\t0\n"));
            write("cmdline", argv.iter().map(|arg| format!("{arg}\0")).collect());
            write("cgroup", cgroup.to_owned());
            write("loginuid", "4294967295".to_owned());
            for (name, target) in [("exe", argv[0]), ("ns/net", "net:[4026531840]")] {
                let link = dir.join(name);
                drop(std::fs::remove_file(&link));
                std::os::unix::fs::symlink(target, link).expect("symlink");
            }
        }

        pub(in crate::lineage) fn write(&self, tgid: u32, name: &str, text: &str) {
            std::fs::write(self.0.path().join(format!("proc/{tgid}/{name}")), text).expect("write");
        }

        pub(in crate::lineage) fn remove(&self, tgid: u32) {
            std::fs::remove_dir_all(self.0.path().join(format!("proc/{tgid}"))).expect("remove");
        }
    }

    #[test]
    fn a_process_is_read_whole() {
        let proc = FakeProc::new();
        proc.add(7, 1, 123, &["/usr/sbin/dockerd", "-H", ""], "0::/system.slice/docker.service\n");
        proc.write(7, "environ", "A=b\0CNI_COMMAND=ADD\0CNI_X\0");
        let record = proc.procfs().read(Tgid(7)).expect("it is there");
        assert_eq!(record.key, ProcessKey { tgid: Tgid(7), start: BootTime(1_230_000_000) });
        assert_eq!((record.parent, record.comm.as_str(), record.uid, record.login_uid), (Tgid(1), "dockerd", 0, None));
        assert_eq!(record.exe.as_deref(), Some("/usr/sbin/dockerd"));
        assert_eq!(record.argv, ["/usr/sbin/dockerd", "-H", ""]);
        assert_eq!(record.netns, NetnsId(4_026_531_840));
        assert_eq!(record.cni_env, [("CNI_COMMAND".to_owned(), "ADD".to_owned())]);
        assert_eq!(proc.procfs().read(Tgid(8)), None);
        assert_eq!(proc.procfs().tgids(), [Tgid(7)]);
    }

    #[test]
    fn this_very_process_can_be_read() {
        let procfs = ProcFs::host();
        let me = Tgid(std::process::id());
        let record = procfs.read(me).expect("we live");
        assert!(record.key.start <= BootTime::now());
        assert_eq!(record.exe, std::env::current_exe().ok().map(|exe| exe.to_string_lossy().into_owned()));
        assert_eq!(procfs.process_of(Tid(me.0)).map(|(tgid, _)| tgid), Some(me));
        assert!(procfs.cgroup_of(record.key).is_some());
        let other = ProcessKey { start: BootTime(1), ..record.key };
        assert_eq!(procfs.cgroup_of(other), None, "another process' id");
    }

    #[test]
    fn a_task_name_may_hold_anything() {
        let zeros = "0 ".repeat(17);
        let stat = Stat::parse(&format!("9 (a) b) (c)) R 4 {zeros}55 0")).expect("well-formed");
        assert_eq!(
            stat,
            Stat { comm: "a) b) (c)".to_owned(), parent: Tgid(4), tty: None, start: BootTime(550_000_000) }
        );
        for bad in ["", "9", "9 (a", "9 (a) R", "9 (a) R x 0"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn scripts_go_by_their_own_path() {
        let script =
            |exe: &str, argv: &[&str]| script(exe, &argv.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let firewalld = ["/usr/bin/python3", "-sP", "/usr/sbin/firewalld", "--nofork"];
        assert_eq!(script("/usr/bin/python3.11", &firewalld).as_deref(), Some("/usr/sbin/firewalld"));
        assert_eq!(script("/bin/bash", &["-bash"]), None);
        assert_eq!(script("/bin/bash", &["bash", "/dev/fd/3", "x"]), None, "a descriptor is no name");
        assert_eq!(script("/bin/sh", &["sh", "-c", "/usr/sbin/firewalld --help"]), None);
        assert_eq!(script("/bin/bash", &["bash", "-lc", "/usr/sbin/ufw reload"]), None);
        assert_eq!(script("/bin/sh", &["sh", "-e", "/etc/init.d/x"]).as_deref(), Some("/etc/init.d/x"));
        assert_eq!(script("/usr/bin/dockerd", &["dockerd", "/etc/x"]), None);
    }

    #[test]
    fn an_upgraded_executable_keeps_its_name() {
        let proc = FakeProc::new();
        proc.add(7, 1, 123, &["/usr/sbin/dockerd (deleted)"], "");
        assert_eq!(proc.procfs().exe(Tgid(7)).as_deref(), Some("/usr/sbin/dockerd"));
    }
}
