//! Sysctls: set back, unless the earlier value is not known or somebody else set them since.

use super::*;
use crate::model::ids::OperationId;
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::rollback::undo::{self, plan_undo};
use crate::rollback::{Archive, Expectation, check, execute};

impl Scene {
    fn sysctl(&mut self, by: &str, name: &str, value: &str, before: Option<&str>) -> Subject {
        let name = SysctlName::parse(name).expect("a name");
        self.host.sysctls.insert(name.clone(), value.to_owned());
        let set = SysctlSnapshot { value: value.to_owned(), before: before.map(str::to_owned) };
        self.record(by, (Subject::Sysctl(name), Snapshot::Sysctl(set)))
    }
}

#[test]
fn an_undo_gives_a_sysctl_its_value_again_unless_it_was_set_since() {
    for (since, expected, is_done) in [(None, "1", true), (Some("2"), "2", false)] {
        let mut scene = Scene::new();
        scene.sysctl(KUBE, "net.ipv4.ip_forward", "1", Some("0"));
        let (plan, before) = (scene.plan(&kubernetes()), scene.live(&kubernetes()));
        let scope = Scope { boot: BootId([0; 16]), netns: NetnsId(1) };
        let parts = (&plan, &before, scene.objects.as_slice());
        let archive = Archive::of(OperationId(1), scope, owner("kubernetes"), String::new(), parts);
        let checked = check(plan, &before).expect("fits");
        let _ = execute(checked, &mut scene.host, &mut |_, _| ());
        let name = SysctlName::parse("net.ipv4.ip_forward").expect("a name");
        assert_eq!(scene.host.sysctls[&name], "0");
        if let Some(value) = since {
            scene.host.sysctls.insert(name.clone(), value.to_owned());
        }
        let undo = plan_undo(&archive, &before, scope);
        assert_eq!((undo.steps.len(), undo.refusals.len()), (1, 0));
        let execution = undo::execute(&undo, &mut scene.host, None, &mut |_, _| ());
        assert_eq!(execution.outcomes[0].error.is_none(), is_done, "{execution:?}");
        assert_eq!(scene.host.sysctls[&name], expected);
    }
}

#[test]
fn a_links_settings_go_with_it() {
    let mut scene = Scene::new();
    scene.link(FLANNEL, 5, "cni0", Some("bridge"), |_| {});
    scene.sysctl(FLANNEL, "net.ipv4.conf.cni0.rp_filter", "0", None);
    let plan = scene.plan(&kubernetes());
    assert!(plan.refusals().is_empty() && plan.steps().len() == 1, "{plan}");
    assert!(matches!(&plan.kept()[0].reason, KeptReason::GoesWith(link) if link == "link cni0"), "{plan}");
}

#[test]
fn a_value_is_set_back_when_it_is_known_and_nobody_elses() {
    let mut scene = Scene::new();
    scene.sysctl(KUBE, "net.ipv4.ip_forward", "1", Some("0"));
    scene.sysctl(KUBE, "net.core.somaxconn", "9", None);
    scene.sysctl(KUBE, "net.ipv4.conf.gone.rp_filter", "0", None);
    scene.link(NOBODY, 1, "lo", None, |_| {});
    scene.sysctl(DOCKER, "net.ipv4.conf.lo.rp_filter", "2", Some("0"));
    let both = scene.sysctl(KUBE, "net.ipv4.conf.lo.route_localnet", "1", Some("0"));
    scene.object(&both).changed = Some(deed(DOCKER, Certainty::Exact));
    let plan = scene.plan(&kubernetes());
    let steps: Vec<String> = plan.steps().iter().map(|it| format!("{} {}", it.action(), it.describe())).collect();
    assert_eq!(steps, ["restore sysctl net.ipv4.ip_forward"]);
    let mut refused: Vec<&str> = plan.refusals().iter().map(|refusal| refusal.what.as_str()).collect();
    refused.sort_unstable();
    assert_eq!(refused, ["sysctl net.core.somaxconn", "sysctl net.ipv4.conf.lo.route_localnet"]);
    assert!(plan.refusals().iter().any(|refusal| refusal.reason == Reason::EarlierUnknown), "{plan}");
}

#[test]
fn the_routes_of_a_node_that_forwards_may_go_when_it_no_longer_does() {
    let holds_without_routes = |name: &str| {
        let mut scene = Scene::new();
        scene.link(DOCKER, 7, "docker0", Some("bridge"), |_| {});
        let route = scene.route(DOCKER, "fe80::", 128, Some(7), 2);
        scene.sysctl(KUBE, name, "1", Some("0"));
        let mut live = scene.live(&kubernetes());
        let anycast = live.rt.iter_mut().find(|(subject, _)| *subject == route).expect("the route");
        let Snapshot::Route(anycast) = &mut anycast.1 else { panic!("{anycast:?}") };
        anycast.kind = 4;
        let plan = scene.plan(&kubernetes());
        assert_eq!(plan.steps().len(), 1, "{plan}");
        let expectation = Expectation::new(&plan, &live);
        live.rt.retain(|(subject, _)| *subject != route);
        expectation.verify(&live).holds()
    };
    assert!(holds_without_routes("net.ipv6.conf.all.forwarding"));
    assert!(!holds_without_routes("net.ipv4.ip_forward"));
}

#[test]
fn a_node_goes_on_forwarding_for_those_who_came_since() {
    let refused = |by: &str, address: &str, prefix: u8, comes_first: bool| {
        let mut scene = Scene::new();
        scene.link(NOBODY, 7, "br0", Some("bridge"), |_| {});
        if comes_first {
            scene.address(by, 7, address, prefix, false);
        }
        scene.sysctl(KUBE, "net.ipv4.ip_forward", "1", Some("0"));
        if !comes_first {
            scene.address(by, 7, address, prefix, false);
        }
        let plan = scene.plan(&kubernetes());
        plan.refusals().iter().any(|refusal| matches!(refusal.reason, Reason::ReliedOn { .. }))
    };
    assert!(refused(DOCKER, "172.17.0.1", 16, false));
    assert!(!refused(DOCKER, "172.17.0.1", 16, true), "it did without");
    assert!(!refused(DOCKER, "fd00::1", 64, false), "another family");
    assert!(!refused(KUBE, "10.244.0.1", 24, false), "its own");
}
