//! Links, addresses and routes.

use super::*;

const KERNEL: u8 = 2;
const STATIC: u8 = 4;

/// eth0 with an address, `cni0` with one of its own, and a pod's veth as its port.
fn node() -> Scene {
    let mut scene = Scene::new();
    scene.link("kernel", 2, "eth0", None, |_| {});
    scene.address("admin/root", 2, "192.0.2.10", 24, false);
    scene.link(FLANNEL, 5, "cni0", Some("bridge"), |_| {});
    scene.address(FLANNEL, 5, "10.244.0.1", 24, false);
    scene.route("kernel", "10.244.0.0", 24, Some(5), KERNEL);
    scene.link(FLANNEL, 6, "veth1", Some("veth"), |link| {
        link.controller = Some(Ifindex(5));
        link.lower = Some(Ifindex(2));
        link.peer_netns = Some(0);
    });
    scene
}

#[test]
fn a_bridge_goes_before_its_ports_and_takes_its_addresses_and_routes_along() {
    let mut scene = node();
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["link cni0", "link veth1"]);
    assert_eq!(*kept(&plan, "address 10.244.0.1/24 dev #5"), KeptReason::GoesWith("link cni0".to_owned()));
    assert_eq!(plan.implied().len(), 2);
    assert_eq!(plan.refusals(), []);
}

#[test]
fn somebody_elses_port_address_or_route_refuses_the_link() {
    let mut with_port = node();
    with_port.link(DOCKER, 7, "veth2", Some("veth"), |link| link.controller = Some(Ifindex(5)));
    let mut with_address = node();
    with_address.address(NOBODY, 5, "10.9.0.1", 24, false);
    let mut with_route = node();
    with_route.route("admin/root", "198.51.100.0", 24, Some(5), STATIC);
    for (mut scene, what) in [
        (with_port, "`link veth2` (docker)"),
        (with_address, "`address 10.9.0.1/24 dev #5` (not recorded)"),
        (with_route, "`route 198.51.100.0/24 table main` (admin/root)"),
    ] {
        let plan = scene.plan(&kubernetes());
        let Reason::ForeignInside { what: found } = refused(&plan, "link cni0") else { panic!("{plan}") };
        assert_eq!(found.to_string(), what);
        assert!(!steps(&plan).contains(&"link cni0".to_owned()));
        assert!(steps(&plan).contains(&"link veth1".to_owned()));
    }
}

#[test]
fn a_route_with_a_next_hop_through_the_link_counts() {
    let mut scene = node();
    let route = scene.route("admin/root", "198.51.100.0", 24, None, STATIC);
    let hop = |ifindex: u32| [&[8, 0, 0, 0][..], &ifindex.to_ne_bytes()].concat();
    let mut message = vec![2, 24, 0, 0, 254, STATIC, 0, 1, 0, 0, 0, 0];
    message.extend([20, 0, 9, 0]);
    message.extend(hop(2).into_iter().chain(hop(5)));
    let Snapshot::Route(mut content) = scene.object(&route).snapshot.clone() else { panic!("a route") };
    content.message = message;
    let mut live = scene.live(&kubernetes());
    live.rt
        .iter_mut()
        .filter(|(subject, _)| *subject == route)
        .for_each(|(_, now)| *now = Snapshot::Route(content.clone()));
    let plan = plan(&scene.objects, &live, &kubernetes());
    assert!(matches!(refused(&plan, "link cni0"), Reason::ForeignInside { .. }));
}

#[test]
fn hardware_and_fallback_devices_are_never_deleted() {
    let mut scene = node();
    scene.link(FLANNEL, 8, "tunl0", Some("ipip"), |_| {});
    scene.link(FLANNEL, 9, "eth1", None, |_| {});
    let plan = scene.plan(&kubernetes());
    assert_eq!(*refused(&plan, "link tunl0"), Reason::KernelMade);
    assert_eq!(*refused(&plan, "link eth1"), Reason::KernelMade);
}

#[test]
fn a_veth_pair_is_one_step_and_a_foreign_end_refuses_it() {
    let pair = |peer_owner: &str| {
        let mut scene = node();
        scene.link(FLANNEL, 11, "a", Some("veth"), |link| link.lower = Some(Ifindex(12)));
        scene.link(peer_owner, 12, "b", Some("veth"), |link| link.lower = Some(Ifindex(11)));
        scene.plan(&kubernetes())
    };
    let both = pair(FLANNEL);
    assert_eq!(steps(&both), ["link cni0", "link veth1", "link a"]);
    assert_eq!(*kept(&both, "link b"), KeptReason::GoesWith("link a".to_owned()));
    assert_eq!(steps(&pair(NOBODY)), ["link cni0", "link veth1", "link a"]);
    let foreign = pair(DOCKER);
    assert_eq!(steps(&foreign), ["link cni0", "link veth1"]);
    assert!(matches!(refused(&foreign, "link a"), Reason::ForeignInside { .. }));
}

#[test]
fn somebody_elses_address_on_the_peer_refuses_the_veth() {
    let mut scene = node();
    scene.link(FLANNEL, 11, "a", Some("veth"), |link| link.lower = Some(Ifindex(12)));
    scene.link(NOBODY, 12, "b", Some("veth"), |link| link.lower = Some(Ifindex(11)));
    scene.address("admin/root", 12, "10.9.0.1", 24, false);
    let plan = scene.plan(&kubernetes());
    assert!(matches!(refused(&plan, "link a"), Reason::ForeignInside { .. }));
}

#[test]
fn an_inferred_route_keeps_the_last_address_of_its_link() {
    let mut scene = Scene::new();
    scene.link("kernel", 2, "eth0", None, |_| {});
    scene.address(FLANNEL, 2, "10.1.0.1", 24, false);
    scene.certainty = Certainty::Inferred;
    scene.route(FLANNEL, "198.51.100.0", 24, Some(2), STATIC);
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty());
    assert!(matches!(refused(&plan, "address 10.1.0.1/24 dev #2"), Reason::ForeignReference { .. }));
}

#[test]
fn a_foreign_link_on_top_refuses_the_link_below_and_owned_ones_go_first() {
    let mut scene = node();
    scene.link(FLANNEL, 20, "below", Some("dummy"), |_| {});
    scene.link(FLANNEL, 21, "on-top", Some("vlan"), |link| link.lower = Some(Ifindex(20)));
    assert_eq!(steps(&scene.plan(&kubernetes()))[2..], ["link on-top", "link below"]);
    scene.link(DOCKER, 22, "theirs", Some("macvlan"), |link| link.lower = Some(Ifindex(21)));
    let plan = scene.plan(&kubernetes());
    assert!(matches!(refused(&plan, "link on-top"), Reason::ForeignInside { .. }));
    assert!(matches!(refused(&plan, "link below"), Reason::NotEmpty { .. }));
}

#[test]
fn somebody_elses_netdev_chain_on_the_link_counts() {
    let mut scene = node();
    scene.table(DOCKER, &filter());
    let device = Some("cni0".to_owned());
    let base = BaseChain { kind: "filter".to_owned(), hook: 0, priority: 0, policy: 1, device };
    scene.flagged_chain(DOCKER, "ingress", Some(base), 0);
    let plan = scene.plan(&kubernetes());
    let Reason::ForeignInside { what } = refused(&plan, "link cni0") else { panic!("{plan}") };
    assert_eq!(what.to_string(), "`chain ip filter ingress` (docker)");
}

#[test]
fn a_vxlan_names_the_link_below_it_in_its_settings() {
    let mut scene = node();
    scene.link(DOCKER, 22, "vx", Some("vxlan"), |link| {
        link.info_data = [&[8, 0, 3, 0][..], &5_u32.to_ne_bytes()].concat();
    });
    assert!(matches!(refused(&scene.plan(&kubernetes()), "link cni0"), Reason::ForeignInside { .. }));
}

#[test]
fn owned_addresses_and_routes_on_foreign_links_go_by_themselves() {
    let mut scene = node();
    scene.address(FLANNEL, 2, "10.1.0.1", 24, false);
    scene.route(FLANNEL, "10.1.0.0", 24, Some(2), KERNEL);
    scene.route(FLANNEL, "10.244.7.0", 24, Some(2), STATIC);
    let plan = scene.plan(&kubernetes());
    let expected = ["route 10.244.7.0/24 table main", "address 10.1.0.1/24 dev #2", "link cni0", "link veth1"];
    assert_eq!(steps(&plan), expected);
    let with = KeptReason::GoesWith("address 10.1.0.1/24 dev #2".to_owned());
    assert_eq!(*kept(&plan, "route 10.1.0.0/24 table main"), with);
}

#[test]
fn an_address_whose_removal_takes_foreign_things_along_is_refused() {
    let mut secondary = node();
    secondary.address(FLANNEL, 2, "10.1.0.1", 24, false);
    secondary.address("admin/root", 2, "10.1.0.2", 24, true);
    assert!(matches!(
        refused(&secondary.plan(&kubernetes()), "address 10.1.0.1/24 dev #2"),
        Reason::ForeignReference { .. }
    ));
    let mut last = Scene::new();
    last.link("kernel", 2, "eth0", None, |_| {});
    last.address(FLANNEL, 2, "10.1.0.1", 24, false);
    last.route("admin/root", "198.51.100.0", 24, Some(2), STATIC);
    assert!(matches!(
        refused(&last.plan(&kubernetes()), "address 10.1.0.1/24 dev #2"),
        Reason::ForeignReference { .. }
    ));
}

#[test]
fn link_local_addresses_of_the_kernel_do_not_refuse_a_link() {
    let mut scene = node();
    scene.address(NOBODY, 5, "fe80::1", 64, false);
    scene.route(NOBODY, "ff00::", 8, Some(5), 3);
    assert_eq!(steps(&scene.plan(&kubernetes())), ["link cni0", "link veth1"]);
}

#[test]
fn a_bridge_that_took_the_address_of_a_port_is_still_the_same() {
    let mut scene = node();
    let bridge = Subject::Link(Ifindex(5));
    if let Snapshot::Link(link) = &mut scene.object(&bridge).snapshot {
        link.mac = vec![2, 0, 0, 0, 0, 9];
    }
    let digest = scene.object(&bridge).snapshot.digest();
    scene.object(&bridge).digest = digest;
    scene.object(&bridge).changed = Some(deed("unknown", Certainty::Unknown));
    assert!(scene.plan(&kubernetes()).refusals().is_empty());
    scene.object(&bridge).changed = Some(deed(DOCKER, Certainty::Exact));
    assert!(matches!(refused(&scene.plan(&kubernetes()), "link cni0"), Reason::Drifted { .. }));
}
