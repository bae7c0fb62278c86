//! CNI configurations. A runtime takes the first by name, whoever wrote it.

use super::{Check, Finding, Scene, Severity, Swap};
use crate::model::owner::Owner;

/// A configuration in `/etc/cni/net.d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniConfig {
    /// File name.
    pub file: String,
    /// Types of its plugins, in their order; `None` where it could not be read.
    pub plugins: Option<Vec<String>>,
}

impl CniConfig {
    /// Whether a runtime looks at a file of this name.
    pub fn is_name(file: &str) -> bool {
        [".conf", ".conflist", ".json"].iter().any(|end| file.ends_with(end))
    }

    /// Reads a configuration, or a list of them.
    pub fn parse(file: &str, text: &[u8]) -> Self {
        let json: Option<serde_json::Value> = serde_json::from_slice(text).ok();
        let kind = |plugin: &serde_json::Value| plugin["type"].as_str().map(str::to_owned);
        let plugins = json.and_then(|json| match json["plugins"].as_array() {
            Some(plugins) => plugins.iter().map(kind).collect(),
            None => kind(&json).map(|kind| vec![kind]),
        });
        Self { file: file.to_owned(), plugins }
    }

    /// Whether it is a CNI's, by its first plugin or its name.
    fn is_of(&self, owner: &Owner) -> bool {
        let Some(network) = Swap::known(owner) else {
            return self.file.contains(Swap::name(owner));
        };
        let first = self.plugins.as_ref().and_then(|plugins| plugins.first());
        first.is_some_and(|first| network.plugins.contains(&first.as_str())) || self.file.contains(network.config)
    }
}

const DIR: &str = "/etc/cni/net.d";

/// Whose configuration is in force after the reset.
pub(super) fn before(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    unreadable(scene, findings);
    let mut others = scene.configs.iter().filter(|config| !config.is_of(&swap.from));
    let is_tos = |config: &CniConfig| swap.to.as_ref().is_some_and(|to| config.is_of(to));
    match others.next() {
        None => {
            let what = format!("{DIR} holds no other configuration: between the swap and the new CNI no pod can start");
            findings.push(Finding::new(Severity::Note, Check::Configuration, what, "install the new CNI right after"));
        }
        Some(first) if swap.to.is_some() && !is_tos(first) => {
            let what = format!(
                "`{DIR}/{}` comes first once the old configuration is gone, and is not the new CNI's",
                first.file
            );
            let remedy = "move it away, or pods that start then are attached by it";
            findings.push(Finding::new(Severity::Problem, Check::Configuration, what, remedy));
        }
        Some(first) => {
            let what = format!("`{DIR}/{}` is in force once the old configuration is gone", first.file);
            findings.push(Finding::new(Severity::Note, Check::Configuration, what, "see that it is meant to be"));
        }
    }
}

/// Whether the old configuration is there beside another one.
pub(super) fn after(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    unreadable(scene, findings);
    for (at, config) in scene.configs.iter().enumerate().filter(|(_, config)| config.is_of(&swap.from)) {
        let name = Swap::name(&swap.from);
        let (severity, effect) = match (at, scene.configs.len()) {
            (_, 1) => (Severity::Problem, "is the only one: pods are still attached by it"),
            (0, _) => (Severity::Problem, "comes first: pods are still attached by it"),
            _ => (Severity::Warning, "is there beside the new one, and in force as soon as that is gone"),
        };
        let what = format!("the configuration of {name}, `{DIR}/{}`, {effect}", config.file);
        findings.push(Finding::new(severity, Check::Configuration, what, "remove it"));
    }
    if let Some(to) = &swap.to {
        let at = scene.configs.iter().position(|config| config.is_of(to));
        let remedy = "see whether its installer ran on this node";
        match at {
            None => {
                let what = format!("there is no configuration of {} in {DIR}", Swap::name(to));
                findings.push(Finding::new(Severity::Problem, Check::Configuration, what, remedy));
            }
            Some(0) => {}
            Some(at) => {
                let first = &scene.configs[0];
                if !first.is_of(&swap.from) {
                    let what = format!(
                        "`{DIR}/{}` comes before the new CNI's `{}` and is in force instead",
                        first.file, scene.configs[at].file
                    );
                    findings.push(Finding::new(Severity::Problem, Check::Configuration, what, "move it away"));
                }
            }
        }
    }
}

fn unreadable(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for config in scene.configs.iter().filter(|config| config.plugins.is_none()) {
        let what = format!("`{DIR}/{}` is no CNI configuration that can be read", config.file);
        findings.push(Finding::new(Severity::Warning, Check::Configuration, what, "repair it or move it away"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_single_configurations_are_read_and_anything_else_is_said_so() {
        let list = CniConfig::parse("10-a.conflist", br#"{"plugins":[{"type":"flannel"},{"type":"portmap"}]}"#);
        assert_eq!(list.plugins.as_deref(), Some(&["flannel".to_owned(), "portmap".to_owned()][..]));
        let flannel = Owner::new("cni/flannel").expect("an owner");
        assert!(list.is_of(&flannel) && !list.is_of(&Owner::new("cni/calico").expect("an owner")));
        assert_eq!(CniConfig::parse("1.conf", br#"{"type":"bridge"}"#).plugins, Some(vec!["bridge".to_owned()]));
        for bad in [&b""[..], b"{}", b"[1]", b"{\"plugins\":[{}]}", b"\xff"] {
            assert_eq!(CniConfig::parse("1.conf", bad).plugins, None);
        }
        assert!(CniConfig::is_name("a.conflist") && !CniConfig::is_name("a.conflist.cilium_bak"));
    }
}
