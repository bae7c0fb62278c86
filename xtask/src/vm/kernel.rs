//! The kernels, and having them unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::XtaskError;
use crate::shell;

use super::package::Suite;

/// One kernel to test with.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Debian's suite.
    pub(super) suite: &'static str,
    /// How people call it.
    pub(super) name: &'static str,
    /// Which tiers of the programs it must load: with the functions' own hooks, or tracepoints alone.
    pub(super) has_functions: bool,
}

/// All of them, oldest first.
pub(super) const KERNELS: [Kernel; 3] = [
    Kernel { suite: "bullseye", name: "Debian 11", has_functions: true },
    Kernel { suite: "bookworm", name: "Debian 12", has_functions: true },
    Kernel { suite: "trixie", name: "Debian 13", has_functions: true },
];

/// The suite of the one that is part of every run of the tests.
pub(super) const USUAL: &str = "bookworm";

/// The package that depends on the newest kernel of a suite.
const NEWEST: &str = "linux-image-amd64";

/// A kernel and its modules, ready to boot.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Which.
    pub(super) suite: &'static str,
    /// `uname -r`.
    pub(super) release: String,
    /// What holds `boot` and `lib/modules`.
    pub(super) root: PathBuf,
}

impl Unpacked {
    /// The kernel itself.
    pub(super) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }
}

impl Kernel {
    /// Gives the kernel, fetched unless it was before. Remove `target/vm` for a newer one.
    pub(super) fn provide(&self) -> Result<Unpacked, XtaskError> {
        let folder = super::cache().join("kernels").join(self.suite);
        if let Some(unpacked) = self.unpacked(&folder.join("root"))? {
            return Ok(unpacked);
        }
        let suite = Suite::open(self.suite, &folder)?;
        let package = suite.dependency_of(NEWEST, "linux-image-")?;
        let file = suite.download(&package)?;
        let fresh = folder.join("unpacking");
        remove(&fresh)?;
        shell::run_command(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&fresh))?;
        remove(&file)?;
        let unpacked = self
            .unpacked(&fresh)?
            .ok_or_else(|| XtaskError::Wrong(format!("package `{package}` holds no kernel in `boot`")))?;
        let depmod = Command::new("/sbin/depmod").arg("-b").arg(&fresh).arg(&unpacked.release).status();
        let depmod = depmod.map_err(|source| XtaskError::Spawn { program: "depmod".to_owned(), source })?;
        if !depmod.success() {
            return Err(XtaskError::Failed { command: "depmod".to_owned(), status: depmod });
        }
        let root = folder.join("root");
        // last: what has this name is whole
        std::fs::rename(&fresh, &root).map_err(|source| file_error("rename", &fresh, source))?;
        Ok(Unpacked { root, ..unpacked })
    }

    /// The kernel unpacked at `root`, if there is one.
    fn unpacked(&self, root: &Path) -> Result<Option<Unpacked>, XtaskError> {
        let boot = root.join("boot");
        let entries = match std::fs::read_dir(&boot) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file_error("list", &boot, source)),
        };
        let release = entries.flatten().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("vmlinuz-")?.to_owned())
        });
        let Some(release) = release else { return Ok(None) };
        // newer packages have their modules below `usr`, older ones do not; the tools look in `lib`
        if !root.join("lib").exists() && root.join("usr/lib").exists() {
            let link = root.join("lib");
            std::os::unix::fs::symlink("usr/lib", &link).map_err(|source| file_error("link", &link, source))?;
        }
        Ok(Some(Unpacked { suite: self.suite, release, root: root.to_owned() }))
    }
}

/// Removes a file or a folder that need not be there.
fn remove(path: &Path) -> Result<(), XtaskError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error("remove", path, error)),
        _ => Ok(()),
    }
}

pub(super) fn file_error(operation: &'static str, path: &Path, source: std::io::Error) -> XtaskError {
    XtaskError::File { operation, path: path.to_owned(), source }
}
