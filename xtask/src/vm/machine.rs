//! One virtual machine: booted, left to its steps, and its results read.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netdeed_tests::wait;

use crate::error::XtaskError;
use crate::shell;

use super::guest;
use super::initramfs::{self, RESULTS};
use super::kernel::{Unpacked, file_error};
use super::outcome::{Orders, Outcome, Step};

/// Names of the shared directories.
pub(super) const HOST_TAG: &str = "host";
pub(super) const WORKSPACE_TAG: &str = "workspace";
pub(super) const RESULTS_TAG: &str = "results";

/// For the kernel. Emulated timers may be late on a busy machine, and it would take them for broken; nobody is to be kept
/// from reading others' memory by what is dear to emulate.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet loglevel=4 random.trust_cpu=on no_timer_check mitigations=off";

/// Longest time to boot, without the steps.
const BOOT: Duration = Duration::from_secs(120);
/// What people get to see of a console.
const LINES: usize = 40;

/// Boots a kernel, has it do the steps, and gives what came of them.
pub(super) fn run(kernel: &Unpacked, steps: &[Step]) -> Result<Outcome, XtaskError> {
    let folder = super::cache().join("machines").join(kernel.suite);
    let results = folder.join("results");
    if results.exists() {
        std::fs::remove_dir_all(&results).map_err(|source| file_error("remove", &results, source))?;
    }
    std::fs::create_dir_all(&results).map_err(|source| file_error("make", &results, source))?;
    let workspace = canonical(&shell::workspace())?;
    let initramfs = initramfs::make(kernel, &workspace, &folder)?;
    give_orders(kernel, steps, &results)?;
    let console = folder.join("console");
    let all: Duration = steps.iter().map(Step::deadline).sum();
    let began = Instant::now();
    eprintln!("+ booting {} (console in `{}`)", kernel.release, console.display());
    let mut machine = Machine::start(kernel, &initramfs, &workspace, &results, &console)?;
    let ended = wait::until("the end of the virtual machine", BOOT + all, || machine.0.try_wait().ok().flatten());
    drop(machine);
    match (guest::read(&results), ended) {
        (Ok(outcome), Ok(_)) => Ok(Outcome { seconds: began.elapsed().as_secs(), ..outcome }),
        (_, ended) => {
            let why = ended.err().map_or_else(|| "it ended without a result".to_owned(), |failure| failure.to_string());
            Err(XtaskError::Wrong(format!(
                "{} under QEMU: {why}; its console ends with\n{}",
                kernel.release,
                tail(&console)
            )))
        }
    }
}

/// Writes what the machine is to do.
fn give_orders(kernel: &Unpacked, steps: &[Step], results: &Path) -> Result<(), XtaskError> {
    // by its place: this very one is another file by now when building the tests built it again
    let xtask = canonical(&shell::target().join("debug/xtask"))?;
    let root = canonical(&kernel.root)?;
    let start = format!(
        "export PATH={RESULTS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp\n\
         echo {RESULTS}/modprobe > /proc/sys/kernel/modprobe\n\
         ip link set lo up\n\
         {xtask} vm-guest {RESULTS}\n\
         sync\n\
         busybox reboot -f\n",
        xtask = xtask.display()
    );
    let modprobe = format!("#!/bin/sh\nexec /sbin/modprobe -d {} \"$@\"\n", root.display());
    let orders = serde_json::to_string_pretty(&Orders { steps: steps.to_vec() })
        .map_err(|error| XtaskError::Wrong(format!("the orders cannot be written: {error}")))?;
    for (name, text) in [("start", start), ("modprobe", modprobe), ("orders.json", orders)] {
        let path = results.join(name);
        std::fs::write(&path, text).map_err(|source| file_error("write", &path, source))?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).map_err(|source| file_error("change", &path, source))?;
    }
    Ok(())
}

/// A running machine; ended with its value.
struct Machine(Child);

impl Machine {
    fn start(
        kernel: &Unpacked,
        initramfs: &Path,
        workspace: &Path,
        results: &Path,
        console: &Path,
    ) -> Result<Self, XtaskError> {
        let output = File::create(console).map_err(|source| file_error("make", console, source))?;
        let errors = output.try_clone().map_err(|source| file_error("write", console, source))?;
        let mut command = Command::new("qemu-system-x86_64");
        // software emulation: KVM is not there on many machines that build things
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        command.args(["-device", "virtio-rng-pci"]);
        share(&mut command, HOST_TAG, Path::new("/"), true);
        share(&mut command, WORKSPACE_TAG, workspace, true);
        share(&mut command, RESULTS_TAG, results, false);
        command.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(initramfs);
        command.args(["-append", COMMAND_LINE]);
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| XtaskError::Spawn { program: "qemu-system-x86_64".to_owned(), source })?;
        Ok(Self(child))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // an ended one cannot be killed, which is as good
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Shares a directory. Filesystems mounted below it are seen too, hence the remapped inode numbers.
fn share(command: &mut Command, tag: &str, path: &Path, is_readonly: bool) {
    let readonly = if is_readonly { ",readonly=on" } else { "" };
    let path = path.display();
    command.args(["-fsdev", &format!("local,id={tag},path={path},security_model=none,multidevs=remap{readonly}")]);
    command.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
}

fn canonical(path: &Path) -> Result<PathBuf, XtaskError> {
    path.canonicalize().map_err(|source| file_error("find", path, source))
}

fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
