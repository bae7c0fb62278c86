//! Legacy tables: whole, in memory.

use super::*;
use crate::host::Host as _;
use crate::model::ids::OperationId;
use crate::model::legacy::{
    ChainContent, LegacyChain, LegacyContent, LegacyFamily, LegacyItem, LegacyPolicy, LegacyRule, LegacySnapshot,
    LegacySubject, LegacyTable, PolicyBy,
};
use crate::rollback::undo::{self, Obstacle, UndoExpectation, plan_undo};
use crate::rollback::{Archive, check, execute};

fn table() -> LegacyTable {
    LegacyTable { family: LegacyFamily::Ip, name: "filter".into() }
}

pub(super) fn rule(text: &str, chain: Option<&str>) -> LegacyRule {
    LegacyRule {
        entry: text.as_bytes().to_vec(),
        content: Digest::of(format!("{text} {chain:?}").as_bytes()),
        chain: chain.map(Into::into),
        comment: None,
        is_marked: false,
        counters: [0; 2],
    }
}

/// Chains in the order of people, their policies and rules in order.
pub(super) fn listing(host: &FakeHost) -> Vec<String> {
    let chains = host.legacy.tables.iter().flat_map(|table| &table.chains);
    let rule = |rule: &LegacyRule| format!("{} {:?}", String::from_utf8_lossy(&rule.entry), rule.chain);
    let line = |chain: &ChainContent| {
        let rules: Vec<_> = chain.rules.iter().map(rule).collect();
        format!("{} {:?}: {rules:?}", chain.name, chain.policy)
    };
    let mut lines: Vec<String> = chains.map(line).collect();
    lines.sort();
    lines
}

impl Scene {
    /// The table with built-in chains, as the kernel makes it.
    pub(super) fn legacy_table(&mut self, chains: &[&str]) {
        let chain =
            |name: &&str| ChainContent { name: (*name).into(), policy: ACCEPT, ending: None, rules: Vec::new() };
        let content = LegacyContent { table: table(), chains: chains.iter().map(chain).collect() };
        for (subject, snapshot) in content.clone().into_objects() {
            self.record("kernel", (Subject::Legacy(subject), Snapshot::Legacy(snapshot)));
        }
        self.host.legacy.tables.push(content);
    }

    /// Makes a chain, if it is missing.
    pub(super) fn legacy_chain(&mut self, by: &str, name: &str) {
        let chains = &mut self.host.legacy.tables[0].chains;
        if chains.iter().any(|chain| chain.name.as_str() == name) {
            self.collided = true;
            return;
        }
        chains.push(ChainContent { name: name.into(), policy: None, ending: None, rules: Vec::new() });
        let content = LegacyChain { policy: None, policies: Vec::new(), ending: None };
        let subject = LegacySubject { table: table(), item: LegacyItem::Chain(name.into()) };
        self.record(by, (Subject::Legacy(subject), Snapshot::Legacy(LegacySnapshot::Chain(content))));
    }

    /// Appends a rule.
    pub(super) fn legacy_rule(&mut self, by: &str, chain: &str, rule: LegacyRule) {
        let its = self.host.legacy.tables[0].chains.iter_mut().find(|it| it.name.as_str() == chain).expect("there");
        let nth = its.rules.iter().filter(|it| it.content == rule.content).count();
        its.rules.push(rule.clone());
        let nth = u32::try_from(nth).expect("few");
        let item = LegacyItem::Rule { chain: chain.into(), content: rule.content, nth };
        let subject = Subject::Legacy(LegacySubject { table: table(), item });
        self.record(by, (subject, Snapshot::Legacy(LegacySnapshot::Rule(rule))));
    }
}

/// Name, maker, policy, and rules each with its maker.
type Chain<'a> = (&'a str, &'a str, Option<LegacyPolicy>, &'a [(&'a str, LegacyRule)]);

/// A scene with one table: each chain with its policy, and its rules by who made them.
fn scene(chains: &[Chain<'_>]) -> Scene {
    let mut scene = Scene::new();
    let content = |(name, _, policy, rules): &Chain<'_>| ChainContent {
        name: (*name).into(),
        policy: *policy,
        ending: None,
        rules: rules.iter().map(|(_, rule)| rule.clone()).collect(),
    };
    let content = LegacyContent { table: table(), chains: chains.iter().map(content).collect() };
    let makers = chains.iter().flat_map(|(_, by, _, rules)| std::iter::once(*by).chain(rules.iter().map(|it| it.0)));
    for ((subject, snapshot), by) in content.clone().into_objects().into_iter().skip(1).zip(makers) {
        scene.record(by, (Subject::Legacy(subject), Snapshot::Legacy(snapshot)));
    }
    scene.host.legacy.tables.push(content);
    scene
}

/// The texts of the rules that are left, chain by chain, with the policies.
fn left(scene: &Scene) -> Vec<String> {
    let chains = &scene.host.legacy.tables[0].chains;
    let line = |chain: &ChainContent| {
        let rules: Vec<_> = chain.rules.iter().map(|rule| String::from_utf8_lossy(&rule.entry).into_owned()).collect();
        let policy = chain.policy.map_or(String::new(), |policy| format!(" {policy}"));
        format!("{}{policy}: {}", chain.name, rules.join(", "))
    };
    chains.iter().map(line).collect()
}

fn roll_back(scene: &mut Scene) -> Plan {
    let live = scene.host.live(&[]).expect("reads");
    let planned = plan(&scene.objects, &live, &kubernetes());
    let checked = check(planned.clone(), &live).expect("unchanged");
    let execution = execute(checked, &mut scene.host, &mut |_, _| {});
    assert_eq!(execution.state, crate::rollback::ExecutionState::Done, "{planned}");
    planned
}

const ACCEPT: Option<LegacyPolicy> = Some(LegacyPolicy::Accept);

#[test]
fn rules_and_chains_go_and_the_rest_stays_in_its_order() {
    let mut scene = scene(&[
        (
            "INPUT",
            "kernel",
            ACCEPT,
            &[("admin/root", rule("a", None)), (KUBE, rule("j", Some("KUBE"))), (DOCKER, rule("b", None))],
        ),
        ("KUBE", KUBE, None, &[(KUBE, rule("k", None))]),
    ]);
    let planned = roll_back(&mut scene);
    assert_eq!(left(&scene), ["INPUT ACCEPT: a, b"], "{planned}");
    assert!(planned.refusals().is_empty(), "{planned}");
}

#[test]
fn of_equal_rules_the_owners_one_goes() {
    let mut scene = scene(&[(
        "INPUT",
        "kernel",
        ACCEPT,
        &[("admin/root", rule("x", None)), (DOCKER, rule("y", None)), (KUBE, rule("x", None))],
    )]);
    let _ = roll_back(&mut scene);
    assert_eq!(left(&scene), ["INPUT ACCEPT: x, y"]);
}

#[test]
fn what_others_jump_to_or_stand_in_stays() {
    let mut scene = scene(&[
        ("INPUT", "kernel", ACCEPT, &[(KUBE, rule("j", Some("K1"))), (NOBODY, rule("n", Some("K2")))]),
        ("K1", KUBE, None, &[("admin/root", rule("own", None)), (KUBE, rule("k", None))]),
        ("K2", KUBE, None, &[]),
    ]);
    let planned = roll_back(&mut scene);
    assert_eq!(left(&scene), ["INPUT ACCEPT: j, n", "K1: own", "K2: "], "{planned}");
    let reasons: Vec<_> = planned.refusals().iter().map(|refusal| refusal.reason.clone()).collect();
    assert!(reasons.iter().any(|reason| matches!(reason, Reason::LeadsToForeign { .. })), "{planned}");
    assert!(reasons.iter().any(|reason| matches!(reason, Reason::ForeignInside { .. })), "{planned}");
    assert!(reasons.iter().any(|reason| matches!(reason, Reason::ForeignReference { .. })), "{planned}");
}

fn with_policy(set: &[(LegacyPolicy, Option<&str>)], live: LegacyPolicy) -> Scene {
    let mut scene = scene(&[("FORWARD", "kernel", Some(live), &[])]);
    let policies = set.iter().map(|(policy, by)| PolicyBy { policy: *policy, by: by.map(owner) }).collect();
    let subject = Subject::Legacy(LegacySubject { table: table(), item: LegacyItem::Chain("FORWARD".into()) });
    let object = scene.object(&subject);
    let last = set.last().expect("one");
    object.snapshot =
        Snapshot::Legacy(LegacySnapshot::Chain(LegacyChain { policy: Some(last.0), policies, ending: None }));
    object.digest = object.snapshot.digest();
    object.changed = last.1.map(|by| deed(by, Certainty::Exact));
    scene
}

#[test]
fn a_policy_is_set_back_unless_somebody_set_it_since() {
    use LegacyPolicy::{Accept, Drop};
    let mut scene = with_policy(&[(Accept, None), (Drop, Some(KUBE))], Drop);
    let _ = roll_back(&mut scene);
    assert_eq!(left(&scene), ["FORWARD ACCEPT: "]);
    // docker's came before kube-proxy's, flannel's is within the selection as well
    let mut scene =
        with_policy(&[(Accept, None), (Drop, Some(DOCKER)), (Accept, Some(KUBE)), (Accept, Some(FLANNEL))], Accept);
    let _ = roll_back(&mut scene);
    assert_eq!(left(&scene), ["FORWARD DROP: "]);
    let mut scene = with_policy(&[(Accept, None), (Accept, Some(KUBE)), (Drop, Some(DOCKER))], Drop);
    assert!(roll_back(&mut scene).is_empty());
    // changed by nobody knows whom
    let mut scene = with_policy(&[(Accept, None), (Drop, Some(KUBE))], Accept);
    assert!(roll_back(&mut scene).is_empty());
}

#[test]
fn a_table_that_changed_meanwhile_is_not_touched() {
    let mut scene = scene(&[("INPUT", "kernel", ACCEPT, &[(KUBE, rule("k", None))])]);
    let live = scene.host.live(&[]).expect("reads");
    let planned = plan(&scene.objects, &live, &kubernetes());
    scene.host.legacy.tables[0].chains[0].rules.push(rule("new", None));
    let now = scene.host.live(&[]).expect("reads");
    assert!(check(planned.clone(), &now).is_err());
    // between the check and the replacement
    let checked = check(planned, &live).expect("as planned");
    let execution = execute(checked, &mut scene.host, &mut |_, _| {});
    assert_eq!(execution.state, crate::rollback::ExecutionState::GenerationConflict);
    assert_eq!(left(&scene), ["INPUT ACCEPT: k, new"]);
}

/// The archive of the reset, which is made.
fn reset(scene: &mut Scene) -> Archive {
    let live = scene.host.live(&[]).expect("reads");
    let planned = plan(&scene.objects, &live, &kubernetes());
    let owner = kubernetes().owner;
    let scope = Scope { boot: BootId([0; 16]), netns: NetnsId(1) };
    let archive = Archive::of(OperationId(1), scope, owner, String::new(), (&planned, &live, &scene.objects));
    let _ = roll_back(scene);
    Archive::from_bytes(&archive.to_bytes()).expect("it reads back")
}

/// Undoes; the obstacles.
fn undone(scene: &mut Scene, archive: &Archive) -> Vec<Obstacle> {
    let live = scene.host.live(&[]).expect("reads");
    let planned = plan_undo(archive, &live, archive.scope);
    let expectation = UndoExpectation::new(&planned, &live);
    let execution = undo::execute(&planned, &mut scene.host, None, &mut |_, _| {});
    assert_eq!(execution.state, crate::rollback::ExecutionState::Done, "{planned:#?}");
    let proof = expectation.verify(&scene.host.live(&[]).expect("reads"));
    assert!(proof.holds(), "{proof:?}\n{planned:#?}");
    planned.refusals.into_iter().map(|refusal| refusal.reason).collect()
}

/// Kubernetes' rules between others', some of them equal, and a chain of its own.
fn mixed() -> Scene {
    scene(&[
        (
            "INPUT",
            "kernel",
            ACCEPT,
            &[
                ("admin/root", rule("x", None)),
                (KUBE, rule("j", Some("KUBE"))),
                (KUBE, rule("x", None)),
                (DOCKER, rule("b", None)),
                (KUBE, rule("x", None)),
            ],
        ),
        ("KUBE", KUBE, None, &[(KUBE, rule("k", None)), (KUBE, rule("l", None))]),
        ("OWN", "admin/root", None, &[]),
    ])
}

#[test]
fn an_undo_puts_rules_and_chains_where_they_were() {
    let mut scene = mixed();
    let before = left(&scene);
    scene.host.legacy.tables[0].chains[0].rules[1].counters = [3, 180];
    let archive = reset(&mut scene);
    assert_eq!(left(&scene), ["INPUT ACCEPT: x, b", "OWN: "]);
    assert_eq!(undone(&mut scene, &archive), []);
    assert_eq!(left(&scene), before);
    assert_eq!(scene.host.legacy.tables[0].chains[0].rules[1].counters, [3, 180]);
    // and once more: everything is there
    assert_eq!(undone(&mut scene, &archive), []);
    assert_eq!(left(&scene), before);
}

#[test]
fn what_others_added_at_the_ends_does_not_hide_a_rules_place() {
    let mut scene = mixed();
    let archive = reset(&mut scene);
    let rules = &mut scene.host.legacy.tables[0].chains[0].rules;
    rules.insert(0, rule("first", None));
    rules.push(rule("last", None));
    assert_eq!(undone(&mut scene, &archive), []);
    assert_eq!(left(&scene)[0], "INPUT ACCEPT: first, x, j, x, b, x, last");
}

#[test]
fn an_undo_refuses_what_does_not_fit_any_more() {
    // others stand where rules stood
    let mut scene = mixed();
    let archive = reset(&mut scene);
    scene.host.legacy.tables[0].chains[0].rules.insert(1, rule("between", None));
    assert_eq!(undone(&mut scene, &archive), [Obstacle::PlaceLost, Obstacle::PlaceLost]);
    assert_eq!(left(&scene), ["INPUT ACCEPT: x, between, b, x", "KUBE: k, l", "OWN: "]);
    // one of equal content was made since
    let mut scene = mixed();
    let archive = reset(&mut scene);
    scene.host.legacy.tables[0].chains[0].rules.push(rule("x", None));
    assert_eq!(undone(&mut scene, &archive), [Obstacle::MadeAnew, Obstacle::MadeAnew]);
    // the table is another's meanwhile: its chain and its neighbours are gone
    let mut scene = self::scene(&[
        ("INPUT", "kernel", ACCEPT, &[(KUBE, rule("j", Some("OWN")))]),
        ("OWN", "admin/root", None, &[(KUBE, rule("k", None))]),
    ]);
    let archive = reset(&mut scene);
    scene.host.legacy.tables[0].chains.pop();
    let needs = Obstacle::Needs("chain legacy ip filter OWN".to_owned());
    assert_eq!(undone(&mut scene, &archive), [needs.clone(), needs]);
    assert_eq!(left(&scene), ["INPUT ACCEPT: "]);
    scene.host.legacy.tables.clear();
    let needs = Obstacle::Needs("table legacy ip filter".to_owned());
    assert_eq!(undone(&mut scene, &archive), [needs.clone(), needs]);
}

#[test]
fn a_policy_comes_back_unless_somebody_set_it_since() {
    use LegacyPolicy::{Accept, Drop};
    let mut scene = with_policy(&[(Accept, None), (Drop, Some(KUBE))], Drop);
    let archive = reset(&mut scene);
    assert_eq!(undone(&mut scene, &archive), []);
    assert_eq!(left(&scene), ["FORWARD DROP: "]);
    assert_eq!(undone(&mut scene, &archive), [], "it is there");
}

#[test]
fn the_proof_by_owner_has_legacy_rules() {
    let mut scene = mixed();
    let live = scene.host.live(&[]).expect("reads");
    let planned = plan(&scene.objects, &live, &kubernetes());
    let expectation = crate::rollback::Expectation::new(&planned, &live).owned(&scene.objects);
    let _ = roll_back(&mut scene);
    let others = |proof: &crate::rollback::Proof| -> Vec<(Option<String>, u64, bool)> {
        let others = proof.others.iter();
        others.map(|it| (it.owner.as_ref().map(ToString::to_string), it.objects, it.before == it.after)).collect()
    };
    let proof = expectation.verify(&scene.host.live(&[]).expect("reads"));
    assert!(proof.holds(), "{proof}");
    let expected = |docker: bool| {
        [
            (None, 1, true),
            (Some("admin/root".to_owned()), 2, true),
            (Some(DOCKER.to_owned()), 1, docker),
            (Some("kernel".to_owned()), 1, true),
        ]
    };
    assert_eq!(others(&proof), expected(true));
    scene.host.legacy.tables[0].chains[0].rules.pop();
    let proof = expectation.verify(&scene.host.live(&[]).expect("reads"));
    assert!(!proof.holds());
    assert_eq!(others(&proof), expected(false));
}
