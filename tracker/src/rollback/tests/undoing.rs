//! Undo: what a reset took away comes back as it was, whole or after an interruption, and not where others were since.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::laws::{acts, cases, world};
use super::*;
use crate::host::archive::ArchivedFiles;
use crate::host::restore::Restored;
use crate::host::{ArchiveError, HostError, LegacyEdit, NftBatch, Removal};
use crate::model::ids::OperationId;
use crate::model::ipset::{IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsSnapshot, IpvsSubject};
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::neighbour::{NeighbourSnapshot, NeighbourSubject};
use crate::model::nft::NftSubject;
use crate::model::path::PathSnapshot;
use crate::model::route::{IpRuleSnapshot, IpRuleSubject};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::traffic::TrafficSnapshot;
use crate::rollback::undo::{self, How, Obstacle, UndoExpectation, UndoPlan, plan_undo, undo_paths};
use crate::rollback::{Archive, ExecutionState, check, execute};

fn scope() -> Scope {
    Scope { boot: BootId([0; 16]), netns: NetnsId(1) }
}

/// Everything as a person would list it, rules in order; handles and inodes are not content.
fn contents(host: &FakeHost) -> Vec<String> {
    let mut nft: Vec<String> = host
        .ruleset
        .dump()
        .into_iter()
        .map(|(subject, now)| {
            let Subject::Nft(mut nft) = subject else { return String::new() };
            if let NftItem::Rule { handle, .. } = &mut nft.item {
                *handle = Handle(0);
            }
            format!("{nft} {}", now.digest())
        })
        .collect();
    nft.sort_by_key(|line| line.split(" handle ").next().map(str::to_owned));
    let net = host.net.dump().into_iter().chain(host.ipvs.dump());
    let net = net.map(|(subject, now)| format!("{subject:?} {}", now.digest()));
    let files = host.files.entries().iter();
    let files = files.map(|(path, now)| format!("{path} {:?} {} {:o}", now.kind, now.size, now.mode));
    nft.into_iter()
        .chain(net)
        .chain(files)
        .chain(super::legacy::listing(host))
        .chain(super::laws::mounted(host))
        .collect()
}

impl Scene {
    /// The archive of the reset that would be made now, as it is read back.
    pub(super) fn archive(&mut self, selection: &Selection) -> Archive {
        let live = self.live(selection);
        let plan = plan(&self.objects, &live, selection);
        let owner = selection.owner.clone();
        let archive = Archive::of(OperationId(1), scope(), owner, String::new(), (&plan, &live, &self.objects));
        let read = Archive::from_bytes(&archive.to_bytes()).expect("it reads back");
        assert_eq!(read, archive);
        archive
    }
}

/// Undoes and checks the proof.
pub(super) fn undo(host: &mut FakeHost, archive: &Archive) -> UndoPlan {
    let live = host.live(&undo_paths(archive)).expect("the fake always answers");
    let plan = plan_undo(archive, &live, scope());
    let expectation = UndoExpectation::new(&plan, &live);
    let execution = undo::execute(&plan, host, None, &mut |_, _| {});
    assert_eq!(execution.state, ExecutionState::Done, "{plan:#?}");
    let after = host.live(&expectation.paths()).expect("the fake always answers");
    assert!(expectation.verify(&after).holds(), "{}\n{plan:#?}", expectation.verify(&after));
    plan
}

/// A host that does so many changes and refuses all after them, as if it were killed.
struct Dying<'a> {
    inner: &'a mut FakeHost,
    left: usize,
}

impl Dying<'_> {
    fn live_on(&mut self) -> Result<(), HostError> {
        let source = std::io::Error::from_raw_os_error(libc::EIO);
        let dead = HostError::Io { operation: "live", object: "on".to_owned(), source };
        self.left = self.left.checked_sub(1).ok_or(dead)?;
        Ok(())
    }
}

impl Host for Dying<'_> {
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError> {
        self.inner.live(paths)
    }
    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.commit_nft(batch)
    }
    fn replace_legacy(&mut self, edit: &LegacyEdit) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.replace_legacy(edit)
    }
    fn delete_link(&mut self, link: Ifindex, expected: &LinkSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_link(link, expected)
    }
    fn delete_address(&mut self, it: &AddressSubject, expected: &AddressSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_address(it, expected)
    }
    fn delete_route(&mut self, route: &RouteSubject, expected: &RouteSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_route(route, expected)
    }
    fn delete_ip_rule(&mut self, rule: &IpRuleSubject, expected: &IpRuleSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_ip_rule(rule, expected)
    }
    fn delete_ip_set(&mut self, set: &IpSetSubject, expected: &IpSetSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_ip_set(set, expected)
    }
    fn delete_ipvs(&mut self, it: &IpvsSubject, expected: &IpvsSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_ipvs(it, expected)
    }
    fn restore_sysctl(&mut self, name: &SysctlName, expected: &SysctlSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.restore_sysctl(name, expected)
    }
    fn delete_neighbour(
        &mut self,
        neighbour: &NeighbourSubject,
        expected: &NeighbourSnapshot,
    ) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_neighbour(neighbour, expected)
    }
    fn delete_traffic(&mut self, traffic: &Subject, expected: &TrafficSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.delete_traffic(traffic, expected)
    }
    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.remove_path(path, expected)
    }
    fn create_link(
        &mut self,
        link: (Ifindex, &LinkSnapshot),
        peer: Option<(Ifindex, &LinkSnapshot)>,
        keeps_mac: bool,
    ) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.create_link(link, peer, keeps_mac)
    }
    fn attach_link(&mut self, link: Ifindex, content: &LinkSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.attach_link(link, content)
    }
    fn add_address(&mut self, address: &AddressSubject, content: &AddressSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.add_address(address, content)
    }
    fn add_route(&mut self, route: &RouteSubject, content: &RouteSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.add_route(route, content)
    }
    fn add_ip_rule(&mut self, rule: &IpRuleSubject, content: &IpRuleSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.add_ip_rule(rule, content)
    }
    fn unmount(
        &mut self,
        mount: &MountSubject,
        expected: &MountSnapshot,
        losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    ) -> Result<Removal, HostError> {
        self.live_on()?;
        self.inner.unmount(mount, expected, losing)
    }
    fn mount(&mut self, mount: &MountSubject, content: &MountSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.mount(mount, content)
    }
    fn add_ipvs(&mut self, it: &IpvsSubject, content: &IpvsSnapshot) -> Result<(), HostError> {
        self.live_on()?;
        self.inner.add_ipvs(it, content)
    }
    fn restore_paths(
        &mut self,
        wanted: &BTreeMap<AbsPath, PathSnapshot>,
        files: Option<ArchivedFiles<'_>>,
    ) -> Result<Restored, ArchiveError> {
        self.inner.restore_paths(wanted, files)
    }
}

/// Whether all that is refused are links whose other end the fake never had.
fn is_complete(plan: &UndoPlan) -> bool {
    plan.refusals.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn undoing_a_reset_gives_the_node_back(acts in acts(0..5, 0.1)) {
        let mut scene = world(&acts, |_| true);
        let before = contents(&scene.host);
        let archive = scene.archive(&kubernetes());
        let (plan, ..) = scene.roll_back(&kubernetes());
        let undone = undo(&mut scene.host, &archive);
        if is_complete(&undone) && plan.steps().iter().all(|step| step.loses() == 0) {
            prop_assert_eq!(contents(&scene.host), before, "{}\n{:#?}", plan, undone);
            let again = undo(&mut scene.host, &archive);
            prop_assert!(again.steps.is_empty(), "{:#?}", again);
        }
    }

    #[test]
    fn undoing_an_interrupted_reset_gives_the_node_back_and_finishing_it_ends_where_it_would_have(
        acts in acts(0..5, 0.0),
        done in 0..12_usize,
    ) {
        let mut scene = world(&acts, |_| true);
        let before = contents(&scene.host);
        let archive = scene.archive(&kubernetes());
        let live = scene.live(&kubernetes());
        let plan = scene.plan(&kubernetes());
        let loses = plan.steps().iter().any(|step| step.loses() > 0);
        let mut dying = Dying { inner: &mut scene.host, left: done };
        let _ = execute(check(plan, &live).expect("unchanged"), &mut dying, &mut |_, _| {});

        let undone = undo(&mut scene.host, &archive);
        if is_complete(&undone) && !loses {
            prop_assert_eq!(contents(&scene.host), before);
        }
        // another node, where the reset is run again instead
        let mut finished = world(&acts, |_| true);
        let live = finished.live(&kubernetes());
        let plan = finished.plan(&kubernetes());
        let mut dying = Dying { inner: &mut finished.host, left: done };
        let _ = execute(check(plan, &live).expect("unchanged"), &mut dying, &mut |_, _| {});
        let _ = finished.roll_back(&kubernetes());
        let mut whole = world(&acts, |_| true);
        let _ = whole.roll_back(&kubernetes());
        prop_assert_eq!(contents(&finished.host), contents(&whole.host));
    }
}

fn scene() -> (Scene, [Subject; 3]) {
    let mut scene = Scene::new();
    scene.table(DOCKER, &filter());
    scene.base_chain(DOCKER, "FORWARD");
    let first = scene.rule(DOCKER, "FORWARD", "first", &[], &[]);
    let owned = scene.rule(KUBE, "FORWARD", "owned", &[], &[]);
    let last = scene.rule(DOCKER, "FORWARD", "last", &[], &[]);
    (scene, [first, owned, last])
}

fn rules(host: &FakeHost) -> Vec<String> {
    let text = |(_, now): (Subject, Snapshot)| match now {
        Snapshot::Nft(NftSnapshot::Rule(rule)) => Some(String::from_utf8_lossy(&rule.expressions).into_owned()),
        _ => None,
    };
    host.ruleset.dump().into_iter().filter_map(text).collect()
}

fn reset(scene: &mut Scene) -> Archive {
    let archive = scene.archive(&kubernetes());
    let _ = scene.roll_back(&kubernetes());
    archive
}

#[test]
fn a_rule_comes_back_between_its_neighbours_wherever_they_stand_now() {
    let (mut scene, _) = scene();
    let archive = reset(&mut scene);
    assert_eq!(rules(&scene.host), ["first", "last"]);
    scene.rule(DOCKER, "FORWARD", "appended", &[], &[]);
    let plan = undo(&mut scene.host, &archive);
    assert!(matches!(plan.steps[0].how, How::AddRule(_)));
    assert_eq!(rules(&scene.host), ["first", "owned", "last", "appended"]);
}

#[test]
fn a_rule_whose_place_others_took_stays_away() {
    let (mut scene, [_, _, last]) = scene();
    let archive = reset(&mut scene);
    let Subject::Nft(NftSubject { item: NftItem::Rule { handle, .. }, .. }) = last else { panic!("no rule") };
    let mut batch = NftBatch::new(scene.host.ruleset.generation());
    let NftSnapshot::Rule(content) = rule_content("between", &[], &[], &[]) else { panic!("no rule") };
    let place = crate::host::Place::Before(handle);
    batch.push(crate::host::NftAdd::Rule { table: filter(), chain: "FORWARD".into(), content, place });
    scene.host.commit_nft(&batch).expect("it fits");
    let plan = undo(&mut scene.host, &archive);
    assert_eq!(plan.refusals[0].reason, Obstacle::PlaceLost);
    assert_eq!(rules(&scene.host), ["first", "between", "last"]);
}

#[test]
fn what_was_made_anew_meanwhile_is_left_alone() {
    let (mut scene, _) = scene();
    scene.chain(KUBE, "KUBE-A");
    scene.rule(KUBE, "KUBE-A", "inside", &[], &[]);
    let archive = reset(&mut scene);
    scene.rule(KUBE, "FORWARD", "owned", &[], &[]);
    scene.chain(KUBE, "KUBE-A");
    let plan = undo(&mut scene.host, &archive);
    let reasons: Vec<&Obstacle> = plan.refusals.iter().map(|refusal| &refusal.reason).collect();
    assert_eq!(reasons, [&Obstacle::MadeAnew, &Obstacle::Taken]);
    assert_eq!(rules(&scene.host), ["first", "last", "owned", "inside"], "its rule comes back into the new chain");
}

#[test]
fn kernel_objects_of_another_boot_stay_away_and_files_come_back() {
    let (mut scene, _) = scene();
    scene.path(FLANNEL, "/run/flannel", PathKind::Dir);
    scene.path("admin/root", "/run", PathKind::Dir);
    let archive = reset(&mut scene);
    let live = scene.host.live(&undo_paths(&archive)).expect("the fake always answers");
    let plan = plan_undo(&archive, &live, Scope { netns: NetnsId(2), ..scope() });
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].describe(), "dir /run/flannel");
    assert!(plan.refusals.iter().all(|refusal| refusal.reason == Obstacle::OtherBoot));
}
