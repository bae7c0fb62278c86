//! Names of pods, from the kubelet's log directory.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::process::PodName;

/// Finds a pod's namespace and name by its uid: the kubelet keeps a directory `<namespace>_<name>_<uid>` per pod.
///
/// Names stay known after the directory is gone, up to a bound.
#[derive(Debug)]
pub struct PodNames {
    dir: PathBuf,
    /// Modification time and link count of `dir` at the last listing: nothing new before they change. (Times alone
    /// are as coarse as the kernel's tick.)
    listed: Option<(SystemTime, u64)>,
    names: HashMap<String, PodName>,
}

impl PodNames {
    /// More names than any kubelet runs pods at once; beyond it, those without a directory are forgotten.
    const MAX_NAMES: usize = 4096;

    /// Reads names from `dir`, on a host `/var/log/pods`. It need not exist (yet).
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Self { dir: dir.as_ref().to_owned(), listed: None, names: HashMap::new() }
    }

    /// The pod with this uid (with dashes, or a static pod's 32 digits); `None` when the kubelet has no directory of it.
    pub fn find(&mut self, uid: &str) -> Option<&PodName> {
        if !self.names.contains_key(uid) {
            self.list();
        }
        self.names.get(uid)
    }

    fn list(&mut self) {
        let state = std::fs::metadata(&self.dir).and_then(|meta| Ok((meta.modified()?, meta.nlink()))).ok();
        if state.is_none() || state == self.listed {
            return;
        }
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        if self.names.len() > Self::MAX_NAMES {
            self.names.clear();
        }
        let found = entries.filter_map(|entry| parse(entry.ok()?.file_name().to_str()?));
        self.names.extend(found.take(Self::MAX_NAMES));
        self.listed = state;
    }
}

/// Namespaces and pod names hold no underscore.
fn parse(dir_name: &str) -> Option<(String, PodName)> {
    let mut parts = dir_name.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !namespace.is_empty() && !name.is_empty() && !uid.is_empty())
        .then(|| (uid.to_owned(), PodName { namespace: namespace.to_owned(), name: name.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_stay_known() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let logs = dir.path().join("pods");
        let mut pods = PodNames::new(&logs);
        assert_eq!(pods.find("u1"), None, "the directory need not exist");
        std::fs::create_dir_all(logs.join("kube-system_kube-proxy-x7_u1")).expect("create");
        std::fs::create_dir_all(logs.join("lost+found")).expect("create");
        assert_eq!(pods.find("u1").map(PodName::to_string).as_deref(), Some("kube-system/kube-proxy-x7"));
        std::fs::remove_dir(logs.join("kube-system_kube-proxy-x7_u1")).expect("remove");
        assert!(pods.find("u1").is_some());
        assert_eq!(pods.find("u2"), None);
    }

    #[test]
    fn other_directory_names_say_nothing() {
        for name in ["", "a_b", "a__u", "_b_u", "a_b_u_x"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
