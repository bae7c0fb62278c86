//! Legacy tables: whole, in memory.

use super::*;
use crate::model::legacy::{
    ChainContent, LegacyChain, LegacyContent, LegacyFamily, LegacyItem, LegacyPolicy, LegacyRule, LegacySnapshot,
    LegacySubject, LegacyTable, PolicyBy,
};
use crate::rollback::{check, execute};

fn table() -> LegacyTable {
    LegacyTable { family: LegacyFamily::Ip, name: "filter".into() }
}

fn rule(text: &str, chain: Option<&str>) -> LegacyRule {
    LegacyRule {
        entry: text.as_bytes().to_vec(),
        content: Digest::of(text.as_bytes()),
        chain: chain.map(Into::into),
        comment: None,
        is_marked: false,
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
    object.snapshot = Snapshot::Legacy(LegacySnapshot::Chain(LegacyChain { policy: Some(last.0), policies }));
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
