//! Looks at services, with requests in between: who is behind what.

use std::sync::Arc;

use super::*;
use crate::journal::testing::actor;
use crate::model::change::ChangeKind;
use crate::model::ids::{ObjectId, Tid};
use crate::model::ipvs::{IpvsDestination, IpvsOrder, IpvsSettings, IpvsVerb};
use crate::pipeline::world::Tracked;

const KUBE: u32 = 10;
const OTHER: u32 = 20;

fn service() -> IpvsService {
    "tcp 10.96.0.1:443".parse().expect("a service")
}

fn at(number: u8) -> std::net::SocketAddr {
    format!("10.244.0.{number}:8443").parse().expect("an address")
}

fn listed(scheduler: &str, destinations: &[(u8, u32)]) -> ListedService {
    let destination = |weight| IpvsDestination {
        forwarding: 0,
        weight,
        upper: 0,
        lower: 0,
        tunnel_kind: 0,
        tunnel_port: 0,
        tunnel_flags: 0,
    };
    ListedService {
        service: service(),
        settings: IpvsSettings {
            scheduler: scheduler.to_owned(),
            flags: 0,
            timeout: 0,
            netmask: [255; 4],
            engine: None,
        },
        destinations: destinations.iter().map(|(number, weight)| (at(*number), destination(*weight))).collect(),
    }
}

/// What is known, and what was asked since.
#[derive(Default)]
struct Scene {
    world: World,
    requests: IpvsRequests,
    clock: u64,
}

impl Scene {
    fn knows(services: Vec<ListedService>) -> Self {
        let mut scene = Self::default();
        for (number, (subject, snapshot)) in into_objects(services).into_iter().enumerate() {
            scene.world.insert(subject, Tracked::of(ObjectId(number as u64 + 1), &snapshot));
        }
        scene
    }

    /// A request from begin to end.
    fn asks(&mut self, by: u32, verb: IpvsVerb, destination: Option<u8>) {
        let service = (verb != IpvsVerb::Flush).then(service);
        let order = IpvsOrder { verb, service, destination: destination.map(at) };
        self.clock += 10;
        self.requests.open(BootTime(self.clock), Tid(by), vec![order], Arc::new(actor(by)));
        self.requests.close(Tid(by), BootTime(self.clock + 5));
    }

    /// What differs, and which processes can be behind it: none is unclear.
    fn looks(&self, services: Vec<ListedService>) -> Vec<(ChangeKind, String, Option<Vec<u32>>)> {
        let ended = BootTime(self.clock + 100);
        let found = differences(&self.world, &self.requests, services, |_| true, ended);
        let by = |by: Blame| match by {
            Blame::Requests(by) => Some(by.iter().map(|it| it.actor.image.id.process.tgid.0).collect()),
            Blame::Unclear | Blame::MayTimeOut => None,
        };
        let row = |Finding { effect, by: blame }| {
            (effect.kind, crate::model::subject::describe_bare(&effect.subject), by(blame))
        };
        found.into_iter().map(row).collect()
    }
}

const SERVICE: &str = "ipvs tcp 10.96.0.1:443";
const FIFTH: &str = "destination tcp 10.96.0.1:443 10.244.0.5:8443";

#[test]
fn what_appears_is_of_who_asked_for_it() {
    let mut scene = Scene::default();
    scene.asks(KUBE, IpvsVerb::NewService, None);
    scene.asks(OTHER, IpvsVerb::NewDestination, Some(5));
    scene.asks(KUBE, IpvsVerb::NewDestination, Some(6));
    assert_eq!(
        scene.looks(vec![listed("rr", &[(5, 1)])]),
        [
            (ChangeKind::Created, SERVICE.to_owned(), Some(vec![KUBE])),
            (ChangeKind::Created, FIFTH.to_owned(), Some(vec![OTHER])),
        ]
    );
    // one of both was refused; nothing says which
    scene.asks(KUBE, IpvsVerb::NewDestination, Some(5));
    let found = scene.looks(vec![listed("rr", &[(5, 1)])]);
    assert_eq!(found[1].2, Some(vec![OTHER, KUBE]));
}

#[test]
fn edits_and_deletions_are_of_who_asked_for_them() {
    let mut scene = Scene::knows(vec![listed("rr", &[(5, 1), (6, 1)])]);
    assert_eq!(scene.looks(vec![listed("rr", &[(5, 1), (6, 1)])]), []);
    scene.asks(OTHER, IpvsVerb::SetDestination, Some(5));
    scene.asks(KUBE, IpvsVerb::DelDestination, Some(6));
    assert_eq!(
        scene.looks(vec![listed("rr", &[(5, 0)])]),
        [
            (ChangeKind::Removed, FIFTH.replace(".5:", ".6:"), Some(vec![KUBE])),
            (ChangeKind::Changed, FIFTH.to_owned(), Some(vec![OTHER])),
        ]
    );
    scene.asks(OTHER, IpvsVerb::Flush, None);
    let gone = scene.looks(Vec::new());
    assert_eq!(gone.len(), 3);
    assert_eq!(gone[2], (ChangeKind::Removed, SERVICE.to_owned(), Some(vec![OTHER])), "after its destinations");
}

#[test]
fn what_was_deleted_and_made_again_is_its_new_makers() {
    let all = || vec![listed("rr", &[(5, 1)])];
    let mut scene = Scene::knows(all());
    scene.asks(OTHER, IpvsVerb::DelService, None);
    scene.asks(KUBE, IpvsVerb::NewService, None);
    scene.asks(KUBE, IpvsVerb::NewDestination, Some(5));
    assert_eq!(
        scene.looks(all()),
        [
            (ChangeKind::Removed, SERVICE.to_owned(), Some(vec![OTHER])),
            (ChangeKind::Removed, FIFTH.to_owned(), Some(vec![OTHER])),
            (ChangeKind::Created, SERVICE.to_owned(), Some(vec![KUBE])),
            (ChangeKind::Created, FIFTH.to_owned(), Some(vec![KUBE])),
        ]
    );
    // asked for what is there: refused
    let mut scene = Scene::knows(all());
    scene.asks(KUBE, IpvsVerb::NewService, None);
    scene.asks(KUBE, IpvsVerb::NewDestination, Some(5));
    assert_eq!(scene.looks(all()), []);
    // at once: nobody can tell
    let order = |verb| IpvsOrder { verb, service: Some(service()), destination: None };
    scene.requests.open(BootTime(100), Tid(1), vec![order(IpvsVerb::DelService)], Arc::new(actor(1)));
    scene.requests.open(BootTime(101), Tid(2), vec![order(IpvsVerb::NewService)], Arc::new(actor(2)));
    scene.clock = 200;
    let found = scene.looks(all());
    assert!(found.iter().any(|(kind, what, by)| *kind == ChangeKind::Created && what == SERVICE && by.is_none()));
}

#[test]
fn requests_whose_effect_was_seen_are_forgotten() {
    let mut scene = Scene::default();
    scene.asks(KUBE, IpvsVerb::NewService, None);
    scene.requests.forget(BootTime(20), |_| false, false);
    assert_eq!(scene.looks(vec![listed("rr", &[])])[0].2, Some(vec![KUBE]));
    scene.requests.forget(BootTime(20), |_| true, false);
    assert_eq!(scene.looks(vec![listed("rr", &[])])[0].2, Some(Vec::new()));
}
