//! The machine the figures are of, and who else disturbs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netdeed_tests::wait;

use crate::error::XtaskError;

/// Longest time others may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The machine, when it was measured.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) is_virtual: bool,
    pub(super) kernel: String,
    pub(super) date: String,
    pub(super) nft: String,
    pub(super) iptables: String,
    /// Load averages at the begin and at the end.
    pub(super) load: (String, String),
}

impl Machine {
    /// Looks at this machine.
    pub(super) fn describe() -> Result<Self, XtaskError> {
        let cpuinfo = read("/proc/cpuinfo")?;
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = read("/proc/meminfo")?;
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        let kernel = rustix::system::uname();
        Ok(Self {
            processor: field("model name").unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: total.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024,
            is_virtual: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: format!("Linux {} {}", kernel.release().to_string_lossy(), kernel.machine().to_string_lossy()),
            date: first_line("date", &["--utc", "+%Y-%m-%d"])?,
            nft: first_line("nft", &["--version"])?,
            iptables: first_line("iptables-nft", &["--version"])?,
            load: (load(), String::new()),
        })
    }

    /// Notes how busy the machine is at the end.
    pub(super) fn note_end(&mut self) {
        self.load.1 = load();
    }
}

fn read(path: &str) -> Result<String, XtaskError> {
    std::fs::read_to_string(path).map_err(|source| XtaskError::File { operation: "read", path: path.into(), source })
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn first_line(program: &str, args: &[&str]) -> Result<String, XtaskError> {
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|source| XtaskError::Spawn { program: program.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
}

/// Largest resident set of a process since it began its program, MiB; `None` when it is gone.
pub(super) fn peak_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next())?;
    peak.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Waits until no other tracker runs: it would be in every figure.
pub(super) fn wait_for_others() -> Result<(), XtaskError> {
    let others = || {
        let mut others = bpf_holders();
        others.retain(|_, name| name == "netdeedd");
        others.into_keys().collect::<Vec<u32>>()
    };
    let found = others();
    if !found.is_empty() {
        eprintln!("netdeedd runs on this machine: waiting for the end of {found:?}");
    }
    Ok(wait::until("the end of every other netdeedd on this machine", PATIENCE, || others().is_empty().then_some(()))?)
}

/// Processes that hold BPF programs, by their id, with their names.
pub(super) fn bpf_holders() -> BTreeMap<u32, String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let holder = |directory: &Path| {
        let pid = directory.file_name()?.to_str()?.parse().ok()?;
        let mut descriptors = std::fs::read_dir(directory.join("fd")).ok()?.flatten();
        let holds = descriptors.any(|descriptor| {
            std::fs::read_link(descriptor.path()).is_ok_and(|target| {
                let target = target.as_os_str().as_encoded_bytes();
                target.starts_with(b"anon_inode:bpf-prog") || target.starts_with(b"anon_inode:bpf_link")
            })
        });
        let name = std::fs::read_to_string(directory.join("comm")).unwrap_or_default().trim().to_owned();
        holds.then_some((pid, name))
    };
    processes.filter_map(|process| holder(&process.path())).collect()
}
