//! Tunnels: two that want one UDP port and VNI, and those that the kernel keeps.

use std::collections::BTreeSet;

use super::{Check, Finding, PortUser, Scene, Severity, Swap, links};
use crate::decode::rtnl::attributes::Attributes;
use crate::model::link::LinkSnapshot;
use crate::model::subject::Subject;

/// `IFLA_VXLAN_*`.
const VXLAN_ID: u16 = 1;
const VXLAN_PORT: u16 = 15;
const VXLAN_COLLECT_METADATA: u16 = 25;

/// Links that a module makes when it is loaded, and that cannot be deleted.
const FALLBACK: [&str; 4] = ["tunl0", "ip6tnl0", "gre0", "sit0"];

/// A VXLAN link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Vxlan {
    name: String,
    port: u16,
    /// `None` when it takes every VNI.
    vni: Option<u32>,
    is_old: bool,
}

impl Vxlan {
    fn of(link: &LinkSnapshot, is_old: bool) -> Option<Self> {
        let settings = Attributes::parse(&link.info_data).filter(|_| link.kind.as_deref() == Some("vxlan"))?;
        let takes_all = settings.u8(VXLAN_COLLECT_METADATA).is_some_and(|flag| flag != 0);
        Some(Self {
            name: link.name.to_string(),
            port: settings.get(VXLAN_PORT)?.first_chunk().map(|port| u16::from_be_bytes(*port))?,
            vni: settings.u32(VXLAN_ID).filter(|_| !takes_all),
            is_old,
        })
    }

    /// Whether the kernel would refuse both at once: one port, and one VNI or one of them taking all.
    fn clashes(&self, port: u16, vni: Option<u32>) -> bool {
        self.port == port && (self.vni.is_none() || vni.is_none() || self.vni == vni)
    }
}

fn vxlans(scene: &Scene<'_>, swap: &Swap) -> Vec<Vxlan> {
    let old: BTreeSet<&Subject> = scene
        .objects
        .iter()
        .filter(|object| object.is_live() && object.owner().is_within(&swap.from))
        .map(|object| &object.subject)
        .collect();
    let links = links(scene.live);
    links.iter().filter_map(|(ifindex, link)| Vxlan::of(link, old.contains(&Subject::Link(*ifindex)))).collect()
}

/// What the new CNI's tunnel would meet.
pub(super) fn before(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    fallbacks(scene, swap, findings);
    taken_ports(scene, findings);
    let Some((port, vni)) = swap.to.as_ref().and_then(Swap::known).and_then(|to| to.vxlan) else { return };
    for vxlan in vxlans(scene, swap).iter().filter(|vxlan| !vxlan.is_old && vxlan.clashes(port, vni)) {
        let what = format!(
            "link {} has UDP port {port}{}, which the new CNI's tunnel wants, and stays",
            vxlan.name,
            vxlan.vni.map(|vni| format!(" and VNI {vni}")).unwrap_or_default(),
        );
        let remedy = format!("see whose it is: `netdeed who link {}`; give one of them another port", vxlan.name);
        findings.push(Finding::new(Severity::Problem, Check::Tunnels, what, remedy));
    }
}

/// Tunnels of the old CNI beside those of the new one.
pub(super) fn after(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    fallbacks(scene, swap, findings);
    taken_ports(scene, findings);
    let vxlans = vxlans(scene, swap);
    let wanted = swap.to.as_ref().and_then(Swap::known).and_then(|to| to.vxlan);
    for old in vxlans.iter().filter(|vxlan| vxlan.is_old) {
        let meets_new = wanted.is_some_and(|(port, vni)| old.clashes(port, vni));
        let meets_other = vxlans.iter().find(|other| !other.is_old && old.clashes(other.port, other.vni));
        let by = match (meets_other, meets_new) {
            (Some(other), _) => format!("link {} of another owner", other.name),
            (None, true) => "the new CNI's tunnel".to_owned(),
            (None, false) => continue,
        };
        let what = format!("link {} of the old CNI holds UDP port {}, which {by} wants", old.name, old.port);
        let remedy = format!("ip link delete {}", old.name);
        findings.push(Finding::new(Severity::Problem, Check::Tunnels, what, remedy));
    }
}

/// Programs that have the port open: the kernel does not set a tunnel up on it then.
fn taken_ports(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for PortUser { port, program, tgid } in scene.ports {
        let what = format!("{program} (process {tgid}) has UDP port {port} open, which the new CNI's tunnel wants");
        let remedy = "stop it, or give one of them another port";
        findings.push(Finding::new(Severity::Problem, Check::Tunnels, what, remedy));
    }
}

/// A fallback link that carries addresses of the old CNI, or that only stays because a module is loaded.
fn fallbacks(scene: &Scene<'_>, swap: &Swap, findings: &mut Vec<Finding>) {
    for (ifindex, link) in links(scene.live) {
        if !FALLBACK.contains(&link.name.as_str()) || !link.is_up {
            continue;
        }
        let addresses = scene.objects.iter().filter(|object| {
            object.is_live()
                && object.owner().is_within(&swap.from)
                && matches!(&object.subject, Subject::Address(address) if address.ifindex == ifindex)
        });
        let name = link.name.as_str();
        let what = match addresses.count() {
            0 => format!("{name} is up; the kernel made it and does not let it be deleted"),
            _ => format!("{name} is up and carries addresses of the old CNI; the kernel does not let it be deleted"),
        };
        let remedy = format!("if the new CNI does not use it: ip link set {name} down; ip address flush dev {name}");
        findings.push(Finding::new(Severity::Note, Check::Tunnels, what, remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_clash_by_port_and_vni_or_when_one_takes_all() {
        let vxlan = |vni| Vxlan { name: "a".to_owned(), port: 8472, vni, is_old: true };
        assert!(vxlan(Some(1)).clashes(8472, Some(1)) && !vxlan(Some(1)).clashes(8472, Some(2)));
        assert!(vxlan(Some(1)).clashes(8472, None) && vxlan(None).clashes(8472, Some(7)));
        assert!(!vxlan(None).clashes(4789, None));
    }
}
