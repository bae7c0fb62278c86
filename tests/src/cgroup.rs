//! A cgroup of the test's own, in the hierarchy by which the tracker tells processes apart.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Failure, Result};

/// Directories made in a cgroup hierarchy; removed with this, which must be after what runs in them.
#[derive(Debug)]
pub struct Cgroup {
    /// Number of the hierarchy; 0 for v2.
    hierarchy: u32,
    mount: PathBuf,
    /// Outermost first.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes a cgroup with this path below one with a name of its own: in the v1 hierarchy of `pids` or `memory` where there
    /// is one, otherwise in v2.
    ///
    /// # Errors
    /// Without root, and when the hierarchy is not mounted.
    pub fn new(path: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let controllers = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
        let v1 = ["pids", "memory"].into_iter().find_map(|name| {
            let mut lines = controllers.lines().map(str::split_whitespace);
            let number =
                lines.find_map(|mut fields| fields.next().filter(|first| *first == name).and(fields.next()))?;
            Some((name, number.parse().ok().filter(|number| *number != 0)?))
        });
        let (hierarchy, mount) = match v1 {
            Some((name, number)) => (number, mount_of("cgroup", name)?),
            None => (0, mount_of("cgroup2", "")?),
        };
        let mut cgroup = Self { hierarchy, mount, made: Vec::new() };
        let top = format!("netdeed-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut dir = cgroup.mount.clone();
        for part in std::iter::once(top.as_str()).chain(path.split('/').filter(|part| !part.is_empty())) {
            dir.push(part);
            std::fs::create_dir(&dir)
                .map_err(|error| Failure::new(format!("cannot make `{}`", dir.display()), error))?;
            cgroup.made.push(dir.clone());
        }
        Ok(cgroup)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.made.last().unwrap_or(&self.mount)
    }

    /// Its path in the hierarchy, as /proc shows it.
    pub fn path(&self) -> String {
        format!("/{}", self.dir().strip_prefix(&self.mount).unwrap_or(Path::new("")).display())
    }

    /// Number of its hierarchy; 0 for v2.
    pub fn hierarchy(&self) -> u32 {
        self.hierarchy
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for dir in self.made.iter().rev() {
            // busy while something runs in it: then it stays, empty
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// Where a file system of this kind, with this option, is mounted.
fn mount_of(kind: &str, option: &str) -> Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut found = mounts.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let is_it =
            system.next() == Some(kind) && system.next_back()?.split(',').any(|one| one == option || option.is_empty());
        mount.split(' ').nth(4).filter(|_| is_it).map(PathBuf::from)
    });
    found.next().ok_or_else(|| Failure(format!("no {kind} hierarchy {option} is mounted")))
}
