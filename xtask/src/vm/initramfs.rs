//! The first root of a machine: enough to reach the real one by 9p.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::XtaskError;

use super::kernel::{Unpacked, file_error};
use super::machine::{HOST_TAG, RESULTS_TAG, WORKSPACE_TAG};

/// What the machine needs for its root: PCI transport and the network filesystem.
const MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];

/// Where a machine finds its orders and leaves its results: a place that a test's node does not cover.
pub(super) const RESULTS: &str = "/mnt/netdeed-vm";

/// Makes the archive of `kernel`'s first root in `folder`. `workspace` is what a machine sees again where memory covers it.
pub(super) fn make(kernel: &Unpacked, workspace: &Path, folder: &Path) -> Result<PathBuf, XtaskError> {
    let root = folder.join("initramfs");
    if root.exists() {
        std::fs::remove_dir_all(&root).map_err(|source| file_error("remove", &root, source))?;
    }
    for part in ["bin", "modules", "host", "proc", "sys", "dev"] {
        let path = root.join(part);
        std::fs::create_dir_all(&path).map_err(|source| file_error("make", &path, source))?;
    }
    let mut files = ["bin", "modules", "host", "proc", "sys", "dev", "bin/busybox", "init"].map(str::to_owned).to_vec();
    let busybox = root.join("bin/busybox");
    std::fs::copy("/bin/busybox", &busybox).map_err(|source| file_error("copy `/bin/busybox` to", &busybox, source))?;
    for (index, module) in modules(kernel)?.iter().enumerate() {
        let name = format!("modules/{index:02}.ko");
        unpack(module, &root.join(&name))?;
        files.push(name);
    }
    let init = root.join("init");
    std::fs::write(&init, script(workspace)).map_err(|source| file_error("write", &init, source))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&init, mode).map_err(|source| file_error("change", &init, source))?;
    archive(&root, &files, &folder.join("initramfs.cpio"))
}

/// The files of the modules, each after those it needs.
fn modules(kernel: &Unpacked) -> Result<Vec<PathBuf>, XtaskError> {
    let mut found = Vec::new();
    for module in MODULES {
        let output = Command::new("/sbin/modprobe")
            .arg("-d")
            .arg(&kernel.root)
            .args(["-S", &kernel.release, "--show-depends", module])
            .output()
            .map_err(|source| XtaskError::Spawn { program: "modprobe".to_owned(), source })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(XtaskError::Wrong(format!("module `{module}` of {} is not there: {said}", kernel.release)));
        }
        // `insmod PATH`, or `builtin NAME`
        let text = String::from_utf8_lossy(&output.stdout);
        let paths = text.lines().filter_map(|line| line.strip_prefix("insmod ")).map(|path| PathBuf::from(path.trim()));
        for path in paths {
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Copies a module, uncompressed: what loads it may know less than the kernel.
fn unpack(module: &Path, to: &Path) -> Result<(), XtaskError> {
    let program = match module.extension().and_then(std::ffi::OsStr::to_str) {
        Some("xz") => "unxz",
        Some("gz") => "gunzip",
        Some("zst") => {
            return Err(XtaskError::Wrong(format!("cannot unpack `{}`: Debian uses xz or nothing", module.display())));
        }
        _ => "cat",
    };
    let open = |path: &Path| std::fs::File::open(path).map_err(|source| file_error("open", path, source));
    let created = std::fs::File::create(to).map_err(|source| file_error("make", to, source))?;
    let mut command = Command::new("/bin/busybox");
    command.arg(program).stdin(open(module)?).stdout(created);
    crate::shell::run_command(&mut command)
}

/// Writes a cpio archive of files below `root`.
fn archive(root: &Path, files: &[String], to: &Path) -> Result<PathBuf, XtaskError> {
    let output = std::fs::File::create(to).map_err(|source| file_error("make", to, source))?;
    let mut child = Command::new("/bin/busybox")
        .args(["cpio", "-o", "-H", "newc"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| XtaskError::Spawn { program: "busybox cpio".to_owned(), source })?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all((files.join("\n") + "\n").as_bytes()).map_err(|source| file_error("write", to, source))?;
    }
    let status = child.wait().map_err(|source| file_error("write", to, source))?;
    if !status.success() {
        return Err(XtaskError::Failed { command: "busybox cpio".to_owned(), status });
    }
    Ok(to.to_owned())
}

/// The first program. What the tests write is in memory, and covers the same of the host; the workspace may be below it.
fn script(workspace: &Path) -> String {
    let workspace = workspace.display();
    let options = "trans=virtio,version=9p2000.L,msize=262144";
    format!(
        r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $b insmod $module; done
$b mount -t 9p -o {options},cache=loose,ro {HOST_TAG} /host || $b poweroff -f
for dir in proc sys dev; do $b mount --move /$dir /host/$dir; done
for dir in tmp run dev/shm mnt; do
  $b mkdir -p /host/$dir 2>/dev/null
  $b mount -t tmpfs -o mode=1777 tmpfs /host/$dir
done
$b mkdir -p /host/dev/pts /host{workspace} 2>/dev/null
$b mount -t devpts devpts /host/dev/pts
$b mount -t 9p -o {options},cache=loose,ro {WORKSPACE_TAG} "/host{workspace}"
$b mkdir -p /host{RESULTS}
$b mount -t 9p -o {options} {RESULTS_TAG} /host{RESULTS}
$b mount -t tracefs tracefs /host/sys/kernel/tracing
$b mount -t securityfs securityfs /host/sys/kernel/security
$b mount -t bpf bpf /host/sys/fs/bpf
$b mount -t cgroup2 cgroup2 /host/sys/fs/cgroup
exec $b switch_root /host /bin/sh {RESULTS}/start
"#
    )
}
