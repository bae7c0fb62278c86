//! Which directories are watched, and how deep.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::path::AbsPath;

/// How far below a root is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Everything below.
    #[default]
    All,
    /// The root itself is level 0, its entries are level 1.
    Levels(u32),
}

/// One watched directory (or file), there or not there yet.
///
/// In TOML: `path = "/etc/cni"` with `depth = "all"` (also when left out) or `depth = 3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RootText", into = "RootText")]
pub struct Root {
    /// Its path.
    pub path: AbsPath,
    /// How deep.
    pub depth: Depth,
}

/// The paths Kubernetes, its CNI plugins and the container engines of a node keep their state in.
///
/// Data directories of container engines are watched a few levels deep only: what is in a container's filesystem is not
/// the node's. `/var/lib/kubelet` ends where the volumes of pods begin.
pub fn default_roots() -> Vec<Root> {
    DEFAULT.iter().filter_map(|&(path, depth)| Some(Root { path: AbsPath::new(Path::new(path))?, depth })).collect()
}

use Depth::{All, Levels};

const DEFAULT: [(&str, Depth); 58] = [
    // kubelet, kubeadm
    ("/etc/kubernetes", All),
    ("/usr/libexec/kubernetes", All),
    ("/var/lib/kubelet", Levels(5)), // pods/<uid>/volumes/<plugin>/<name>
    ("/var/lib/kubelet/pki", All),
    ("/var/lib/etcd", All),
    ("/root/.kube", All),
    ("/var/log/pods", Levels(2)),
    ("/var/log/containers", Levels(1)),
    // shared by CNI plugins
    ("/etc/cni", All),
    ("/opt/cni", All),
    ("/var/lib/cni", All),
    ("/run/cni", All),
    // CNI plugins
    ("/run/flannel", All),
    ("/run/cilium", All),
    ("/var/lib/cilium", All),
    ("/sys/fs/bpf/cilium", All),
    ("/run/calico", All),
    ("/var/lib/calico", All),
    ("/var/log/calico", Levels(2)),
    ("/sys/fs/bpf/calico", All),
    ("/sys/fs/bpf/tc", All),
    ("/sys/fs/bpf/tcx", All),
    ("/var/lib/weave", All),
    ("/var/lib/kube-router", All),
    ("/etc/iproute2", Levels(2)), // kube-router names its tables in rt_tables
    ("/run/antrea", All),
    ("/var/log/antrea", Levels(2)),
    ("/run/openvswitch", All),
    ("/etc/openvswitch", All),
    ("/run/ovn", All),
    ("/etc/ovn", All),
    // k3s, rke2
    ("/etc/rancher", All),
    ("/opt/rke", All),
    ("/run/k3s", Levels(2)),
    ("/var/lib/rancher", Levels(3)),
    ("/var/lib/rancher/k3s/server", All),
    ("/var/lib/rancher/k3s/agent/etc", All),
    ("/var/lib/rancher/k3s/data", Levels(3)),
    ("/var/lib/rancher/rke2/server", All),
    ("/var/lib/rancher/rke2/agent/etc", All),
    ("/var/lib/rancher/rke2/data", Levels(3)),
    // network namespaces by name
    ("/run/netns", Levels(1)),
    // container engines
    ("/etc/containerd", All),
    ("/run/containerd", Levels(2)),
    ("/var/lib/containerd", Levels(2)),
    ("/etc/crio", All),
    ("/run/crio", Levels(2)),
    ("/var/lib/crio", Levels(2)),
    ("/etc/containers", All),
    ("/run/containers", Levels(2)),
    ("/var/lib/containers", Levels(2)),
    ("/run/podman", Levels(1)),
    ("/run/libpod", Levels(2)),
    ("/etc/docker", All),
    ("/run/docker", Levels(2)),
    ("/var/lib/docker", Levels(2)),
    ("/var/lib/docker/network", All),
    ("/var/lib/dockershim", Levels(2)),
];

impl Root {
    /// Whether `path` is at or below the root and not too deep.
    fn covers(&self, path: &AbsPath, extra: u32) -> bool {
        let Ok(below) = path.as_path().strip_prefix(self.path.as_path()) else { return false };
        match self.depth {
            Depth::All => true,
            Depth::Levels(levels) => {
                let level = u32::try_from(below.components().count()).unwrap_or(u32::MAX);
                level.saturating_add(extra) <= levels
            }
        }
    }
}

/// Roots, asked about paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootSet(Vec<Root>);

impl RootSet {
    /// Wraps roots, which may overlap: a path is watched when one of them covers it.
    pub fn new(roots: Vec<Root>) -> Self {
        Self(roots)
    }

    /// The roots.
    pub fn roots(&self) -> &[Root] {
        &self.0
    }

    /// Whether a path is watched.
    pub fn covers(&self, path: &AbsPath) -> bool {
        self.0.iter().any(|root| root.covers(path, 0))
    }

    /// Whether entries of a directory are watched.
    pub fn covers_entries(&self, dir: &AbsPath) -> bool {
        self.0.iter().any(|root| root.covers(dir, 1))
    }

    /// Roots strictly below a path.
    pub fn below<'a>(&'a self, path: &'a AbsPath) -> impl Iterator<Item = &'a AbsPath> {
        self.0.iter().map(|root| &root.path).filter(move |root| *root != path && root.is_within(path))
    }
}

/// A root as a configuration file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootText {
    path: PathBuf,
    #[serde(default)]
    depth: DepthText,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DepthText {
    Levels(u32),
    Word(String),
}

impl Default for DepthText {
    fn default() -> Self {
        Self::Word("all".to_owned())
    }
}

impl TryFrom<RootText> for Root {
    type Error = InvalidRoot;

    fn try_from(text: RootText) -> Result<Self, InvalidRoot> {
        let depth = match text.depth {
            DepthText::Levels(levels) => Depth::Levels(levels),
            DepthText::Word(word) if word == "all" => Depth::All,
            DepthText::Word(word) => return Err(InvalidRoot::Depth(word)),
        };
        let path = AbsPath::new(&text.path).ok_or(InvalidRoot::Path(text.path))?;
        Ok(Self { path, depth })
    }
}

impl From<Root> for RootText {
    fn from(root: Root) -> Self {
        let depth = match root.depth {
            Depth::All => DepthText::default(),
            Depth::Levels(levels) => DepthText::Levels(levels),
        };
        Self { path: root.path.as_path().to_owned(), depth }
    }
}

/// A configured root that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoot {
    /// The path is relative or has `..` in it.
    #[error("expected an absolute path without `..` but found `{}`", .0.display())]
    Path(PathBuf),
    /// The depth is a word other than `all`.
    #[error("expected a number of levels or `all` as depth but found `{0}`")]
    Depth(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abs(path: &str) -> AbsPath {
        AbsPath::new(Path::new(path)).expect("absolute")
    }

    #[derive(Debug, Deserialize)]
    struct Config {
        roots: Vec<Root>,
    }

    #[test]
    fn roots_are_read_from_toml() {
        let text = "[[roots]]\npath = '/etc/cni'\n[[roots]]\npath = '/var/lib/docker'\ndepth = 2\n\
                    [[roots]]\npath = '/a'\ndepth = 'all'\n";
        let config: Config = toml::from_str(text).expect("valid");
        let depths: Vec<Depth> = config.roots.iter().map(|root| root.depth).collect();
        assert_eq!(depths, [All, Levels(2), All]);
        let back = toml::to_string(&config.roots[1]).expect("text");
        assert_eq!(toml::from_str::<Root>(&back).expect("valid"), config.roots[1]);
    }

    #[test]
    fn wrong_roots_are_refused_with_what_was_found() {
        let error = toml::from_str::<Root>("path = 'etc/cni'").expect_err("relative");
        assert!(error.to_string().contains("`etc/cni`"), "{error}");
        let error = toml::from_str::<Root>("path = '/etc'\ndepth = 'deep'").expect_err("word");
        assert!(error.to_string().contains("`deep`"), "{error}");
        assert!(toml::from_str::<Root>("path = '/etc'\ndeep = 1").is_err());
    }

    #[test]
    fn depth_counts_from_the_root() {
        let set = RootSet::new(vec![
            Root { path: abs("/var/lib/docker"), depth: Levels(2) },
            Root { path: abs("/var/lib/docker/network"), depth: All },
        ]);
        assert!(set.covers(&abs("/var/lib/docker")));
        assert!(set.covers(&abs("/var/lib/docker/overlay2/x")));
        assert!(!set.covers(&abs("/var/lib/docker/overlay2/x/diff")));
        assert!(!set.covers_entries(&abs("/var/lib/docker/overlay2/x")));
        assert!(set.covers(&abs("/var/lib/docker/network/files/a/b")));
        assert!(!set.covers(&abs("/var/lib/docker2")));
        let below: Vec<String> = set.below(&abs("/var/lib")).map(ToString::to_string).collect();
        assert_eq!(below, ["/var/lib/docker", "/var/lib/docker/network"]);
        assert_eq!(set.below(&abs("/var/lib/docker")).count(), 1);
    }

    #[test]
    fn defaults_are_canonical_and_without_duplicates() {
        let roots = default_roots();
        assert_eq!(roots.len(), DEFAULT.len());
        let paths: std::collections::BTreeSet<_> = roots.iter().map(|root| root.path.clone()).collect();
        assert_eq!(paths.len(), DEFAULT.len());
        assert!(!paths.iter().any(|path| path.is_within(&abs("/var/run"))), "`/var/run` is a link to `/run`");
        let set = RootSet::new(roots);
        assert!(set.covers(&abs("/etc/cni/net.d/10-flannel.conflist")));
        assert!(set.covers(&abs("/var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist")));
        assert!(set.covers(&abs("/var/lib/kubelet/pods/uid/volumes/kubernetes.io~empty-dir/cache")));
        assert!(!set.covers(&abs("/var/lib/kubelet/pods/uid/volumes/kubernetes.io~empty-dir/cache/data")));
        assert!(!set.covers(&abs("/var/lib/docker/overlay2/x/diff/etc")));
        assert!(!set.covers(&abs("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs")));
    }
}
