//! Check, execution, verification, the loop around them, and the exports.

use std::collections::BTreeMap;

use super::*;
use crate::host::restore::Restored;
use crate::host::{ArchiveError, ArchivedFiles, HostError, LegacyEdit, NftBatch, Removal};
use crate::model::ids::Generation;
use crate::model::ipset::{IpSetSnapshot, IpSetSubject};
use crate::model::ipvs::{IpvsSnapshot, IpvsSubject};
use crate::model::link::AddressSubject;
use crate::model::mount::{MountSnapshot, MountSubject};
use crate::model::neighbour::{NeighbourSnapshot, NeighbourSubject};
use crate::model::path::PathSnapshot;
use crate::model::route::{IpRuleSnapshot, IpRuleSubject};
use crate::model::sysctl::{SysctlName, SysctlSnapshot};
use crate::model::traffic::TrafficSnapshot;
use crate::rollback::export::{Format, export};
use crate::rollback::run::{Ledger, LedgerError, RollbackError, run};
use crate::rollback::{Action, ExecutionState, Expectation, check, execute, plan_with};

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.table(DOCKER, &filter());
    scene.base_chain(DOCKER, "FORWARD");
    scene.chain(KUBE, "KUBE-A");
    scene.rule(KUBE, "KUBE-A", "a", &[], &[]);
    scene.rule(KUBE, "FORWARD", "jump", &["KUBE-A"], &[]);
    scene.link(FLANNEL, 5, "cni0", Some("bridge"), |_| {});
    scene.path(FLANNEL, "/run/flannel", PathKind::Dir);
    scene
}

/// A journal whose objects stay as they are.
struct Fixed(Vec<Object>, usize);

impl Ledger for Fixed {
    fn objects(&mut self) -> Result<Vec<Object>, LedgerError> {
        Ok(self.0.clone())
    }

    fn begin(&mut self, _plan: &Plan, _before: &LiveState, _known: &[Object]) -> Result<(), LedgerError> {
        self.1 += 1;
        Ok(())
    }

    fn progress(&mut self, done: usize, total: usize) {
        assert!(done <= total);
    }
}

#[test]
fn a_run_removes_what_was_planned_and_proves_it() {
    let mut scene = scene();
    let mut ledger = Fixed(scene.objects.clone(), 0);
    let rollback = run(&mut ledger, &kubernetes(), &mut scene.host).expect("it runs");
    assert_eq!(rollback.execution.state, ExecutionState::Done);
    assert_eq!(rollback.execution.outcomes.len(), rollback.plan.steps().len());
    assert!(rollback.proof.holds(), "{}", rollback.proof);
    assert!(scene.plan(&kubernetes()).is_empty());
    assert_eq!(scene.host.ruleset.dump().len(), 2);
}

#[test]
fn a_conflict_changes_nothing_and_the_next_attempt_succeeds() {
    let mut scene = scene();
    scene.host.interfere(|ruleset| {
        let chain = ChainSnapshot { handle: Handle(0), base: None, flags: 0, userdata: Vec::new() };
        ruleset.add(&filter(), NftItem::Chain("DOCKER".into()), NftSnapshot::Chain(chain)).expect("new chain");
    });
    let mut ledger = Fixed(scene.objects.clone(), 0);
    let rollback = run(&mut ledger, &kubernetes(), &mut scene.host).expect("it runs");
    assert_eq!(ledger.1, 2, "one conflict, one success");
    assert!(rollback.proof.holds(), "{}", rollback.proof);
}

#[test]
fn a_ruleset_that_never_rests_ends_the_run_with_nothing_changed() {
    let mut scene = scene();
    for index in 0..9 {
        scene.host.interfere(move |ruleset| {
            let chain = ChainSnapshot { handle: Handle(0), base: None, flags: 0, userdata: Vec::new() };
            let name = format!("X{index}");
            ruleset.add(&filter(), NftItem::Chain(name.as_str().into()), NftSnapshot::Chain(chain)).expect("new chain");
        });
    }
    let before = scene.plan(&kubernetes());
    let mut ledger = Fixed(scene.objects.clone(), 0);
    let answer = run(&mut ledger, &kubernetes(), &mut scene.host);
    assert!(matches!(answer, Err(RollbackError::Unstable { attempts: 5, .. })), "{answer:?}");
    assert_eq!(steps(&scene.plan(&kubernetes())), steps(&before));
}

#[test]
fn the_check_sees_new_generations_new_things_on_links_and_new_files() {
    let mut scene = scene();
    let plan = scene.plan(&kubernetes());
    let live = scene.live(&kubernetes());
    assert!(check(plan.clone(), &live).is_ok());

    let stale = LiveState { generation: Generation(live.generation.0 + 1), ..live.clone() };
    assert!(check(plan.clone(), &stale).unwrap_err().what.contains("generation"));

    scene.address("admin/root", 5, "10.9.0.1", 24, false);
    let with_address = scene.live(&kubernetes());
    assert_eq!(check(plan.clone(), &with_address).unwrap_err().what, "`address 10.9.0.1/24 dev #5` appeared");

    let mut with_file = live.clone();
    with_file.children.entry(abs("/run/flannel")).or_default().insert(abs("/run/flannel/x"));
    assert_eq!(check(plan.clone(), &with_file).unwrap_err().what, "`/run/flannel` changed");

    let mut mounted = live;
    mounted.mounts.push(scene.host.mounts.mount(&abs("/run/flannel"), "tmpfs"));
    assert_eq!(check(plan, &mounted).unwrap_err().what, "`/run/flannel` was mounted");
}

#[test]
fn unrelated_changes_do_not_fail_the_check() {
    let mut scene = scene();
    let plan = scene.plan(&kubernetes());
    scene.link(DOCKER, 9, "docker0", Some("bridge"), |_| {});
    scene.path(DOCKER, "/run/docker", PathKind::Dir);
    let live = scene.live(&kubernetes());
    assert!(check(plan, &live).is_ok());
}

#[test]
fn verification_names_what_remains_is_missing_or_changed() {
    let mut scene = scene();
    let docker = scene.rule(DOCKER, "FORWARD", "docker", &[], &[]);
    let live = scene.live(&kubernetes());
    let plan = scene.plan(&kubernetes());
    let expectation = Expectation::new(&plan, &live);
    let untouched = expectation.verify(&live);
    assert_eq!(untouched.remaining.len(), plan.steps().len());
    assert!(untouched.missing.is_empty() && untouched.changed.is_empty());

    let mut after = live;
    after.nft.retain(|(subject, _)| !matches!(subject, Subject::Nft(nft) if matches!(nft.item, NftItem::Chain(_))));
    for (subject, now) in &mut after.nft {
        if let (true, Snapshot::Nft(NftSnapshot::Rule(rule))) = (*subject == docker, now) {
            rule.content = Digest::of(b"other");
        }
    }
    let proof = expectation.verify(&after);
    assert_eq!(proof.missing, ["chain ip filter FORWARD"]);
    assert_eq!(proof.changed, ["rule ip filter FORWARD handle 5"]);
    assert!(!proof.holds());
}

/// A host whose nf_tables commits, or everything else, fail.
struct Broken {
    inner: FakeHost,
    fails_nft: bool,
}

impl Broken {
    fn error() -> HostError {
        let source = std::io::Error::from_raw_os_error(libc::EPERM);
        HostError::Io { operation: "delete", object: "it".to_owned(), source }
    }
}

impl Host for Broken {
    fn live(&mut self, paths: &[AbsPath]) -> Result<LiveState, HostError> {
        self.inner.live(paths)
    }
    fn commit_nft(&mut self, batch: &NftBatch) -> Result<(), HostError> {
        if self.fails_nft { Err(Self::error()) } else { self.inner.commit_nft(batch) }
    }
    fn replace_legacy(&mut self, _: &LegacyEdit) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn delete_link(&mut self, _: Ifindex, _: &LinkSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_address(&mut self, _: &AddressSubject, _: &AddressSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_route(&mut self, _: &RouteSubject, _: &RouteSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_ip_rule(&mut self, _: &IpRuleSubject, _: &IpRuleSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_ip_set(&mut self, _: &IpSetSubject, _: &IpSetSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_ipvs(&mut self, _: &IpvsSubject, _: &IpvsSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn restore_sysctl(&mut self, _: &SysctlName, _: &SysctlSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_neighbour(&mut self, _: &NeighbourSubject, _: &NeighbourSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn delete_traffic(&mut self, _: &Subject, _: &TrafficSnapshot) -> Result<Removal, HostError> {
        Err(Self::error())
    }
    fn remove_path(&mut self, path: &AbsPath, expected: &PathSnapshot) -> Result<Removal, HostError> {
        self.inner.remove_path(path, expected)
    }
    fn unmount(
        &mut self,
        mount: &MountSubject,
        expected: &MountSnapshot,
        losing: Option<&BTreeMap<AbsPath, PathSnapshot>>,
    ) -> Result<Removal, HostError> {
        self.inner.unmount(mount, expected, losing)
    }
    fn mount(&mut self, _: &MountSubject, _: &MountSnapshot) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn create_link(
        &mut self,
        _: (Ifindex, &LinkSnapshot),
        _: Option<(Ifindex, &LinkSnapshot)>,
        _: bool,
    ) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn attach_link(&mut self, link: Ifindex, content: &LinkSnapshot) -> Result<(), HostError> {
        self.inner.attach_link(link, content)
    }
    fn add_address(&mut self, _: &AddressSubject, _: &AddressSnapshot) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn add_route(&mut self, _: &RouteSubject, _: &RouteSnapshot) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn add_ip_rule(&mut self, _: &IpRuleSubject, _: &IpRuleSnapshot) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn add_ipvs(&mut self, _: &IpvsSubject, _: &IpvsSnapshot) -> Result<(), HostError> {
        Err(Self::error())
    }
    fn restore_paths(
        &mut self,
        wanted: &BTreeMap<AbsPath, PathSnapshot>,
        files: Option<ArchivedFiles<'_>>,
    ) -> Result<Restored, ArchiveError> {
        self.inner.restore_paths(wanted, files)
    }
}

fn outcomes(fails_nft: bool) -> Vec<(String, bool)> {
    let mut scene = scene();
    let plan = scene.plan(&kubernetes());
    let live = scene.live(&kubernetes());
    let mut host = Broken { inner: scene.host, fails_nft };
    let execution = execute(check(plan, &live).expect("unchanged"), &mut host, &mut |_, _| {});
    assert!(matches!(&execution.state, ExecutionState::Failed { error } if error.contains("Operation not permitted")));
    execution.outcomes.into_iter().map(|outcome| (outcome.step, outcome.error.is_none())).collect()
}

#[test]
fn after_a_failed_commit_nothing_else_is_tried() {
    assert!(outcomes(true).iter().all(|(_, is_done)| !is_done));
}

#[test]
fn a_failing_step_does_not_stop_those_after_it() {
    let outcomes = outcomes(false);
    let failed: Vec<&str> = outcomes.iter().filter(|(_, is_done)| !is_done).map(|(step, _)| step.as_str()).collect();
    assert_eq!(failed, ["delete link cni0"]);
    assert_eq!(outcomes.last().expect("steps").0, "remove dir /run/flannel");
}

#[test]
fn the_export_is_libnftables_json_in_the_order_of_the_batch() {
    let mut scene = scene();
    scene.set(DOCKER, "s", 0);
    scene.element(KUBE, "s", &[1], &[]);
    let (plan, live) = (scene.plan(&kubernetes()), scene.live(&kubernetes()));
    let export = export(&plan, &live, Format::Nftables);
    let json: serde_json::Value = serde_json::from_str(&export.text).expect("JSON");
    let deleted = |index: usize| json["nftables"][index + 1]["delete"].clone();
    assert_eq!(deleted(0)["rule"]["chain"], "KUBE-A");
    assert_eq!(deleted(0)["rule"]["handle"], 3);
    assert_eq!(deleted(1)["rule"]["handle"], 4);
    assert_eq!(deleted(2)["chain"]["name"], "KUBE-A");
    let left_out: Vec<(&str, &str)> = export.left_out.iter().map(|it| (it.what.as_str(), it.reason)).collect();
    assert_eq!(left_out[0].0, "delete element ip filter s 0x01");
    let nft = plan.steps().iter().filter(|step| step.action().is_nft()).count();
    assert_eq!(left_out.len() - 1, plan.steps().len() - nft, "everything else is named: {left_out:?}");
    assert!(left_out[1..].iter().all(|(_, reason)| *reason == "it is no step of nf_tables"));
    assert_eq!(json["nftables"][0]["metainfo"]["netdeed_left_out"].as_array().map(Vec::len), Some(left_out.len()));
}

/// Every kind of step that the planner makes, in each form.
#[test]
fn an_exported_policy_is_no_deletion_and_a_script_names_what_it_lacks() {
    let mut scene = scene();
    let input = scene.base_chain(DOCKER, "INPUT");
    let object = scene.object(&input).clone();
    scene.object(&input).changed = Some(deed(KUBE, Certainty::Exact));
    let mut before = object.snapshot.clone();
    if let Snapshot::Nft(NftSnapshot::Chain(ChainSnapshot { base: Some(base), .. })) = &mut before {
        base.policy = 0;
    }
    let live = scene.live(&kubernetes());
    let earlier = [(object.id, before)].into_iter().collect();
    let plan = plan_with(&scene.objects, &earlier, &live, &kubernetes());
    assert!(plan.steps().iter().any(|step| matches!(step.action(), Action::SetPolicy { policy: 0 })), "{plan}");

    let json: serde_json::Value = serde_json::from_str(&export(&plan, &live, Format::Nftables).text).expect("JSON");
    let commands = json["nftables"].as_array().expect("commands");
    let policy = commands.iter().find(|it| !it["add"].is_null()).expect("a policy");
    assert_eq!(policy["add"]["chain"]["policy"], "drop");
    assert_eq!(policy["add"]["chain"]["hook"], "input", "a chain is added as what it is");
    assert!(!commands.iter().any(|it| it["delete"]["chain"]["name"] == "INPUT"));

    let script = export(&plan, &live, Format::IptablesRestore);
    let done = script.text.lines().filter(|line| line.starts_with("try ")).count();
    let nft = script.text.matches("\"delete\":").count() + script.text.matches("\"add\":").count();
    assert_eq!(done + nft + script.left_out.len(), plan.steps().len(), "{}", script.text);
    for left_out in &script.left_out {
        assert!(script.text.contains(&format!("#   {}: {}", left_out.what, left_out.reason)), "{}", script.text);
    }
}

#[test]
fn the_plan_reads_like_a_list_with_reasons_and_remedies() {
    let mut scene = scene();
    scene.rule(DOCKER, "KUBE-A", "docker's", &[], &[]);
    let text = scene.plan(&kubernetes()).to_string();
    assert!(text.starts_with("- rule ip filter KUBE-A handle 3   # kubernetes/kube-proxy exact: commit 7"), "{text}");
    let refusal = "! chain ip filter KUBE-A   # kubernetes/kube-proxy: refused, it holds `rule ip filter KUBE-A handle 5` \
        (docker)\n#   move or remove what is inside";
    assert!(text.contains(refusal), "{text}");
}
