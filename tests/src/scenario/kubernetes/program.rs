//! Components that no distribution has as a package: built from their Go modules, once, by `cargo xtask provision`.

use std::path::PathBuf;

use crate::{Failure, Result};

/// A program of a Go module.
#[derive(Debug, Clone, Copy)]
pub struct GoProgram {
    /// Name of the program, as nodes know it.
    pub name: &'static str,
    /// The module it is part of.
    pub module: &'static str,
    /// The module's version, without `v`.
    pub version: &'static str,
    /// Its package.
    pub package: &'static str,
    /// Modules that are taken in a newer version than the module asks for.
    pub newer: &'static [(&'static str, &'static str)],
    /// Whether it has parts in C.
    pub needs_c: bool,
}

/// kube-proxy.
pub const KUBE_PROXY: GoProgram = GoProgram {
    name: "kube-proxy",
    module: "k8s.io/kubernetes",
    version: "1.34.2",
    package: "k8s.io/kubernetes/cmd/kube-proxy",
    newer: &[],
    needs_c: false,
};

/// flannel's daemon.
pub const FLANNELD: GoProgram = GoProgram {
    name: "flanneld",
    module: "github.com/flannel-io/flannel",
    version: "0.28.4",
    package: "github.com/flannel-io/flannel",
    // not everywhere is the version to be had that flannel asks for
    newer: &[("github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common", "v1.3.103")],
    needs_c: true,
};

impl GoProgram {
    /// Where it is below a workspace's `target`.
    pub fn path(&self) -> PathBuf {
        ["go", &format!("{}-{}", self.name, self.version), self.name].iter().collect()
    }

    /// The built program.
    ///
    /// # Errors
    /// When it is not built.
    pub fn built(&self) -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        let mut found = own.ancestors().skip(1).map(|dir| dir.join(self.path()));
        found
            .find(|path| path.is_file())
            .ok_or_else(|| Failure(format!("`{}` is not built: run `cargo xtask provision` first", self.name)))
    }
}
