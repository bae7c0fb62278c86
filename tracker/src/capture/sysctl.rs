//! Values of sysctls, read from `/proc/sys` as the calling thread's network namespace has them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::model::sysctl::SysctlName;

/// Where sysctls are.
pub(crate) const ROOT: &str = "/proc/sys";

/// Longest value that is read; longer ones are lists that nobody sets.
const MAX_VALUE: u64 = 4096;
/// Most sysctls that are read at the start: those of links are as many as there are links.
const MAX_KNOWN: usize = 20_000;

/// What Kubernetes, its network plugins, Docker and IPVS are known to set; `*` is any name. Their values are read at the
/// start, so that a value somebody sets can be set back.
const WATCHED: &[&str] = &[
    "net/ipv4/ip_forward",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/conf/*/accept_local",
    "net/ipv4/conf/*/arp_announce",
    "net/ipv4/conf/*/arp_ignore",
    "net/ipv4/conf/*/proxy_arp",
    "net/ipv4/conf/*/route_localnet",
    "net/ipv4/conf/*/rp_filter",
    "net/ipv4/conf/*/send_redirects",
    "net/ipv4/conf/*/src_valid_mark",
    "net/ipv4/neigh/default/gc_thresh*",
    "net/ipv4/vs/*",
    "net/ipv6/conf/*/accept_ra",
    "net/ipv6/conf/*/disable_ipv6",
    "net/ipv6/conf/*/forwarding",
    "net/ipv6/conf/*/proxy_ndp",
    "net/ipv6/neigh/default/gc_thresh*",
    "net/bridge/*",
    "net/core/bpf_jit_harden",
    "net/core/rmem_max",
    "net/core/somaxconn",
    "net/core/wmem_max",
    "net/netfilter/*",
    "fs/inotify/*",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/unprivileged_bpf_disabled",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Reads a value; `None` when there is no such sysctl, or it cannot be read.
pub fn read(name: &SysctlName) -> Option<String> {
    let file = std::fs::File::open(Path::new(ROOT).join(name.path())).ok()?;
    let mut value = String::new();
    file.take(MAX_VALUE).read_to_string(&mut value).ok()?;
    Some(value.trim_end_matches('\n').to_owned())
}

/// The watched sysctls that are there, and `more` of them by the same patterns, with their values.
pub fn watched(more: &[String]) -> BTreeMap<SysctlName, String> {
    let mut found = BTreeMap::new();
    for pattern in WATCHED.iter().copied().chain(more.iter().map(String::as_str)) {
        let mut paths = vec![String::new()];
        for part in pattern.split('/') {
            paths = paths.iter().flat_map(|path| step(path, part)).collect();
        }
        for name in paths.iter().filter_map(|path| SysctlName::of_path(path)) {
            if found.len() < MAX_KNOWN
                && let Some(value) = read(&name)
            {
                found.insert(name, value);
            }
        }
    }
    found
}

/// The paths one part further.
fn step(path: &str, part: &str) -> Vec<String> {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let Some((before, after)) = part.split_once('*') else { return vec![join(part)] };
    let entries = std::fs::read_dir(Path::new(ROOT).join(path)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let fits = |name: &String| {
        name.strip_prefix(before).is_some_and(|rest| rest.len() >= after.len() && rest.ends_with(after))
    };
    names.filter(fits).map(|name| join(&name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sysctls_are_read_with_their_links() {
        let found = watched(&["kernel/pid_max".to_owned()]);
        let has = |path: &str| found.contains_key(&SysctlName::of_path(path).expect("a path"));
        assert!(has("net/ipv4/ip_forward") && has("net/ipv4/conf/lo/rp_filter") && has("kernel/pid_max"), "{found:?}");
        assert!(!has("kernel/hostname"));
        assert_eq!(read(&SysctlName::of_path("net/none/such").expect("a path")), None);
    }
}
