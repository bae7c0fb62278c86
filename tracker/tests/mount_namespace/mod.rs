//! A mount namespace per test, with a fresh tmpfs in it; nothing of it is left afterwards.

use std::path::Path;
use std::process::Command;

use netdeed_tracker::model::path::AbsPath;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

/// Runs a test in a thread with a mount namespace of its own.
pub(crate) fn in_namespace(test: impl FnOnce(&Path) + Send + 'static) {
    let run = move || {
        // SAFETY: descriptors stay shared; only mounts, root and working directory become this thread's own.
        let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        unshared.expect("a mount namespace: these tests need root");
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
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Mounts an empty tmpfs.
pub(crate) fn mount_tmpfs(at: &Path) {
    rustix::mount::mount("tmpfs", at, "tmpfs", MountFlags::empty(), None).expect("mount a tmpfs");
}

/// An absolute path.
pub(crate) fn abs(path: impl AsRef<Path>) -> AbsPath {
    AbsPath::new(path.as_ref()).expect("absolute")
}

/// Runs a shell script in `dir`, which has to succeed.
#[track_caller]
pub(crate) fn sh(script: &str, dir: &Path) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(dir).status().expect("sh");
    assert!(status.success(), "{script}");
}
