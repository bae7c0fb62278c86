//! IPVS: whose destinations are in whose services, and in which order they go and come back.

use super::undoing::undo;
use super::*;
use crate::model::ipvs::{IpvsDestination, IpvsService, IpvsSettings, IpvsSnapshot, IpvsSubject};
use crate::rollback::undo::Obstacle;

const KEEPALIVED: &str = "keepalived";

fn service(number: u8) -> IpvsService {
    format!("tcp 10.96.0.{number}:443").parse().expect("a service")
}

fn destination(service_number: u8, number: u8) -> IpvsSubject {
    let at = format!("10.244.0.{number}:8443").parse().expect("an address");
    IpvsSubject::destination(service(service_number), at)
}

fn settings(scheduler: &str) -> IpvsSnapshot {
    IpvsSnapshot::Service(IpvsSettings {
        scheduler: scheduler.to_owned(),
        flags: 0,
        timeout: 0,
        netmask: [255; 4],
        engine: None,
    })
}

fn weighted(weight: u32) -> IpvsSnapshot {
    IpvsSnapshot::Destination(IpvsDestination {
        forwarding: 0,
        weight,
        upper: 0,
        lower: 0,
        tunnel_kind: 0,
        tunnel_port: 0,
        tunnel_flags: 0,
    })
}

impl Scene {
    /// Makes a destination and what it needs, or a service.
    pub(super) fn balance(&mut self, by: &str, service_number: u8, number: Option<u8>) {
        let made = self.host.ipvs.add(IpvsSubject::service(service(service_number)), settings("rr"));
        let is_new = made.is_ok();
        if let Ok(made) = made {
            self.record(by, made);
        }
        match number.map(|number| self.host.ipvs.add(destination(service_number, number), weighted(1))) {
            Some(Ok(made)) => drop(self.record(by, made)),
            Some(Err(_)) => self.collided = true,
            None => self.collided |= !is_new,
        }
    }

    fn ipvs(&mut self, by: &str, subject: IpvsSubject, snapshot: IpvsSnapshot) -> Subject {
        let made = self.host.ipvs.add(subject, snapshot).expect("the fake kernel takes it");
        self.record(by, made)
    }
}

#[test]
fn services_go_after_their_destinations() {
    let mut scene = Scene::new();
    for number in [1, 2] {
        scene.ipvs(KUBE, IpvsSubject::service(service(number)), settings("rr"));
        scene.ipvs(KUBE, destination(number, 5), weighted(1));
    }
    scene.ipvs(KEEPALIVED, IpvsSubject::service(service(3)), settings("wlc"));
    scene.ipvs(KEEPALIVED, destination(3, 5), weighted(1));
    let plan = scene.plan(&kubernetes());
    assert_eq!(
        steps(&plan),
        [
            "destination tcp 10.96.0.1:443 10.244.0.5:8443",
            "destination tcp 10.96.0.2:443 10.244.0.5:8443",
            "ipvs tcp 10.96.0.1:443",
            "ipvs tcp 10.96.0.2:443",
        ]
    );
    let (_, execution, is_proven) = scene.roll_back(&kubernetes());
    assert!(is_proven && execution.outcomes.iter().all(|outcome| outcome.error.is_none()), "{execution:?}");
    let left: Vec<String> = scene.host.ipvs.dump().iter().map(|(subject, now)| describe_both(subject, now)).collect();
    assert_eq!(left, ["ipvs tcp 10.96.0.3:443", "destination tcp 10.96.0.3:443 10.244.0.5:8443"]);
}

fn describe_both(subject: &Subject, snapshot: &Snapshot) -> String {
    crate::model::subject::describe(subject, snapshot)
}

#[test]
fn a_service_with_others_destinations_stays_and_loses_the_owners() {
    let mut scene = Scene::new();
    scene.ipvs(KUBE, IpvsSubject::service(service(1)), settings("rr"));
    scene.ipvs(KUBE, destination(1, 5), weighted(1));
    scene.ipvs(NOBODY, destination(1, 6), weighted(1));
    scene.ipvs(KEEPALIVED, IpvsSubject::service(service(2)), settings("rr"));
    scene.ipvs(KUBE, destination(2, 5), weighted(1));
    let plan = scene.plan(&kubernetes());
    assert_eq!(
        steps(&plan),
        ["destination tcp 10.96.0.1:443 10.244.0.5:8443", "destination tcp 10.96.0.2:443 10.244.0.5:8443"]
    );
    let reason = refused(&plan, "ipvs tcp 10.96.0.1:443");
    assert!(matches!(reason, Reason::ForeignInside { .. }), "{reason}");
}

#[test]
fn what_somebody_set_otherwise_stays_and_keeps_its_service() {
    let mut scene = Scene::new();
    scene.ipvs(KUBE, IpvsSubject::service(service(1)), settings("rr"));
    let subject = scene.ipvs(KUBE, destination(1, 5), weighted(1));
    scene.object(&subject).digest = weighted(7).digest();
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty(), "{plan}");
    assert!(matches!(refused(&plan, "destination tcp 10.96.0.1:443 10.244.0.5:8443"), Reason::Drifted { .. }));
    assert!(matches!(refused(&plan, "ipvs tcp 10.96.0.1:443"), Reason::NotEmpty { .. }));
}

#[test]
fn destinations_come_back_into_the_service_they_were_in() {
    let mut scene = Scene::new();
    for number in [1, 2] {
        scene.ipvs(KUBE, IpvsSubject::service(service(number)), settings("rr"));
        scene.ipvs(KUBE, destination(number, 5), weighted(3));
    }
    let before = scene.host.ipvs.dump();
    let archive = scene.archive(&kubernetes());
    let _ = scene.roll_back(&kubernetes());
    let mut changed = FakeHost::new();
    changed.ipvs = scene.host.ipvs.clone();
    let undone = undo(&mut scene.host, &archive);
    assert!(undone.refusals.is_empty() && undone.steps.len() == 4, "{undone:#?}");
    assert_eq!(scene.host.ipvs.dump(), before);
    // a service that somebody made otherwise meanwhile is not filled with what was in the old one
    changed.ipvs.add(IpvsSubject::service(service(1)), settings("mh")).expect("a free name");
    let undone = undo(&mut changed, &archive);
    let refused: Vec<(String, &Obstacle)> = undone.refusals.iter().map(|it| (it.describe(), &it.reason)).collect();
    assert_eq!(
        refused,
        [
            ("ipvs tcp 10.96.0.1:443".to_owned(), &Obstacle::Taken),
            (
                "destination tcp 10.96.0.1:443 10.244.0.5:8443".to_owned(),
                &Obstacle::Needs("ipvs tcp 10.96.0.1:443".to_owned())
            ),
        ]
    );
    assert_eq!(undone.steps.len(), 2);
}
