//! IP sets: what is in them, what uses them, and in which order they go.

use super::*;
use crate::model::ipset::{IpSetHeader, IpSetMember, IpSetSnapshot, IpSetSubject};

impl Scene {
    fn ip_set(&mut self, by: &str, name: &str, kind: &str, references: u32) -> Subject {
        let header = IpSetHeader {
            kind: kind.to_owned(),
            family: 2,
            revision: 0,
            index: None,
            seed: Some(7),
            options: String::new(),
            references,
            has_timeout: false,
        };
        let made = self.host.ip_sets.put(IpSetSubject::set(name.into()), IpSetSnapshot::Set(header));
        self.record(by, made)
    }

    fn member(&mut self, by: &str, set: &str, key: &str, refers_to: Option<&str>) -> Subject {
        let member = IpSetMember {
            attributes: key.as_bytes().to_vec(),
            options: String::new(),
            has_timeout: false,
            refers_to: refers_to.map(Into::into),
        };
        let subject = IpSetSubject::member(set.into(), key.to_owned());
        let made = self.host.ip_sets.put(subject, IpSetSnapshot::Member(member));
        self.record(by, made)
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(|step| format!("{} {}", step.action(), step.describe())).collect()
}

#[test]
fn sets_go_whole_lists_before_what_is_in_them() {
    let mut scene = Scene::new();
    scene.ip_set(KUBE, "a", "hash:ip", 1);
    scene.member(KUBE, "a", "10.0.0.1", None);
    scene.ip_set(KUBE, "z", "list:set", 0);
    scene.member(KUBE, "z", "a", Some("a"));
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["destroy ipset z", "destroy ipset a"]);
    assert_eq!(plan.kept().len(), 2, "members go with their sets");
}

#[test]
fn a_set_with_others_members_or_users_stays_and_loses_the_owners_members() {
    let mut scene = Scene::new();
    scene.ip_set(KUBE, "filled", "hash:ip", 0);
    scene.member(KUBE, "filled", "10.0.0.1", None);
    scene.member(DOCKER, "filled", "10.0.0.2", None);
    scene.ip_set(KUBE, "used", "hash:ip", 1);
    scene.ip_set(DOCKER, "theirs", "hash:ip", 0);
    scene.member(KUBE, "theirs", "10.0.0.3", None);
    scene.member(NOBODY, "theirs", "10.0.0.4", None);
    let plan = scene.plan(&kubernetes());
    assert_eq!(steps(&plan), ["delete member filled 10.0.0.1", "delete member theirs 10.0.0.3"]);
    let reasons: Vec<String> = plan.refusals().iter().map(|refusal| refusal.what.clone()).collect();
    assert_eq!(reasons, ["ipset filled", "ipset used"]);
}

#[test]
fn a_set_made_anew_is_another_set() {
    let mut scene = Scene::new();
    let subject = scene.ip_set(KUBE, "a", "hash:ip", 0);
    if let Snapshot::IpSet(IpSetSnapshot::Set(header)) = &mut scene.object(&subject).snapshot {
        header.seed = Some(8);
    }
    let plan = scene.plan(&kubernetes());
    assert!(plan.is_empty() && matches!(plan.refusals()[0].reason, Reason::Drifted { .. }), "{plan}");
}
