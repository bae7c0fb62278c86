//! By what the things of a CNI are told when nobody was seen making them, and what tunnels it makes.

use crate::model::owner::Owner;

/// What is known of one CNI. A pattern that ends in `*` is a beginning.
#[derive(Debug, PartialEq, Eq)]
pub struct Network {
    /// The last part of its owner.
    pub name: &'static str,
    /// Names of its chains.
    pub chains: &'static [&'static str],
    /// Names of its nf_tables tables.
    pub tables: &'static [&'static str],
    /// Names of its links.
    pub links: &'static [&'static str],
    /// Types of its plugins, as configurations name them.
    pub plugins: &'static [&'static str],
    /// Part of the names of its configuration files.
    pub config: &'static str,
    /// The UDP port of its VXLAN tunnel, and the VNI unless it is set per packet.
    pub vxlan: Option<(u16, Option<u32>)>,
}

/// The CNIs whose signs are known, with their defaults.
pub const NETWORKS: [Network; 8] = [
    Network {
        name: "flannel",
        chains: &["FLANNEL-*"],
        tables: &["flannel-ipv4", "flannel-ipv6"],
        links: &["flannel.*", "flannel-v6.*", "flannel-wg", "flannel-wg-v6"],
        plugins: &["flannel"],
        config: "flannel",
        vxlan: Some((8472, Some(1))),
    },
    Network {
        name: "calico",
        chains: &["cali-*"],
        tables: &["calico", "calico-arp"],
        links: &["vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali", "bpfin.cali", "bpfout.cali"],
        plugins: &["calico"],
        config: "calico",
        vxlan: Some((4789, Some(4096))),
    },
    // flannel's network with calico's policies, in one pod
    Network {
        name: "canal",
        chains: &["FLANNEL-*", "cali-*"],
        tables: &["flannel-ipv4", "flannel-ipv6", "calico", "calico-arp"],
        links: &["flannel.*", "flannel-v6.*", "cali*"],
        plugins: &[],
        config: "canal",
        vxlan: Some((8472, Some(1))),
    },
    Network {
        name: "cilium",
        chains: &["CILIUM_*", "OLD_CILIUM_*"],
        tables: &[],
        links: &["cilium_*"],
        plugins: &["cilium-cni"],
        config: "cilium",
        vxlan: Some((8472, None)),
    },
    Network {
        name: "weave",
        chains: &["WEAVE*"],
        tables: &[],
        links: &["weave", "vethwe*", "vxlan-6784"],
        plugins: &["weave-net", "weave-ipam"],
        config: "weave",
        vxlan: Some((6784, None)),
    },
    Network {
        name: "antrea",
        chains: &["ANTREA-*"],
        tables: &[],
        links: &["antrea-*"],
        plugins: &["antrea"],
        config: "antrea",
        vxlan: None,
    },
    Network {
        name: "kube-router",
        chains: &["KUBE-ROUTER-*", "KUBE-POD-FW-*", "KUBE-NWPLCY-*"],
        tables: &[],
        links: &["kube-bridge", "kube-dummy-if"],
        plugins: &[],
        config: "kuberouter",
        vxlan: None,
    },
    Network {
        name: "kube-ovn",
        chains: &[],
        tables: &[],
        links: &["ovn0"],
        plugins: &["kube-ovn"],
        config: "kube-ovn",
        vxlan: None,
    },
];

/// What is known of an owner below `cni`.
pub(super) fn of(owner: &Owner) -> Option<&'static Network> {
    let name = owner.as_str().strip_prefix("cni/")?;
    NETWORKS.iter().find(|network| network.name == name)
}

/// Whether a name fits one of the patterns.
pub(super) fn fits(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_by_its_beginning_or_as_a_whole() {
        assert!(fits("FLANNEL-POSTRTG", NETWORKS[0].chains) && !fits("FLANNEL", NETWORKS[0].chains));
        assert!(fits("flannel.1", NETWORKS[0].links) && !fits("flannel-wg2", NETWORKS[0].links));
        assert_eq!(of(&Owner::new("cni/calico").expect("an owner")).map(|network| network.name), Some("calico"));
        assert_eq!(of(&Owner::new("docker").expect("an owner")), None);
    }
}
