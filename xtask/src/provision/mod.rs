//! Installing the programs that tests, demo and benchmarks run, from the distribution's packages; those that are in none
//! are built from their Go modules.

mod go;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::XtaskError;
use crate::shell;

/// Packages by the program that shows they are there.
const PACKAGES: [(&str, &str); 22] = [
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/iptables-nft", "iptables"),
    ("/usr/sbin/arptables-legacy", "arptables"),
    ("/usr/sbin/ipset", "ipset"),
    ("/usr/sbin/ipvsadm", "ipvsadm"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/firewalld", "firewalld"),
    ("/usr/bin/dbus-daemon", "dbus-daemon"),
    ("/usr/bin/podman", "podman"),
    ("/usr/lib/podman/netavark", "netavark"),
    ("/usr/sbin/libvirtd", "libvirt-daemon"),
    ("/usr/bin/virsh", "libvirt-clients"),
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/python3", "python3-minimal"),
    ("/bin/ip", "iproute2"),
    ("/bin/busybox", "busybox-static"),
    ("/bin/ps", "procps"),
    ("/sbin/mkfs.ext4", "e2fsprogs"),
];

/// Keeps packages from starting their services: Docker's would write the machine's own ruleset.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing; does nothing when nothing is.
pub(crate) fn run() -> Result<(), XtaskError> {
    install_missing(&PACKAGES)
}

/// Builds what only tests run: the components of Kubernetes. Does nothing when they are built; takes minutes otherwise.
pub(crate) fn components() -> Result<(), XtaskError> {
    go::build_missing()
}

/// Installs those packages whose program is missing.
pub(crate) fn install_missing(packages: &[(&str, &'static str)]) -> Result<(), XtaskError> {
    let missing: Vec<&str> =
        packages.iter().filter(|(program, _)| !Path::new(program).exists()).map(|(_, package)| *package).collect();
    install(&missing)
}

/// Installs packages without starting services.
pub(crate) fn install(packages: &[&str]) -> Result<(), XtaskError> {
    if packages.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(XtaskError::Wrong(format!(
            "these packages are missing: {}; install them, or run this as root",
            packages.join(" ")
        )));
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(XtaskError::Wrong(format!(
            "these packages are missing and there is no apt-get to install them: {}",
            packages.join(" ")
        )));
    }
    let _policy = NoServices::new()?;
    shell::run_command(apt().arg("update").arg("-qq"))?;
    shell::run_command(apt().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// While it lives, installed packages start nothing.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn new() -> Result<Self, XtaskError> {
        if Path::new(POLICY).exists() {
            return Ok(Self { is_ours: false });
        }
        let failed = |source| XtaskError::File { operation: "write", path: POLICY.into(), source };
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").map_err(failed)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(POLICY, mode).map_err(failed)?;
        Ok(Self { is_ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
