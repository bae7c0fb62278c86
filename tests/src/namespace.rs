//! A thread in namespaces of its own, for tests that call the library from inside of them, and the real tools there.
//!
//! Without root, or without a tool, everything here panics and says so: nothing is skipped.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

/// Runs `test` on a thread in a new network namespace, which goes away with the thread.
///
/// # Panics
/// When `test` does, and without root.
pub fn in_netns(test: impl FnOnce() + Send + 'static) {
    on_thread(|| {
        // SAFETY: a network namespace shares no memory and no descriptors with the thread's others.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace: needs root");
        test();
    });
}

/// Runs `test` on a thread in a new mount namespace, with the path of an empty tmpfs; nothing of it is left afterwards.
///
/// # Panics
/// When `test` does, and without root.
pub fn in_mount_namespace(test: impl FnOnce(&Path) + Send + 'static) {
    on_thread(|| {
        // SAFETY: descriptors stay shared; only mounts, root and working directory become this thread's own.
        let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        unshared.expect("a mount namespace: needs root");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).expect("private mounts");
        let dir = tempfile::tempdir().expect("temporary directory");
        let top = dir.path().canonicalize().expect("path");
        mount_tmpfs(&top);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&top)));
        rustix::mount::unmount(&top, UnmountFlags::DETACH).expect("unmount");
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

fn on_thread(run: impl FnOnce() + Send + 'static) {
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Mounts an empty tmpfs.
///
/// # Panics
/// When the kernel refuses.
pub fn mount_tmpfs(at: &Path) {
    rustix::mount::mount("tmpfs", at, "tmpfs", MountFlags::empty(), None).expect("mount a tmpfs");
}

/// Runs a shell script in `dir`.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn sh(script: &str, dir: &Path) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(dir).status().expect("sh");
    assert!(status.success(), "{script}");
}

/// Runs a command with `input`, gives its process id.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn run_with(input: &str, command: &[&str]) -> u32 {
    let mut child = spawn(command, Stdio::null());
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("input is read");
    let pid = child.id();
    succeeded(command, &child.wait_with_output().expect("child ends"));
    pid
}

/// Runs a command line without quotes, gives its process id.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn run(command: &str) -> u32 {
    run_with("", &words(command))
}

/// Runs a command line without quotes, gives what it prints.
///
/// # Panics
/// When it fails, or prints something that is not UTF-8.
#[track_caller]
pub fn output_of(command: &str) -> String {
    let command = words(command);
    let output = spawn(&command, Stdio::piped()).wait_with_output().expect("child ends");
    succeeded(&command, &output);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs an nft script, gives the process id of `nft`.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn nft(script: &str) -> u32 {
    run_with(script, &["nft", "-f", "-"])
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}

#[track_caller]
fn spawn(command: &[&str], output: Stdio) -> std::process::Child {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run `{}`: {error}", command[0]))
}

#[track_caller]
fn succeeded(command: &[&str], output: &Output) {
    assert!(output.status.success(), "`{}` failed: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
}
