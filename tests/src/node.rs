//! A node: a network and a mount namespace with an empty `/var/lib`, `/run`, `/opt` and a private copy of `/etc`
//! (without `/etc/cni`, where packages leave things of other nodes).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::process::{self, Namespaces};
use crate::{Failure, Result};

/// What the first process of a node does before it sleeps. `$1` is a scratch directory.
const ARRANGE: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 etc "$1/mnt"
cp -a /etc/. "$1/mnt/"
rm -rf "$1/mnt/cni"
mount --bind "$1/mnt" /etc
umount -l "$1/mnt"
for dir in /var/lib /var/log /run /opt; do mount -t tmpfs -o mode=755 "node${dir##*/}" "$dir"; done
mkdir -p /run/lock /run/netns /var/lib/docker
test -e /sys/kernel/tracing/events || mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
echo arranged
exec sleep infinity
"#;

/// Numbers copies of programs in the making.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// A node. Dropping it ends all its processes; its namespaces, mounts and links go with the last of them.
#[derive(Debug)]
pub struct Node {
    init: Child,
    namespaces: Namespaces,
    /// Keeps the namespaces, and so their numbers, until the node's processes are found by them and ended: another
    /// node's could get the numbers otherwise.
    pins: [File; 2],
    scratch: TempDir,
}

impl Node {
    /// Makes a node.
    ///
    /// # Errors
    /// Without root, or when a tool (`unshare`, `setpriv`, `mount`, `ip`) is missing.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure("making network and mount namespaces needs root: run it as root".to_owned()));
        }
        process::adopt_orphans();
        let scratch = tempfile::Builder::new().prefix("netdeed-node-").tempdir()?;
        std::fs::create_dir(scratch.path().join("mnt"))?;
        let mut init = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "sh", "-c", ARRANGE, "node"])
            .arg(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new("cannot run `setpriv unshare`", error))?;
        let mut line = String::new();
        if let Some(stdout) = init.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.trim() != "arranged" {
            let output = init.wait_with_output()?;
            return Err(Failure::of_program("arranging the node", &output));
        }
        let namespaces = Namespaces::of(init.id()).ok_or_else(|| Failure("the node's init is gone".to_owned()))?;
        let pin = |name: &str| File::open(format!("/proc/{}/ns/{name}", init.id()));
        let pins = [pin("net")?, pin("mnt")?];
        Ok(Self { init, namespaces, pins, scratch })
    }

    /// A directory outside of the node's mounts, removed with the node.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Inode number of the node's network namespace.
    pub fn netns(&self) -> u64 {
        self.namespaces.net
    }

    /// Runs `test` on a thread in the node's network namespace, with this process's own files.
    ///
    /// # Panics
    /// When `test` does, and without root.
    pub fn on_its_network(&self, test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = rustix::thread::LinkNameSpaceType::Network;
                rustix::thread::move_into_link_name_space(self.pins[0].as_fd(), Some(kind))
                    .expect("entering a network namespace needs root");
                test();
            });
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// A program to run in the node. It ends when this process does.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let pid = self.init.id();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .arg(format!("--mount=/proc/{pid}/ns/mnt"))
            .args(["--", "setpriv", "--pdeathsig", "KILL"])
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// A program run by an administrator who logged in as `root`, as login programs record it.
    pub fn admin(&self, program: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", "echo 0 > /proc/self/loginuid && exec \"$@\"", "login", program]);
        command
    }

    /// Runs a shell script in the node and gives what it prints.
    ///
    /// # Errors
    /// When it fails, with all it printed.
    pub fn sh(&self, script: &str) -> Result<String> {
        let mut command = self.command("sh");
        command.args(["-ec", script]);
        output_of(&mut command, script)
    }

    /// Runs a shell script in the node as a logged-in administrator.
    ///
    /// # Errors
    /// When it fails, with all it printed.
    pub fn admin_sh(&self, script: &str) -> Result<String> {
        let mut command = self.admin("sh");
        command.args(["-ec", script]);
        output_of(&mut command, script)
    }

    /// Runs a shell script in the node by a process with another program's name, as that program's children would be.
    ///
    /// # Errors
    /// When it fails, with all it printed.
    pub fn run_as(&self, program: &str, script: &str) -> Result<String> {
        let path = self.program(program)?;
        // a last command that the shell would become itself, and so lose its name, is none
        let mut command = self.command(&path);
        command.args(["-ec", &format!("{script}\n:")]);
        output_of(&mut command, script)
    }

    /// A shell under a program's name: what it and its children do is that program's.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        if !path.exists() {
            // by another process: what this one has open for writing, a program that another thread is starting has open,
            // too, for a moment, and nobody can execute it
            let made = self.scratch.path().join(format!(".{name}-{}", COPIES.fetch_add(1, Ordering::Relaxed)));
            output_of(Command::new("cp").arg("/bin/dash").arg(&made), "cp /bin/dash")?;
            std::fs::rename(&made, &path)?;
        }
        Ok(path)
    }

    /// The path by which the machine sees one of the node's files.
    pub fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init.id()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        process::end_all(self.namespaces);
        let _ = self.init.wait();
    }
}

/// Runs a program to its end and gives what it prints.
///
/// # Errors
/// When it cannot be run or fails, with all it printed.
pub fn output_of(command: &mut Command, name: &str) -> Result<String> {
    let output: Output = command.output().map_err(|error| Failure::new(format!("cannot run `{name}`"), error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::of_program(name, &output))
    }
}
