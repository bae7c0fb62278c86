//! CNI calls: which images are plugins at work, and for whom.

use std::path::Path;

use crate::model::process::{CniCall, PodName};

/// Directories of ordinary tools. A program in one of them is a plugin only if `CNI_PATH` says so.
const TOOL_DIRS: [&str; 8] =
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/bin", "/usr/lib/systemd"];

/// Makes a call of a process' `CNI_*` variables; `None` when the program is not the plugin.
///
/// Plugins hand their environment on to `iptables`, `ip` and shells, so the variables alone do not make a plugin: the
/// program must stand in a directory of `CNI_PATH` (where that is missing: outside of the directories of tools).
pub fn cni_call(exe: Option<&str>, cni_env: &[(String, String)]) -> Option<CniCall> {
    let variable = |name: &str| {
        cni_env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let command = variable("CNI_COMMAND")?;
    let dir = Path::new(exe?).parent()?;
    let is_plugin = match variable("CNI_PATH") {
        Some(path) => std::env::split_paths(path).any(|entry| same_dir(&entry, dir)),
        None => dir.is_absolute() && !TOOL_DIRS.iter().any(|tools| same_dir(Path::new(tools), dir)),
    };
    is_plugin.then(|| CniCall {
        command: command.to_owned(),
        container: variable("CNI_CONTAINERID").unwrap_or_default().to_owned(),
        netns: variable("CNI_NETNS").unwrap_or_default().to_owned(),
        ifname: variable("CNI_IFNAME").unwrap_or_default().to_owned(),
        pod: variable("CNI_ARGS").and_then(pod_of_args),
        pod_uid: variable("CNI_ARGS").and_then(|args| argument(args, "K8S_POD_UID")).map(str::to_owned),
    })
}

/// Compares paths by their components: `/opt/cni/bin/` is `/opt/cni//bin`.
fn same_dir(one: &Path, other: &Path) -> bool {
    !one.as_os_str().is_empty() && one.components().eq(other.components())
}

/// `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;...`
fn pod_of_args(args: &str) -> Option<PodName> {
    let (namespace, name) = (argument(args, "K8S_POD_NAMESPACE")?, argument(args, "K8S_POD_NAME")?);
    Some(PodName { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// One of the arguments; `None` when it is empty.
fn argument<'a>(args: &'a str, name: &str) -> Option<&'a str> {
    let value = args.split(';').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_plugin_is_told_from_the_tools_it_runs() {
        let env = env(&[("CNI_COMMAND", "ADD"), ("CNI_PATH", "/usr/libexec/cni:/opt/cni/bin/")]);
        for (exe, is_plugin) in [
            ("/opt/cni/bin/portmap", true),
            ("/usr/libexec/cni/bridge", true),
            ("/usr/sbin/iptables", false),
            ("/opt/cni/bin/sub/tool", false),
            ("sh", false),
        ] {
            assert_eq!(cni_call(Some(exe), &env).is_some(), is_plugin, "{exe}");
        }
        assert_eq!(cni_call(None, &env), None);
    }

    #[test]
    fn without_a_path_variable_tools_are_known_by_their_directory() {
        let env = env(&[("CNI_COMMAND", "DEL")]);
        assert!(cni_call(Some("/opt/cni/bin/bridge"), &env).is_some());
        assert!(cni_call(Some("/usr/sbin/nft"), &env).is_none());
        assert!(cni_call(Some("./bridge"), &env).is_none());
    }

    #[test]
    fn the_pod_is_in_the_arguments() {
        let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-1;K8S_POD_UID=x";
        let env = env(&[
            ("CNI_COMMAND", "ADD"),
            ("CNI_PATH", "/opt/cni/bin"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/cni-1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", args),
        ]);
        let call = cni_call(Some("/opt/cni/bin/portmap"), &env).expect("a plugin");
        assert_eq!(call.pod_uid.as_deref(), Some("x"));
        assert_eq!(call.pod.map(|pod| pod.to_string()).as_deref(), Some("kube-system/coredns-1"));
        assert_eq!(
            (call.container.as_str(), call.netns.as_str(), call.ifname.as_str()),
            ("c1", "/run/netns/cni-1", "eth0")
        );
        assert_eq!(pod_of_args("K8S_POD_NAMESPACE=a"), None);
        assert_eq!(pod_of_args("K8S_POD_NAMESPACE=;K8S_POD_NAME="), None);
    }

    #[test]
    fn no_command_is_no_call() {
        let env = env(&[("CNI_PATH", "/opt/cni/bin"), ("CNI_COMMAND", "")]);
        assert_eq!(cni_call(Some("/opt/cni/bin/bridge"), &env), None);
    }
}
