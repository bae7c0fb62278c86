//! What a swap of one CNI for another meets.

use std::collections::BTreeMap;

use super::*;
use crate::model::ids::Tgid;
use crate::rollback::swap::{self, Agent, CniConfig, Finding, PortUser, Severity, Swap};

const CALICO: &str = "cni/calico";

fn from_flannel() -> Swap {
    Swap { from: owner(FLANNEL), to: Some(owner(CALICO)) }
}

fn agent(path: &str, program: &str) -> Agent {
    Agent { owner: owner(path), program: program.to_owned(), tgid: Tgid(7), remedy: "kill 7".to_owned() }
}

fn config(file: &str, kind: &str) -> CniConfig {
    CniConfig { file: file.to_owned(), plugins: Some(vec![kind.to_owned()]) }
}

/// The settings of a VXLAN link: VNI and UDP port.
fn vxlan(vni: u32, port: u16) -> Vec<u8> {
    let mut settings = vec![8, 0, 1, 0];
    settings.extend(vni.to_ne_bytes());
    settings.extend([6, 0, 15, 0]);
    settings.extend(port.to_be_bytes());
    settings.extend([0, 0]);
    settings
}

/// A node of flannel's with one pod.
fn node() -> Scene {
    let mut scene = Scene::new();
    scene.link(FLANNEL, 5, "flannel.1", Some("vxlan"), |link| link.info_data = vxlan(1, 8472));
    scene.link(FLANNEL, 6, "vethab", Some("veth"), |link| {
        link.peer_netns = Some(0);
        link.lower = Some(Ifindex(2));
    });
    scene.table(KUBE, &filter());
    scene.chain(FLANNEL, "FLANNEL-FWD");
    scene
}

#[derive(Default)]
struct Around<'a> {
    agents: &'a [Agent],
    configs: &'a [CniConfig],
    ports: &'a [PortUser],
}

fn found(scene: &mut Scene, around: &Around<'_>, look: fn(&swap::Scene<'_>, &Swap) -> Vec<Finding>) -> Vec<String> {
    let live = scene.live(&Selection::of(owner(FLANNEL)));
    let pods: BTreeMap<ObjectId, String> = [(ObjectId(2), "shop/web-0".to_owned())].into_iter().collect();
    let Around { agents, configs, ports } = *around;
    let looked_at = swap::Scene { objects: &scene.objects, live: &live, agents, pods: &pods, configs, ports };
    let findings = look(&looked_at, &from_flannel());
    assert!(findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)), "worst first");
    assert!(findings.iter().all(|finding| !finding.remedy.is_empty()));
    let text = |Finding { severity, check, what, .. }: &Finding| match severity {
        Severity::Problem => format!("{check}: {what}"),
        other => format!("{other} {check}: {what}"),
    };
    findings.iter().map(text).collect()
}

#[test]
fn before_a_swap_agents_pods_and_the_configuration_that_comes_next_are_told() {
    let mut scene = node();
    scene.rule("cni/portmap", "FLANNEL-FWD", "a pod's port", &[], &[]);
    let agents = [agent(FLANNEL, "flanneld")];
    let configs = [config("05-other.conflist", "bridge"), config("10-flannel.conflist", "flannel")];
    let findings =
        found(&mut scene, &Around { agents: &agents, configs: &configs, ..Around::default() }, swap::preflight);
    let expected = [
        "agents: flanneld (process 7, cni/flannel) runs: it would add again what is removed",
        "pods: 1 pod is attached by flannel and would lose the network: shop/web-0 by vethab",
        "configuration: `/etc/cni/net.d/05-other.conflist` comes first once the old configuration is gone, and is not the new \
         CNI's",
        "note pods: 1 rules are of cni/portmap, made for pods; they stay, and go with their pods",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn before_a_swap_a_strangers_tunnel_on_the_new_ones_port_is_a_problem_and_the_old_ones_own_is_none() {
    let mut scene = node();
    let none = Around::default();
    scene.objects.retain(|object| object.id != ObjectId(2));
    let quiet = found(&mut scene, &none, swap::preflight);
    assert_eq!(quiet.len(), 1, "{quiet:#?}");
    assert!(quiet[0].starts_with("note configuration: /etc/cni/net.d holds no other configuration"), "{quiet:#?}");
    scene.link(DOCKER, 8, "vx-1", Some("vxlan"), |link| link.info_data = vxlan(4096, 4789));
    let findings = found(&mut scene, &none, swap::preflight);
    assert_eq!(
        findings[0],
        "tunnels: link vx-1 has UDP port 4789 and VNI 4096, which the new CNI's tunnel wants, and stays"
    );
}

#[test]
fn a_program_on_the_port_of_the_new_ones_tunnel_is_a_problem_before_and_after() {
    let mut scene = Scene::new();
    assert_eq!(from_flannel().wanted_port(), Some(4789));
    let ports = [PortUser { port: 4789, program: "dnsmasq".to_owned(), tgid: Tgid(9) }];
    let around = Around { ports: &ports, ..Around::default() };
    for look in [swap::preflight, swap::verify] {
        let findings = found(&mut scene, &around, look);
        let told = "tunnels: dnsmasq (process 9) has UDP port 4789 open, which the new CNI's tunnel wants".to_owned();
        assert!(findings.contains(&told), "{findings:#?}");
    }
}

#[test]
fn after_a_clean_swap_there_is_nothing_to_tell() {
    let mut scene = Scene::new();
    scene.link(CALICO, 5, "vxlan.calico", Some("vxlan"), |link| link.info_data = vxlan(4096, 4789));
    let around = Around {
        agents: &[agent(CALICO, "calico-node")],
        configs: &[config("10-calico.conflist", "calico")],
        ..Around::default()
    };
    assert_eq!(found(&mut scene, &around, swap::verify), Vec::<String>::new());
}

#[test]
fn after_a_swap_leftovers_doubles_and_known_traps_are_told() {
    let mut scene = node();
    scene.chain(NOBODY, "FLANNEL-POSTRTG");
    scene.link(CALICO, 9, "vxlan.calico", Some("vxlan"), |link| link.info_data = vxlan(1, 8472));
    let configs = [config("10-flannel.conflist", "flannel"), config("20-calico.conflist", "calico")];
    let findings = found(&mut scene, &Around { agents: &[], configs: &configs, ..Around::default() }, swap::verify);
    let expected = [
        "pods: 1 pod is still attached by flannel, with addresses that the new CNI does not know: shop/web-0 by vethab",
        "configuration: the configuration of flannel, `/etc/cni/net.d/10-flannel.conflist`, comes first: pods are still attached \
         by it",
        "tunnels: link flannel.1 of the old CNI holds UDP port 8472, which link vxlan.calico of another owner wants",
        "leftovers: 1 chain of cni/flannel left: chain ip filter FLANNEL-FWD",
        "leftovers: 1 link of cni/flannel left: link flannel.1",
        "masquerade: chain ip filter FLANNEL-POSTRTG masquerades what pods send to other nodes: network policies there see the \
         node's address and do not match",
        "warning agents: no program of cni/calico runs in this network namespace",
        "warning leftovers: 1 things are named like those of cni/flannel: chain ip filter FLANNEL-POSTRTG (not recorded)",
    ];
    assert_eq!(findings, expected);
}
