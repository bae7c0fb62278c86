//! Traffic control and neighbours.

use super::*;
use crate::model::neighbour::{NUD_PERMANENT, NeighbourKey, NeighbourSnapshot, NeighbourSubject};
use crate::model::traffic::{
    FILTERS_IN, FilterSubject, INGRESS, QdiscSubject, ROOT, TrafficClassSubject, TrafficSnapshot,
};

const CLSACT: u32 = 0xffff_0000;

impl Scene {
    fn traffic(&mut self, by: &str, subject: Subject, kind: &str, parent: u32) -> Subject {
        let content = Digest::of(kind.as_bytes());
        let (kind, ifname) = (kind.to_owned(), Some("eth0".to_owned()));
        let snapshot = TrafficSnapshot { kind, parent, ifname, name: None, message: Vec::new(), content };
        let made = self.host.net.add(subject, Snapshot::Traffic(snapshot)).expect("its link is there");
        self.record(by, made)
    }

    fn qdisc(&mut self, by: &str, handle: u32, kind: &str, parent: u32) -> Subject {
        self.traffic(by, Subject::Qdisc(QdiscSubject { ifindex: Ifindex(2), handle }), kind, parent)
    }

    fn class(&mut self, by: &str, handle: u32, parent: u32) -> Subject {
        let subject = TrafficClassSubject { ifindex: Ifindex(2), handle };
        self.traffic(by, Subject::TrafficClass(subject), "htb", parent)
    }

    fn filter(&mut self, by: &str, parent: u32, priority: u16) -> Subject {
        let (ifindex, chain, protocol, handle) = (Ifindex(2), 0, 3, 1);
        let subject = FilterSubject { ifindex, parent, chain, priority, protocol, handle };
        self.traffic(by, Subject::Filter(subject), "bpf", parent)
    }

    fn neighbour(&mut self, by: &str, link: u32, key: NeighbourKey) -> Subject {
        let subject = Subject::Neighbour(NeighbourSubject { ifindex: Ifindex(link), key });
        let snapshot = NeighbourSnapshot {
            ifname: None,
            state: NUD_PERMANENT,
            flags: 0,
            mac: vec![2, 0, 0, 0, 0, 9],
            controller: None,
            message: Vec::new(),
        };
        let made = self.host.net.add(subject, Snapshot::Neighbour(snapshot)).expect("its link is there");
        self.record(by, made)
    }

    /// Executes the plan on the fake kernel; gives what is left of traffic control and neighbours.
    fn after_reset(&mut self) -> Vec<String> {
        let plan = self.plan(&kubernetes());
        let live = self.live(&kubernetes());
        let checked = crate::rollback::check(plan, &live).expect("nothing changed");
        let execution = crate::rollback::execute(checked, &mut self.host, &mut |_, _| {});
        assert_eq!(execution.state, crate::rollback::ExecutionState::Done);
        let left = self.host.net.dump().into_iter().filter(|(subject, _)| subject.link().is_some());
        left.map(|(subject, now)| crate::model::subject::describe(&subject, &now)).collect()
    }
}

fn node() -> Scene {
    let mut scene = Scene::new();
    scene.link("kernel", 2, "eth0", None, |_| {});
    scene
}

fn address(text: &str) -> NeighbourKey {
    NeighbourKey::Address(text.parse().expect("address"))
}

#[test]
fn a_qdisc_goes_with_all_that_hangs_below_it() {
    let mut scene = node();
    scene.qdisc(FLANNEL, 0x1_0000, "htb", ROOT);
    scene.class(FLANNEL, 0x1_0010, ROOT);
    scene.class(FLANNEL, 0x1_0020, 0x1_0010);
    scene.qdisc(FLANNEL, 0x20_0000, "pfifo", 0x1_0020);
    scene.filter(FLANNEL, 0x1_0000, 3);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["qdisc htb 1: dev eth0 root"]);
    assert_eq!(plan.implied().len(), 4);
    assert_eq!(*kept(&plan, "tclass htb 1:20 dev eth0"), KeptReason::GoesWith("qdisc htb 1: dev eth0 root".to_owned()));
    assert_eq!(scene.after_reset(), Vec::<String>::new());
}

#[test]
fn somebody_elses_filter_keeps_the_qdisc_and_not_the_owners_filters() {
    let mut scene = node();
    scene.qdisc(FLANNEL, CLSACT, "clsact", INGRESS);
    scene.filter(FLANNEL, FILTERS_IN, 1);
    scene.filter("admin/root", FILTERS_IN, 2);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["filter bpf dev eth0 ingress pref 1 protocol all handle 0x1"]);
    let Reason::ForeignInside { what } = refused(&plan, "qdisc clsact ffff: dev eth0 ingress") else {
        panic!("{plan}")
    };
    assert_eq!(what.to_string(), "`filter bpf dev eth0 ingress pref 2 protocol all handle 0x1` (admin/root)");
    assert_eq!(scene.after_reset().len(), 2);
}

#[test]
fn what_nobody_recorded_keeps_all_that_it_hangs_on() {
    let mut scene = node();
    scene.qdisc(FLANNEL, 0x1_0000, "htb", ROOT);
    scene.class(FLANNEL, 0x1_0010, ROOT);
    scene.class(FLANNEL, 0x1_0020, 0x1_0010);
    scene.class(FLANNEL, 0x1_0030, 0x1_0010);
    scene.filter(NOBODY, 0x1_0020, 3);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["tclass htb 1:30 dev eth0"]);
    assert!(matches!(refused(&plan, "tclass htb 1:20 dev eth0"), Reason::ForeignInside { .. }));
    assert!(matches!(refused(&plan, "tclass htb 1:10 dev eth0"), Reason::NotEmpty { .. }));
    assert!(matches!(refused(&plan, "qdisc htb 1: dev eth0 root"), Reason::NotEmpty { .. }));
    assert_eq!(scene.after_reset().len(), 4);
}

#[test]
fn classes_of_somebody_elses_qdisc_go_from_the_leaves_on() {
    let mut scene = node();
    scene.qdisc("admin/root", 0x1_0000, "htb", ROOT);
    scene.class(FLANNEL, 0x1_0010, ROOT);
    scene.class(FLANNEL, 0x1_0020, 0x1_0010);
    scene.qdisc(FLANNEL, 0x20_0000, "pfifo", 0x1_0020);
    scene.filter(FLANNEL, 0x1_0020, 3);
    let plan = scene.plan(&kubernetes());
    let expected = [
        "filter bpf dev eth0 parent 1:20 pref 3 protocol all handle 0x1",
        "tclass htb 1:20 dev eth0",
        "tclass htb 1:10 dev eth0",
    ];
    assert_eq!(steps(&plan), expected);
    assert!(matches!(kept(&plan, "qdisc pfifo 20: dev eth0 parent 1:20"), KeptReason::GoesWith(_)));
    assert_eq!(scene.after_reset(), ["qdisc htb 1: dev eth0 root"]);
}

#[test]
fn neighbours_go_from_links_that_stay_and_others_keep_links_that_would_go() {
    let mut scene = node();
    scene.link(FLANNEL, 5, "flannel.1", Some("vxlan"), |_| {});
    scene.neighbour(FLANNEL, 2, address("10.0.0.9"));
    scene.neighbour("admin/root", 2, address("10.0.0.10"));
    scene.neighbour(FLANNEL, 5, address("10.244.1.0"));
    let unrecorded = NeighbourKey::Forwarding { mac: vec![2; 6], vlan: 0, destination: None, is_self: true };
    scene.neighbour(NOBODY, 5, unrecorded);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["neighbour 10.0.0.9 dev #2", "link flannel.1"]);
    assert_eq!(plan.implied().len(), 2, "with what is in its table");
    scene.neighbour("admin/root", 5, address("10.244.2.0"));
    let plan = scene.plan(&kubernetes());
    assert!(matches!(refused(&plan, "link flannel.1"), Reason::ForeignInside { .. }));
    assert_eq!(scene.after_reset().len(), 3);
}

#[test]
fn somebody_elses_qdisc_keeps_a_link_and_the_owners_goes_along() {
    let mut scene = node();
    scene.link(FLANNEL, 5, "cni0", Some("bridge"), |_| {});
    let on = |handle| Subject::Qdisc(QdiscSubject { ifindex: Ifindex(5), handle });
    scene.traffic(FLANNEL, on(0x1_0000), "tbf", ROOT);
    assert_eq!(steps(&scene.plan(&kubernetes())), ["link cni0"]);
    scene.traffic("admin/root", on(CLSACT), "clsact", INGRESS);
    let plan = scene.plan(&kubernetes());
    assert!(matches!(refused(&plan, "link cni0"), Reason::ForeignInside { .. }));
    assert_eq!(steps(&plan), ["qdisc tbf 1: dev eth0 root"]);
}
